package analysis

import (
	"slices"
	"strings"

	"gonum.org/v1/gonum/floats"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// lengthLimited keeps the answers that ran to the target length.
const lengthLimited = "length_limited_decode_only"

// ollama computes what concerns Ollama's API: answers that stopped early and
// were scaled to the target, and model loads inside a call.
func (a *analyzer) ollama() {
	out := &Ollama{}
	any := false
	for _, s := range a.Series {
		models := a.ModelsOf(s.Backend)
		if len(models) == 0 || models[0].BackendKind != cells.KindOllama {
			continue
		}
		any = true
		a.otherModels(s)
		a.lengthLimitedFits(out, s)
		for _, m := range models {
			var decodes []*runs.Row
			for _, sc := range a.Scenarios {
				if g := a.Group(s.Key(m.Name, sc, record.ModePrefill)); g != nil && len(g.Cold) > 0 {
					out.Warmups = append(out.Warmups, ollamaWarmup(m, sc, g))
				}
				if g := a.Group(s.Key(m.Name, sc, record.ModeDecode)); g != nil && len(g.Rows) > 0 {
					out.EarlyStops = append(out.EarlyStops, earlyStop(m, sc, g.Rows))
					if a.Joins(sc) {
						decodes = append(decodes, g.Rows...)
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
func (a *analyzer) otherModels(s cells.Series) {
	warned := map[string]bool{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		if r.Backend != s.Backend || r.Sequences() != s.BatchSize || len(r.OllamaOthers) == 0 || warned[r.Model] {
			continue
		}
		warned[r.Model] = true
		a.Warn("other_models", r.Backend+" "+r.Model, "the server held other models loaded: "+strings.Join(r.OllamaOthers, ", "),
			"unload them (ollama stop NAME) and measure again, if anybody may have used them meanwhile")
	}
}

func ranToTarget(r *runs.Row) bool {
	return r.GenTokensRaw != nil && r.GenTokensTarget > 0 && *r.GenTokensRaw >= r.GenTokensTarget
}

// lengthLimitedFits repeats the fits without the rows that were scaled up from
// a short answer. Prefill does not depend on the answer and is left alone.
func (a *analyzer) lengthLimitedFits(out *Ollama, s cells.Series) {
	for _, mode := range a.Modes {
		if mode == record.ModePrefill {
			continue
		}
		medians := map[cells.ModelKey][]float64{} // by model and scenario; joined below
		count := map[string]int{}
		most := 0
		fit := func(scenario, agg string, points []scaling.Point, models []*cells.Model, unequal []string) {
			f := scaling.Fit{Subject: scaling.Subject{Series: s, BackendKind: cells.KindOllama, Mode: mode, Scenario: scenario}, Aggregation: agg, Filter: lengthLimited, Axis: a.Axis.Name}
			scaling.FitLogLog(&f, points, a.Opt)
			f.Doubt(a.Set, models, nil, unequal)
			out.LengthLimited = append(out.LengthLimited, f)
		}
		for _, sc := range a.Scenarios {
			var points []scaling.Point
			var models []*cells.Model
			for _, m := range a.ModelsOf(s.Backend) {
				g := a.Group(s.Key(m.Name, sc, mode))
				if g == nil {
					continue
				}
				rows := slices.DeleteFunc(slices.Clone(g.Rows), func(r *runs.Row) bool { return !ranToTarget(r) })
				x, ok := a.X(m)
				if len(rows) == 0 || !ok {
					continue
				}
				ms := stats.Median(cells.Latencies(rows))
				points, models = append(points, scaling.Point{Model: m.Name, X: x, Y: ms}), append(models, m)
				k := cells.ModelKey{Backend: s.Backend, Model: m.Name}
				if a.Joins(sc) {
					medians[k] = append(medians[k], ms)
					count[m.Name]++
					most = max(most, count[m.Name])
				}
			}
			fit(sc, scaling.AggScenario, points, models, nil)
		}
		var points []scaling.Point
		var models []*cells.Model
		var unequal []string
		for _, m := range a.ModelsOf(s.Backend) {
			switch n := count[m.Name]; {
			case n == 0:
			case n < most:
				unequal = append(unequal, m.Name)
			default:
				x, _ := a.X(m)
				points = append(points, scaling.Point{Model: m.Name, X: x, Y: stats.Geomean(medians[cells.ModelKey{Backend: s.Backend, Model: m.Name}])})
				models = append(models, m)
			}
		}
		fit(cells.AllScenarios, scaling.AggGeomean, points, models, unequal)
	}
}

func ollamaWarmup(m *cells.Model, scenario string, g *cells.Group) OllamaWarmup {
	infer := func(r *runs.Row) *float64 { return r.PrefillMS }
	load := func(r *runs.Row) *float64 { return r.OllamaLoadMS }
	total := func(r *runs.Row) *float64 {
		if r.PrefillMS == nil || r.OllamaLoadMS == nil {
			return nil
		}
		return new(*r.PrefillMS + *r.OllamaLoadMS)
	}
	w := OllamaWarmup{Backend: m.Backend, Model: m.Name, Scenario: scenario,
		WarmupN: len(g.Cold), WarmupInferMS: cells.MedianField(g.Cold, infer), WarmupLoadMS: cells.MedianField(g.Cold, load), WarmupTotalMS: cells.MedianField(g.Cold, total),
		MeasuredN: len(g.Warm), MeasuredInferMS: cells.MedianField(g.Warm, infer), MeasuredLoadMS: cells.MedianField(g.Warm, load), MeasuredTotalMS: cells.MedianField(g.Warm, total)}
	w.RatioInfer, w.RatioTotal = stats.Ratio(w.WarmupInferMS, w.MeasuredInferMS), stats.Ratio(w.WarmupTotalMS, w.MeasuredTotalMS)
	return w
}

func earlyStop(m *cells.Model, scenario string, rows []*runs.Row) OllamaEarlyStop {
	e := OllamaEarlyStop{Backend: m.Backend, Model: m.Name, Scenario: scenario, N: len(rows), ParamsM: m.ParamsMillions,
		Target: cells.MedianField(rows, cells.Target), RawMedian: cells.MedianField(rows, cells.RawTokens)}
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
	return cells.MedianField(rows, cells.Target)
}

// linearity fits eval_ms on eval_count over a model's calls, and says how far
// from that line scaling in proportion ends up at the target length.
func linearity(m *cells.Model, rows []*runs.Row) (OllamaLinearity, OllamaProjection) {
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
	if !ok || len(counts) < stats.MinPoints {
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
