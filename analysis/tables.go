package analysis

import (
	"slices"
	"strconv"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/stats"
)

// tables declares every CSV file.
var tables = slices.Concat(summaryTables, tokenTables, deviceTables, verdictTables, ollamaTables)

// summaryTables are the summaries and the fits. TR121's columns come first, under its names;
// this project's own follow.
var summaryTables = []Table{
	table("summary_by_model_backend_mode.csv", "One row for each backend, model, scenario and mode: the summary of its calls.", false, cellRows,
		[]column[cellRow]{
			{"backend", "", "name of the backend", func(r cellRow) string { return r.Backend }},
			{"backend_kind", "", "runtime", func(r cellRow) string { return r.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(r cellRow) string { return strconv.Itoa(r.BatchSize) }},
			{"model", "", "name of the model", func(r cellRow) string { return r.Model }},
			{"model_kind", "", "how the model came in", func(r cellRow) string { return r.ModelKind }},
			{"params_millions_effective", "1e6", "parameters: measured where known, else the config's", func(r cellRow) string { return opt(r.ParamsM) }},
			{"scenario", "", "name of the scenario", func(r cellRow) string { return r.Scenario }},
			{"mode", "", "prefill, kv_decode or e2e_kv", func(r cellRow) string { return r.Mode }},
			{"n", "calls", "calls summarised", func(r cellRow) string { return strconv.Itoa(r.N) }},
			{"latency_mean_ms", "ms", "arithmetic mean", func(r cellRow) string { return num(r.MeanMS) }},
			{"latency_median_ms", "ms", "median", func(r cellRow) string { return num(r.MedianMS) }},
			{"latency_p95_ms", "ms", "95th percentile; `too few` below 130 calls", func(r cellRow) string { return r.P95MS.String() }},
			{"latency_p99_ms", "ms", "99th percentile; `too few` below 662 calls", func(r cellRow) string { return r.P99MS.String() }},
			{"tokens_per_s_median", "tokens/s", "median throughput", func(r cellRow) string { return opt(r.TokensPerS) }},
			{"tokens_per_s_compute_median", "tokens/s", "the same, counting padding", func(r cellRow) string { return opt(r.TokensPerSCompute) }},
			{"tokens_total_median", "tokens", "tokens of the mode, over the batch", func(r cellRow) string { return opt(r.TokensTotal) }},
			{"tokens_total_compute_median", "tokens", "the same, counting padding", func(r cellRow) string { return opt(r.TokensCompute) }},
			{"prompt_tokens_median", "tokens", "prompt tokens, over the batch", func(r cellRow) string { return opt(r.PromptTokens) }},
			{"prompt_tokens_raw_median", "tokens", "prompt tokens as the backend reports them", func(r cellRow) string { return opt(r.PromptTokensRaw) }},
			{"prompt_tokens_compute_median", "tokens", "batch size times prompt length", func(r cellRow) string { return opt(r.PromptCompute) }},
			{"gen_tokens_median", "tokens", "tokens that the latency stands for, per sequence", func(r cellRow) string { return opt(r.GenTokens) }},
			{"gen_tokens_raw_median", "tokens", "tokens really decoded, per sequence", func(r cellRow) string { return opt(r.GenTokensRaw) }},
			{"gen_tokens_target_median", "tokens", "tokens asked for", func(r cellRow) string { return opt(r.GenTokensTarget) }},
			{"cuda_event_median_ms", "ms", "median device time", func(r cellRow) string { return opt(r.CUDAEventMS) }},
			{"gpu_peak_mb_median", "MiB", "peak device memory", func(r cellRow) string { return opt(r.GPUPeakMB) }},
			{"ollama_load_ms_median", "ms", "Ollama's load_duration", func(r cellRow) string { return opt(r.OllamaLoadMS) }},
			{"params_millions_config_median", "1e6", "parameters as the config claims them", func(r cellRow) string { return opt(r.m.ParamsMillionsConfig) }},
			{"params_millions_measured_median", "1e6", "parameters as counted", func(r cellRow) string { return opt(r.m.ParamsMillionsMeasured) }},
			{"latency_min_ms", "ms", "fastest call", func(r cellRow) string { return num(r.MinMS) }},
			{"latency_max_ms", "ms", "slowest call", func(r cellRow) string { return num(r.MaxMS) }},
			{"latency_stddev_ms", "ms", "sample standard deviation", func(r cellRow) string { return opt(r.StdDevMS) }},
			{"ms_per_token_median", "ms/token", "decode: median latency over the tokens it stands for", func(r cellRow) string { return opt(r.MSPerToken) }},
			{"e2e_gap_pct_median", "%", "end-to-end against prefill + decode; not through Ollama, where HTTP and sampling lie between (see ollama_gap.csv)", func(r cellRow) string { return opt(r.E2EGapPercent) }},
			{"rss_peak_mib_max", "MiB", "peak resident set of the worker", func(r cellRow) string { return opt(r.RSSPeakMiB) }},
			{"weight_type", "", "type that holds most of the weights", func(r cellRow) string { return r.m.WeightType }},
			{"architecture", "", "architecture", func(r cellRow) string { return r.m.Architecture }},
			{"n_layer", "", "transformer blocks", func(r cellRow) string { return whole(r.m.NLayer) }},
			{"n_embd", "", "width", func(r cellRow) string { return whole(r.m.NEmbd) }},
			{"params_total", "", "all parameters", func(r cellRow) string { return whole(r.m.ParamsTotal) }},
			{"params_non_embedding", "", "parameters without embeddings", func(r cellRow) string { return whole(r.m.ParamsNonEmbedding) }},
			{"params_active", "", "parameters that one token uses", func(r cellRow) string { return whole(r.m.ParamsActive) }},
			{"bytes_read_per_token", "B", "weight bytes read per decoded token", func(r cellRow) string { return whole(r.m.BytesPerToken) }},
			{"ttft_median_ms", "ms", "prefill: median time to the first token, which is prefill and the first argmax", func(r cellRow) string { return opt(r.TTFTMS) }},
		}),

	table("summary_by_model_backend_mode_agg.csv", "The summary joined over scenarios: one row for each backend, model and mode.", false,
		func(r *Result) []*cells.Aggregate { return pointers(r.Aggregates) },
		[]column[*cells.Aggregate]{
			{"backend", "", "name of the backend", func(g *cells.Aggregate) string { return g.Backend }},
			{"backend_kind", "", "runtime", func(g *cells.Aggregate) string { return g.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(g *cells.Aggregate) string { return strconv.Itoa(g.BatchSize) }},
			{"model", "", "name of the model", func(g *cells.Aggregate) string { return g.Model }},
			{"model_kind", "", "how the model came in", func(g *cells.Aggregate) string { return g.ModelKind }},
			{"params_millions_effective", "1e6", "parameters: measured where known, else the config's", func(g *cells.Aggregate) string { return opt(g.ParamsM) }},
			{"mode", "", "prefill, kv_decode or e2e_kv", func(g *cells.Aggregate) string { return g.Mode }},
			{"n_scenarios", "", "scenarios joined", func(g *cells.Aggregate) string { return strconv.Itoa(g.NScenarios) }},
			{"latency_geomean_ms", "ms", "geometric mean of the scenario medians", func(g *cells.Aggregate) string { return num(g.GeomeanMS) }},
			{"latency_median_of_medians_ms", "ms", "median of the scenario medians", func(g *cells.Aggregate) string { return num(g.MedianOfMediansMS) }},
			{"tokens_per_s_geomean", "tokens/s", "geometric mean of the scenarios' throughput", func(g *cells.Aggregate) string { return opt(g.TokensPerS) }},
			{"tokens_per_s_compute_geomean", "tokens/s", "the same, counting padding", func(g *cells.Aggregate) string { return opt(g.TokensPerSCompute) }},
			{"gpu_peak_mb_median", "MiB", "peak device memory", func(g *cells.Aggregate) string { return opt(g.GPUPeakMB) }},
			{"ollama_load_ms_median", "ms", "Ollama's load_duration", func(g *cells.Aggregate) string { return opt(g.OllamaLoadMS) }},
			{"params_millions_config_median", "1e6", "parameters as the config claims them", func(g *cells.Aggregate) string { return opt(g.ParamsMConfig) }},
			{"params_millions_measured_median", "1e6", "parameters as counted", func(g *cells.Aggregate) string { return opt(g.ParamsMMeasured) }},
			{"ttft_geomean_ms", "ms", "prefill: geometric mean of the scenarios' median times to the first token", func(g *cells.Aggregate) string { return opt(g.TTFTMS) }},
		}),

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

	table("hf_model_architecture.csv", "Shapes of the models, whatever runtime ran them (TR121's name is kept).", true, shapeRows,
		[]column[*cells.Model]{
			{"model", "", "name of the model", func(m *cells.Model) string { return m.Name }},
			{"config_path", "", "file that the shape was read from", func(m *cells.Model) string { return m.File }},
			{"n_layer", "", "transformer blocks", func(m *cells.Model) string { return whole(m.NLayer) }},
			{"n_embd", "", "width", func(m *cells.Model) string { return whole(m.NEmbd) }},
			{"n_head", "", "attention heads", func(m *cells.Model) string { return whole(m.NHead) }},
			{"n_inner", "", "width of the feed-forward layer", func(m *cells.Model) string { return whole(m.NFF) }},
			{"vocab_size", "tokens", "vocabulary", func(m *cells.Model) string { return whole(m.NVocab) }},
			{"n_positions", "tokens", "context length that the file states", func(m *cells.Model) string { return whole(m.NCtxTrain) }},
			{"n_head_kv", "", "key/value heads", func(m *cells.Model) string { return whole(m.NHeadKV) }},
			{"architecture", "", "architecture", func(m *cells.Model) string { return m.Architecture }},
			{"params_total", "", "all parameters", func(m *cells.Model) string { return whole(m.ParamsTotal) }},
			{"params_non_embedding", "", "parameters without embeddings", func(m *cells.Model) string { return whole(m.ParamsNonEmbedding) }},
			{"params_active", "", "parameters that one token uses", func(m *cells.Model) string { return whole(m.ParamsActive) }},
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

// cellRow is a cell with its model's facts.
type cellRow struct {
	*cells.Cell
	m *cells.Model
}

func cellRows(r *Result) []cellRow {
	models := map[cells.ModelKey]*cells.Model{}
	for i := range r.Models {
		models[cells.ModelKey{Backend: r.Models[i].Backend, Model: r.Models[i].Name}] = &r.Models[i]
	}
	var out []cellRow
	for i := range r.Cells {
		c := &r.Cells[i]
		out = append(out, cellRow{c, models[cells.ModelKey{Backend: c.Backend, Model: c.Model}]})
	}
	return out
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

// shapeRows has each model once: its shape is the same in every backend.
func shapeRows(r *Result) []*cells.Model {
	var out []*cells.Model
	seen := map[string]bool{}
	for i := range r.Models {
		if m := &r.Models[i]; m.NLayer > 0 && !seen[m.Name] {
			seen[m.Name] = true
			out = append(out, m)
		}
	}
	return out
}
