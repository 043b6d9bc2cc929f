package crosscheck

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// seenGap is the share of native's time below which a part of a gap is not said to
// be there, whatever its interval: arithmetic and clocks leave that much.
const seenGap = 0.01

// Clocks of a comparison.
const (
	ClockCounters = "counters" // Ollama's own
	ClockClient   = "client"
)

// GapLaw says how the gap between Ollama and native grows with the work, over the
// sizes of one pair of backends in one phase:
//
//	gap in ms = FixedMS + Share * native ms
//
// per token for decode, per call for prefill. Over AllScenarios, where there are several,
// both are arithmetic means, of which the same law holds.
type GapLaw struct {
	Pair
	Scenario string "json:\"scenario\" doc:\"scenario, or `__all__` (arithmetic means over them, of models that have all)\""
	Phase    string `json:"phase" doc:"prefill or kv_decode"`
	Clock    string `json:"clock" doc:"counters (Ollama's own) or client"` // ClockCounters or ClockClient

	NModels     int     `json:"n_models" doc:"models"`
	GapMinMS    float64 `json:"gap_ms_min" unit:"ms" doc:"least gap"`
	GapMaxMS    float64 `json:"gap_ms_max" unit:"ms" doc:"greatest gap"`
	NativeMinMS float64 `json:"native_ms_min" unit:"ms" doc:"least native time"`
	NativeMaxMS float64 `json:"native_ms_max" unit:"ms" doc:"greatest native time"`

	FixedMS *float64        `json:"fixed_ms" unit:"ms" doc:"part of the gap that is the same for all sizes"`
	FixedT  *stats.Interval `json:"fixed_t_ci_ms" unit:"ms" doc:"its 95 % t-interval"`
	Share   *float64        `json:"share_of_native" doc:"part of the gap that is in proportion to native's time"`
	ShareT  *stats.Interval `json:"share_of_native_t_ci" doc:"its 95 % t-interval"`
	Verdict string          `json:"verdict" doc:"fixed, proportional, both, not_identified or unknown"`
	Why     string          `json:"why" doc:"what the verdict rests on"`
}

// lawOf is what a law is fitted to, in each scenario.
type lawOf struct {
	Pair
	phase, clock string
}

// gapAt is one model's gap.
type gapAt struct {
	lawOf
	model, scenario string
	native, gap     float64
}

// gapLaws fits a law to each pair of backends, phase and clock.
func (a *Answer) gapLaws(set *cells.Set) {
	var gaps []gapAt
	for i := range a.Comparisons {
		c := &a.Comparisons[i]
		for _, clock := range []string{ClockCounters, ClockClient} {
			if gap, native, ok := c.Gap(c.Clock(clock)); ok {
				gaps = append(gaps, gapAt{lawOf{c.Pair, c.Phase, clock}, c.Model, c.Scenario, native, gap})
			}
		}
	}
	gaps = slices.DeleteFunc(gaps, func(g gapAt) bool { return !set.Joins(g.scenario) })
	keys, byKey := stats.GroupBy(gaps, func(g gapAt) lawOf { return g.lawOf })
	for _, k := range keys {
		of := byKey[k]
		scenarios, _ := stats.GroupBy(of, func(g gapAt) string { return g.scenario })
		l := GapLaw{Pair: k.Pair, Scenario: scenarios[0], Phase: k.phase, Clock: k.clock}
		if len(scenarios) > 1 {
			l.Scenario, of = cells.AllScenarios, overScenarios(of, len(scenarios))
		}
		if len(of) > 0 {
			l.fit(stats.Map(of, func(g gapAt) float64 { return g.native }), stats.Map(of, func(g gapAt) float64 { return g.gap }))
			a.GapLaws = append(a.GapLaws, l)
		}
	}
}

// overScenarios joins the gaps of each model that has all scenarios: the mean over
// fewer is of other work.
func overScenarios(gaps []gapAt, scenarios int) (out []gapAt) {
	models, by := stats.GroupBy(gaps, func(g gapAt) string { return g.model })
	for _, model := range models {
		if mine := by[model]; len(mine) == scenarios {
			out = append(out, gapAt{mine[0].lawOf, model, cells.AllScenarios, stat.Mean(stats.Map(mine, func(g gapAt) float64 { return g.native }), nil),
				stat.Mean(stats.Map(mine, func(g gapAt) float64 { return g.gap }), nil)})
		}
	}
	return out
}

// Clock is the comparison by one of the clocks.
func (c *Comparison) Clock(clock string) *Beside {
	if clock == ClockClient {
		return &c.Client
	}
	return &c.Counters
}

// Gap is what b takes more than native, and native's own time: in ms per token for
// decode, per call for prefill.
func (c *Comparison) Gap(b *Beside) (gap, native float64, ok bool) {
	if b.Ratio == nil {
		return 0, 0, false
	}
	per := 1.0
	if c.Phase == record.ModeDecode {
		if c.GenTokens == nil || !(*c.GenTokens > 0) {
			return 0, 0, false
		}
		per = *c.GenTokens
	}
	return (*b.MS - *b.NativeMS) / per, *b.NativeMS / per, true
}

// Stands reports whether the ratio is off 1 by more than the tolerance and its
// interval excludes 1.
func (b *Beside) Stands() bool {
	return b.Ratio != nil && math.Abs(*b.Ratio-1) > Tolerance && b.Excludes()
}

// Few reports whether one side has too few calls for an interval, so that the ratio
// may be anything.
func (c *Comparison) Few(b *Beside) bool { return min(b.N, c.NativeN) < stats.MinRatioCalls }

// Excludes reports whether the ratio's interval excludes 1.
func (b *Beside) Excludes() bool {
	return b.RatioCI != nil && (b.RatioCI.Low > 1 || b.RatioCI.High < 1)
}

// fit weighs each size with one over the square of its native time, since a median
// is off by a share of itself: with equal weights the largest size would be all that
// counts. So it is least squares of gap/native on 1/native.
func (l *GapLaw) fit(native, gaps []float64) {
	l.NModels, l.Verdict = len(native), "unknown"
	l.GapMinMS, l.GapMaxMS = slices.Min(gaps), slices.Max(gaps)
	l.NativeMinMS, l.NativeMaxMS = slices.Min(native), slices.Max(native)
	if n := stats.Distinct(native); n < stats.MinPoints {
		l.Why = fmt.Sprintf("%s; a line takes %d", words.Counted(n, "model size", "models of different size"), stats.MinPoints)
		return
	}
	x, y := make([]float64, len(native)), make([]float64, len(native))
	for i := range native {
		x[i], y[i] = 1/native[i], gaps[i]/native[i]
	}
	line, ok := stats.OLS(x, y)
	if !ok {
		l.Why = "no line can be fitted to these sizes"
		return
	}
	t := stats.TQuantile(line.N - 2)
	l.FixedMS, l.FixedT = stats.Finite(line.B), stats.NewInterval(line.B-t*line.SEB, line.B+t*line.SEB)
	l.Share, l.ShareT = stats.Finite(line.A), stats.NewInterval(line.A-t*line.SEA, line.A+t*line.SEA)
	there := func(value, share float64, ci *stats.Interval) bool {
		return ci != nil && !stats.CrossesZero(ci) && math.Abs(value)*share >= seenGap
	}
	// The fixed part counts by what it is of the smallest model's time.
	fixed, share := there(line.B, slices.Max(x), l.FixedT), there(line.A, 1, l.ShareT)
	switch {
	case fixed && share:
		l.Verdict = "both"
	case fixed:
		l.Verdict = "fixed"
	case share:
		l.Verdict = "proportional"
	default:
		l.Verdict, l.Why = "not_identified", "neither part can be told from 0"
		return
	}
	l.Why = "95 % t-intervals over the sizes"
}
