package report

import (
	"fmt"
	"strings"

	"llmscale/analysis"
)

// invalidSentence warns, with the answer, that calls were left out of it.
func (w *writer) invalidSentence() string {
	if len(w.r.Invalid) == 0 {
		return ""
	}
	calls, cells, lost := 0, 0, 0
	for _, c := range w.r.Invalid {
		calls += c.Repetitions
		cells++
		if c.Valid == 0 && c.Repetitions > 0 {
			lost++
		}
	}
	s := fmt.Sprintf("**INVALID**: %s of %s were spoilt on this machine and are left out of everything here", count(calls, "repetition", "repetitions"), count(cells, "cell", "cells"))
	switch {
	case lost == cells && cells == 1:
		s += "; the cell has no figure"
	case lost > 0:
		s += fmt.Sprintf("; %d of these cells %s no figure", lost, map[bool]string{true: "has", false: "have"}[lost == 1])
	}
	return s + ". They are listed under “Calls that do not count”."
}

// verdicts lists the calls that something spoilt, and why.
func (w *writer) verdicts() {
	if len(w.r.Invalid) == 0 {
		return
	}
	w.doc.section("Calls that do not count")
	w.doc.say("Something spoilt these calls while they were measured; their verdict is INVALID. They are in runs.jsonl, and in no summary, fit, percentile or plot. A cell without a repetition that counts has no figure. What to do: end what disturbed them (the reason names it), or choose another GPU with CUDA_VISIBLE_DEVICES, and go on with --resume, which makes these calls again.")
	t := table{wrap: true, head: []string{"<model", "<backend", "parameters (millions)", "<scenario", "invalid repetitions", "invalid warm-ups", "repetitions that count", "<reason"}}
	for _, c := range w.r.Invalid {
		t.rows = append(t.rows, []string{text(c.Model), series(c.Backend, c.BatchSize), sizeOf(c.ParamsM), text(c.Scenario),
			fmt.Sprint(c.Repetitions), fmt.Sprint(c.Warmups), validText(c), orNone(strings.Join(c.Reasons, "; "))})
	}
	w.doc.add(t)
}

func validText(c analysis.InvalidCell) string {
	if c.Valid == 0 {
		return "none: no figure"
	}
	return fmt.Sprint(c.Valid)
}
