package analysis

import (
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// eachCell calls f for every cell with ok records, in the order of the tables:
// backend, batch, model by size, scenario, mode.
func (a *Set) eachCell(f func(k cellKey, m *Model, g *group)) {
	a.eachScenario(func(at scenarioKey, m *Model) {
		for _, mode := range a.modes {
			k := at.series.key(at.model, at.scenario, mode)
			if g := a.groups[k]; g != nil {
				f(k, m, g)
			}
		}
	})
}

// eachScenario calls f for every model in every scenario, with records or
// without, in that order.
func (a *Set) eachScenario(f func(at scenarioKey, m *Model)) {
	for _, s := range a.series {
		for _, m := range a.modelsOf(s.backend) {
			for _, sc := range a.scenarios {
				f(scenarioKey{s, m.Name, sc}, m)
			}
		}
	}
}

// scenarioKey is what a call's three modes have in common.
type scenarioKey struct {
	series
	model, scenario string
}

func scenarioKeyOf(r *runs.Row) scenarioKey {
	return scenarioKey{seriesOf(r), r.Model, r.Scenario}
}

// callID tells the calls of a scenarioKey apart.
type callID struct {
	replicate, session, idx int
	warmup                  bool
}

func callIDOf(r *runs.Row) callID { return callID{r.Replicate, r.Session, r.CallIdx, r.IsWarmup} }

func latencies(rows []*runs.Row) []float64 {
	return stats.Map(rows, func(r *runs.Row) float64 { ms, _ := r.Latency(); return ms })
}

// medianField is the median of a field over the records that have it.
func medianField(rows []*runs.Row, field func(*runs.Row) *float64) *float64 {
	var xs []float64
	for _, r := range rows {
		if v := field(r); v != nil && stats.Finite(*v) != nil {
			xs = append(xs, *v)
		}
	}
	return stats.MedianOf(xs)
}

func float(v *int) *float64 {
	if v == nil {
		return nil
	}
	return new(float64(*v))
}

// promptCompute counts the prompt tokens that were computed, padding included:
// batch * seq_len, as TR121.
func promptCompute(r *runs.Row) *float64 {
	if r.SeqLen != nil {
		return new(float64(r.Sequences() * *r.SeqLen))
	}
	return float(r.PromptTokensRaw)
}

func tokensCompute(r *runs.Row) *float64 {
	prompt := promptCompute(r)
	switch r.Mode {
	case record.ModePrefill:
		return prompt
	case record.ModeE2E:
		gen := r.AnswerTokens()
		if prompt == nil || gen == nil {
			return nil
		}
		return new(*prompt + float64(r.Sequences()**gen))
	}
	return float(r.TokensTotal)
}

// promptTokens counts the prompt's own tokens over the batch.
func promptTokens(r *runs.Row) *float64 {
	gen := r.AnswerTokens()
	switch {
	case r.Mode == record.ModePrefill && r.TokensTotal != nil:
		return float(r.TokensTotal)
	case r.Mode == record.ModeE2E && r.TokensTotal != nil && gen != nil:
		return new(float64(*r.TokensTotal - r.Sequences()**gen))
	}
	return float(r.PromptTokensRaw)
}

func rate(tokens *float64, r *runs.Row) *float64 {
	ms, ok := r.Latency()
	if tokens == nil || !ok {
		return nil
	}
	return new(*tokens / (ms / 1000))
}

func (a *Set) summarise() {
	a.eachCell(func(k cellKey, m *Model, g *group) {
		if len(g.rows) == 0 {
			return
		}
		ms := latencies(g.rows)
		s := stats.Sorted(ms)
		c := Cell{
			Backend: k.backend, BackendKind: m.BackendKind, BatchSize: k.batch, Model: m.Name, ModelKind: m.Kind,
			ParamsM: m.ParamsMillions, Scenario: k.scenario, Mode: k.mode, Depth: g.rows[0].DepthTokens(), Pace: g.rows[0].PaceText(),
			N: len(ms), LatenciesMS: ms,
			MeanMS: stat.Mean(ms, nil), MedianMS: stats.QuantileSorted(s, 0.5), MinMS: s[0], MaxMS: s[len(s)-1],
			P95MS: stats.PercentileSorted(s, 0.95, stats.NeedP95), P99MS: stats.PercentileSorted(s, 0.99, stats.NeedP99),

			TokensPerS: medianField(g.rows, func(r *runs.Row) *float64 {
				if r.TokensPerS != nil {
					return r.TokensPerS
				}
				return rate(float(r.TokensTotal), r)
			}),
			TokensPerSCompute: medianField(g.rows, func(r *runs.Row) *float64 { return rate(tokensCompute(r), r) }),
			TokensTotal:       medianField(g.rows, func(r *runs.Row) *float64 { return float(r.TokensTotal) }),
			TokensCompute:     medianField(g.rows, tokensCompute),
			PromptTokens:      medianField(g.rows, promptTokens),
			PromptTokensRaw:   medianField(g.rows, func(r *runs.Row) *float64 { return float(r.PromptTokensRaw) }),
			PromptCompute:     medianField(g.rows, promptCompute),
			GenTokens:         medianField(g.rows, func(r *runs.Row) *float64 { return float(r.AnswerTokens()) }),
			GenTokensRaw:      medianField(g.rows, rawTokens),
			GenTokensTarget:   medianField(g.rows, target),
			CUDAEventMS:       medianField(g.rows, func(r *runs.Row) *float64 { return r.CUDAEventMS }),
			GPUPeakMB:         medianField(g.rows, func(r *runs.Row) *float64 { return r.GPUPeakMB }),
			OllamaLoadMS:      medianField(g.rows, func(r *runs.Row) *float64 { return r.OllamaLoadMS }),
		}
		if len(ms) > 1 {
			c.StdDevMS = stats.Finite(stat.StdDev(ms, nil))
		}
		if k.mode == record.ModeE2E && m.BackendKind != kindOllama {
			c.E2EGapPercent = medianField(g.rows, func(r *runs.Row) *float64 { return r.E2EGapPercent })
		}
		if k.mode == record.ModePrefill {
			c.TTFTMS = medianField(g.rows, func(r *runs.Row) *float64 { return r.TTFTMS })
			c.PrefillColdMS = medianField(g.rows, func(r *runs.Row) *float64 { return r.PrefillColdMS })
		}
		for _, r := range g.rows {
			if v := r.RSSPeakMiB; v != nil && (c.RSSPeakMiB == nil || *v > *c.RSSPeakMiB) {
				c.RSSPeakMiB = v
			}
		}
		if k.mode == record.ModeDecode && c.GenTokens != nil && *c.GenTokens > 0 {
			c.MSPerToken = new(c.MedianMS / *c.GenTokens)
		}
		a.cells[k] = len(a.Cells)
		a.Cells = append(a.Cells, c)
	})
}

func known(xs []*float64) []float64 {
	var out []float64
	for _, x := range xs {
		if x != nil {
			out = append(out, *x)
		}
	}
	return out
}

func cellField(cells []Cell, f func(*Cell) *float64) []float64 {
	var out []*float64
	for i := range cells {
		out = append(out, f(&cells[i]))
	}
	return known(out)
}

// aggregate joins the cells of each backend, model and mode over scenarios.
func (a *Set) aggregate() {
	type key struct {
		series
		model, mode string
	}
	byKey := map[key][]Cell{}
	for _, c := range a.Cells {
		if a.joins(c.Scenario) {
			k := key{c.series(), c.Model, c.Mode}
			byKey[k] = append(byKey[k], c)
		}
	}
	for _, s := range a.series {
		for _, m := range a.modelsOf(s.backend) {
			for _, mode := range a.modes {
				cells := byKey[key{s, m.Name, mode}]
				if len(cells) == 0 {
					continue
				}
				medians := stats.Map(cells, func(c Cell) float64 { return c.MedianMS })
				g := Aggregate{
					Backend: s.backend, BackendKind: m.BackendKind, BatchSize: s.batch, Model: m.Name, ModelKind: m.Kind,
					ParamsM: m.ParamsMillions, Mode: mode, NScenarios: len(cells),
					GeomeanMS: stats.Geomean(medians), MedianOfMediansMS: stats.Median(medians),
					TokensPerS:        stats.Finite(stats.Geomean(cellField(cells, func(c *Cell) *float64 { return c.TokensPerS }))),
					TokensPerSCompute: stats.Finite(stats.Geomean(cellField(cells, func(c *Cell) *float64 { return c.TokensPerSCompute }))),
					GPUPeakMB:         stats.MedianOf(cellField(cells, func(c *Cell) *float64 { return c.GPUPeakMB })),
					OllamaLoadMS:      stats.MedianOf(cellField(cells, func(c *Cell) *float64 { return c.OllamaLoadMS })),
					ParamsMConfig:     m.ParamsMillionsConfig, ParamsMMeasured: m.ParamsMillionsMeasured,
				}
				if ttft := cellField(cells, func(c *Cell) *float64 { return c.TTFTMS }); len(ttft) == len(cells) {
					g.TTFTMS = stats.Finite(stats.Geomean(ttft))
				}
				for _, c := range cells {
					g.Scenarios = append(g.Scenarios, c.Scenario)
				}
				a.Aggregates = append(a.Aggregates, g)
			}
		}
	}
}

// decodeFractions gives decode's share of end-to-end, for each scenario by the
// medians and over all of them by the geometric means.
func (a *analyzer) decodeFractions() {
	type key struct {
		series
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
		put(key{c.series(), c.Model, c.Scenario}, c.Mode, c.MedianMS, c.AnswerTokens())
	}
	// Over all scenarios: over those that have both, where a server had the prompts
	// of some in its cache.
	for _, s := range a.series {
		for _, m := range a.modelsOf(s.backend) {
			var prefill, decode, e2e []float64
			all := parts{}
			for _, sc := range a.joined() {
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
			found[key{s, m.Name, AllScenarios}] = all
		}
	}
	for _, s := range a.series {
		for _, m := range a.modelsOf(s.backend) {
			for _, sc := range append(slices.Clone(a.scenarios), AllScenarios) {
				p := found[key{s, m.Name, sc}]
				if p.decode == nil || p.e2e == nil {
					continue
				}
				a.res.DecodeFractions = append(a.res.DecodeFractions, DecodeFraction{
					Backend: s.backend, BackendKind: m.BackendKind, BatchSize: s.batch, Model: m.Name, ParamsM: m.ParamsMillions,
					Scenario: sc, GenTokens: p.gen, PrefillMS: p.prefill, DecodeMS: *p.decode, E2EMS: *p.e2e,
					Fraction: *p.decode / *p.e2e,
				})
			}
		}
	}
}

func (a *analyzer) warmups() {
	a.eachCell(func(k cellKey, m *Model, g *group) {
		if len(g.cold) == 0 {
			return
		}
		w := Warmup{Backend: k.backend, BatchSize: k.batch, Model: m.Name, Scenario: k.scenario, Mode: k.mode,
			WarmupN: len(g.cold), WarmupMS: stats.MedianOf(latencies(g.cold)),
			MeasuredN: len(g.warm), MeasuredMS: stats.MedianOf(latencies(g.warm))}
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
	for i := range a.run.Rows {
		r := &a.run.Rows[i]
		ms, ok := r.Latency()
		if !r.Counts() || !ok || r.CUDAEventMS == nil || !(*r.CUDAEventMS > 0) {
			continue
		}
		k := key{r.Backend, r.Mode, r.IsWarmup}
		gap := math.Abs(ms - *r.CUDAEventMS)
		abs[k], rel[k] = append(abs[k], gap), append(rel[k], gap/ms)
	}
	done := map[key]bool{}
	for _, s := range a.series {
		for _, mode := range a.modes {
			for _, warm := range []bool{false, true} {
				k := key{s.backend, mode, warm}
				if len(abs[k]) == 0 || done[k] {
					continue
				}
				done[k] = true
				sr, sa := stats.Sorted(rel[k]), stats.Sorted(abs[k])
				a.res.EventGaps = append(a.res.EventGaps, EventGap{Backend: s.backend, Mode: mode, IsWarmup: warm, N: len(sr),
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
	if a.run.Harness == runs.HarnessTR121 {
		return
	}
	var gaps []float64
	largest, where := -1.0, ""
	a.eachCell(func(k cellKey, m *Model, g *group) {
		if k.mode != record.ModeE2E || m.BackendKind == kindOllama {
			return
		}
		for _, r := range g.rows {
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
				largest, where = *gap, strings.Join([]string{k.backend, m.Name, k.scenario}, " ")
			}
		}
	})
	if len(gaps) > 0 {
		a.res.Phases = &PhaseSum{N: len(gaps), MedianPercent: stats.Median(gaps), LargestPercent: largest, Where: where}
	}
}
