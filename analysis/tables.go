package analysis

import (
	"slices"
	"strconv"

	"llmscale/analysis/q/scaling"
	"llmscale/analysis/stats"
)

// tables declares every CSV file.
var tables = slices.Concat(summaryTables, tokenTables, ollamaTables)

// summaryTables are the summaries and the fits. TR121's columns come first, under its names;
// this project's own follow.
var summaryTables = []Table{
	table("scaling_fits.csv", "log10(latency_ms) = log10_intercept + slope * log10(x), for each backend, mode and scenario and over all scenarios (`__all__`).", false,
		func(r *Result) []*scaling.Fit { return pointers(Get[scaling.Answer](r).Fits) }, fitColumns()),

	table("leave_one_out.csv", "Each fit without each of its models.", false, looRows,
		[]column[looRow]{
			{"backend", "", "name of the backend", func(l looRow) string { return l.f.Backend }},
			{"batch_size", "sequences", "sequences decoded together", func(l looRow) string { return strconv.Itoa(l.f.BatchSize) }},
			{"mode", "", "prefill, kv_decode or e2e_kv", func(l looRow) string { return l.f.Mode }},
			{"scenario", "", "scenario, or `__all__`", func(l looRow) string { return l.f.Scenario }},
			{"x_axis", "", "what the fit has on x", func(l looRow) string { return l.f.Axis }},
			{"dropped", "", "the model left out", func(l looRow) string { return l.Dropped }},
			{"n_models", "", "models left", func(l looRow) string { return strconv.Itoa(l.N) }},
			{"slope", "", "slope without it", func(l looRow) string { return opt(l.Slope) }},
			{"log10_intercept", "log10 ms", "intercept without it", func(l looRow) string { return opt(l.Log10Intercept) }},
			{"r2", "", "R2 without it", func(l looRow) string { return opt(l.R2) }},
			{"slope_change", "", "this slope less the whole fit's", func(l looRow) string { return opt(l.SlopeChange) }},
			{"moves_most", "", "true for the model whose absence moves the slope most", func(l looRow) string { return strconv.FormatBool(l.Dropped == l.f.MostInfluential) }},
		},
		bounds("slope_t_ci", "", "95 % t-interval of this slope", func(l looRow) *stats.Interval { return l.SlopeT })),
}

// looRow is a leave-one-out row with its fit.
type looRow struct {
	scaling.LeaveOneOut
	f *scaling.Fit
}

func looRows(r *Result) []looRow {
	var out []looRow
	fits := Get[scaling.Answer](r).Fits
	for i := range fits {
		for _, l := range fits[i].LeaveOneOut {
			out = append(out, looRow{l, &fits[i]})
		}
	}
	return out
}
