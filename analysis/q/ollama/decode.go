package ollama

import (
	"strings"

	"gonum.org/v1/gonum/floats"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
)

// ranToTarget reports whether an answer has the length that was asked for.
func ranToTarget(r *runs.Row) bool {
	return r.GenTokensRaw != nil && r.GenTokensTarget > 0 && *r.GenTokensRaw >= r.GenTokensTarget
}

func warmup(m *cells.Model, scenario string, g *cells.Group) Warmup {
	infer := func(r *runs.Row) *float64 { return r.PrefillMS }
	load := func(r *runs.Row) *float64 { return r.OllamaLoadMS }
	total := func(r *runs.Row) *float64 {
		if r.PrefillMS == nil || r.OllamaLoadMS == nil {
			return nil
		}
		return new(*r.PrefillMS + *r.OllamaLoadMS)
	}
	w := Warmup{Subject: Subject{m.Backend, m.Name}, Scenario: scenario,
		WarmupN: len(g.Cold), WarmupInferMS: cells.MedianField(g.Cold, infer), WarmupLoadMS: cells.MedianField(g.Cold, load), WarmupTotalMS: cells.MedianField(g.Cold, total),
		MeasuredN: len(g.Warm()), MeasuredInferMS: cells.MedianField(g.Warm(), infer), MeasuredLoadMS: cells.MedianField(g.Warm(), load), MeasuredTotalMS: cells.MedianField(g.Warm(), total)}
	w.RatioInfer, w.RatioTotal = stats.Ratio(w.WarmupInferMS, w.MeasuredInferMS), stats.Ratio(w.WarmupTotalMS, w.MeasuredTotalMS)
	return w
}

func earlyStop(m *cells.Model, scenario string, rows []*runs.Row) EarlyStop {
	e := EarlyStop{Subject: Subject{m.Backend, m.Name}, Scenario: scenario, N: len(rows), ParamsM: m.ParamsMillions,
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
func linearity(m *cells.Model, rows []*runs.Row) (Linearity, Projection) {
	var counts, evals []float64
	for _, r := range rows {
		if r.GenTokensRaw != nil && r.KVDecodeMS != nil && *r.GenTokensRaw > 0 && *r.KVDecodeMS > 0 {
			counts, evals = append(counts, float64(*r.GenTokensRaw)), append(evals, *r.KVDecodeMS)
		}
	}
	lin := Linearity{Subject: Subject{m.Backend, m.Name}, ParamsM: m.ParamsMillions, N: len(counts), Target: oneTarget(rows)}
	proj := Projection{Subject: Subject{m.Backend, m.Name}, ParamsM: m.ParamsMillions, P95MS: stats.Percentile{Need: stats.NeedP95}}
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
