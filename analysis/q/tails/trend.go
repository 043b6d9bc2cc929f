package tails

import (
	"fmt"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
)

// Trend says whether slow tokens get relatively slower as models grow.
type Trend struct {
	cells.Series
	Quantile      string   `json:"quantile"` // which ratio: p99_over_p50, or p95_over_p50, the highest that all models carry
	NModels       int      `json:"n_models"`
	Rho           *float64 `json:"spearman_rho"` // of the ratio against size
	P             *float64 `json:"spearman_p"`
	PExact        *float64 `json:"spearman_p_exact"`
	SmallestModel string   `json:"smallest_model"`
	SmallestRatio *float64 `json:"smallest_ratio"`
	LargestModel  string   `json:"largest_model"`
	LargestRatio  *float64 `json:"largest_ratio"`
	WorstModel    string   `json:"worst_model"`
	WorstRatio    *float64 `json:"worst_ratio"`
	Verdict       string   `json:"verdict"` // rises, falls, no_trend or unknown
	Why           string   `json:"why"`
}

func (a *asker) trend(s cells.Series) Trend {
	out := Trend{Series: s, Verdict: "unknown"}
	var sizes []float64
	var tails []*Tail
	untimed := 0
	for _, m := range a.ModelsOf(s.Backend) {
		t := a.out.Overall(s, m.Name)
		if t == nil {
			untimed++
		}
		if t == nil || m.ParamsMillions == nil {
			continue
		}
		sizes, tails = append(sizes, *m.ParamsMillions), append(tails, t)
	}
	out.NModels = len(tails)
	if len(tails) == 0 {
		out.Why = "no token times were recorded"
		if untimed == 0 {
			out.Why = "no model of known size has token times"
		}
		return out
	}
	// The highest ratio that every model carries, so that like is compared with like.
	var ratios []float64
	for _, q := range []struct {
		name string
		of   func(*Tail) stats.Percentile
	}{
		{"p99_over_p50", func(t *Tail) stats.Percentile { return t.P99Ratio }},
		{"p95_over_p50", func(t *Tail) stats.Percentile { return t.P95Ratio }},
		{"p90_over_p50", func(t *Tail) stats.Percentile { return t.P90Ratio }},
	} {
		var have []float64
		for _, t := range tails {
			if p := q.of(t); p.Value != nil {
				have = append(have, *p.Value)
			}
		}
		if len(have) == len(tails) {
			out.Quantile, ratios = q.name, have
			break
		}
	}
	if ratios == nil {
		out.Why = fmt.Sprintf("too few tokens: a p90 takes %d for each model", stats.NeedP90)
		return out
	}
	last := len(ratios) - 1
	out.SmallestModel, out.SmallestRatio = tails[0].Model, new(ratios[0])
	out.LargestModel, out.LargestRatio = tails[last].Model, new(ratios[last])
	worst := slices.Index(ratios, slices.Max(ratios))
	out.WorstModel, out.WorstRatio = tails[worst].Model, new(ratios[worst])
	rho, p, ok := stats.Spearman(sizes, ratios)
	if !ok {
		out.Why = fmt.Sprintf("%s with token times; a rank correlation takes 3 that differ", words.Counted(len(tails), "model", "models"))
		return out
	}
	out.Rho, out.P = stats.Finite(rho), stats.Finite(p)
	if exact, ok := stats.SpearmanExact(sizes, ratios); ok {
		out.PExact, p = &exact, exact
	}
	switch {
	case len(tails) < 5: // of 4! orders even the most extreme has p = .083
		out.Why = fmt.Sprintf("%d models: no order of so few is rarer than 5 %%", len(tails))
	case p >= stats.Alpha:
		out.Verdict, out.Why = "no_trend", fmt.Sprintf("Spearman rho %.2f, p %.3f", rho, p)
	case rho > 0:
		out.Verdict, out.Why = "rises", fmt.Sprintf("Spearman rho %.2f, p %.3f", rho, p)
	default:
		out.Verdict, out.Why = "falls", fmt.Sprintf("Spearman rho %.2f, p %.3f", rho, p)
	}
	return out
}
