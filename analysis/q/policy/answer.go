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

	Axes     []Comparison `json:"axes,omitempty"`     // backends that differ in one setting
	Policies []Policy     `json:"policies,omitempty"` // the same over the sizes
	Batches  []Batch      `json:"batches,omitempty"`  // by sequences decoded together; empty where all calls have as many
	Builds   []Build      `json:"builds,omitempty"`   // programs that measured; empty where there is one
}

// asker puts the answer together.
type asker struct {
	*cells.Set
	out *Answer
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &asker{c, &Answer{set: c, Axes: compare(groups(samples(c)))}}
	a.out.Policies = a.policies(a.out.Axes)
	a.batches()
	a.mixedSettings()
	a.builds()
	return a.out
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("axes.csv", "Backends that differ in one setting, each with the first value of it (the least number, else the first of the plan): a row for each model, scenario and phase.", a.Axes,
			`axis base_value value at mode scenario model params_millions_effective base_backend backend base_n n base_median_ms median_ms
			ratio ratio_ci_low ratio_ci_high ratio_ci_within_process_low ratio_ci_within_process_high verdict basis`),
		finding.TableOf(File, "From which size on a choice changes a time by more than 10 %: backends that differ in one setting, over the sizes that both measured. A ratio is of the times, `to` over `from`; along batch_size of the times per sequence.", a.Policies,
			`choice from to at base_backend backend mode scenario effect verdict size_from_millions size_from_ci_low size_from_ci_high
			size_to_millions size_to_ci_low size_to_ci_high n_sizes smallest_millions ratio_smallest ratio_smallest_ci_low ratio_smallest_ci_high
			largest_millions ratio_largest ratio_largest_ci_low ratio_largest_ci_high trend ratio_exponent ratio_exponent_ci_low ratio_exponent_ci_high
			law bend_p basis reason`),
		finding.TableOf("batches.csv", "Decode by the number of sequences decoded together, where it varies.", a.Batches,
			`backend batch_size model params_millions_effective scenario n step_median_ms tokens_per_s_all tokens_per_s_each prefill_median_ms
			base_backend step_ratio step_ratio_ci_low step_ratio_ci_high tokens_per_s_ratio tokens_per_s_ratio_ci_low tokens_per_s_ratio_ci_high
			answers_compared answers_same answers_first_difference`),
	}
}
