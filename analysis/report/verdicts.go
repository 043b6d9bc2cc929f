package report

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/prose"
)

// invalidSentences warn, with the answer, that calls were left out of it: first of
// builds that compute wrong results, then of prompts that a server had in its cache,
// then of what else spoilt any.
func (w *writer) invalidSentences() (out doc.List) {
	repeated, wrong, spoilt := w.invalidKinds()
	if s := wrongSentence(wrong); s != "" {
		out = append(out, s)
	}
	if s := repeatedSentence(repeated); s != "" {
		out = append(out, s)
	}
	if s := spoiltSentence(spoilt); s != "" {
		out = append(out, s)
	}
	return out
}

// invalidKinds tells the cells whose build failed its self-check, and those whose
// prompts were cached and of whose calls a mode counts, from the others.
func (w *writer) invalidKinds() (repeated, wrong, spoilt []calls.InvalidCell) {
	for _, c := range w.calls().Invalid {
		switch {
		case c.Wrong():
			wrong = append(wrong, c)
		case c.Repeated() && c.Partly > 0:
			repeated = append(repeated, c)
		default:
			spoilt = append(spoilt, c)
		}
	}
	return repeated, wrong, spoilt
}

func wrongSentence(cells []calls.InvalidCell) string {
	if len(cells) == 0 {
		return ""
	}
	var pairs []string
	for _, c := range cells {
		if s := doc.Text(c.Model) + " on " + series(c.Backend, c.BatchSize); !slices.Contains(pairs, s) {
			pairs = append(pairs, s)
		}
	}
	return fmt.Sprintf("**Wrong results**: with a batch of tokens this build computes other logits than with the same tokens one by one (%s): its calls are **INVALID** and left out of everything here, however fast they were. They are listed under “Calls that do not count”.", doc.Join(pairs))
}

func repeatedSentence(cells []calls.InvalidCell) string {
	if len(cells) == 0 {
		return ""
	}
	calls, without := 0, 0
	var scenarios, backends []string
	for _, c := range cells {
		calls += c.Partly
		if len(c.NoFigure) > 0 {
			without++
		}
		if s := doc.Text(c.Scenario); !slices.Contains(scenarios, s) {
			scenarios = append(scenarios, s)
		}
		if b := series(c.Backend, c.BatchSize); !slices.Contains(backends, b) {
			backends = append(backends, b)
		}
	}
	s := fmt.Sprintf("**Repeated prompts**: the server of %s had prompts of %s in its cache, so that prefill and end-to-end time of %s are **INVALID** and left out of everything here; their decode counts",
		doc.Join(backends), doc.Join(scenarios), doc.Count(calls, "repetition", "repetitions"))
	if without > 0 {
		s += fmt.Sprintf(". %s no prefill figure", doc.Count(without, "cell has", "cells have"))
	}
	return s + ". Scenarios with prompt_tokens have another prompt for each call. They are listed under “Calls that do not count”."
}

func spoiltSentence(cells []calls.InvalidCell) string {
	if len(cells) == 0 {
		return ""
	}
	calls, lost, partly := 0, 0, 0
	for _, c := range cells {
		calls += c.Repetitions
		partly += c.Partly
		if c.Valid == 0 && c.Repetitions > 0 {
			lost++
		}
	}
	s := fmt.Sprintf("**INVALID**: %s of %s were spoilt on this machine and are left out of everything here", doc.Count(calls, "repetition", "repetitions"), doc.Count(len(cells), "cell", "cells"))
	if partly > 0 {
		s += fmt.Sprintf(", %d of them in some modes only", partly)
	}
	switch {
	case lost == len(cells) && lost == 1:
		s += "; the cell has no figure"
	case lost > 0:
		s += fmt.Sprintf("; %d of these cells %s no figure", lost, map[bool]string{true: "has", false: "have"}[lost == 1])
	}
	return s + ". They are listed under “Calls that do not count”."
}

// verdicts lists the calls that something spoilt, and why.
func (w *writer) verdicts() {
	if len(w.calls().Invalid) == 0 {
		return
	}
	w.doc.Section("Calls that do not count")
	w.doc.Say("Something spoilt these calls while they were measured, in all modes or in some; there their verdict is INVALID. They are in runs.jsonl, and in no summary, fit, percentile or plot. A mode without a repetition that counts has no figure. What to do:")
	var advice doc.List
	for i := range w.calls().Invalid {
		if s := doc.Upper(doc.Text(w.calls().Invalid[i].Advice())) + "."; !slices.Contains(advice, s) {
			advice = append(advice, s)
		}
	}
	w.doc.Add(advice)
	t := doc.Table{Wrap: true, Head: []string{"<model", "<backend", "parameters (millions)", "<scenario", "<modes", "invalid repetitions", "invalid warm-ups", "repetitions that count", "<reason"}}
	for _, c := range w.calls().Invalid {
		var modes []string
		for _, m := range c.Modes {
			modes = append(modes, prose.Mode(m))
		}
		t.Rows = append(t.Rows, []string{doc.Text(c.Model), series(c.Backend, c.BatchSize), doc.SizeOf(c.ParamsM), doc.Text(c.Scenario), doc.OrPlain(doc.Join(modes)),
			fmt.Sprint(c.Repetitions), fmt.Sprint(c.Warmups), validText(c), doc.OrNone(strings.Join(c.Reasons, "; "))})
	}
	w.doc.Add(t)
}

func validText(c calls.InvalidCell) string {
	switch {
	case c.Valid == 0:
		return "none: no figure"
	case len(c.NoFigure) > 0:
		var modes []string
		for _, m := range c.NoFigure {
			modes = append(modes, prose.Mode(m))
		}
		return fmt.Sprintf("%d, none in %s", c.Valid, doc.Join(modes))
	}
	return fmt.Sprint(c.Valid)
}
