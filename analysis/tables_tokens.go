package analysis

import (
	"slices"
	"strconv"

	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/stats"
)

func fitColumns() []column[*scaling.Fit] {
	return slices.Concat(
		[]column[*scaling.Fit]{
			{"backend", "", "name of the backend", func(f *scaling.Fit) string { return f.Backend }},
			{"backend_kind", "", "runtime", func(f *scaling.Fit) string { return f.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(f *scaling.Fit) string { return strconv.Itoa(f.BatchSize) }},
			{"mode", "", "prefill, kv_decode or e2e_kv", func(f *scaling.Fit) string { return f.Mode }},
			{"scenario", "", "scenario, or `__all__`", func(f *scaling.Fit) string { return f.Scenario }},
			{"aggregation", "", "scenario or geomean_across_scenarios", func(f *scaling.Fit) string { return f.Aggregation }},
			{"n_models", "", "models in the fit", func(f *scaling.Fit) string { return strconv.Itoa(f.NModels) }},
			{"ok", "", "whether there is a fit", func(f *scaling.Fit) string { return strconv.FormatBool(f.OK) }},
			{"log10_intercept", "log10 ms", "intercept", func(f *scaling.Fit) string { return opt(f.Log10Intercept) }},
			{"slope", "", "exponent of size", func(f *scaling.Fit) string { return opt(f.Slope) }},
			{"r2", "", "R2 in log space", func(f *scaling.Fit) string { return opt(f.R2) }},
			{"spearman_rho_loglog", "", "Spearman's rho", func(f *scaling.Fit) string { return opt(f.SpearmanRho) }},
			{"spearman_p_loglog", "", "its two-sided p, t approximation", func(f *scaling.Fit) string { return opt(f.SpearmanP) }},
			{"theilsen_slope", "", "Theil-Sen slope", func(f *scaling.Fit) string { return opt(f.TheilSenSlope) }},
			{"theilsen_log10_intercept", "log10 ms", "its intercept, median(y) - slope * median(x)", func(f *scaling.Fit) string { return opt(f.TheilSenIntercept) }},
		},
		bounds("theilsen_slope_ci", "", "95 % interval of the Theil-Sen slope", func(f *scaling.Fit) *stats.Interval { return f.TheilSen }),
		bounds("slope_ci", "", "95 % percentile bootstrap over models", func(f *scaling.Fit) *stats.Interval { return f.SlopeBoot }),
		bounds("log10_intercept_ci", "log10 ms", "95 % percentile bootstrap over models", func(f *scaling.Fit) *stats.Interval { return f.InterceptBoot }),
		[]column[*scaling.Fit]{
			{"boot_n_used", "", "resamples that gave a slope", func(f *scaling.Fit) string { return strconv.Itoa(f.BootUsed) }},
			{"boot_n_requested", "", "resamples drawn", func(f *scaling.Fit) string { return strconv.Itoa(f.BootRequested) }},
			{"x_axis", "", "what the fit has on x", func(f *scaling.Fit) string { return f.Axis }},
			{"slope_se", "", "standard error of the slope", func(f *scaling.Fit) string { return opt(f.SlopeSE) }},
			{"log10_intercept_se", "log10 ms", "standard error of the intercept", func(f *scaling.Fit) string { return opt(f.InterceptSE) }},
			{"residual_sd", "log10 ms", "standard deviation of the residuals, n - 2 degrees of freedom", func(f *scaling.Fit) string { return opt(f.ResidualSD) }},
		},
		bounds("slope_t_ci", "", "95 % t-interval of the slope", func(f *scaling.Fit) *stats.Interval { return f.SlopeT }),
		bounds("log10_intercept_t_ci", "log10 ms", "95 % t-interval of the intercept", func(f *scaling.Fit) *stats.Interval { return f.InterceptT }),
		[]column[*scaling.Fit]{
			{"spearman_p_exact", "", "p of rho over all orders, up to 9 models", func(f *scaling.Fit) string { return opt(f.SpearmanPExact) }},
			{"boot_n_two_models", "", "resamples used that hold two sizes only", func(f *scaling.Fit) string { return strconv.Itoa(f.BootTwoModels) }},
			{"most_influential", "", "model whose absence moves the slope most", func(f *scaling.Fit) string { return f.MostInfluential }},
			{"slope_without_most_influential", "", "slope without it", func(f *scaling.Fit) string {
				if l := f.Influential(); l != nil {
					return opt(l.Slope)
				}
				return ""
			}},
			{"warnings", "", "codes of the fit's warnings", func(f *scaling.Fit) string { return codes(f.Warnings) }},
			{"reason", "", "why there is no fit", func(f *scaling.Fit) string { return f.Reason }},
			{"law", "", "power_law, flat, bent, one_point or not_identified: whether the slope is one exponent for all sizes", func(f *scaling.Fit) string { return f.Law }},
			{"curvature_p", "", "p of a quadratic term", func(f *scaling.Fit) string {
				if f.Curvature == nil {
					return ""
				}
				return opt(f.Curvature.P)
			}},
			{"misfit", "", "model that the line through the others fits least", func(f *scaling.Fit) string {
				if f.Misfit == nil {
					return ""
				}
				return f.Misfit.Model
			}},
			{"misfit_p", "", "p of its deleted studentised residual, by Bonferroni over the models", func(f *scaling.Fit) string {
				if f.Misfit == nil {
					return ""
				}
				return num(f.Misfit.P)
			}},
		})
}

// tokenTables are about what happens inside a call, and around it.
var tokenTables = []Table{
	table("token_latency.csv", "Decode time by position in the answer, over the repetitions of a cell.", false, positionRows,
		[]column[positionRow]{
			{"backend", "", "name of the backend", func(p positionRow) string { return p.t.Backend }},
			{"batch_size", "sequences", "sequences decoded together", func(p positionRow) string { return strconv.Itoa(p.t.BatchSize) }},
			{"model", "", "name of the model", func(p positionRow) string { return p.t.Model }},
			{"params_millions_effective", "1e6", "parameters", func(p positionRow) string { return opt(p.t.ParamsM) }},
			{"scenario", "", "name of the scenario", func(p positionRow) string { return p.t.Scenario }},
			{"position", "", "decode step, from 0", func(p positionRow) string { return strconv.Itoa(p.i) }},
			{"n", "calls", "calls that reached it", func(p positionRow) string { return strconv.Itoa(p.t.CountAt[p.i]) }},
			{"median_ms", "ms", "median over the calls", func(p positionRow) string { return num(p.t.MedianMS[p.i]) }},
			{"min_ms", "ms", "fastest", func(p positionRow) string { return num(p.t.MinMS[p.i]) }},
			{"max_ms", "ms", "slowest", func(p positionRow) string { return num(p.t.MaxMS[p.i]) }},
		}),
}

// positionRow is one position of a token series.
type positionRow struct {
	t *tails.TokenSeries
	i int
}

func positionRows(r *Result) []positionRow {
	var out []positionRow
	tokens := Get[tails.Answer](r).Tokens
	for i := range tokens {
		for p := range tokens[i].MedianMS {
			out = append(out, positionRow{&tokens[i], p})
		}
	}
	return out
}
