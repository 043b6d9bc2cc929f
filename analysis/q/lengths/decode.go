package lengths

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Thresholds of what is said about answer lengths. docs/statistics.md says why.
const (
	// LengthTolerance is the change of the time per token, relative to the shortest
	// answers', within which it counts as the same.
	LengthTolerance = 0.05
	minLengths      = 3    // a line through two lengths leaves no error
	curvedDeviation = 0.02 // of a length's mean from the line: less is of no use to know
	minPositions    = 64   // decode steps of an answer before its slope along positions is taken
	positionStep    = 100  // positions that the slope is quoted for
)

// DecodeLength is the decode of answers of one length, by one backend x model at
// one prompt length. There are none where all answers have one length.
type DecodeLength struct {
	cells.Subject
	PromptTokens int      `json:"prompt_tokens" unit:"tokens" doc:"prompt, per sequence"`
	Depth        int      `json:"depth,omitempty"` // tokens in the KV cache before the prompt
	GenTokens    int      `json:"gen_tokens" unit:"tokens" doc:"tokens decoded, per sequence"`
	Scenarios    []string `json:"scenarios" doc:"scenarios of this length"`

	N             int      `json:"n" unit:"calls" doc:"calls"`
	DecodeMS      float64  `json:"kv_decode_median_ms" unit:"ms" doc:"median decode time"`
	MSPerToken    float64  `json:"ms_per_token_median" unit:"ms/token" doc:"the same over gen_tokens"`
	MSPerTokenMin float64  `json:"ms_per_token_min" unit:"ms/token" doc:"fastest call"`
	MSPerTokenMax float64  `json:"ms_per_token_max" unit:"ms/token" doc:"slowest call"`
	Ratio         float64  `json:"ms_per_token_ratio" doc:"median time per token over that of the shortest length"`
	E2EMS         *float64 `json:"e2e_kv_median_ms" unit:"ms" doc:"median end-to-end time of the same scenarios"`
	Fraction      *float64 `json:"decode_fraction" doc:"decode over end-to-end"`
}

// DecodeLengthFit is kv_decode_ms = FixedMS + PerTokenMS * gen_tokens over the
// calls of one backend x model at one prompt length, each weighted with
// 1/gen_tokens^2.
type DecodeLengthFit struct {
	cells.Subject
	PromptTokens int    `json:"prompt_tokens" unit:"tokens" doc:"prompt, per sequence"`
	Depth        int    `json:"depth,omitempty"` // tokens in the KV cache before the prompt
	NLengths     int    `json:"n_lengths" doc:"answer lengths"`
	N            int    `json:"n" unit:"calls" doc:"calls"`
	OK           bool   `json:"ok" doc:"whether there is a fit"`
	Reason       string `json:"reason" doc:"why there is no fit"`

	FixedMS    *float64        `json:"fixed_ms" unit:"ms" doc:"cost of a call that does not depend on its length"`
	FixedSE    *float64        `json:"fixed_se_ms" unit:"ms" doc:"its standard error"`
	FixedT     *stats.Interval `json:"fixed_t_ci_ms" unit:"ms" doc:"its 95 % t-interval"`
	PerTokenMS *float64        `json:"per_token_ms" unit:"ms/token" doc:"cost of each token"`
	PerTokenSE *float64        `json:"per_token_se_ms" unit:"ms/token" doc:"its standard error"`
	PerTokenT  *stats.Interval `json:"per_token_t_ci_ms" unit:"ms/token" doc:"its 95 % t-interval"`
	R2         *float64        `json:"r2" doc:"R2 of the weighted times"`
	BentP      *float64        `json:"lack_of_fit_p" doc:"p of the lengths' means lying on the line, against the calls' scatter"`
	Deviation  *float64        `json:"largest_deviation" doc:"largest deviation of a length's mean from the line, as a share of the line"`

	Position PositionSlope     `json:"position" csv:"+"`
	Warnings []finding.Warning `json:"warnings" doc:"codes of the fit's warnings"`
}

// PositionSlope is how the time of one decode step grows with its position, from
// the token times of the longest answers.
type PositionSlope struct {
	GenTokens int             `json:"gen_tokens" csv:"position_gen_tokens" unit:"tokens" doc:"answers that the slope along positions is taken from"`
	N         int             `json:"n" csv:"position_n" unit:"calls" doc:"those of them with token times"`
	NSPer100  *float64        `json:"ns_per_100_positions" csv:"position_ns_per_100" unit:"ns" doc:"by how much a step takes longer 100 positions later: mean over the calls"`
	CI        *stats.Interval `json:"ns_per_100_positions_ci" csv:"position_ns_per_100_ci" unit:"ns" doc:"its 95 % t-interval over the calls"`
	Relative  *float64        `json:"relative_per_100_positions" csv:"position_relative_per_100" doc:"the same over the median step"`
	Reason    string          `json:"reason" csv:"position_reason" doc:"why that is unknown"`
}

// lengthCalls are the calls of one model at one prompt length, by answer length.
type lengthCalls struct {
	decode, e2e map[int][]*runs.Row
	scenarios   map[int][]string
}

// lengths answers how decode grows with the number of tokens decoded, wherever a
// model has answers of several lengths to prompts of one length.
func (a *asker) lengths() {
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			byPrompt := a.lengthCalls(s, m)
			for _, at := range slices.SortedFunc(maps.Keys(byPrompt), promptAt.compare) {
				if c := byPrompt[at]; len(c.decode) > 1 {
					a.decodeLengths(s, m, at, c)
				}
			}
		}
	}
}

// promptAt is a prompt's length, and the tokens in the KV cache before it.
type promptAt struct{ depth, prompt int }

func (p promptAt) compare(o promptAt) int { return cmp.Or(p.depth-o.depth, p.prompt-o.prompt) }

func (a *asker) lengthCalls(s cells.Series, m *cells.Model) map[promptAt]*lengthCalls {
	out := map[promptAt]*lengthCalls{}
	for _, sc := range a.Scenarios {
		for _, mode := range []string{record.ModeDecode, record.ModeE2E} {
			g := a.Group(s.Key(m.Name, sc, mode))
			if g == nil {
				continue
			}
			for _, r := range g.Rows {
				gen := cells.AnswerTokens(r)
				if gen == 0 || r.PromptEach() == nil {
					continue
				}
				if r.GenTokensRaw != nil && *r.GenTokensRaw != gen {
					continue // scaled to a length that it did not have: it would prove any law of proportion
				}
				at := promptAt{r.DepthTokens(), *r.PromptEach()}
				c := out[at]
				if c == nil {
					c = &lengthCalls{map[int][]*runs.Row{}, map[int][]*runs.Row{}, map[int][]string{}}
					out[at] = c
				}
				if mode == record.ModeE2E {
					c.e2e[gen] = append(c.e2e[gen], r)
					continue
				}
				c.decode[gen] = append(c.decode[gen], r)
				if !slices.Contains(c.scenarios[gen], sc) {
					c.scenarios[gen] = append(c.scenarios[gen], sc)
				}
			}
		}
	}
	return out
}

func (a *asker) decodeLengths(s cells.Series, m *cells.Model, at promptAt, c *lengthCalls) {
	gens := slices.Sorted(maps.Keys(c.decode))
	f := DecodeLengthFit{Subject: s.Of(m),
		PromptTokens: at.prompt, Depth: at.depth, NLengths: len(gens)}
	var rows []DecodeLength
	for _, gen := range gens {
		ms := stats.Sorted(cells.Latencies(c.decode[gen]))
		d := DecodeLength{Subject: s.Of(m),
			PromptTokens: at.prompt, Depth: at.depth, GenTokens: gen, Scenarios: c.scenarios[gen], N: len(ms), DecodeMS: stats.QuantileSorted(ms, 0.5)}
		n := float64(gen)
		d.MSPerToken, d.MSPerTokenMin, d.MSPerTokenMax = d.DecodeMS/n, ms[0]/n, ms[len(ms)-1]/n
		if d.E2EMS = stats.MedianOf(cells.Latencies(c.e2e[gen])); d.E2EMS != nil {
			d.Fraction = stats.Finite(d.DecodeMS / *d.E2EMS)
		}
		f.N += d.N
		rows = append(rows, d)
	}
	for i := range rows {
		rows[i].Ratio = rows[i].MSPerToken / rows[0].MSPerToken
	}
	a.out.DecodeLengths = append(a.out.DecodeLengths, rows...)
	fitLengths(&f, gens, c.decode)
	f.Position = positionSlope(gens[len(gens)-1], c.decode[gens[len(gens)-1]])
	positionBias(&f, gens, c.decode)
	a.out.DecodeLengthFits = append(a.out.DecodeLengthFits, f)
	a.out.Add(f.Warnings...)
	a.out.Answers.DecodeLengths = append(a.out.Answers.DecodeLengths, verdictOf(&f, rows, c.decode))
}

// fitLengths fits the affine law. What disturbs a call lasts in proportion to the
// call, so each counts with 1/gen_tokens^2: unweighted, the scatter of the
// longest calls alone would be larger than the fixed cost that is looked for.
// Dividing the law by gen_tokens makes it ordinary least squares of the time per
// token on 1/gen_tokens, with the fixed cost for a slope.
func fitLengths(f *DecodeLengthFit, gens []int, calls map[int][]*runs.Row) {
	if len(gens) < minLengths {
		f.Reason = fmt.Sprintf("%d lengths; a line takes %d", len(gens), minLengths)
		return
	}
	var x, y []float64 // 1/gen_tokens, ms per token
	pure, meanY, weights := 0.0, 0.0, 0.0
	var means []float64
	for _, gen := range gens {
		n := float64(gen)
		per := stats.Map(cells.Latencies(calls[gen]), func(ms float64) float64 { return ms / n })
		mean := stat.Mean(per, nil)
		means = append(means, mean)
		for _, v := range per {
			x, y = append(x, 1/n), append(y, v)
			pure += float64((v - mean) * (v - mean))
			meanY += v / n // weight 1/n^2 times the call's ms, v*n
			weights += 1 / (n * n)
		}
	}
	l, ok := stats.OLS(x, y)
	if !ok {
		f.Reason = "no line can be fitted to these calls"
		return
	}
	f.OK = true
	t := stats.TQuantile(l.N - 2)
	f.FixedMS, f.FixedSE, f.FixedT = stats.Finite(l.B), stats.Finite(l.SEB), stats.NewInterval(l.B-t*l.SEB, l.B+t*l.SEB)
	f.PerTokenMS, f.PerTokenSE, f.PerTokenT = stats.Finite(l.A), stats.Finite(l.SEA), stats.NewInterval(l.A-t*l.SEA, l.A+t*l.SEA)

	sst := 0.0
	meanY /= weights
	for i := range x {
		d := y[i] - meanY*x[i] // the call less the weighted mean of all, over its length
		sst += float64(d * d)
	}
	if sst > 0 {
		f.R2 = stats.Finite(1 - l.SSE()/sst)
	}
	deviation := 0.0
	for i, gen := range gens {
		deviation = max(deviation, math.Abs(means[i]/(l.A+l.B/float64(gen))-1))
	}
	f.Deviation = stats.Finite(deviation)
	f.BentP = l.LackOfFit(len(gens), pure)
	where := f.where()
	if deviation > curvedDeviation && f.BentP != nil && *f.BentP < stats.Alpha {
		f.Warnings = append(f.Warnings, finding.Doubt("not_affine", where,
			fmt.Sprintf("the times of some length lie %.1f %% off the line of fixed cost and time per token, more than the calls' scatter explains (p %.2g)", 100*deviation, *f.BentP),
			"quote the times of each length, not the line's two figures; see whether token times rise with position"))
	}
	if f.FixedT != nil && f.FixedT.High < 0 {
		f.Warnings = append(f.Warnings, finding.Doubt("negative_offset", where,
			"the fixed cost comes out negative, which no machine has: long answers take more per token than short ones",
			"do not quote the fixed cost; see whether token times rise with position"))
	}
}

func (f *DecodeLengthFit) where() string {
	w := fmt.Sprintf("%s %s prompt of %d", f.Backend, f.Model, f.PromptTokens)
	if f.Depth > 0 {
		w += fmt.Sprintf(" at depth %d", f.Depth)
	}
	if f.BatchSize > 1 {
		w += fmt.Sprintf(" batch %d", f.BatchSize)
	}
	return w
}

// positionSlope takes each call's slope of step time along positions, and their
// mean with its interval over the calls: steps of one call are not independent,
// calls are. A call's slope is Theil's abbreviated one, the median over i of
// (t[i+h]-t[i])/h with h half the steps, which single slow steps do not move.
func positionSlope(gen int, calls []*runs.Row) PositionSlope {
	out := PositionSlope{GenTokens: gen}
	var slopes, middles []float64
	for _, r := range calls {
		if len(r.TokenNS) != gen || gen < 2 {
			continue
		}
		h := gen / 2
		steps := make([]float64, h)
		for i := range steps {
			steps[i] = float64(r.TokenNS[i+h]-r.TokenNS[i]) / float64(h)
		}
		slopes = append(slopes, positionStep*stats.Median(steps))
		middles = append(middles, stats.Median(stats.Map(r.TokenNS, func(ns int64) float64 { return float64(ns) })))
	}
	out.N = len(slopes)
	switch {
	case out.N == 0:
		out.Reason = "no token times were recorded"
	case gen < minPositions:
		out.Reason = fmt.Sprintf("the longest answers have %d tokens; a slope along positions takes %d", gen, minPositions)
	case out.N < stats.MinRatioCalls:
		out.Reason = fmt.Sprintf("%s of the longest answers; a slope along positions takes %d", words.Counted(out.N, "call", "calls"), stats.MinRatioCalls)
	default:
		mean, sd := stat.MeanStdDev(slopes, nil)
		half := stats.TQuantile(out.N-1) * sd / math.Sqrt(float64(out.N))
		out.NSPer100, out.CI = stats.Finite(mean), stats.NewInterval(mean-half, mean+half)
		out.Relative = stats.Finite(mean / stats.Median(middles))
	}
	return out
}

// positionBias warns where steps that get slower with position bend the law so
// far that the line's fixed cost is off by more than its interval. n steps, each
// slower than the one before by c, add c*n(n-1)/2 to a call; the fixed cost that
// the line would find in that alone is the error.
func positionBias(f *DecodeLengthFit, gens []int, calls map[int][]*runs.Row) {
	if !f.OK || f.Position.CI == nil || stats.CrossesZero(f.Position.CI) {
		return
	}
	perPosition := *f.Position.NSPer100 / positionStep / 1e6 // ms
	var x, y []float64
	for _, gen := range gens {
		for range calls[gen] {
			x, y = append(x, 1/float64(gen)), append(y, perPosition*float64(gen-1)/2)
		}
	}
	l, ok := stats.OLS(x, y)
	if !ok || math.Abs(l.B) <= stats.HalfWidth(f.FixedT) {
		return
	}
	less := "low"
	if l.B > 0 {
		less = "high"
	}
	f.Warnings = append(f.Warnings, finding.Doubt("position_bias", f.where(),
		fmt.Sprintf("token times change with position (%.3g ns per 100 positions), which a straight line does not know: its fixed cost is too %s by about %.3g ms", *f.Position.NSPer100, less, math.Abs(l.B)),
		"correct the fixed cost by that, or measure shorter answers"))
}

// verdictOf says whether the time per token depends on the length of the
// answer, from the longest against the shortest.
func verdictOf(f *DecodeLengthFit, rows []DecodeLength, calls map[int][]*runs.Row) Verdict {
	first, last := rows[0], rows[len(rows)-1]
	out := Verdict{Subject: f.Subject, PromptTokens: f.PromptTokens, Depth: f.Depth,
		NLengths: len(rows), Shortest: first.GenTokens, Longest: last.GenTokens, Ratio: last.Ratio, Tolerance: LengthTolerance, Verdict: "unknown"}
	if n := min(first.N, last.N); n < stats.MinRatioCalls {
		out.Why = fmt.Sprintf("%s of one of these lengths; a verdict takes %d", words.Counted(n, "call", "calls"), stats.MinRatioCalls)
		return out
	}
	perToken := func(gen int) []cells.Times { return []cells.Times{cells.TimesOf(calls[gen], cells.MSPerToken)} }
	if out.Ratio, out.CI, out.Basis = cells.Ratio(perToken(first.GenTokens), perToken(last.GenTokens)); out.CI == nil {
		out.Why = "the ratio has no interval"
		return out
	}
	span := fmt.Sprintf("the ratio's 95 %% interval%s is %.3f to %.3f", prose.Within(out.Basis), out.CI.Low, out.CI.High)
	low, high := 1-LengthTolerance, 1+LengthTolerance
	switch {
	case out.CI.Low >= low && out.CI.High <= high:
		for _, r := range rows {
			if r.Ratio < low || r.Ratio > high {
				out.Verdict = "not_identified"
				out.Why = fmt.Sprintf("shortest and longest answers agree, but of %d tokens the time per token is %.3f times the shortest answers'", r.GenTokens, r.Ratio)
				return out
			}
		}
		out.Verdict = "same"
	case out.CI.Low > 1:
		out.Verdict = "grows"
	case out.CI.High < 1:
		out.Verdict = "falls"
	default:
		out.Verdict = "not_identified"
	}
	out.Why = span
	return out
}

// checkLengths says where records were asked for another number of tokens than
// they decoded. Scaled answers of Ollama have figures of their own for that.
func (a *asker) checkLengths() {
	calls, asked, decoded := 0, 0, 0
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		if r.OK() && r.Mode == record.ModeDecode && r.BackendKind != cells.KindOllama && r.GenTokens != nil && r.GenTokensTarget > 0 && *r.GenTokens != r.GenTokensTarget {
			if calls == 0 {
				asked, decoded = r.GenTokensTarget, *r.GenTokens
			}
			calls++
		}
	}
	if calls > 0 {
		a.out.Warn("length_mismatch", "runs.jsonl",
			fmt.Sprintf("%d calls decoded another number of tokens than gen_tokens_target says; the first %d instead of %d", calls, decoded, asked),
			"lengths here are gen_tokens, what was decoded; gen_tokens_target is not to be relied on in this run")
	}
}
