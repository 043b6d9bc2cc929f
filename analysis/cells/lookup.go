package cells

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Group are the calls of a cell; nil where there are none.
func (set *Set) Group(k Key) *Group { return set.groups[k] }

// Group holds one cell's ok records, in run order.
type Group struct {
	Rows []*runs.Row // what medians and intervals are made of
	All  []*runs.Row // these and the disturbed ones that were left out: what tails and extremes are made of
	Cold []*runs.Row // warm-ups

	Disturbed *int // of All, those behind a canary far off; nil where none had a canary
	Kept      bool // too few processes have others: disturbed ones are in Rows
}

// Warm are the repetitions among Rows, which may have warm-ups too.
func (g *Group) Warm() (out []*runs.Row) {
	for _, r := range g.Rows {
		if !r.IsWarmup {
			out = append(out, r)
		}
	}
	return out
}

// Settings are those under which the group's first call was measured.
func (g *Group) Settings() Settings { return SettingsOf(g.Rows[0]) }

// ModelsOf lists a backend's models by size, those of unknown size last.
func (set *Set) ModelsOf(backend string) []*Model {
	return set.byBackend[backend]
}

// Backends are the names of the backends, in the order of the config.
func (set *Set) Backends() (names []string) {
	for _, s := range set.Series {
		if !slices.Contains(names, s.Backend) {
			names = append(names, s.Backend)
		}
	}
	return names
}

// Model is a model as a backend ran it; nil where the backend has none of that name.
func (set *Set) Model(backend, name string) *Model { return set.byKey[ModelKey{backend, name}] }

// CellsOf are all cells of a series.
func (set *Set) CellsOf(s Series) []*Cell { return set.cellsOf[s] }

// CellsOfModel are all cells of a model in a series.
func (set *Set) CellsOfModel(s Series, model string) []*Cell { return set.ofModel[s][model] }

// Aggregate is what joins a model's scenarios in one mode; nil where none counts.
func (set *Set) Aggregate(s Series, model, mode string) *Aggregate {
	return set.aggregates[aggregateKey{s, model, mode}]
}

// Measured reports whether any cell of the model has a measurement.
func (set *Set) Measured(s Series, model string) bool {
	return len(set.CellsOfModel(s, model)) > 0
}

// EachCell calls f for every cell with ok records, in the order of the tables:
// backend, batch, model by size, scenario, mode.
func (set *Set) EachCell(f func(k Key, m *Model, g *Group)) {
	set.EachScenario(func(at ScenarioKey, m *Model) {
		for _, mode := range set.Modes {
			k := at.Series.Key(at.Model, at.Scenario, mode)
			if g := set.groups[k]; g != nil {
				f(k, m, g)
			}
		}
	})
}

// EachScenario calls f for every model in every scenario, with records or
// without, in that order.
func (set *Set) EachScenario(f func(at ScenarioKey, m *Model)) {
	for _, s := range set.Series {
		for _, m := range set.ModelsOf(s.Backend) {
			for _, sc := range set.Scenarios {
				f(ScenarioKey{s, m.Name, sc}, m)
			}
		}
	}
}

// ByScenario are all records of each model in each scenario, whatever became of them.
func (set *Set) ByScenario() map[ScenarioKey][]*runs.Row {
	out := map[ScenarioKey][]*runs.Row{}
	for i := range set.Run.Rows {
		r := &set.Run.Rows[i]
		out[ScenarioKeyOf(r)] = append(out[ScenarioKeyOf(r)], r)
	}
	return out
}

// RowsOf are the calls that count.
func (set *Set) RowsOf(s Series, model, scenario, mode string) []*runs.Row {
	if g := set.Group(s.Key(model, scenario, mode)); g != nil {
		return g.Rows
	}
	return nil
}

// WholeSet has the scenarios that a model must have run in for its geometric mean
// to be compared with the others': the Largest set of any model. Counting them would
// not do: without the longest answers a mean is another one than without the
// shortest.
func (set *Set) WholeSet(s Series, mode string) []string {
	var all [][]string
	for _, m := range set.ModelsOf(s.Backend) {
		if g := set.Aggregate(s, m.Name, mode); g != nil {
			all = append(all, g.Scenarios)
		}
	}
	return Largest(all)
}

// Largest is the largest of sets of scenarios, of several such the one that comes
// most often.
func Largest(sets [][]string) (whole []string) {
	times := map[string]int{}
	for _, set := range sets {
		k := strings.Join(set, "\x00")
		times[k]++
		if len(set) > len(whole) || len(set) == len(whole) && times[k] > times[strings.Join(whole, "\x00")] {
			whole = set
		}
	}
	return whole
}

// AnswerLengths lists how many tokens the answers have that were decoded in what joins
// scenarios.
func (set *Set) AnswerLengths() []int {
	return answerLengths(set.CellsAt(AllScenarios, record.ModeDecode))
}

func answerLengths(cells []*Cell) []int {
	seen := map[int]bool{}
	for _, c := range cells {
		if n := c.AnswerTokens(); n != nil {
			seen[int(*n)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// MixedLengths is the warning of a figure that joins scenarios of different
// answer lengths.
func (set *Set) MixedLengths(s Series, mode, where string) (w finding.Warning, mixed bool) {
	apart := func(c *Cell) bool { return c.Mode != record.ModeDecode || !set.Joins(c.Scenario) }
	lengths := answerLengths(slices.DeleteFunc(slices.Clone(set.CellsOf(s)), apart))
	if mode == record.ModePrefill || len(lengths) < 2 {
		return w, false
	}
	return finding.Doubt("mixed_lengths", where,
		fmt.Sprintf("joins answers of %s tokens: a geometric mean over lengths is the time of none of them", strings.Trim(strings.ReplaceAll(fmt.Sprint(lengths), " ", ", "), "[]")),
		"read times, fixed costs and decode shares by scenario; the exponent over all lengths holds for each only where their own fits agree with it"), true
}

// Joins reports whether a scenario is part of what joins scenarios. Those that begin
// deeper than the shallowest are not: a mean over depths is the time of none of them,
// and a tail over depths is their difference.
func (set *Set) Joins(scenario string) bool { return set.depths[scenario] == set.leastDepth }

// LeastDepth is how many positions of the KV cache are in use before the calls of what
// Joins reports.
func (set *Set) LeastDepth() int { return set.leastDepth }

// Joined are the scenarios that joins reports.
func (set *Set) Joined() []string {
	return slices.DeleteFunc(slices.Clone(set.Scenarios), func(sc string) bool { return !set.Joins(sc) })
}

// Cell is the summary of a cell; nil where no call of it counts.
func (set *Set) Cell(s Series, model, scenario, mode string) *Cell {
	if i, ok := set.cells[s.Key(model, scenario, mode)]; ok {
		return &set.Cells[i]
	}
	return nil
}

// CellsAt are the cells of a mode in a scenario, or in all that AllScenarios joins.
func (set *Set) CellsAt(scenario, mode string) []*Cell {
	var out []*Cell
	for i := range set.Cells {
		if c := &set.Cells[i]; c.Mode == mode && (c.Scenario == scenario || scenario == AllScenarios && set.Joins(c.Scenario)) {
			out = append(out, c)
		}
	}
	return out
}

// AnswerLength is how many tokens all answers of a scenario have, or of those that
// AllScenarios joins; 0 where they differ or nothing tells.
func (set *Set) AnswerLength(scenario, mode string) int {
	n := 0.0
	for _, c := range set.CellsAt(scenario, mode) {
		v := c.AnswerTokens()
		if v == nil {
			continue
		}
		if n != 0 && n != *v {
			return 0
		}
		n = *v
	}
	return int(n)
}
