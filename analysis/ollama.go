package analysis

import (
	"slices"
	"strings"

	"gonum.org/v1/gonum/floats"

	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

const kindOllama = "ollama"

// lengthLimited keeps the answers that ran to the target length.
const lengthLimited = "length_limited_decode_only"

// ollama computes what concerns Ollama's API: answers that stopped early and
// were scaled to the target, and model loads inside a call.
func (a *analyzer) ollama() {
	out := &Ollama{}
	any := false
	for _, s := range a.series {
		models := a.modelsOf(s.backend)
		if len(models) == 0 || models[0].BackendKind != kindOllama {
			continue
		}
		any = true
		a.otherModels(s)
		a.lengthLimitedFits(out, s)
		for _, m := range models {
			var decodes []*runs.Row
			for _, sc := range a.scenarios {
				if g := a.group(s.key(m.Name, sc, record.ModePrefill)); g != nil && len(g.cold) > 0 {
					out.Warmups = append(out.Warmups, ollamaWarmup(m, sc, g))
				}
				if g := a.group(s.key(m.Name, sc, record.ModeDecode)); g != nil && len(g.rows) > 0 {
					out.EarlyStops = append(out.EarlyStops, earlyStop(m, sc, g.rows))
					if a.joins(sc) {
						decodes = append(decodes, g.rows...)
					}
				}
			}
			if len(decodes) > 0 {
				lin, proj := linearity(m, decodes)
				out.Linearity, out.Projections = append(out.Linearity, lin), append(out.Projections, proj)
			}
		}
	}
	if any {
		a.res.Ollama = out
	}
}

// otherModels warns of what a server held loaded beside the model: it may have been
// at work too.
func (a *analyzer) otherModels(s series) {
	warned := map[string]bool{}
	for i := range a.run.Rows {
		r := &a.run.Rows[i]
		if r.Backend != s.backend || r.Sequences() != s.batch || len(r.OllamaOthers) == 0 || warned[r.Model] {
			continue
		}
		warned[r.Model] = true
		a.warn("other_models", r.Backend+" "+r.Model, "the server held other models loaded: "+strings.Join(r.OllamaOthers, ", "),
			"unload them (ollama stop NAME) and measure again, if anybody may have used them meanwhile")
	}
}

func ranToTarget(r *runs.Row) bool {
	return r.GenTokensRaw != nil && r.GenTokensTarget > 0 && *r.GenTokensRaw >= r.GenTokensTarget
}

// lengthLimitedFits repeats the fits without the rows that were scaled up from
// a short answer. Prefill does not depend on the answer and is left alone.
func (a *analyzer) lengthLimitedFits(out *Ollama, s series) {
	for _, mode := range a.modes {
		if mode == record.ModePrefill {
			continue
		}
		medians := map[modelKey][]float64{} // by model and scenario; joined below
		count := map[string]int{}
		most := 0
		fit := func(scenario, agg string, points []Point, models []*Model, unequal []string) {
			f := Fit{Backend: s.backend, BackendKind: kindOllama, BatchSize: s.batch, Mode: mode, Scenario: scenario,
				Aggregation: agg, Filter: lengthLimited, Axis: a.axis.Name}
			fitLogLog(&f, points, a.opt)
			a.fitWarnings(&f, models, nil, unequal)
			out.LengthLimited = append(out.LengthLimited, f)
		}
		for _, sc := range a.scenarios {
			var points []Point
			var models []*Model
			for _, m := range a.modelsOf(s.backend) {
				g := a.group(s.key(m.Name, sc, mode))
				if g == nil {
					continue
				}
				rows := slices.DeleteFunc(slices.Clone(g.rows), func(r *runs.Row) bool { return !ranToTarget(r) })
				x, ok := a.x(m)
				if len(rows) == 0 || !ok {
					continue
				}
				ms := stats.Median(latencies(rows))
				points, models = append(points, Point{Model: m.Name, X: x, Y: ms}), append(models, m)
				k := modelKey{s.backend, m.Name}
				if a.joins(sc) {
					medians[k] = append(medians[k], ms)
					count[m.Name]++
					most = max(most, count[m.Name])
				}
			}
			fit(sc, AggScenario, points, models, nil)
		}
		var points []Point
		var models []*Model
		var unequal []string
		for _, m := range a.modelsOf(s.backend) {
			switch n := count[m.Name]; {
			case n == 0:
			case n < most:
				unequal = append(unequal, m.Name)
			default:
				x, _ := a.x(m)
				points = append(points, Point{Model: m.Name, X: x, Y: stats.Geomean(medians[modelKey{s.backend, m.Name}])})
				models = append(models, m)
			}
		}
		fit(AllScenarios, AggGeomean, points, models, unequal)
	}
}

func ollamaWarmup(m *Model, scenario string, g *group) OllamaWarmup {
	infer := func(r *runs.Row) *float64 { return r.PrefillMS }
	load := func(r *runs.Row) *float64 { return r.OllamaLoadMS }
	total := func(r *runs.Row) *float64 {
		if r.PrefillMS == nil || r.OllamaLoadMS == nil {
			return nil
		}
		return new(*r.PrefillMS + *r.OllamaLoadMS)
	}
	w := OllamaWarmup{Backend: m.Backend, Model: m.Name, Scenario: scenario,
		WarmupN: len(g.cold), WarmupInferMS: medianField(g.cold, infer), WarmupLoadMS: medianField(g.cold, load), WarmupTotalMS: medianField(g.cold, total),
		MeasuredN: len(g.warm), MeasuredInferMS: medianField(g.warm, infer), MeasuredLoadMS: medianField(g.warm, load), MeasuredTotalMS: medianField(g.warm, total)}
	w.RatioInfer, w.RatioTotal = ratio(w.WarmupInferMS, w.MeasuredInferMS), ratio(w.WarmupTotalMS, w.MeasuredTotalMS)
	return w
}

func ratio(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	return stats.Finite(*a / *b)
}

func rawTokens(r *runs.Row) *float64 { return float(r.GenTokensRaw) }

func target(r *runs.Row) *float64 {
	if r.GenTokensTarget <= 0 {
		return nil
	}
	return new(float64(r.GenTokensTarget))
}

func earlyStop(m *Model, scenario string, rows []*runs.Row) OllamaEarlyStop {
	e := OllamaEarlyStop{Backend: m.Backend, Model: m.Name, Scenario: scenario, N: len(rows), ParamsM: m.ParamsMillions,
		Target: medianField(rows, target), RawMedian: medianField(rows, rawTokens)}
	early, counted := 0, 0
	reasons := map[string]int{}
	for _, r := range rows {
		if r.GenTokensRaw != nil && r.GenTokensTarget > 0 {
			counted++
			if !ranToTarget(r) {
				early++
			}
		}
		if r.OllamaDoneReason != nil {
			reasons[*r.OllamaDoneReason]++
		}
	}
	if counted > 0 {
		e.EarlyStopRate = new(float64(early) / float64(counted))
	}
	for reason, n := range reasons {
		if best := reasons[e.DoneReasonMode]; n > best || n == best && strings.Compare(reason, e.DoneReasonMode) < 0 {
			e.DoneReasonMode = reason
		}
	}
	return e
}

// oneTarget is the length that all rows were asked for; nil where they differ.
func oneTarget(rows []*runs.Row) *float64 {
	for _, r := range rows {
		if r.GenTokensTarget != rows[0].GenTokensTarget {
			return nil
		}
	}
	return medianField(rows, target)
}

// linearity fits eval_ms on eval_count over a model's calls, and says how far
// from that line scaling in proportion ends up at the target length.
func linearity(m *Model, rows []*runs.Row) (OllamaLinearity, OllamaProjection) {
	var counts, evals []float64
	for _, r := range rows {
		if r.GenTokensRaw != nil && r.KVDecodeMS != nil && *r.GenTokensRaw > 0 && *r.KVDecodeMS > 0 {
			counts, evals = append(counts, float64(*r.GenTokensRaw)), append(evals, *r.KVDecodeMS)
		}
	}
	lin := OllamaLinearity{Backend: m.Backend, Model: m.Name, ParamsM: m.ParamsMillions, N: len(counts), Target: oneTarget(rows)}
	proj := OllamaProjection{Backend: m.Backend, Model: m.Name, ParamsM: m.ParamsMillions, P95MS: stats.Percentile{Need: stats.NeedP95}}
	if len(counts) == 0 {
		return lin, proj
	}
	lin.RawMin, lin.RawMedian, lin.RawMax = new(floats.Min(counts)), stats.MedianOf(counts), new(floats.Max(counts))
	l, ok := stats.OLS(counts, evals)
	if !ok || len(counts) < minPoints {
		return lin, proj
	}
	lin.A, lin.B, lin.R2 = stats.Finite(l.A), stats.Finite(l.B), stats.Finite(l.R2)
	if lin.Target == nil {
		return lin, proj
	}
	affine := l.A + l.B**lin.Target
	lin.AffineMS = stats.Finite(affine)
	errs := make([]float64, len(counts))
	for i := range counts {
		errs[i] = evals[i]/counts[i]**lin.Target - affine
	}
	s := stats.Sorted(errs)
	proj.N, proj.MedianMS = len(s), new(stats.QuantileSorted(s, 0.5))
	proj.P95MS = stats.PercentileSorted(s, 0.95, stats.NeedP95)
	proj.MinMS, proj.MaxMS = new(s[0]), new(s[len(s)-1])
	return lin, proj
}
