package analysis

import (
	"slices"
	"strconv"

	"llmscale/analysis/q/scaling"
)

// ofOllama makes a table's items of one of Ollama's lists; none without Ollama.
func ofOllama[T any](list func(*Ollama) []T) func(*Result) []*T {
	return func(r *Result) []*T {
		if r.Ollama == nil {
			return nil
		}
		return pointers(list(r.Ollama))
	}
}

// ollamaTables are about answers that Ollama ended early, and its model loads.
var ollamaTables = []Table{
	table("scaling_fits_length_limited.csv", "The fits of decode and end-to-end over those answers alone that ran to the target length.", true,
		ofOllama(func(o *Ollama) []scaling.Fit { return o.LengthLimited }),
		slices.Concat(fitColumns(), []column[*scaling.Fit]{{"filter", "", "which rows were kept", func(f *scaling.Fit) string { return f.Filter }}})),

	table("ollama_warmup_breakdown.csv", "Prefill of warm-ups and repetitions, without and with Ollama's load_duration.", true,
		ofOllama(func(o *Ollama) []OllamaWarmup { return o.Warmups }),
		[]column[*OllamaWarmup]{
			{"backend", "", "name of the backend", func(w *OllamaWarmup) string { return w.Backend }},
			{"model", "", "name of the model", func(w *OllamaWarmup) string { return w.Model }},
			{"scenario", "", "name of the scenario", func(w *OllamaWarmup) string { return w.Scenario }},
			{"warmup_n", "calls", "warm-ups", func(w *OllamaWarmup) string { return strconv.Itoa(w.WarmupN) }},
			{"warmup_prefill_infer_median_ms", "ms", "prompt_eval_duration", func(w *OllamaWarmup) string { return opt(w.WarmupInferMS) }},
			{"warmup_load_median_ms", "ms", "load_duration", func(w *OllamaWarmup) string { return opt(w.WarmupLoadMS) }},
			{"warmup_prefill_total_median_ms", "ms", "their sum", func(w *OllamaWarmup) string { return opt(w.WarmupTotalMS) }},
			{"measured_n", "calls", "repetitions", func(w *OllamaWarmup) string { return strconv.Itoa(w.MeasuredN) }},
			{"measured_prefill_infer_median_ms", "ms", "prompt_eval_duration", func(w *OllamaWarmup) string { return opt(w.MeasuredInferMS) }},
			{"measured_load_median_ms", "ms", "load_duration", func(w *OllamaWarmup) string { return opt(w.MeasuredLoadMS) }},
			{"measured_prefill_total_median_ms", "ms", "their sum", func(w *OllamaWarmup) string { return opt(w.MeasuredTotalMS) }},
			{"warmup_ratio_infer_only", "", "warm-up over measured, inference alone", func(w *OllamaWarmup) string { return opt(w.RatioInfer) }},
			{"warmup_ratio_total_including_load", "", "warm-up over measured, with the load", func(w *OllamaWarmup) string { return opt(w.RatioTotal) }},
		}),

	table("ollama_early_stop_summary.csv", "Answers that ended before the target length.", true,
		ofOllama(func(o *Ollama) []OllamaEarlyStop { return o.EarlyStops }),
		[]column[*OllamaEarlyStop]{
			{"backend", "", "name of the backend", func(e *OllamaEarlyStop) string { return e.Backend }},
			{"model", "", "name of the model", func(e *OllamaEarlyStop) string { return e.Model }},
			{"scenario", "", "name of the scenario", func(e *OllamaEarlyStop) string { return e.Scenario }},
			{"n", "calls", "answers", func(e *OllamaEarlyStop) string { return strconv.Itoa(e.N) }},
			{"params_millions_effective", "1e6", "parameters", func(e *OllamaEarlyStop) string { return opt(e.ParamsM) }},
			{"gen_tokens_target", "tokens", "tokens asked for", func(e *OllamaEarlyStop) string { return opt(e.Target) }},
			{"gen_tokens_raw_median", "tokens", "tokens really decoded", func(e *OllamaEarlyStop) string { return opt(e.RawMedian) }},
			{"early_stop_rate", "", "share of answers shorter than the target", func(e *OllamaEarlyStop) string { return opt(e.EarlyStopRate) }},
			{"done_reason_mode", "", "most frequent done_reason", func(e *OllamaEarlyStop) string { return e.DoneReasonMode }},
		}),

	table("ollama_decode_linearity.csv", "eval_ms = a + b * eval_count over a model's calls.", true,
		ofOllama(func(o *Ollama) []OllamaLinearity { return o.Linearity }),
		[]column[*OllamaLinearity]{
			{"backend", "", "name of the backend", func(l *OllamaLinearity) string { return l.Backend }},
			{"model", "", "name of the model", func(l *OllamaLinearity) string { return l.Model }},
			{"params_millions_effective", "1e6", "parameters", func(l *OllamaLinearity) string { return opt(l.ParamsM) }},
			{"n", "calls", "calls", func(l *OllamaLinearity) string { return strconv.Itoa(l.N) }},
			{"gen_tokens_target", "tokens", "tokens asked for", func(l *OllamaLinearity) string { return opt(l.Target) }},
			{"a_ms", "ms", "fixed part", func(l *OllamaLinearity) string { return opt(l.A) }},
			{"b_ms_per_token", "ms/token", "time per token", func(l *OllamaLinearity) string { return opt(l.B) }},
			{"r2", "", "R2", func(l *OllamaLinearity) string { return opt(l.R2) }},
			{"affine_ms_at_target", "ms", "the line at the target length", func(l *OllamaLinearity) string { return opt(l.AffineMS) }},
			{"gen_tokens_raw_min", "tokens", "shortest answer", func(l *OllamaLinearity) string { return opt(l.RawMin) }},
			{"gen_tokens_raw_median", "tokens", "median answer", func(l *OllamaLinearity) string { return opt(l.RawMedian) }},
			{"gen_tokens_raw_max", "tokens", "longest answer", func(l *OllamaLinearity) string { return opt(l.RawMax) }},
		}),

	table("ollama_decode_projection_error.csv", "Decode time scaled in proportion to the target length, less the line's at that length.", true,
		ofOllama(func(o *Ollama) []OllamaProjection { return o.Projections }),
		[]column[*OllamaProjection]{
			{"backend", "", "name of the backend", func(p *OllamaProjection) string { return p.Backend }},
			{"model", "", "name of the model", func(p *OllamaProjection) string { return p.Model }},
			{"params_millions_effective", "1e6", "parameters", func(p *OllamaProjection) string { return opt(p.ParamsM) }},
			{"n", "calls", "calls", func(p *OllamaProjection) string { return strconv.Itoa(p.N) }},
			{"projection_error_median_ms", "ms", "median", func(p *OllamaProjection) string { return opt(p.MedianMS) }},
			{"projection_error_p95_ms", "ms", "95th percentile; `too few` below 130 calls", func(p *OllamaProjection) string { return p.P95MS.String() }},
			{"projection_error_min_ms", "ms", "least", func(p *OllamaProjection) string { return opt(p.MinMS) }},
			{"projection_error_max_ms", "ms", "greatest", func(p *OllamaProjection) string { return opt(p.MaxMS) }},
		}),
}
