package analysis

import (
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// pairColumns name what every table of a native and an Ollama backend begins with.
func pairColumns[T any](native, ollama func(T) string, batch func(T) int) []column[T] {
	return []column[T]{
		{"native_backend", "", "name of the native backend", native},
		{"ollama_backend", "", "name of the Ollama backend", ollama},
		{"batch_size", "sequences", "sequences decoded together", func(v T) string { return strconv.Itoa(batch(v)) }},
	}
}

// besideColumns are those of one clock's time and its ratio.
func besideColumns(stem, what, against string, of func(*Crosscheck) *Beside) []column[*Crosscheck] {
	return slices.Concat([]column[*Crosscheck]{
		{stem + "_n", "calls", what + ": calls that count and have it", func(c *Crosscheck) string { return strconv.Itoa(of(c).N) }},
		{stem + "_median_ms", "ms", "median", func(c *Crosscheck) string { return opt(of(c).MS) }},
		{stem + "_over_native", "", "its ratio to " + against, func(c *Crosscheck) string { return opt(of(c).Ratio) }},
	}, bounds(stem+"_over_native_ci_within_process", "", "95 % interval of the ratio, from the calls of one process on either side", func(c *Crosscheck) *stats.Interval { return of(c).RatioCI }),
		[]column[*Crosscheck]{{stem + "_reason", "", "why there is no ratio or no interval", func(c *Crosscheck) string { return of(c).Reason }}})
}

func optBool(v *bool) string {
	if v == nil {
		return ""
	}
	return strconv.FormatBool(*v)
}

func optInt(v *int) string { return opt(cells.Float(v)) }

// benchOf is nothing where llama-bench did not measure.
func benchOf(c *Crosscheck) BenchFact {
	if c.BenchRun == nil {
		return BenchFact{}
	}
	return *c.BenchRun
}

// crosscheckTables set Ollama beside the native backend.
var crosscheckTables = []Table{
	table("ollama_crosscheck.csv", "Each phase as Ollama's HTTP API, the native backend and llama-bench measured it, for the same file (SHA-256) on the same device. Only calls that count.", true,
		func(r *Result) []*Crosscheck { return pointers(r.Crosscheck) },
		pairColumns(func(c *Crosscheck) string { return c.Native }, func(c *Crosscheck) string { return c.Ollama }, func(c *Crosscheck) int { return c.BatchSize }),
		[]column[*Crosscheck]{
			{"model", "", "name of the model", func(c *Crosscheck) string { return c.Model }},
			{"params_millions_effective", "1e6", "parameters", func(c *Crosscheck) string { return opt(c.ParamsM) }},
			{"weight_type", "", "type that holds most of the weights", func(c *Crosscheck) string { return c.WeightType }},
			{"device", "", "device", func(c *Crosscheck) string { return c.Device }},
			{"native_n_threads", "", "native's threads for decode", func(c *Crosscheck) string { return whole(c.NativeThreads) }},
			{"ollama_n_threads", "", "threads asked of Ollama", func(c *Crosscheck) string { return whole(c.OllamaThreads) }},
			{"scenario", "", "name of the scenario", func(c *Crosscheck) string { return c.Scenario }},
			{"phase", "", "prefill or kv_decode", func(c *Crosscheck) string { return c.Phase }},
			{"prompt_tokens", "tokens", "prompt as native evaluated it", func(c *Crosscheck) string { return opt(c.PromptTokens) }},
			{"ollama_prompt_tokens", "tokens", "prompt as Ollama counts it", func(c *Crosscheck) string { return opt(c.OllamaPrompt) }},
			{"gen_tokens", "tokens", "tokens decoded", func(c *Crosscheck) string { return opt(c.GenTokens) }},
			{"native_n", "calls", "native calls that count", func(c *Crosscheck) string { return strconv.Itoa(c.NativeN) }},
			{"native_median_ms", "ms", "native: median prefill_ms, or decode_no_sampling_ms", func(c *Crosscheck) string { return opt(c.NativeMS) }},
		},
		besideColumns("ollama", "Ollama's own counters (prompt_eval_duration, or eval_duration scaled to the target length), which hold no sampling", "native_median_ms", func(c *Crosscheck) *Beside { return &c.Counters }),
		[]column[*Crosscheck]{
			{"native_with_sampling_median_ms", "ms", "native: median ttft_ms, or kv_decode_ms, which hold sampling", func(c *Crosscheck) string { return opt(c.Client.NativeMS) }},
		},
		besideColumns("client", "the client's clock through Ollama (to the first piece of text, or from there to the last, for as many steps as the target has)", "native_with_sampling_median_ms", func(c *Crosscheck) *Beside { return &c.Client }),
		besideColumns("llama_bench", "llama-bench on the same file", "native_median_ms", func(c *Crosscheck) *Beside { return &c.Bench }),
		[]column[*Crosscheck]{
			{"llama_bench_depth", "tokens", "positions of the KV cache in use before; 0 for decode where llama-bench did not run at the prompt's length", func(c *Crosscheck) string {
				if c.BenchRun == nil {
					return ""
				}
				return strconv.Itoa(c.BenchRun.Depth)
			}},
			{"llama_bench_commit", "", "its llama.cpp", func(c *Crosscheck) string { return benchOf(c).Commit }},
			{"llama_bench_differs", "", "its settings that are not native's", func(c *Crosscheck) string { return strings.Join(benchOf(c).Differ, "; ") }},
			{"ollama_projected_share", "", "decode: share of calls whose answer ended early and was scaled to the target", func(c *Crosscheck) string { return opt(c.Projected) }},
			{"native_invalid", "calls", "native repetitions left out: this phase is INVALID", func(c *Crosscheck) string { return strconv.Itoa(c.InvalidNative) }},
			{"ollama_invalid", "calls", "Ollama's repetitions left out: this phase is INVALID", func(c *Crosscheck) string { return strconv.Itoa(c.InvalidOllama) }},
			{"ollama_weights_equal", "", "whether the server says that it loads this very file; empty where it does not say", func(c *Crosscheck) string { return optBool(c.SameWeights) }},
			{"ollama_settings_differ", "", "settings that are not, or not known to be, native's", func(c *Crosscheck) string { return strings.Join(c.Differ, "; ") }},
			{"records_differ", "", "settings in which the records of the two differ", func(c *Crosscheck) string { return strings.Join(c.RecordsDiffer, "; ") }},
		}),

	table("ollama_gap_laws.csv", "Ollama less native = fixed_ms + share_of_native * native's time over the sizes, weighted with one over native's time squared; per token for decode, per call for prefill.", true,
		func(r *Result) []*GapLaw { return pointers(r.GapLaws) },
		pairColumns(func(l *GapLaw) string { return l.Native }, func(l *GapLaw) string { return l.Ollama }, func(l *GapLaw) int { return l.BatchSize }),
		[]column[*GapLaw]{
			{"scenario", "", "scenario, or `__all__` (arithmetic means over them, of models that have all)", func(l *GapLaw) string { return l.Scenario }},
			{"phase", "", "prefill or kv_decode", func(l *GapLaw) string { return l.Phase }},
			{"clock", "", "counters (Ollama's own) or client", func(l *GapLaw) string { return l.Clock }},
			{"n_models", "", "models", func(l *GapLaw) string { return strconv.Itoa(l.NModels) }},
			{"native_ms_min", "ms", "least native time", func(l *GapLaw) string { return num(l.NativeMinMS) }},
			{"native_ms_max", "ms", "greatest native time", func(l *GapLaw) string { return num(l.NativeMaxMS) }},
			{"gap_ms_min", "ms", "least gap", func(l *GapLaw) string { return num(l.GapMinMS) }},
			{"gap_ms_max", "ms", "greatest gap", func(l *GapLaw) string { return num(l.GapMaxMS) }},
			{"fixed_ms", "ms", "part of the gap that is the same for all sizes", func(l *GapLaw) string { return opt(l.FixedMS) }},
		},
		bounds("fixed_t_ci_ms", "ms", "its 95 % t-interval", func(l *GapLaw) *stats.Interval { return l.FixedT }),
		[]column[*GapLaw]{
			{"share_of_native", "", "part of the gap that is in proportion to native's time", func(l *GapLaw) string { return opt(l.Share) }},
		},
		bounds("share_of_native_t_ci", "", "its 95 % t-interval", func(l *GapLaw) *stats.Interval { return l.ShareT }),
		[]column[*GapLaw]{
			{"spearman_rho", "", "rank correlation of the gap in ms with native's time", func(l *GapLaw) string { return opt(l.Rho) }},
			{"spearman_p", "", "its p, exact where there are few sizes", func(l *GapLaw) string { return opt(l.P) }},
			{"verdict", "", "fixed, proportional, both, not_identified or unknown", func(l *GapLaw) string { return l.Verdict }},
			{"why", "", "what the verdict rests on", func(l *GapLaw) string { return l.Why }},
		}),

	table("ollama_gap.csv", "Where the time of a call through Ollama goes, beside the same work done natively: medians over the calls that have all parts, ran to the target length and count as end-to-end times.", true,
		func(r *Result) []*OllamaGap { return pointers(r.OllamaGaps) },
		pairColumns(func(g *OllamaGap) string { return g.Native }, func(g *OllamaGap) string { return g.Ollama }, func(g *OllamaGap) int { return g.BatchSize }),
		[]column[*OllamaGap]{
			{"model", "", "name of the model", func(g *OllamaGap) string { return g.Model }},
			{"params_millions_effective", "1e6", "parameters", func(g *OllamaGap) string { return opt(g.ParamsM) }},
			{"scenario", "", "name of the scenario", func(g *OllamaGap) string { return g.Scenario }},
			{"gen_tokens", "tokens", "tokens decoded", func(g *OllamaGap) string { return opt(g.GenTokens) }},
			{"ollama_n", "calls", "calls through Ollama", func(g *OllamaGap) string { return strconv.Itoa(g.N) }},
			{"wall_ms", "ms", "client: from before the request to the end of the stream", func(g *OllamaGap) string { return opt(g.WallMS) }},
			{"http_ms", "ms", "wall less total_duration: HTTP and the client", func(g *OllamaGap) string { return opt(g.HTTPMS) }},
			{"scheduling_ms", "ms", "load_duration of a model that is loaded: scheduling, and reading the metadata of its file again", func(g *OllamaGap) string { return opt(g.LoadMS) }},
			{"tokenize_ms", "ms", "the same text by this program's own tokeniser, in place of the server's, which is not told; empty where it was not timed and is in rest_ms", func(g *OllamaGap) string { return opt(g.TokenizeMS) }},
			{"prompt_eval_ms", "ms", "prompt_eval_duration", func(g *OllamaGap) string { return opt(g.PromptEvalMS) }},
			{"eval_ms", "ms", "eval_duration", func(g *OllamaGap) string { return opt(g.EvalMS) }},
			{"rest_ms", "ms", "what is left of total_duration: sampling, making text, JSON, the way between the server and its runner process", func(g *OllamaGap) string { return opt(g.RestMS) }},
			{"parts_ms", "ms", "the sum of these medians, from http_ms on", func(g *OllamaGap) string { return opt(g.PartsMS) }},
			{"parts_over_wall", "", "parts_ms / wall_ms: the parts of each call add up, their medians nearly", func(g *OllamaGap) string { return opt(g.PartsOfWall) }},
			{"native_n", "calls", "native calls", func(g *OllamaGap) string { return strconv.Itoa(g.NativeN) }},
			{"native_e2e_ms", "ms", "native: median e2e_kv_ms", func(g *OllamaGap) string { return opt(g.NativeE2EMS) }},
			{"native_prefill_ms", "ms", "native: median prefill", func(g *OllamaGap) string { return opt(g.NativePrefillMS) }},
			{"native_decode_ms", "ms", "native: median decode without sampling", func(g *OllamaGap) string { return opt(g.NativeDecodeMS) }},
			{"native_sampling_ms", "ms", "native: median of the sums of first_sampling_ns and token_sampling_ns", func(g *OllamaGap) string { return opt(g.NativeSamplingMS) }},
			{"added_ms", "ms", "wall_ms less native_e2e_ms", func(g *OllamaGap) string { return opt(g.AddedMS) }},
			{"added_ms_per_token", "ms/token", "the same over gen_tokens", func(g *OllamaGap) string { return opt(g.AddedPerToken) }},
			{"compute_added_ms", "ms", "of it: prompt_eval_ms and eval_ms less native's prefill and decode", func(g *OllamaGap) string { return opt(g.ComputeAddedMS) }},
			{"around_added_ms", "ms", "of it: everything else less native's sampling", func(g *OllamaGap) string { return opt(g.AroundAddedMS) }},
			{"http_and_rest_ms_per_token", "ms/token", "http_ms and rest_ms over gen_tokens: what each token costs beside computing", func(g *OllamaGap) string { return opt(g.RestPerToken) }},
			{"reason", "", "why there are no parts", func(g *OllamaGap) string { return g.Reason }},
		}),

	table("ollama_greedy.csv", "What a model answers to prompts of text by greedy decoding: native's tokens looked up one by one in Ollama's text, but for one leading blank that only one side has.", true,
		func(r *Result) []*OllamaGreedy { return pointers(r.OllamaGreedy) },
		pairColumns(func(g *OllamaGreedy) string { return g.Native }, func(g *OllamaGreedy) string { return g.Ollama }, func(g *OllamaGreedy) int { return g.BatchSize }),
		[]column[*OllamaGreedy]{
			{"model", "", "name of the model", func(g *OllamaGreedy) string { return g.Model }},
			{"params_millions_effective", "1e6", "parameters", func(g *OllamaGreedy) string { return opt(g.ParamsM) }},
			{"scenario", "", "name of the scenario", func(g *OllamaGreedy) string { return g.Scenario }},
			{"verdict", "", "equal (as far as both go), differs, not_comparable or unknown", func(g *OllamaGreedy) string { return g.Verdict }},
			{"native_tokens", "tokens", "tokens of native's answer", func(g *OllamaGreedy) string { return strconv.Itoa(g.NativeTokens) }},
			{"tokens_compared", "tokens", "of them, from the beginning, in Ollama's text too", func(g *OllamaGreedy) string { return strconv.Itoa(g.Compared) }},
			{"tokens_lost", "tokens", "of these, tokens that Ollama left out of its text because they are no whole characters", func(g *OllamaGreedy) string { return strconv.Itoa(g.Lost) }},
			{"first_differing_token", "", "index of the first one that is not, from 0", func(g *OllamaGreedy) string { return optInt(g.FirstDiffering) }},
			{"native_text_there", "", "that token, quoted", func(g *OllamaGreedy) string { return quoted(g.NativeText) }},
			{"ollama_text_there", "", "Ollama's text there, quoted", func(g *OllamaGreedy) string { return quoted(g.OllamaText) }},
			{"native_answers", "", "different answers of native over the calls", func(g *OllamaGreedy) string { return strconv.Itoa(g.NativeAnswers) }},
			{"ollama_answers", "", "different answers of Ollama over the calls", func(g *OllamaGreedy) string { return strconv.Itoa(g.OllamaAnswers) }},
			{"why", "", "what the verdict rests on", func(g *OllamaGreedy) string { return g.Why }},
		}),
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return strconv.Quote(s)
}
