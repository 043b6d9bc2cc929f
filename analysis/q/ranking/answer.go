// Package ranking asks whether backends are ranked alike at every size: their order at each size, and for each pair the
// size at which they cross.
package ranking

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
)

// Answer is empty where no two backends did the same work.
type Answer struct {
	finding.Notes
	set *cells.Set

	Ranks     []Rank     `json:"ranks,omitempty"`
	Crossings []Crossing `json:"crossings,omitempty"`
}

// Ask ranks the backends of a run.
func Ask(c *cells.Set) *Answer {
	a := &Answer{set: c}
	for _, e := range events(c) {
		a.Ranks = append(a.Ranks, e.ranks()...)
		a.Crossings = append(a.Crossings, e.crossings()...)
	}
	return a
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("ranks.csv", "Backends that did the same work, by their times of each model. `__all__` joins the scenarios (geometric mean).", a.Ranks,
			`mode scenario model params_millions_effective rank backend batch_size typical_ms
			ratio_to_first ratio_to_first_ci_low ratio_to_first_ci_high told_from_first told_from_previous basis`),
		finding.TableOf("crossings.csv", "Each two backends that did the same work, over the sizes that both measured: where the one overtakes the other. Ratios are of the times, `backend` over `base_backend`.", a.Crossings,
			`base_backend backend batch_size differ_in mode scenario verdict faster_below faster_above size_millions size_ci_low size_ci_high
			n_sizes smallest_millions ratio_smallest ratio_smallest_ci_low ratio_smallest_ci_high
			largest_millions ratio_largest ratio_largest_ci_low ratio_largest_ci_high trend ratio_exponent ratio_exponent_ci_low ratio_exponent_ci_high
			law bend_p basis reason`),
	}
}
