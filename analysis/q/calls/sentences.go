package calls

import (
	"fmt"
	"slices"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
)

// Sentences warn, with the answer, that calls were left out of it: first of builds that
// compute wrong results, then of prompts that a server had in its cache, then of what
// else spoilt any.
func (a *Answer) Sentences() (out []string) {
	repeated, wrong, spoilt := a.invalidKinds()
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
func (a *Answer) invalidKinds() (repeated, wrong, spoilt []InvalidCell) {
	for _, c := range a.Invalid {
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

func wrongSentence(cells []InvalidCell) string {
	if len(cells) == 0 {
		return ""
	}
	var pairs []string
	for _, c := range cells {
		if s := doc.Text(c.Model) + " on " + prose.Of(c.Backend, c.BatchSize).String(); !slices.Contains(pairs, s) {
			pairs = append(pairs, s)
		}
	}
	return fmt.Sprintf("**Wrong results**: with a batch of tokens this build computes other logits than with the same tokens one by one (%s): its calls are **INVALID** and left out of everything here, however fast they were. They are listed under “Calls that do not count”.", doc.Join(pairs))
}

func repeatedSentence(cells []InvalidCell) string {
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
		if b := prose.Of(c.Backend, c.BatchSize).String(); !slices.Contains(backends, b) {
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

func spoiltSentence(cells []InvalidCell) string {
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
