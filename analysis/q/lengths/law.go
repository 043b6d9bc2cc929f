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

// series are a model's times by length, in ms, and the scenarios that they are of.
type series struct {
	mode  string
	times map[float64]cells.Times
	of    map[float64][]string
}

func (s *series) add(length float64, r *runs.Row, ms float64) {
	t := s.times[length]
	if t.ByBlock == nil {
		t.ByBlock = map[int][]float64{}
	}
	t.All, t.ByBlock[r.Unit()] = append(t.All, ms), append(t.ByBlock[r.Unit()], ms)
	s.times[length] = t
	if !slices.Contains(s.of[length], r.Scenario) {
		s.of[length] = append(s.of[length], r.Scenario)
	}
}

// prefills are by the length of the prompt, from the least depth.
func prefills(c *cells.Set, s cells.Series, m *cells.Model) series {
	out := series{record.ModePrefill, map[float64]cells.Times{}, map[float64][]string{}}
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
	out := series{record.ModeDecode, map[float64]cells.Times{}, map[float64][]string{}}
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
	x := slices.Sorted(maps.Keys(times.times))
	long := map[string]float64{record.ModePrefill: longPrompt, record.ModeDecode: longCache}[times.mode]
	if len(x) < minLengths || x[len(x)-1] < long {
		return
	}
	all := stats.Map(x, func(n float64) cells.Times { return times.times[n] })
	y := stats.Map(all, cells.Times.Typical)
	for i, t := range all {
		at := Length{Subject: s.Of(m), Mode: times.mode, Length: x[i], N: len(t.All), MS: y[i], scenarios: times.of[x[i]]}
		if e, basis := cells.Level(t); basis != "" {
			at.CI = e.ExpInterval()
		}
		a.Lengths = append(a.Lengths, at)
	}
	blocks := stats.Map(cells.Blocks(all...), func(b int) []float64 {
		return stats.Map(all, func(t cells.Times) float64 { return stats.Median(t.ByBlock[b]) })
	})
	l := Law{Subject: s.Of(m), Mode: times.mode, NLengths: len(x), Shortest: x[0], Longest: x[len(x)-1], Blocks: len(blocks), Basis: cells.BasisOne}
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
	columns := make([][]float64, len(powers))
	for j, p := range powers {
		for i := range x {
			columns[j] = append(columns[j], math.Pow(x[i]/longest, p)/y[i])
		}
	}
	ones := stats.Map(x, func(float64) float64 { return 1 })
	c, ok := stats.NonNegative(ones, columns...)
	if !ok {
		return g, true
	}
	fixed, token, attention := c[0], 0.0, c[len(c)-1] // at the longest
	g.lawful, g.fixed = true, fixed
	if mode == record.ModeDecode {
		g.attention = attention / longest
		g.over = min(attention/max(fixed, 1e-300), mostAttention)
	} else {
		token = c[1]
		g.token, g.attention = token/longest, attention/longest/longest
		if attention > 0 { // attention n^2 = fixed + token n, in units of the longest
			g.over = min(2*attention/max(token+math.Sqrt(token*token+4*attention*fixed), 1e-300), mostAttention)
		}
	}
	g.share = attention / (fixed + token + attention)
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
			return e.Value, e.Interval()
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
