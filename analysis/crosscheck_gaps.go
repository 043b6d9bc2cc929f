package analysis

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
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
// sizes of one pair of backends in one scenario and phase:
//
//	gap in ms = FixedMS + Share * native ms
//
// per token for decode, per call for prefill. Over AllScenarios both are arithmetic
// means, of which the same law holds; there are such where a pair has several.
type GapLaw struct {
	Native    string `json:"native_backend"`
	Ollama    string `json:"ollama_backend"`
	BatchSize int    `json:"batch_size"`
	Scenario  string `json:"scenario"` // or AllScenarios
	Phase     string `json:"phase"`
	Clock     string `json:"clock"` // ClockCounters or ClockClient

	NModels     int     `json:"n_models"`
	GapMinMS    float64 `json:"gap_ms_min"`
	GapMaxMS    float64 `json:"gap_ms_max"`
	NativeMinMS float64 `json:"native_ms_min"`
	NativeMaxMS float64 `json:"native_ms_max"`

	FixedMS *float64        `json:"fixed_ms"`
	FixedT  *stats.Interval `json:"fixed_t_ci_ms"` // 95 %, Student t
	Share   *float64        `json:"share_of_native"`
	ShareT  *stats.Interval `json:"share_of_native_t_ci"` // 95 %, Student t
	Rho     *float64        `json:"spearman_rho"`         // of the gap in ms against native's time
	P       *float64        `json:"spearman_p"`           // exact where there are few sizes
	Verdict string          `json:"verdict"`              // fixed, proportional, both, not_identified or unknown
	Why     string          `json:"why"`
}

// gapAt is one model's gap.
type gapAt struct {
	model, scenario string
	native, gap     float64
}

// gapLaws fits a law to each pair of backends, phase, clock and scenario.
func (a *analyzer) gapLaws() {
	type key struct {
		native, ollama string
		batch          int
		phase, clock   string
	}
	var order []key
	found := map[key][]gapAt{}
	for i := range a.res.Crosscheck {
		c := &a.res.Crosscheck[i]
		for _, clock := range []string{ClockCounters, ClockClient} {
			gap, native, ok := c.Gap(c.Clock(clock))
			if !ok {
				continue
			}
			k := key{c.Native, c.Ollama, c.BatchSize, c.Phase, clock}
			if found[k] == nil {
				order = append(order, k)
			}
			found[k] = append(found[k], gapAt{c.Model, c.Scenario, native, gap})
		}
	}
	for _, k := range order {
		joined := slices.DeleteFunc(slices.Clone(found[k]), func(g gapAt) bool { return !a.Joins(g.scenario) })
		fit := func(scenario string, gaps []gapAt) {
			l := GapLaw{Native: k.native, Ollama: k.ollama, BatchSize: k.batch, Scenario: scenario, Phase: k.phase, Clock: k.clock}
			l.fit(stats.Map(gaps, func(g gapAt) float64 { return g.native }), stats.Map(gaps, func(g gapAt) float64 { return g.gap }))
			a.res.GapLaws = append(a.res.GapLaws, l)
		}
		scenarios := 0
		for _, sc := range a.Scenarios {
			of := slices.DeleteFunc(slices.Clone(found[k]), func(g gapAt) bool { return g.scenario != sc })
			if len(of) > 0 {
				if a.Joins(sc) {
					scenarios++
				}
				fit(sc, of)
			}
		}
		if all := overScenarios(joined, scenarios); scenarios > 1 && len(all) > 0 {
			fit(cells.AllScenarios, all)
		}
	}
}

// overScenarios joins the gaps of each model that has all scenarios: the mean over
// fewer is of other work.
func overScenarios(gaps []gapAt, scenarios int) (out []gapAt) {
	var order []string
	by := map[string][]gapAt{}
	for _, g := range gaps {
		if by[g.model] == nil {
			order = append(order, g.model)
		}
		by[g.model] = append(by[g.model], g)
	}
	for _, model := range order {
		if mine := by[model]; len(mine) == scenarios {
			out = append(out, gapAt{model, cells.AllScenarios, stat.Mean(stats.Map(mine, func(g gapAt) float64 { return g.native }), nil),
				stat.Mean(stats.Map(mine, func(g gapAt) float64 { return g.gap }), nil)})
		}
	}
	return out
}

// Clock is the comparison by one of the clocks.
func (c *Crosscheck) Clock(clock string) *Beside {
	if clock == ClockClient {
		return &c.Client
	}
	return &c.Counters
}

// Gap is what b takes more than native, and native's own time: in ms per token for
// decode, per call for prefill.
func (c *Crosscheck) Gap(b *Beside) (gap, native float64, ok bool) {
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
	return b.Ratio != nil && math.Abs(*b.Ratio-1) > CrosscheckTolerance && b.Excludes()
}

// Few reports whether one side has too few calls for an interval, so that the ratio
// may be anything.
func (c *Crosscheck) Few(b *Beside) bool { return min(b.N, c.NativeN) < stats.MinRatioCalls }

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
	if rho, p, ok := stats.Spearman(native, gaps); ok {
		l.Rho, l.P = stats.Finite(rho), stats.Finite(p)
		if exact, ok := stats.SpearmanExact(native, gaps); ok {
			l.P = &exact
		}
	}
	if n := stats.Distinct(native); n < minPoints {
		l.Why = fmt.Sprintf("%s; a line takes %d", sizesOf(n), minPoints)
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
