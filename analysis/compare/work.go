package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// work is what both sides did.
type work struct {
	cells     []CellID // by phase, size of the model, scenario
	params    map[string]*float64
	differs   []Difference
	absent    []Absent
	invalid   map[CellID]string // of which the figures are not to be used: by what
	meanwhile map[CellID]string // beside which something else went on, on either side: what
	notes     []string
}

const (
	maxNamed   = 6 // settings, or names, of a list
	maxUnequal = 3 // differences that an error names
)

func list(names []string) string {
	return text.List(stats.Map(names, func(n string) string { return strconv.Quote(n) }), "and")
}

func runID(set *cells.Set) string {
	if id := set.Run.Manifest.Text("run_id"); id != "" || len(set.Run.Rows) == 0 {
		return id
	}
	return set.Run.Rows[0].RunID
}

// started tells runs of one id apart: of two machines, in one second.
func started(set *cells.Set) string {
	if len(set.Run.Rows) == 0 {
		return ""
	}
	return fmt.Sprint(set.Run.Rows[0].StartedAt)
}

// finished refuses a backend that the run has not, and a run that is not finished: what
// was left out of a block is not left out by chance.
func finished(set *cells.Set, backend string) error {
	dir := text.Arg(set.Run.Dir)
	if have := set.Backends(); !slices.Contains(have, backend) {
		if near := text.Nearest(backend, have); near != "" {
			return fmt.Errorf("compare: %s has no backend %q; did you mean %q? It has %s", dir, backend, near, list(have))
		}
		return fmt.Errorf("compare: %s has no backend %q; it has %s", dir, backend, list(have))
	}
	if n := set.Counts.Repetitions; n != nil && n.Missing() > 0 {
		return fmt.Errorf("compare: %s is unfinished: %d of its %d repetitions were not made; %s", dir, n.Missing(), n.Planned, set.Run.Finish())
	}
	return nil
}

// commonWork finds the cells that every run of both sides has, and refuses them where
// they are not of the same work.
func commonWork(base, other Side) (*work, error) {
	w := &work{params: map[string]*float64{}, invalid: map[CellID]string{}, meanwhile: map[CellID]string{}}
	all := map[CellID]bool{}
	var order []CellID
	sides := []Side{base, other}
	for _, s := range sides {
		for _, set := range s.Runs {
			set.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
				id := CellID{k.Model, k.Scenario, k.Mode, k.BatchSize}
				if k.Backend == s.Backend && slices.Contains(Phases, k.Mode) && len(g.Rows) > 0 && !all[id] {
					all[id] = true
					order = append(order, id)
					if w.params[id.Model] == nil {
						w.params[id.Model] = m.ParamsMillions
					}
				}
			})
		}
	}
	slices.SortStableFunc(order, func(x, y CellID) int {
		return cmp.Or(slices.Index(Phases, x.Mode)-slices.Index(Phases, y.Mode), cmp.Compare(cells.OrInf(w.params[x.Model]), cells.OrInf(w.params[y.Model])))
	})
	for _, id := range order {
		if lacks := lacking(id, sides); lacks != "" {
			w.absent = append(w.absent, Absent{id.Mode, id.Model, id.scenario(), "not measured by " + lacks})
			continue
		}
		w.cells = append(w.cells, id)
	}
	if len(w.cells) == 0 {
		return nil, fmt.Errorf("compare: nothing that both measured: %s; %s", has(base), has(other))
	}
	w.judge(sides)
	return w, w.check(base, other)
}

// judge takes over what is said of each cell by itself.
func (w *work) judge(sides []Side) {
	asked := map[*cells.Set]*intervals.Answer{}
	doubtful, of := 0, 0
	doubts := map[string]int{}
	for _, s := range sides {
		for _, set := range s.Runs {
			if asked[set] == nil {
				asked[set] = intervals.Ask(set)
			}
			for _, id := range w.cells {
				c := asked[set].Cell(id.key(s.Backend))
				if c == nil {
					continue
				}
				of++
				codes := c.Meanwhile()
				if g := set.Group(id.key(s.Backend)); g != nil && !g.Kept { // its disturbed calls are in no median
					codes = slices.DeleteFunc(codes, func(code string) bool { return code == intervals.Disturbed.Code })
				}
				if len(codes) > 0 {
					w.meanwhile[id] = fmt.Sprintf("AMBIGUOUS on %s: %s", s.Backend, text.List(codes, "and"))
				}
				// That a cell alone is known badly says nothing of a difference inside blocks.
				reasons := slices.DeleteFunc(slices.Clone(c.Reasons), func(r string) bool { return r == intervals.Wide.Code || r == intervals.NoInterval.Code })
				switch {
				case c.Verdict == record.VerdictInvalid:
					w.invalid[id] = fmt.Sprintf("INVALID on %s: %s", s.Backend, text.List(c.Reasons, "and"))
				case len(reasons) > 0:
					doubtful++
				}
				for _, r := range reasons {
					doubts[r]++
				}
			}
		}
	}
	if doubtful > 0 {
		codes := slices.SortedFunc(maps.Keys(doubts), func(x, y string) int { return cmp.Or(doubts[y]-doubts[x], strings.Compare(x, y)) })
		w.notes = append(w.notes, fmt.Sprintf("%d of %d cells of both sides are AMBIGUOUS by themselves, most for %s; the report's cell_intervals.csv has them", doubtful, of, codes[0]))
	}
}

// inOrder joins cells, in the order of all.
func inOrder(all, some, others []CellID) []CellID {
	return slices.DeleteFunc(slices.Clone(all), func(id CellID) bool { return !slices.Contains(some, id) && !slices.Contains(others, id) })
}

// lacking names the side that has not measured a cell in one of its runs.
func lacking(id CellID, sides []Side) string {
	for _, s := range sides {
		for _, set := range s.Runs {
			if len(set.RowsOf(id.key(s.Backend).Series, id.Model, id.Scenario, id.Mode)) == 0 {
				if len(s.Runs) > 1 || sides[0].Backend == sides[1].Backend {
					return s.Backend + " in " + set.Run.Dir
				}
				return s.Backend
			}
		}
	}
	return ""
}

// has says what a side measured.
func has(s Side) string {
	var models, scenarios, batches []string
	add := func(to *[]string, v string) {
		if !slices.Contains(*to, v) {
			*to = append(*to, v)
		}
	}
	for _, set := range s.Runs {
		set.EachCell(func(k cells.Key, _ *cells.Model, g *cells.Group) {
			if k.Backend == s.Backend && len(g.Rows) > 0 {
				add(&models, k.Model)
				add(&scenarios, k.Scenario)
				add(&batches, strconv.Itoa(k.BatchSize))
			}
		})
	}
	if len(models) == 0 {
		return s.Backend + " has no call that counts"
	}
	return fmt.Sprintf("%s has the models %s, the scenarios %s, batch size %s", s.Backend, some(models), some(scenarios), text.List(batches, "and"))
}

// some are the first few of many.
func some(names []string) string {
	if n := len(names); n > maxNamed {
		return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", n-maxNamed)
	}
	return text.List(names, "and")
}

// scenarios counts the scenarios, those of another batch size apart.
func (w *work) scenarios() int {
	seen := map[string]bool{}
	for _, id := range w.cells {
		seen[id.scenario()] = true
	}
	return len(seen)
}

// scenario names the cell's scenario, and the batch where there is one.
func (id CellID) scenario() string {
	if id.Batch > 1 {
		return fmt.Sprintf("%s, batch %d", id.Scenario, id.Batch)
	}
	return id.Scenario
}
