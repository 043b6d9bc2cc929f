package analysis

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

func (a *analyzer) answer() {
	for _, s := range a.Series {
		a.res.Answers.Tails = append(a.res.Answers.Tails, a.tailTrend(s))
		a.res.Answers.Feasibility = append(a.res.Answers.Feasibility, a.feasibility(s))
		a.res.Answers.FirstChange = append(a.res.Answers.FirstChange, a.firstChange(s))
	}
}

// overall is a model's tail over all scenarios.
func (a *analyzer) overall(s cells.Series, model string) *Tail {
	for i := range a.res.Tails {
		t := &a.res.Tails[i]
		if t.Backend == s.Backend && t.BatchSize == s.BatchSize && t.Model == model && t.Scenario == cells.AllScenarios {
			return t
		}
	}
	return nil
}

func (a *analyzer) tailTrend(s cells.Series) TailTrend {
	out := TailTrend{Backend: s.Backend, BatchSize: s.BatchSize, Verdict: "unknown"}
	var sizes []float64
	var tails []*Tail
	untimed := 0
	for _, m := range a.ModelsOf(s.Backend) {
		t := a.overall(s, m.Name)
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

// infeasible reports whether a status says that the machine could not do it.
func infeasible(status string) bool {
	return status == record.StatusOOM || status == record.StatusCrashed || status == record.StatusTimeout
}

// failedCells are a model's failed cells, of the series.
func (a *analyzer) failedCells(s cells.Series, model string) (out []FailedCell) {
	for _, f := range a.res.Failed {
		if f.Backend == s.Backend && f.BatchSize == s.BatchSize && f.Model == model {
			out = append(out, f)
		}
	}
	return out
}

func (a *analyzer) feasibility(s cells.Series) FeasibilityAnswer {
	out := FeasibilityAnswer{Backend: s.Backend, BatchSize: s.BatchSize, Verdict: "unknown"}
	for _, m := range a.ModelsOf(s.Backend) {
		failed, waived := false, false
		for _, f := range a.failedCells(s, m.Name) {
			if f.Status == record.StatusWaived {
				waived = true
				continue
			}
			failed = true
			if infeasible(f.Status) && out.SmallestFailed == "" {
				out.SmallestFailed, out.SmallestFailM, out.Status = m.Name, m.ParamsMillions, f.Status
			}
		}
		switch {
		case failed:
			out.ModelsFailed++
		case waived:
			out.ModelsWaived++
		case a.Measured(s, m.Name):
			out.ModelsOK++
			if m.ParamsMillions != nil || out.LargestOK == "" { // by rising size; unknown sizes come last
				out.LargestOK, out.LargestOKM = m.Name, m.ParamsMillions
			}
		}
	}
	switch {
	case out.ModelsFailed > 0:
		out.Verdict = "some_failed"
	case out.ModelsOK > 0 && out.ModelsWaived == 0:
		out.Verdict = "all_ran"
	case out.ModelsOK > 0:
		out.Verdict = "some_waived"
	case out.ModelsWaived > 0:
		out.Verdict = "waived"
	}
	return out
}

// runWarnings are doubts about the run as a whole.
func (a *analyzer) runWarnings() {
	bad := map[string]bool{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		if k := r.Backend + " " + r.Model; r.OK() && r.LogitsFinite != nil && !*r.LogitsFinite && !bad[k] {
			bad[k] = true
			a.Warn("logits_not_finite", k, "the model's output holds NaN or infinity: the computation is wrong, whatever its speed",
				"do not use its figures; check the weights' type and file")
		}
	}
	for _, f := range a.res.Failed {
		if f.Status == record.StatusError {
			a.Warn("failed_cell", strings.Join([]string{f.Backend, f.Model, f.Scenario}, " "), "the cell could not be measured: "+f.Reason,
				"correct the cause and run again with --resume")
		}
	}
}
