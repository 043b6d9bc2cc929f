package analysis

import (
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// decodeFractions gives decode's share of end-to-end, for each scenario by the
// medians and over all of them by the geometric means.
func (a *analyzer) decodeFractions() {
	type key struct {
		cells.Series
		model, scenario string
	}
	type parts struct{ prefill, decode, e2e, gen *float64 }
	found := map[key]parts{}
	put := func(k key, mode string, ms float64, gen *float64) {
		p := found[k]
		switch mode {
		case record.ModePrefill:
			p.prefill = &ms
		case record.ModeDecode:
			p.decode, p.gen = &ms, gen
		case record.ModeE2E:
			p.e2e = &ms
		}
		found[k] = p
	}
	for _, c := range a.Cells {
		put(key{c.Series(), c.Model, c.Scenario}, c.Mode, c.MedianMS, c.AnswerTokens())
	}
	// Over all scenarios: over those that have both, where a server had the prompts
	// of some in its cache.
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			var prefill, decode, e2e []float64
			all := parts{}
			for _, sc := range a.Joined() {
				p := found[key{s, m.Name, sc}]
				if p.decode == nil || p.e2e == nil {
					continue
				}
				if len(decode) == 0 {
					all.gen = p.gen
				} else if all.gen != nil && (p.gen == nil || *p.gen != *all.gen) {
					all.gen = nil // the mean over several lengths has none
				}
				decode, e2e = append(decode, *p.decode), append(e2e, *p.e2e)
				if p.prefill != nil {
					prefill = append(prefill, *p.prefill)
				}
			}
			if len(decode) == 0 {
				continue
			}
			all.decode, all.e2e = new(stats.Geomean(decode)), new(stats.Geomean(e2e))
			if len(prefill) == len(decode) {
				all.prefill = new(stats.Geomean(prefill))
			}
			found[key{s, m.Name, cells.AllScenarios}] = all
		}
	}
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			for _, sc := range append(slices.Clone(a.Scenarios), cells.AllScenarios) {
				p := found[key{s, m.Name, sc}]
				if p.decode == nil || p.e2e == nil {
					continue
				}
				a.res.DecodeFractions = append(a.res.DecodeFractions, DecodeFraction{
					Backend: s.Backend, BackendKind: m.BackendKind, BatchSize: s.BatchSize, Model: m.Name, ParamsM: m.ParamsMillions,
					Scenario: sc, GenTokens: p.gen, PrefillMS: p.prefill, DecodeMS: *p.decode, E2EMS: *p.e2e,
					Fraction: *p.decode / *p.e2e,
				})
			}
		}
	}
}

func (a *analyzer) warmups() {
	a.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if len(g.Cold) == 0 {
			return
		}
		w := Warmup{Backend: k.Backend, BatchSize: k.BatchSize, Model: m.Name, Scenario: k.Scenario, Mode: k.Mode,
			WarmupN: len(g.Cold), WarmupMS: stats.MedianOf(cells.Latencies(g.Cold)),
			MeasuredN: len(g.Warm), MeasuredMS: stats.MedianOf(cells.Latencies(g.Warm))}
		if w.WarmupMS != nil && w.MeasuredMS != nil {
			w.Ratio = stats.Finite(*w.WarmupMS / *w.MeasuredMS)
			w.MinusMS = stats.Finite(*w.WarmupMS - *w.MeasuredMS)
		}
		a.res.Warmups = append(a.res.Warmups, w)
	})
}

// eventGaps compares host and device clocks, by backend, mode and warm-up.
func (a *analyzer) eventGaps() {
	type key struct {
		backend, mode string
		warmup        bool
	}
	rel, abs := map[key][]float64{}, map[key][]float64{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		ms, ok := r.Latency()
		if !r.Counts() || !ok || r.CUDAEventMS == nil || !(*r.CUDAEventMS > 0) {
			continue
		}
		k := key{r.Backend, r.Mode, r.IsWarmup}
		gap := math.Abs(ms - *r.CUDAEventMS)
		abs[k], rel[k] = append(abs[k], gap), append(rel[k], gap/ms)
	}
	done := map[key]bool{}
	for _, s := range a.Series {
		for _, mode := range a.Modes {
			for _, warm := range []bool{false, true} {
				k := key{s.Backend, mode, warm}
				if len(abs[k]) == 0 || done[k] {
					continue
				}
				done[k] = true
				sr, sa := stats.Sorted(rel[k]), stats.Sorted(abs[k])
				a.res.EventGaps = append(a.res.EventGaps, EventGap{Backend: s.Backend, Mode: mode, IsWarmup: warm, N: len(sr),
					RelMedian: stats.QuantileSorted(sr, 0.5), RelP95: stats.PercentileSorted(sr, 0.95, stats.NeedP95),
					AbsMedianMS: stats.QuantileSorted(sa, 0.5), AbsP95MS: stats.PercentileSorted(sa, 0.95, stats.NeedP95)})
			}
		}
	}
}

// phaseSum checks over the whole run that the phases add up to the end-to-end
// time. TR121's end-to-end time is their sum, which proves nothing; Ollama's is the
// client's, and what it has more than the phases is no error (see ollamaGaps).
func (a *analyzer) phaseSum() {
	if a.Run.Harness == runs.HarnessTR121 {
		return
	}
	var gaps []float64
	largest, where := -1.0, ""
	a.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if k.Mode != record.ModeE2E || m.BackendKind == cells.KindOllama {
			return
		}
		for _, r := range g.Rows {
			e2e, ok := r.Latency()
			if !ok || r.PrefillMS == nil || r.KVDecodeMS == nil {
				continue
			}
			gap := stats.Finite(100 * math.Abs(e2e-(*r.PrefillMS+*r.KVDecodeMS)) / e2e)
			if gap == nil {
				continue
			}
			gaps = append(gaps, *gap)
			if *gap > largest {
				largest, where = *gap, strings.Join([]string{k.Backend, m.Name, k.Scenario}, " ")
			}
		}
	})
	if len(gaps) > 0 {
		a.res.Phases = &PhaseSum{N: len(gaps), MedianPercent: stats.Median(gaps), LargestPercent: largest, Where: where}
	}
}
