package firstchange

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/q/failures"
	"llmscale/runner/record"
)

// Feasibility says what ran and what did not.
type Feasibility struct {
	cells.Series
	ModelsOK       int      `json:"models_ok"`
	ModelsFailed   int      `json:"models_failed"` // oom, crashed, timeout or error in any cell
	ModelsWaived   int      `json:"models_waived"`
	LargestOK      string   `json:"largest_ok"` // largest model all of whose cells ran
	LargestOKM     *float64 `json:"largest_ok_params_millions"`
	SmallestFailed string   `json:"smallest_failed"` // smallest that did not fit, crashed or timed out
	SmallestFailM  *float64 `json:"smallest_failed_params_millions"`
	Status         string   `json:"smallest_failed_status"`
	Verdict        string   `json:"verdict"` // all_ran, some_failed, some_waived, waived or unknown
}

// infeasible reports whether a status says that the machine could not do it.
func infeasible(status string) bool {
	return status == record.StatusOOM || status == record.StatusCrashed || status == record.StatusTimeout
}

// failedCells are a model's failed cells, of the series.
func (a *asker) failedCells(s cells.Series, model string) []failures.Cell {
	return a.failed[modelOf{s, model}]
}

func (a *asker) feasibility(s cells.Series) Feasibility {
	out := Feasibility{Series: s, Verdict: "unknown"}
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
