package intervals

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
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
