package lengths

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Thresholds of what is said about lengths. docs/statistics.md says why.
const (
	minLengths    = 3    // of an exponent
	longPrompt    = 64   // tokens: with shorter prompts alone nothing is said of prefill
	longCache     = 128  // positions: the same of decode
	offTheLaw     = 0.25 // a length as far off tells nothing of where attention takes over
	parts         = 4    // of a long answer, each a length of its own
	longAnswer    = 64   // steps: from there on
	fewBlocks     = 3    // for an interval over blocks
	mostAttention = 1e6  // longest over takes_over_at where nothing else is left
)

// series are a model's times by length, for each block, and the scenarios that they are of.
type series struct {
	mode  string
	times map[float64]map[int][]float64 // ms
	of    map[float64][]string
}

func (s *series) add(length float64, r *runs.Row, ms float64) {
	if s.times[length] == nil {
		s.times[length] = map[int][]float64{}
	}
	s.times[length][r.Unit()] = append(s.times[length][r.Unit()], ms)
	if !slices.Contains(s.of[length], r.Scenario) {
		s.of[length] = append(s.of[length], r.Scenario)
	}
}

func (s *series) lengths() []float64 { return slices.Sorted(maps.Keys(s.times)) }

// prefills are by the length of the prompt, from the least depth.
func prefills(c *cells.Set, s cells.Series, m *cells.Model) series {
	out := series{record.ModePrefill, map[float64]map[int][]float64{}, map[float64][]string{}}
	for _, sc := range c.Joined() {
		for _, r := range c.RowsOf(s, m.Name, sc, record.ModePrefill) {
			if n := r.PromptEach(); n != nil && *n > 0 {
				ms, _ := r.Latency()
				out.add(float64(*n), r, ms)
			}
		}
	}
	return out
}

// decodes are by mean position. Of long answers whose steps were timed, parts are
// lengths of their own, without the fixed cost of a call. Else answers of one length
// alone are taken: a fixed cost of each call is less of a long answer's time per token.
func decodes(c *cells.Set, s cells.Series, m *cells.Model) series {
	out := series{record.ModeDecode, map[float64]map[int][]float64{}, map[float64][]string{}}
	byGen := map[int][]*runs.Row{}
	timed := true
	for _, sc := range c.Scenarios {
		for _, r := range c.RowsOf(s, m.Name, sc, record.ModeDecode) {
			gen := cells.AnswerTokens(r)
			if gen == 0 || r.PromptEach() == nil || r.GenTokensRaw != nil && *r.GenTokensRaw != gen {
				continue // or scaled to a length that it did not have
			}
			byGen[gen] = append(byGen[gen], r)
			timed = timed && len(r.TokenNS) == gen
		}
	}
	if !timed {
		places := func(gen int) int {
			starts := map[int]bool{}
			for _, r := range byGen[gen] {
				starts[r.DepthTokens()+*r.PromptEach()] = true
			}
			return len(starts)
		}
		gens := slices.Sorted(maps.Keys(byGen))
		most := slices.MaxFunc(gens, func(x, y int) int { return cmp.Or(places(x)-places(y), x-y) })
		byGen = map[int][]*runs.Row{most: byGen[most]}
	}
	for gen, rows := range byGen {
		n := 1
		if timed && gen >= longAnswer {
			n = parts
		}
		for _, r := range rows {
			start := float64(r.DepthTokens() + *r.PromptEach())
			for i := range n {
				from, to := gen*i/n, gen*(i+1)/n
				var ms float64
				if timed {
					ms = stats.Median(stats.Map(r.TokenNS[from:to], func(ns int64) float64 { return float64(ns) / 1e6 }))
				} else if v := cells.MSPerToken(r); v != nil {
					ms = *v
				}
				if ms > 0 {
					out.add(start+float64(from+to+1)/2, r, ms)
				}
			}
		}
	}
	return out
}

// ask makes the law of one model and mode, where its lengths are several and long.
func (a *Answer) ask(s cells.Series, m *cells.Model, times series) {
	x := times.lengths()
	long := map[string]float64{record.ModePrefill: longPrompt, record.ModeDecode: longCache}[times.mode]
	if len(x) < minLengths || x[len(x)-1] < long {
		return
	}
	l := Law{Subject: s.Of(m), Mode: times.mode, NLengths: len(x), Shortest: x[0], Longest: x[len(x)-1], Basis: cells.BasisOne}
	var y []float64
	whole := map[int]int{} // lengths that a block measured
	for _, n := range x {
		all := cells.Times{ByBlock: times.times[n]}
		for b, ms := range times.times[n] {
			all.All = append(all.All, ms...)
			whole[b]++
		}
		y = append(y, all.Typical())
		at := Length{Subject: s.Of(m), Mode: times.mode, Length: n, N: len(all.All), MS: all.Typical(), scenarios: times.of[n]}
		if e, basis := cells.Level(all); basis != "" {
			at.CI = e.ExpInterval()
		}
		a.Lengths = append(a.Lengths, at)
	}
	var blocks [][]float64
	for _, b := range slices.Sorted(maps.Keys(whole)) {
		if whole[b] == len(x) {
			blocks = append(blocks, stats.Map(x, func(n float64) float64 { return stats.Median(times.times[n][b]) }))
		}
	}
	l.Blocks = len(blocks)
	l.fit(x, y, blocks)
	a.Laws = append(a.Laws, l)
}

// growth is what one fit says.
type growth struct {
	exponent, fixed, token, attention float64 // ms
	over                              float64 // the longest length over the one at which attention takes half; 0: it takes none
	share                             float64 // attention's, at the longest
	lawful                            bool
}

func (g *growth) at(n float64, mode string) float64 {
	if mode == record.ModeDecode {
		return g.fixed + g.attention*n
	}
	return g.fixed + g.token*n + g.attention*n*n
}

// grow fits the law by least squares of relative errors; no cost is negative. longest is
// the length that over and share refer to.
func grow(x, y []float64, mode string, longest float64) (g growth, ok bool) {
	log := func(xs []float64) []float64 { return stats.Map(xs, math.Log) }
	line, ok := stats.OLS(log(x), log(y))
	if !ok {
		return g, false
	}
	g.exponent = line.B
	powers := []float64{0, 1}
	if mode == record.ModePrefill {
		powers = []float64{0, 1, 2}
	}
	if len(x) < len(powers) {
		return g, true
	}
	var columns [][]float64
	for _, p := range powers {
		var c []float64
		for i := range x {
			c = append(c, math.Pow(x[i]/longest, p)/y[i])
		}
		columns = append(columns, c)
	}
	ones := stats.Map(x, func(float64) float64 { return 1 })
	c, ok := stats.NonNegative(ones, columns...)
	if !ok {
		return g, true
	}
	g.lawful = true
	g.fixed = c[0]
	if mode == record.ModeDecode {
		g.attention = c[1] / longest
		g.over = min(c[1]/max(c[0], 1e-300), mostAttention)
		g.share = c[1] / (c[0] + c[1])
		return g, true
	}
	g.token, g.attention = c[1]/longest, c[2]/longest/longest
	// attention n^2 = fixed + token n, in units of the longest
	if c[2] > 0 {
		g.over = min(2*c[2]/max(c[1]+math.Sqrt(c[1]*c[1]+4*c[2]*c[0]), 1e-300), mostAttention)
	}
	g.share = c[2] / (c[0] + c[1] + c[2])
	return g, true
}

// fit fills the law in: y are the times over all blocks, blocks those of each.
func (l *Law) fit(x, y []float64, blocks [][]float64) {
	g, ok := grow(x, y, l.Mode, l.Longest)
	if !ok {
		l.unknown("no line can be fitted to these lengths")
		return
	}
	var others []growth // of which the intervals are made
	value := func(of func(*growth) float64) (float64, *stats.Interval) {
		v := of(&g)
		values := stats.Map(others, func(o growth) float64 { return of(&o) })
		if l.Basis == cells.BasisProcesses {
			e, ok := stats.MeanT(values)
			if !ok {
				return v, nil
			}
			half := e.Half(stats.Alpha)
			return e.Value, stats.NewInterval(e.Value-half, e.Value+half)
		}
		half := stats.Jackknife(values)
		return v, stats.NewInterval(v-half, v+half)
	}
	if len(blocks) >= fewBlocks {
		l.Basis = cells.BasisProcesses
		for _, b := range blocks {
			if o, ok := grow(x, b, l.Mode, l.Longest); ok {
				others = append(others, o)
			}
		}
	} else {
		for i := range x {
			if o, ok := grow(slices.Delete(slices.Clone(x), i, i+1), slices.Delete(slices.Clone(y), i, i+1), l.Mode, l.Longest); ok {
				others = append(others, o)
			}
		}
	}
	exponent, ci := value(func(g *growth) float64 { return g.exponent })
	l.Exponent, l.ExponentCI = stats.Finite(exponent), ci
	costs := map[string]int{record.ModePrefill: 3, record.ModeDecode: 2}[l.Mode]
	if len(x) <= costs || !g.lawful || slices.ContainsFunc(others, func(o growth) bool { return !o.lawful }) {
		l.unknown(fmt.Sprintf("%d lengths: too few to tell attention from the rest", len(x)))
		return
	}
	l.FixedMS, l.AttentionNS = stats.Finite(g.fixed), stats.Finite(1e6*g.attention)
	if l.Mode == record.ModePrefill {
		l.TokenMS = stats.Finite(g.token)
	}
	off := 0.0
	for i := range x {
		off = max(off, math.Abs(y[i]/g.at(x[i], l.Mode)-1))
	}
	l.Deviation = stats.Finite(off)
	share, ci := value(func(g *growth) float64 { return g.share })
	l.Share, l.ShareCI = stats.Finite(share), ci
	over, ci := value(func(g *growth) float64 { return g.over })
	if off > offTheLaw {
		l.unknown(fmt.Sprintf("a length lies %.0f %% off the law", 100*off))
		return
	}
	if ci == nil {
		l.unknown("no interval")
		return
	}
	length := func(over float64) *float64 {
		if over <= 0 {
			return nil
		}
		return stats.Finite(l.Longest / over)
	}
	l.TakesOver, l.TakesOverLow, l.TakesOverHigh = length(over), length(ci.High), length(ci.Low)
	switch {
	case ci.Low >= 1:
		l.Verdict = Within
	case ci.High < 1:
		l.Verdict = Beyond
	default:
		l.Verdict = Open
	}
}

func (l *Law) unknown(why string) { l.Verdict, l.Reason = Unknown, why }
