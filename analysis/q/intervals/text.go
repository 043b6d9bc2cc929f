package intervals

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Sentences say what must not be used, and what the intervals stand on.
func (a *Answer) Sentences() (out []string) {
	n, ambiguous, invalid, processes := 0, 0, 0, 0
	var seen []string
	for _, c := range a.Cells {
		if c.Scenario == cells.AllScenarios {
			continue
		}
		n++
		switch c.Verdict {
		case record.VerdictAmbiguous:
			ambiguous++
		case record.VerdictInvalid:
			invalid++
		}
		if c.Basis == cells.BasisProcesses {
			processes++
		}
		for _, code := range c.Reasons {
			if !slices.Contains(seen, code) {
				seen = append(seen, code)
			}
		}
	}
	if ambiguous+invalid > 0 {
		s := fmt.Sprintf("**Doubts**: of %s %d are AMBIGUOUS and %d INVALID (%s)", doc.Count(n, "cell", "cells"), ambiguous, invalid, strings.ReplaceAll(doc.Join(seen), "_", "\\_"))
		if 2*invalid > n {
			s += ". **Do not use these numbers**: this machine was not free to measure"
		}
		out = append(out, s+". “How well each cell is known” has the reasons, and what to do about each.")
	}
	if a.States != nil {
		out = append(out, "**Two states**: "+a.States.seen()+a.States.effect()+". Medians and intervals are of the state before most calls where a cell has three processes in it; tails are of all calls.")
	}
	if processes == 0 && n > 0 {
		out = append(out, "Each cell was measured by **one process**: intervals say how its calls scatter, and nothing of what another process would take.")
	}
	return out
}

// Sections have the verdicts and the intervals.
func (a *Answer) Sections() []doc.Section {
	sec := doc.Section{Title: "How well each cell is known"}
	if len(a.Cells) == 0 {
		return nil
	}
	sec.Say("The interval of a cell is of this session: by t over the medians of its processes, one in each block of the sweep. On the basis “one process” it says how the calls of that process scatter; another process may differ by more. Shares are of the variance of one call: its own, its process's, its block's.")
	var advice doc.List
	for _, r := range reasons {
		if slices.ContainsFunc(a.Cells, func(c Cell) bool { return slices.Contains(c.Reasons, r.Code) }) {
			advice = append(advice, fmt.Sprintf("`%s`: %s. %s.", r.Code, doc.Text(r.Means), doc.Upper(doc.Text(r.Advice))))
		}
	}
	if len(advice) > 0 {
		sec.Add(advice)
	}
	a.auditText(&sec)
	t := doc.Table{Head: []string{"<model", "<backend", "<scenario", "<mode", "median (ms)", "95 % (ms)", "<basis", "processes", "calls", "share of the process", "of the block", "<verdict", "<reasons"}}
	doubtful := t
	for _, c := range a.Cells {
		row := []string{doc.Text(c.Model), prose.Of(c.Backend, c.BatchSize).String(), prose.Scenario(c.Scenario), prose.Mode(c.Mode), doc.NumberOf(c.MedianMS), doc.Numbers(c.CI),
			doc.OrNone(c.Basis), fmt.Sprint(c.Replicates), fmt.Sprint(c.Calls), doc.Fixed(c.ShareProcess, 2), doc.Fixed(c.ShareBlock, 2), c.Verdict, doc.OrNone(strings.Join(c.Reasons, " "))}
		t.Rows = append(t.Rows, row)
		if c.Verdict != record.VerdictValid && c.Scenario != cells.AllScenarios {
			doubtful.Rows = append(doubtful.Rows, row)
		}
	}
	if len(doubtful.Rows) > 0 {
		sec.FoldAbove(20, "Cells in doubt", doubtful)
	}
	sec.Fold(fmt.Sprintf("All cells (%d)", len(t.Rows)), t)
	return []doc.Section{sec}
}

// auditText says in one line whether the order explains times, and folds the figures.
func (a *Answer) auditText(sec *doc.Section) {
	if len(a.Audit) == 0 {
		return
	}
	percent := func(v *float64) string { return doc.Percent(v) + " %" }
	var said []string
	for _, x := range a.explains() {
		said = append(said, fmt.Sprintf("%s explains %s (%s by %s, p %s)", x.Factor, prose.Mode(x.Mode), percent(x.Effect), x.Per, doc.PValue(x.P)))
	}
	if len(said) == 0 {
		said = []string{"of what was asked (position in the block, time, canary, temperature, as far as known) nothing is shown to explain times beyond each cell's level"}
	}
	sec.Say("**Order**: %s. Each p is held against 5 %% over all %d.", doc.Join(said), len(a.Audit))
	t := doc.Table{Head: []string{"<mode", "<factor", "effect (%)", "<by", "95 % (%)", "p", "n", "<over"}}
	for _, x := range a.Audit {
		t.Rows = append(t.Rows, []string{prose.Mode(x.Mode), x.Factor, doc.Percent(x.Effect), x.Per, doc.Interval(stats.Scaled(x.CI, 100), 2), doc.PValue(x.P), fmt.Sprint(x.N), x.Over})
	}
	sec.Fold("Order audit", t)
}
