package report

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// saidHere are the warnings whose matter rows of this section, or of that on failures, tell.
var saidHere = []string{"doubtful_cells", "invalid_calls", "failed_cell"}

// trust says which figures may be used, and what went wrong: the doubts that no other
// section has.
func (w *writer) trust() {
	known, spoilt := analysis.Get[intervals.Answer](w.r), analysis.Get[calls.Answer](w.r)
	sec := doc.Section{Title: known.Sum.Says().Text, Place: "Trust"}
	said := []string{w.lost(spoilt), known.Sum.Widths(), known.Explained()}
	if n := w.r.Counts.DisturbedCalls; n > 0 {
		said = append(said, fmt.Sprintf("%s in tails alone: before them the machine was in another state.", doc.Count(n, "call counts", "calls count")))
	}
	said = slices.DeleteFunc(said, func(s string) bool { return s == "" })
	sec.Add(doc.Paragraph(strings.Join(said, " ")))
	if t := w.doubts(known, spoilt); len(t.Rows) > 0 {
		sec.Show(t, "warnings.json")
	}
	if t := known.Doubtful(); len(t.Rows) > 0 {
		sec.Fold(fmt.Sprintf("Cells in doubt (%d); cell_intervals.csv has all", len(t.Rows)), t)
	}
	if t := spoilt.SaidTable(); len(t.Rows) > 0 {
		sec.Fold("What the models said", t)
	}
	w.add(sec)
}

// lost says how many calls gave no figure.
func (w *writer) lost(spoilt *calls.Answer) string {
	failed := len(analysis.Get[failures.Answer](w.r).Failed)
	invalid := 0
	for _, c := range spoilt.Invalid {
		invalid += c.Repetitions
	}
	switch {
	case w.r.Counts.Records == 0:
		return "No record says that a cell ran or failed."
	case invalid > 0:
		return fmt.Sprintf("%s INVALID and left out: verdicts.csv.", doc.Count(invalid, "call is", "calls are"))
	case failed == 0:
		return "Nothing failed, and no call is INVALID."
	}
	return "No call is INVALID."
}

// doubts has a row for each kind of doubt, the gravest first.
func (w *writer) doubts(known *intervals.Answer, spoilt *calls.Answer) doc.Table {
	t := doc.Table{Wrap: true, Head: []string{"<doubt", "<how often", "<seen", "<what to do"}}
	add := func(code, often, seen, advice string) {
		t.Rows = append(t.Rows, []string{doc.Text(strings.ReplaceAll(code, "_", " ")), often, doc.Text(seen), doc.OrNone(advice)})
	}
	for _, s := range spoilt.Spoilt() {
		add("INVALID: "+s.Code, doc.Count(s.Cells, "cell", "cells"), s.Seen, s.Advice)
	}
	for _, d := range known.Sum.Doubts {
		if r := intervals.ReasonOf(d.Reason); r != intervals.CallsInvalid {
			add(r.Code, fmt.Sprintf("%d of %s", d.Cells, doc.Count(known.Sum.Cells, "cell", "cells")), r.Means, r.Advice)
		}
	}
	rest := slices.DeleteFunc(w.left(), func(x finding.Warning) bool { return slices.Contains(saidHere, x.Code) })
	type kind struct{ code, advice string }
	kinds, of := stats.GroupBy(rest, func(x finding.Warning) kind { return kind{x.Code, x.Advice} })
	for _, k := range kinds {
		first := of[k][0]
		add(k.code, doc.Count(len(of[k]), "time", "times"), about(first), k.advice)
	}
	return t
}

// about is a warning with its place, unless that is the whole run.
func about(x finding.Warning) string {
	switch x.Where {
	case "", "run", "cells", record.ThisMachine:
		return x.Text
	}
	return x.Where + ": " + x.Text
}
