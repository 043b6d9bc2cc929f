// Package policy asks which setting is faster: backends that differ in one setting,
// all else equal, are compared cell by cell, and along the sizes.
package policy

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
)

// Answer is empty where the backends of a run differ in no setting, or in several at
// once.
type Answer struct {
	finding.Notes
	set *cells.Set

	Axes       []Comparison  `json:"axes,omitempty"`         // backends that differ in one setting
	AxisTrends []Trend       `json:"axis_trends,omitempty"`  // the same over the sizes
	Threads    []BestThreads `json:"best_threads,omitempty"` // empty where the number of threads does not vary
	Batches    []Batch       `json:"batches,omitempty"`      // by sequences decoded together; empty where all calls have as many
	Builds     []Build       `json:"builds,omitempty"`       // programs that measured; empty where there is one
}

// asker puts the answer together.
type asker struct {
	*cells.Set
	out *Answer
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	all := groups(samples(c))
	a := &asker{c, &Answer{set: c, Axes: compare(all), Threads: findBestThreads(all)}}
	a.out.AxisTrends = Trends(a.out.Axes)
	a.batches()
	a.mixedSettings()
	a.builds()
	return a.out
}

// threadRow is a number of threads with what it is one of.
type threadRow struct {
	*BestThreads
	*ThreadCount
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	var threads []threadRow
	for i := range a.Threads {
		b := &a.Threads[i]
		for j := range b.Counts {
			threads = append(threads, threadRow{b, &b.Counts[j]})
		}
	}
	return []finding.Table{
		finding.TableOf("axes.csv", "Backends that differ in one setting, each with the first value of it (the least number, else the first of the plan): a row for each model, scenario and phase.", a.Axes,
			`axis base_value value at mode scenario model params_millions_effective base_backend backend base_n n base_median_ms median_ms
			ratio ratio_ci_low ratio_ci_high ratio_ci_within_process_low ratio_ci_within_process_high verdict basis`),
		finding.TableOf("best_threads.csv", "Each number of threads that a model was measured with, all else equal: decode by `threads`, prefill by `threads_batch`.", threads,
			`mode scenario model params_millions_effective weight_type at best fewest_not_shown_slower backend threads n median_ms
			ratio_to_best ratio_to_best_ci_low ratio_to_best_ci_high verdict gain_per_thread gain_per_thread_ci_low gain_per_thread_ci_high`),
		finding.TableOf("batches.csv", "Decode by the number of sequences decoded together, where it varies.", a.Batches,
			`backend batch_size model params_millions_effective scenario n step_median_ms tokens_per_s_all tokens_per_s_each prefill_median_ms
			base_backend step_ratio step_ratio_ci_low step_ratio_ci_high tokens_per_s_ratio tokens_per_s_ratio_ci_low tokens_per_s_ratio_ci_high
			answers_compared answers_same answers_first_difference`),
	}
}
