package calls

import (
	"fmt"
	"slices"
	"strings"

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

// Sections show an answer of each model, and list the calls that something spoilt.
func (a *Answer) Sections() []doc.Section {
	return []doc.Section{a.saidSection(), a.spoiltSection(), a.outlierSection()}
}

// outlierSection counts the outliers by what was behind them.
func (a *Answer) outlierSection() doc.Section {
	sec := doc.Section{Title: "Outliers"}
	if len(a.Outliers) == 0 {
		return sec
	}
	by := map[string]int{}
	for _, o := range a.Outliers {
		by[o.Cause]++
	}
	sec.Say("%s far from the others of their process, in one mode each. Before %d of them the canary was far off as well, so that the machine was disturbed, and they are in no median; before %d it was not, so that the program itself was slow or fast; before %d there was none. `outliers.csv` lists them.",
		doc.Count(len(a.Outliers), "call lies", "calls lie"), by[CauseDisturbed], by[CauseOwn], by[CauseUnknown])
	return sec
}

// spoiltSection lists the calls that something spoilt, and why.
func (a *Answer) spoiltSection() doc.Section {
	sec := doc.Section{Title: "Calls that do not count"}
	if len(a.Invalid) == 0 {
		return sec
	}
	sec.Say("Something spoilt these calls while they were measured, in all modes or in some; there their verdict is INVALID. They are in runs.jsonl, and in no summary, fit, percentile or plot. A mode without a repetition that counts has no figure. What to do:")
	var advice doc.List
	for i := range a.Invalid {
		if s := doc.Upper(doc.Text(a.Invalid[i].Advice())) + "."; !slices.Contains(advice, s) {
			advice = append(advice, s)
		}
	}
	sec.Add(advice)
	t := doc.Table{Wrap: true, Head: []string{"<model", "<backend", "parameters (millions)", "<scenario", "<modes", "invalid repetitions", "invalid warm-ups", "repetitions that count", "<reason"}}
	for _, c := range a.Invalid {
		var modes []string
		for _, m := range c.Modes {
			modes = append(modes, prose.Mode(m))
		}
		t.Rows = append(t.Rows, []string{doc.Text(c.Model), prose.Of(c.Backend, c.BatchSize).String(), doc.SizeOf(c.ParamsM), doc.Text(c.Scenario), doc.OrPlain(doc.Join(modes)),
			fmt.Sprint(c.Repetitions), fmt.Sprint(c.Warmups), validText(c), doc.OrNone(strings.Join(c.Reasons, "; "))})
	}
	sec.Add(t)
	return sec
}

func validText(c InvalidCell) string {
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

// saidLimit is how much of a prompt or an answer is shown, in characters.
const saidLimit = 300

// saidSection shows an answer of each model that came as a file, so that a reader sees
// whether it computes sense.
func (a *Answer) saidSection() doc.Section {
	sec := doc.Section{Title: "What the models said"}
	if len(a.Said) == 0 {
		return sec
	}
	t := doc.Table{Wrap: true, Head: []string{"<model", "<backend", "<prompt", "<answer"}}
	for _, s := range a.Said {
		t.Rows = append(t.Rows, []string{doc.Text(s.Model), doc.Text(s.Backend), doc.OrNone(shorten(s.Prompt, saidLimit)), doc.OrNone(shorten(s.Output, saidLimit))})
	}
	sec.Say("One answer of each model that came as a file, by greedy decoding and as long as the run asked for. It shows that the model computes sense; it does not measure quality.")
	sec.Add(t)
	return sec
}

// shorten cuts one line of s to n characters.
func shorten(s string, n int) string {
	r := []rune(doc.Clean(s))
	if len(r) <= n {
		return string(r)
	}
	return strings.TrimSpace(string(r[:n])) + "…"
}
