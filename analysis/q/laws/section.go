package laws

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/law"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// Place is by which the report knows the section.
const Place = "Laws"

// Sections have the laws, with their figures.
func (a *Answer) Sections() []doc.Section {
	sec := doc.Section{Title: a.title(), Place: Place}
	t := doc.Table{Wrap: true, Head: []string{"<mode", "<backend", "<x", "models", "<law", "<verdict", "leave-one-out error", "weight", "<rivals", "<break"}}
	scenarios := doc.Table{Wrap: true, Head: []string{"<mode", "<backend", "<scenario", "models", "<law", "<verdict", "leave-one-out error"}}
	for i := range a.Answers.Laws {
		f := &a.Answers.Laws[i]
		backend := prose.Of(f.Backend, f.BatchSize).String()
		if f.Of != "" {
			backend += " (" + doc.Text(f.Of) + ")"
		}
		what, loo, weight := "unknown: "+doc.Text(f.Why), doc.Unknown, doc.Unknown
		if f.Law != nil {
			what = strings.ReplaceAll(f.does(f.Law), "**", "")
			if !math.IsNaN(f.Law.LOO) {
				loo = percent(f.Law.LOO)
			}
			if f.Law.Weight > 0 {
				weight = doc.Fixed(&f.Law.Weight, 2)
			}
		}
		verdict := map[string]string{law.Leads: "leads", law.Unsure: "cannot tell", law.TooFew: "too few sizes", Withheld: "exponent withheld", Flat: "does not grow", Unclear: "unknown"}[f.Verdict]
		if f.Verdict == Withheld && !f.axes[f.at].whole {
			verdict += ": " + doc.Text(f.Stray.Model) + " left out"
		}
		if f.Scenario != cells.AllScenarios {
			scenarios.Rows = append(scenarios.Rows, []string{prose.Mode(f.Mode), backend, doc.Text(f.Scenario), fmt.Sprint(len(f.Models)), what, verdict, loo})
			continue
		}
		var rivals []string
		for _, r := range f.Rivals {
			rivals = append(rivals, name(r))
		}
		t.Rows = append(t.Rows, []string{prose.Mode(f.Mode), backend, short(f.over()), fmt.Sprint(len(f.Models)), what, verdict, loo, weight, doc.OrNone(words(rivals)), f.breakText()})
	}
	if len(t.Rows)+len(scenarios.Rows) == 0 {
		return nil
	}
	sec.Say("Laws compete on equal terms: least squares of the logarithm of time, models weigh alike. One leads where its AICc is 2 lower than that of each other, and none of the others has less than 0.9 of its leave-one-out error.")
	sec.Add(t, doc.Pictures(KindLaw))
	sec.Fold("All laws", a.allLaws())
	if rows := a.axesTable(); len(rows.Rows) > 0 {
		sec.Fold("Which measure of size", rows)
	}
	if len(scenarios.Rows) > 0 {
		sec.Fold("Laws per scenario", scenarios)
	}
	for _, f := range a.Of(record.ModeDecode) {
		if len(f.Apart) > 0 {
			sec.Say("Of %s no law holds %s: too few of their kind.", prose.Of(f.Backend, f.BatchSize), doc.Text(strings.Join(f.Apart, ", ")))
		}
	}
	return []doc.Section{sec}
}

// title is what was found of decode, in a few words.
func (a *Answer) title() string {
	found := map[string]int{}
	var order []string
	for _, f := range a.Of(record.ModeDecode) {
		s := "law unknown"
		switch {
		case f.Verdict == Flat:
			s = "no growth"
		case f.Verdict == Withheld:
			s = "exponent withheld, " + f.Stray.Model + " makes it"
		case f.Verdict == law.Leads && f.Law.Form == law.Power:
			e := f.Law.Param("exponent").Value
			s = fmt.Sprintf("%s to the power %s", short(f.over()), doc.Fixed(&e, 2))
		case f.Verdict == law.Leads:
			s = strings.TrimPrefix(name(f.Law.Form), "a ")
		}
		if found[s]++; found[s] == 1 {
			order = append(order, s)
		}
	}
	if len(order) == 0 {
		return Place
	}
	const most = 3
	if len(order) > most {
		return fmt.Sprintf("Decode follows %d laws on %d backends", len(order), len(a.Of(record.ModeDecode)))
	}
	return "Decode time: " + strings.Join(order, "; ")
}

// breakText says whether the exponent changes at a size.
func (f *Finding) breakText() string {
	b := f.Breaks
	if b == nil {
		return doc.Unknown
	}
	at := doc.Number(b.At[0])
	if b.CI[0] != nil {
		at += " (95 % " + doc.Numbers(b.CI[0]) + ")"
	}
	switch f.Break {
	case "none":
		return "none shown (p " + doc.PValue(&b.P[0]) + ")"
	case "shown":
		return "at " + at
	}
	return "bends; a break would be at " + at
}

// allLaws has each law of decode and of prefill over all scenarios, on the axis that leads.
func (a *Answer) allLaws() doc.Table {
	t := doc.Table{Wrap: true, Head: []string{"<mode", "<backend", "<law", "models", "<what it says", "leave-one-out error", "AICc", "weight"}}
	for i := range a.Answers.Laws {
		f := &a.Answers.Laws[i]
		if f.Scenario != cells.AllScenarios {
			continue
		}
		for _, l := range f.axes[f.at].best().Laws {
			loo, aicc, weight := doc.Unknown, doc.Unknown, doc.Unknown
			if !math.IsNaN(l.LOO) {
				loo = percent(l.LOO)
			}
			if !math.IsInf(l.AICc, 1) {
				aicc, weight = doc.Fixed(&l.AICc, 1), doc.Fixed(&l.Weight, 3)
			}
			t.Rows = append(t.Rows, []string{prose.Mode(f.Mode), prose.Of(f.Backend, f.BatchSize).String(), name(l.Form), fmt.Sprint(l.N), strings.ReplaceAll(f.does(l), "**", ""), loo, aicc, weight})
		}
	}
	return t
}

// axesTable has the best law over each axis.
func (a *Answer) axesTable() doc.Table {
	t := doc.Table{Wrap: true, Head: []string{"<mode", "<backend", "<x", "models", "<best law", "leave-one-out error", "<told over it"}}
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, f := range a.Of(mode) {
			if len(f.axes) < 2 {
				continue
			}
			for i := range f.axes {
				o := &f.axes[i]
				l := o.all.Leader()
				if l == nil || math.IsNaN(l.LOO) {
					continue
				}
				told := "no"
				if i == f.at {
					told = map[string]string{law.Leads: "yes: the least error", law.Unsure: "yes; others are not shown to be worse"}[f.AxisVerdict]
				}
				t.Rows = append(t.Rows, []string{prose.Mode(mode), prose.Of(f.Backend, f.BatchSize).String(), short(o.axis), fmt.Sprint(l.N), name(l.Form), percent(l.LOO), told})
			}
		}
	}
	return t
}
