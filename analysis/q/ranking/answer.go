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
		finding.TableOf("ranks.csv", "Backends that did the same work, by their times of each model. `__all__` joins the scenarios (geometric mean).", a.Ranks, ""),
		finding.TableOf("crossings.csv", "Each two backends that did the same work, over the sizes that both measured: where the one overtakes the other. Ratios are of the times, `backend` over `base_backend`.", a.Crossings, ""),
	}
}
