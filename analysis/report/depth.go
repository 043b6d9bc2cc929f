package report

import (
	"fmt"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/runner/record"
)

// depthNote says which scenarios the means over scenarios leave out.
func (w *writer) depthNote() string {
	whole := w.r.CellsOf(cells.AllScenarios)
	if len(whole) == 0 || len(whole) == len(w.r.Cells) {
		return ""
	}
	var deep []string
	for _, c := range w.r.Cells {
		if name := doc.Text(c.Scenario); c.Depth > whole[0].Depth && !slices.Contains(deep, name) {
			deep = append(deep, name)
		}
	}
	return fmt.Sprintf("What joins scenarios, here and below, is of those at depth %d: %s stand alone (“Decode by depth”).", whole[0].Depth, doc.Join(deep))
}

// paceNote says what came before each timed call.
func (w *writer) paceNote() string {
	var names []string
	backends := map[string][]string{}
	cold := false
	for _, c := range w.r.Cells {
		cold = cold || c.PrefillColdMS != nil
		if c.Pace == "" {
			continue
		}
		if backends[c.Pace] == nil {
			names = append(names, c.Pace)
		}
		if b := doc.Text(c.Backend); !slices.Contains(backends[c.Pace], b) {
			backends[c.Pace] = append(backends[c.Pace], b)
		}
	}
	if len(names) == 0 {
		return ""
	}
	says := func(p string) string {
		if p == record.PaceHot {
			return "**hot**: untimed work of the same kind comes right before"
		}
		return fmt.Sprintf("**%s**: after a pause", doc.Text(p))
	}
	s := "Timed calls are "
	for i, p := range names {
		if i > 0 {
			s += "; "
		}
		s += says(p)
		if len(names) > 1 {
			s += fmt.Sprintf(" (%s)", doc.Join(backends[p]))
		}
	}
	s += "."
	if cold {
		s += " “Cold prefill” is the first after the pause between calls: what a request meets that comes after a pause, where hot is what requests back to back meet."
	}
	return s
}
