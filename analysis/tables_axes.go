package analysis

import (
	"strconv"

	"llmscale/analysis/axes"
	"llmscale/analysis/stats"
)

// axisTables compare backends that differ in one setting.
var axisTables = []Table{
	table("axes.csv", "Backends that differ in one setting, each with the first value of it (the least number, else the first of the plan): a row for each model, scenario and phase.", true,
		func(r *Result) []*axes.Comparison { return pointers(r.Axes) },
		[]column[*axes.Comparison]{
			{"axis", "", "the setting", func(c *axes.Comparison) string { return c.Axis }},
			{"base_value", "", "its first value", func(c *axes.Comparison) string { return c.Base }},
			{"value", "", "the value that is compared with it", func(c *axes.Comparison) string { return c.Value }},
			{"at", "", "settings that both have and others of the run have not", func(c *axes.Comparison) string { return c.At }},
			{"mode", "", "prefill or kv_decode", func(c *axes.Comparison) string { return c.Mode }},
			{"scenario", "", "name of the scenario", func(c *axes.Comparison) string { return c.Scenario }},
			{"model", "", "name of the model", func(c *axes.Comparison) string { return c.Model }},
			{"params_millions_effective", "1e6", "parameters", func(c *axes.Comparison) string { return opt(c.ParamsM) }},
			{"base_backend", "", "backend of the first value", func(c *axes.Comparison) string { return c.BaseBackend }},
			{"backend", "", "backend of the value", func(c *axes.Comparison) string { return c.Backend }},
			{"base_n", "calls", "calls of the first", func(c *axes.Comparison) string { return strconv.Itoa(c.BaseN) }},
			{"n", "calls", "calls of the other", func(c *axes.Comparison) string { return strconv.Itoa(c.N) }},
			{"base_median_ms", "ms", "median prefill, or decode step, of the first", func(c *axes.Comparison) string { return num(c.BaseMS) }},
			{"median_ms", "ms", "the same of the other", func(c *axes.Comparison) string { return num(c.MS) }},
			{"ratio", "", "of the times, over the first's; along batch_size of the times per sequence", func(c *axes.Comparison) string { return num(c.Ratio) }},
		},
		bounds("ratio_ci", "", "its 95 % interval, with what processes differ by", func(c *axes.Comparison) *stats.Interval { return c.RatioCI }),
		bounds("ratio_ci_within_process", "", "its 95 % interval from the calls alone, which are of one process each", func(c *axes.Comparison) *stats.Interval { return c.WithinCI }),
		[]column[*axes.Comparison]{
			{"verdict", "", "faster, slower, no difference shown (ratio_ci holds 1) or unknown (too few calls)", func(c *axes.Comparison) string { return c.Verdict }},
		}),

	table("best_threads.csv", "Each number of threads that a model was measured with, all else equal: decode by `threads`, prefill by `threads_batch`.", true, threadRows,
		[]column[threadRow]{
			{"mode", "", "prefill or kv_decode", func(r threadRow) string { return r.of.Mode }},
			{"scenario", "", "name of the scenario", func(r threadRow) string { return r.of.Scenario }},
			{"model", "", "name of the model", func(r threadRow) string { return r.of.Model }},
			{"params_millions_effective", "1e6", "parameters", func(r threadRow) string { return opt(r.of.ParamsM) }},
			{"weight_type", "", "type that holds most of the weights", func(r threadRow) string { return r.of.WeightType }},
			{"at", "", "settings that all of these have and others of the run have not", func(r threadRow) string { return r.of.At }},
			{"best", "threads", "with which the median is least", func(r threadRow) string { return strconv.Itoa(r.of.Best) }},
			{"fewest_not_shown_slower", "threads", "the fewest that are not shown to be slower than that", func(r threadRow) string { return strconv.Itoa(r.of.Fewest) }},
			{"backend", "", "name of the backend", func(r threadRow) string { return r.Backend }},
			{"threads", "threads", "that computed this phase", func(r threadRow) string { return strconv.Itoa(r.Threads) }},
			{"n", "calls", "calls", func(r threadRow) string { return strconv.Itoa(r.N) }},
			{"median_ms", "ms", "median prefill, or decode step", func(r threadRow) string { return num(r.MS) }},
			{"ratio_to_best", "", "of the times", func(r threadRow) string { return num(r.Ratio) }},
		},
		bounds("ratio_to_best_ci", "", "its 95 % interval, with what processes differ by", func(r threadRow) *stats.Interval { return r.RatioCI }),
		[]column[threadRow]{
			{"verdict", "", "slower than the best, no difference shown, or unknown", func(r threadRow) string { return r.Verdict }},
			{"gain_per_thread", "", "by how much each thread more raises the speed, up to the next number measured; empty at the largest, beyond which nothing was measured", func(r threadRow) string { return opt(r.Gain) }},
		},
		bounds("gain_per_thread_ci", "", "its 95 % interval, with what processes differ by", func(r threadRow) *stats.Interval { return r.GainCI })),

	table("batches.csv", "Decode by the number of sequences decoded together, where it varies.", true,
		func(r *Result) []*Batch { return pointers(r.Batches) },
		[]column[*Batch]{
			{"backend", "", "name of the backend", func(b *Batch) string { return b.Backend }},
			{"batch_size", "sequences", "sequences decoded together", func(b *Batch) string { return strconv.Itoa(b.BatchSize) }},
			{"model", "", "name of the model", func(b *Batch) string { return b.Model }},
			{"params_millions_effective", "1e6", "parameters", func(b *Batch) string { return opt(b.ParamsM) }},
			{"scenario", "", "name of the scenario", func(b *Batch) string { return b.Scenario }},
			{"n", "calls", "calls", func(b *Batch) string { return strconv.Itoa(b.N) }},
			{"step_median_ms", "ms", "one decode step of all sequences", func(b *Batch) string { return num(b.StepMS) }},
			{"tokens_per_s_all", "tokens/s", "decoded by all sequences", func(b *Batch) string { return num(b.TokensPerS) }},
			{"tokens_per_s_each", "tokens/s", "by one of them", func(b *Batch) string { return num(b.EachPerS) }},
			{"prefill_median_ms", "ms", "prefill of all prompts", func(b *Batch) string { return opt(b.PrefillMS) }},
			{"base_backend", "", "backend of the least batch, all else equal", func(b *Batch) string { return b.Base }},
			{"step_ratio", "", "step over that backend's", func(b *Batch) string { return opt(b.StepRatio) }},
		},
		bounds("step_ratio_ci", "", "its 95 % interval, with what processes differ by", func(b *Batch) *stats.Interval { return b.StepCI }),
		[]column[*Batch]{
			{"tokens_per_s_ratio", "", "tokens_per_s_all over that backend's", func(b *Batch) string { return opt(b.AllRatio) }},
		},
		bounds("tokens_per_s_ratio_ci", "", "its 95 % interval, likewise", func(b *Batch) *stats.Interval { return b.AllCI }),
		[]column[*Batch]{
			{"answers_compared", "calls", "whose first sequence has the prompt that the same call of that backend has", func(b *Batch) string { return strconv.Itoa(b.Compared) }},
			{"answers_same", "calls", "of these, whose first sequence answers with the same tokens", func(b *Batch) string { return strconv.Itoa(b.Same) }},
			{"answers_first_difference", "tokens", "the first token, from 0, at which one of the others parts", func(b *Batch) string {
				if b.FirstDifference == nil {
					return ""
				}
				return strconv.Itoa(*b.FirstDifference)
			}},
		}),
}

// threadRow is a number of threads with what it is one of.
type threadRow struct {
	axes.ThreadCount
	of *axes.BestThreads
}

func threadRows(r *Result) []threadRow {
	var out []threadRow
	for i := range r.Threads {
		for _, c := range r.Threads[i].Counts {
			out = append(out, threadRow{c, &r.Threads[i]})
		}
	}
	return out
}
