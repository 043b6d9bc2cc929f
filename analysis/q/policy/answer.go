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
	return a.out
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("axes.csv", "Backends that differ in one setting, each with the first value of it (the least number, else the first of the plan): a row for each model, scenario and phase.", a.Axes, ""),
		finding.TableOf(File, "From which size on a choice changes a time by more than 10 %: backends that differ in one setting, over the sizes that both measured. A ratio is of the times, `to` over `from`; along batch_size of the times per sequence.", a.Policies, ""),
		finding.TableOf("batches.csv", "Decode by the number of sequences decoded together, where it varies.", a.Batches, ""),
	}
}
