package intervals

import (
	"fmt"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Sum is what the verdicts and intervals of all cells come to; a mean over scenarios is none of them.
type Sum struct {
	Cells      int     `json:"cells"`
	Valid      int     `json:"valid"`
	Ambiguous  int     `json:"ambiguous"`
	Invalid    int     `json:"invalid"`
	OneProcess int     `json:"one_process"` // whose interval is of one process's calls
	Doubts     []Doubt `json:"doubts,omitempty"`

	Half   *float64 `json:"half_width_median"` // of the 95 % intervals, over the cell's figure
	Widest *float64 `json:"half_width_widest"`

	widest *Cell
}

// Doubt is how many cells have a reason.
type Doubt struct {
	Reason string `json:"reason"`
	Cells  int    `json:"cells"`
}

// sum counts the cells, and warns of those in doubt and of what intervals stand on.
func (a *asker) sum() {
	s := &a.out.Sum
	var halves []float64
	by := map[string][]string{}
	for i := range a.out.Cells {
		c := &a.out.Cells[i]
		if c.Scenario == cells.AllScenarios {
			continue
		}
		s.Cells++
		switch c.Verdict {
		case record.VerdictAmbiguous:
			s.Ambiguous++
		case record.VerdictInvalid:
			s.Invalid++
		default:
			s.Valid++
		}
		if c.Basis == cells.BasisOne {
			s.OneProcess++
		}
		if c.CI != nil && c.MedianMS != nil && c.Verdict != record.VerdictInvalid {
			half := (c.CI.High - c.CI.Low) / 2 / *c.MedianMS
			if halves = append(halves, half); s.Widest == nil || half > *s.Widest {
				s.Widest, s.widest = &half, c
			}
		}
		for _, code := range c.Reasons {
			by[code] = append(by[code], fmt.Sprintf("%s %s %s %s", c.Backend, c.Model, c.Scenario, c.Mode))
		}
	}
	s.Half = stats.MedianOf(halves)
	if s.OneProcess > 0 {
		a.out.Warn("one_process", "cells", fmt.Sprintf("the intervals of %d of %d cells are within one process", s.OneProcess, s.Cells),
			"set replicates to 5: processes of one model differ by some percent, of which the calls of one process know nothing")
	}
	for _, r := range reasons {
		if where := by[r.Code]; where != nil {
			s.Doubts = append(s.Doubts, Doubt{r.Code, len(where)})
			a.out.Warn("doubtful_cells", r.Code, fmt.Sprintf("%s of %d: %s (%s)", words.Counted(len(where), "cell", "cells"), s.Cells, r.Means, words.List(first(where, 3), "and")), r.Advice)
		}
	}
}

// first are the first k of names, and how many more there are.
func first(names []string, k int) []string {
	if len(names) <= k+1 {
		return names
	}
	return append(slices.Clone(names[:k]), fmt.Sprintf("%d more", len(names)-k))
}
