package analysis

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/axes"
	"llmscale/runner/record"
)

// settings are what the record says of how it was measured.
func (r *Row) settings() axes.Settings { return axes.Of(&r.Record) }

// pace is hot or cold; "" where there was neither.
func (r *Row) pace() string {
	if r.Pace == nil {
		return ""
	}
	return *r.Pace
}

// depth is how many positions of the KV cache were in use before the call; older
// records have none.
func (r *Row) depth() int { return max(0, r.Depth) }

// learnDepths finds at which depth each scenario's calls begin, and the least of all.
func (a *analyzer) learnDepths() {
	a.depths = map[string]int{}
	for i := range a.run.Rows {
		r := &a.run.Rows[i]
		if d, seen := a.depths[r.Scenario]; !seen || r.depth() > d {
			a.depths[r.Scenario] = r.depth()
		}
	}
	first := true
	for _, d := range a.depths {
		if first || d < a.leastDepth {
			a.leastDepth, first = d, false
		}
	}
}

// joins reports whether a scenario is part of what joins scenarios. Those that begin
// deeper than the shallowest are not: a mean over depths is the time of none of them,
// and a tail over depths is their difference.
func (a *analyzer) joins(scenario string) bool { return a.depths[scenario] == a.leastDepth }

// joined are the scenarios that joins reports.
func (a *analyzer) joined() []string {
	return slices.DeleteFunc(slices.Clone(a.scenarios), func(sc string) bool { return !a.joins(sc) })
}

// mixedSettings warns of cells whose calls were not all measured in one way: a run
// that was resumed by another build, or on other terms.
func (a *analyzer) mixedSettings() {
	a.eachCell(func(k cellKey, m *Model, g *group) {
		if k.mode != record.ModeDecode || len(g.rows) == 0 {
			return
		}
		first := g.rows[0].settings()
		for _, r := range g.rows {
			if names := first.Differing(r.settings()); len(names) > 0 {
				a.warn("mixed_settings", strings.Join([]string{k.backend, m.Name, k.scenario}, " "),
					fmt.Sprintf("the calls of this cell differ in %s (sessions %d and %d): its median is of two things", strings.Join(names, ", "), g.rows[0].Session, r.Session),
					"measure the cell anew in one run, or compare the two builds as two backends (`program`)")
				return
			}
		}
	})
}

// CellsOf are the cells that a figure of a scenario stands on, or of AllScenarios:
// then those of the least depth.
func (r *Result) CellsOf(scenario string) []*Cell {
	least := 0
	for i := range r.Cells {
		if i == 0 || r.Cells[i].Depth < least {
			least = r.Cells[i].Depth
		}
	}
	var out []*Cell
	for i := range r.Cells {
		if c := &r.Cells[i]; c.Scenario == scenario || scenario == AllScenarios && c.Depth == least {
			out = append(out, c)
		}
	}
	return out
}
