package analysis

import (
	"slices"
	"strconv"

	"llmscale/analysis/q/scaling"
	"llmscale/analysis/stats"
)

// tables declares every CSV file.
var tables = slices.Concat(summaryTables, tokenTables, deviceTables, ollamaTables)

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

	table("overhead_compute_fits.csv", "Latency as a fixed part and one that grows with size.", false,
		func(r *Result) []*scaling.OffsetFit { return pointers(Get[scaling.Answer](r).OffsetFits) },
		[]column[*scaling.OffsetFit]{
			{"backend", "", "name of the backend", func(f *scaling.OffsetFit) string { return f.Backend }},
			{"backend_kind", "", "runtime", func(f *scaling.OffsetFit) string { return f.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(f *scaling.OffsetFit) string { return strconv.Itoa(f.BatchSize) }},
			{"mode", "", "prefill, kv_decode or e2e_kv", func(f *scaling.OffsetFit) string { return f.Mode }},
			{"scenario", "", "scenario, or `__all__`", func(f *scaling.OffsetFit) string { return f.Scenario }},
			{"aggregation", "", "scenario or geomean_across_scenarios", func(f *scaling.OffsetFit) string { return f.Aggregation }},
			{"n_models", "", "models in the fit", func(f *scaling.OffsetFit) string { return strconv.Itoa(f.NModels) }},
			{"ok", "", "whether there is a fit", func(f *scaling.OffsetFit) string { return strconv.FormatBool(f.OK) }},
			{"fit", "", "`lat = a + b*P` or `lat = a + b*P^s` (a, b >= 0, 0 <= s <= 2), both by least relative errors", func(f *scaling.OffsetFit) string { return f.Form }},
			{"a_ms", "ms", "the fixed part", func(f *scaling.OffsetFit) string { return opt(f.A) }},
			{"b_ms_per_million_params", "ms per unit of x", "the growing part, of the first form", func(f *scaling.OffsetFit) string {
				if f.Form != scaling.FormLinear {
					return ""
				}
				return opt(f.B)
			}},
			{"b", "ms per unit of x^s", "the growing part, of the second form", func(f *scaling.OffsetFit) string {
				if f.Form != scaling.FormPower {
					return ""
				}
				return opt(f.B)
			}},
			{"a_low_ms", "ms", "95 % t-interval of the fixed part, of the first form", func(f *scaling.OffsetFit) string { return low(f.ACI) }},
			{"a_high_ms", "ms", "95 % t-interval of the fixed part, of the first form", func(f *scaling.OffsetFit) string { return high(f.ACI) }},
			{"s", "", "its exponent", func(f *scaling.OffsetFit) string { return opt(f.S) }},
			{"r2", "", "R2 of the relative times", func(f *scaling.OffsetFit) string { return opt(f.R2) }},
			{"overhead_fraction_at_min_model", "", "the fixed part over the smallest model's measured time", func(f *scaling.OffsetFit) string { return opt(f.OverheadAtMin) }},
			{"overhead_fraction_at_max_model", "", "the same at the largest model", func(f *scaling.OffsetFit) string { return opt(f.OverheadAtMax) }},
			{"x_axis", "", "what stands for P", func(f *scaling.OffsetFit) string { return f.Axis }},
			{"warnings", "", "codes of the fit's warnings", func(f *scaling.OffsetFit) string { return codes(f.Warnings) }},
			{"reason", "", "why there is no fit, or why a_ms may not be called a fixed cost", func(f *scaling.OffsetFit) string { return f.Reason }},
			{"verdict", "", "first form: fixed_cost, no_fixed_cost, power_law (fits as well without one), not_a_line, flat or unknown", func(f *scaling.OffsetFit) string { return f.Verdict }},
			{"straight_p", "", "first form: p of a straight line against another power of x", func(f *scaling.OffsetFit) string { return opt(f.StraightP) }},
			{"lack_of_fit_p", "", "first form: p of the models lying on the line, against the calls' scatter", func(f *scaling.OffsetFit) string { return opt(f.LackP) }},
		}),
	table("hf_architecture_correlations.csv", "Rank correlation of latency over all scenarios with size, depth and width.", false,
		func(r *Result) []*scaling.Correlation { return pointers(Get[scaling.Answer](r).Correlations) },
		[]column[*scaling.Correlation]{
			{"backend", "", "name of the backend", func(c *scaling.Correlation) string { return c.Backend }},
			{"backend_kind", "", "runtime", func(c *scaling.Correlation) string { return c.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(c *scaling.Correlation) string { return strconv.Itoa(c.BatchSize) }},
			{"mode", "", "prefill, kv_decode or e2e_kv", func(c *scaling.Correlation) string { return c.Mode }},
			{"n_models", "", "models of known shape", func(c *scaling.Correlation) string { return strconv.Itoa(c.NModels) }},
			{"spearman_rho_log_params", "", "rho of latency with size", func(c *scaling.Correlation) string { return opt(c.RhoParams) }},
			{"spearman_p_log_params", "", "its two-sided p, t approximation", func(c *scaling.Correlation) string { return opt(c.PParams) }},
			{"spearman_rho_n_layer", "", "rho of latency with depth", func(c *scaling.Correlation) string { return opt(c.RhoLayers) }},
			{"spearman_p_n_layer", "", "its two-sided p, t approximation", func(c *scaling.Correlation) string { return opt(c.PLayers) }},
			{"spearman_rho_n_embd", "", "rho of latency with width", func(c *scaling.Correlation) string { return opt(c.RhoWidth) }},
			{"spearman_p_n_embd", "", "its two-sided p, t approximation", func(c *scaling.Correlation) string { return opt(c.PWidth) }},
		}),

	table("hf_multivariate_fits.csv", "ln(latency_ms) = alpha + beta ln(x) + gamma ln(n_layer), over all scenarios.", false,
		func(r *Result) []*scaling.TwoPredictorFit { return pointers(Get[scaling.Answer](r).TwoPredictors) },
		[]column[*scaling.TwoPredictorFit]{
			{"backend", "", "name of the backend", func(f *scaling.TwoPredictorFit) string { return f.Backend }},
			{"backend_kind", "", "runtime", func(f *scaling.TwoPredictorFit) string { return f.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(f *scaling.TwoPredictorFit) string { return strconv.Itoa(f.BatchSize) }},
			{"mode", "", "prefill, kv_decode or e2e_kv", func(f *scaling.TwoPredictorFit) string { return f.Mode }},
			{"n_models", "", "models of known depth", func(f *scaling.TwoPredictorFit) string { return strconv.Itoa(f.NModels) }},
			{"ok", "", "whether there is a fit", func(f *scaling.TwoPredictorFit) string { return strconv.FormatBool(f.OK) }},
			{"alpha", "ln ms", "constant", func(f *scaling.TwoPredictorFit) string { return opt(f.Alpha) }},
			{"beta_log_params", "", "exponent of size", func(f *scaling.TwoPredictorFit) string { return opt(f.Beta) }},
			{"gamma_log_layers", "", "exponent of depth", func(f *scaling.TwoPredictorFit) string { return opt(f.Gamma) }},
			{"r2", "", "R2 in log space", func(f *scaling.TwoPredictorFit) string { return opt(f.R2) }},
		},
		bounds("beta_log_params_ci", "", "95 % bootstrap interval of beta", func(f *scaling.TwoPredictorFit) *stats.Interval { return f.BetaBoot }),
		bounds("gamma_log_layers_ci", "", "95 % bootstrap interval of gamma", func(f *scaling.TwoPredictorFit) *stats.Interval { return f.GammaBoot }),
		bounds("r2_ci", "", "95 % bootstrap interval of R2", func(f *scaling.TwoPredictorFit) *stats.Interval { return f.R2Boot }),
		[]column[*scaling.TwoPredictorFit]{
			{"boot_n_used", "", "resamples that gave a fit", func(f *scaling.TwoPredictorFit) string { return strconv.Itoa(f.BootUsed) }},
			{"boot_n_requested", "", "resamples drawn", func(f *scaling.TwoPredictorFit) string { return strconv.Itoa(f.BootRequested) }},
			{"x_axis", "", "what the fit has on x", func(f *scaling.TwoPredictorFit) string { return f.Axis }},
			{"warnings", "", "codes of the fit's warnings", func(f *scaling.TwoPredictorFit) string { return codes(f.Warnings) }},
			{"reason", "", "why there is no fit", func(f *scaling.TwoPredictorFit) string { return f.Reason }},
		}),
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
