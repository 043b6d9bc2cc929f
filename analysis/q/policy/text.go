package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Sections have which settings matter, and from which size on.
func (a *Answer) Sections() []doc.Section {
	if len(a.Policies) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: "Settings", Warned: []string{"mixed_settings"}}
	sec.Say("A choice matters where more than 10 %% of a time are shown to depend on it. In brackets are 95 %% intervals%s.", prose.Within(a.Policies[0].Basis))
	rows := a.told()
	sec.Title += best(rows).finding()
	sec.Show(a.policyTable(rows), File)
	if len(a.Batches) > 0 {
		sec.Say("Steps, tokens per second and answers of each batch: analysis/batches.csv.")
	}
	return []doc.Section{sec}
}

// title says which settings matter.
func (a *Answer) title() string {
	settings, by := stats.GroupBy(a.Said(), func(p *Policy) string { return p.Choice })
	where := func(setting string) string {
		_, of := stats.GroupBy(by[setting], func(p *Policy) string { return p.Verdict })
		switch {
		case len(of[Always]) > 0: // one value in one phase is enough
			return "at every size"
		case len(of[Never]) == len(by[setting]):
			return "at none"
		case len(of[Never])+len(of[Unknown]) == len(by[setting]):
			return "cannot be told"
		}
		return "at some sizes"
	}
	_, sorts := stats.GroupBy(settings, where)
	var parts []string
	for _, sort := range []string{"at every size", "at some sizes", "at none", "cannot be told"} {
		if len(sorts[sort]) > 0 {
			parts = append(parts, doc.Join(sorts[sort])+" "+sort)
		}
	}
	return "Settings that matter: " + strings.Join(parts, "; ")
}

// told is a choice in one phase: a row for each stretch of sizes at which it matters.
type told []*Policy

// strength orders choices: first those that are shown to matter, by the ratio at the largest size.
func (t told) strength() float64 {
	s := 0.0
	if p := t[0]; p.Large != nil {
		s = math.Abs(math.Log(*p.Large))
	}
	if t[0].Effect != "" {
		s += 1e3
	}
	return s
}

// best is the choice that makes the largest size faster most, decode before prefill; else the strongest.
func best(rows []told) told {
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		if i := slices.IndexFunc(rows, func(t told) bool { return t[0].Mode == mode && t[0].Effect == Faster && *t[0].Large < 1/Matters }); i >= 0 {
			return rows[i]
		}
	}
	return rows[0]
}

// finding is what a choice that matters comes to, to stand in a title.
func (t told) finding() string {
	p := t[0]
	if p.Effect == "" || p.LargeCI == nil {
		return ""
	}
	as := "times as fast as with"
	if p.Choice == cells.SettingBatchSize {
		as = "times the tokens per second of"
	}
	const column = File + " ratio_largest"
	return fmt.Sprintf(" (%s %s: %s %s %s %s%s)", p.Choice, p.Value, prose.Mode(p.Mode), prose.Times(*p.Large, column), as, p.Base, prose.AtSize(p.LargeM, column))
}

// told are the choices, the strongest first.
func (a *Answer) told() []told {
	type work struct {
		choice
		mode, scenario string
	}
	works, of := stats.GroupBy(a.Said(), func(p *Policy) work { return work{p.choice, p.Mode, p.Scenario} })
	rows := stats.Map(works, func(w work) told { return of[w] })
	slices.SortStableFunc(rows, func(x, y told) int { return cmp.Compare(y.strength(), x.strength()) })
	return rows
}

func (a *Answer) policyTable(rows []told) doc.Table {
	scenarios, _ := stats.GroupBy(a.Said(), func(p *Policy) string { return p.Scenario })
	column := func(head string, of func(p *Policy) string) doc.Column[told] {
		return doc.Column[told]{Head: head, Cell: func(t told) string { return of(t[0]) }}
	}
	t := doc.TableOf(rows, []doc.Column[told]{
		column("<choice", func(p *Policy) string { return doc.Text(p.Choice + " " + p.Value) }),
		column("<instead of", func(p *Policy) string { return doc.Text(p.Base) }),
		column("<at", func(p *Policy) string { return doc.OrNone(p.At) }),
		column("<phase", func(p *Policy) string {
			if len(scenarios) > 1 && p.Scenario != cells.AllScenarios {
				return prose.Mode(p.Mode) + " of " + doc.Text(p.Scenario)
			}
			return prose.Mode(p.Mode)
		}),
		{Head: "<by more than 10 %", Cell: told.shown},
		column("times as fast at the smallest", func(p *Policy) string {
			if p.NSizes == 1 {
				return doc.Unknown
			}
			return speed(p.Small, p.SmallCI, p.SmallM, "smallest")
		}),
		column("times as fast at the largest", func(p *Policy) string { return speed(p.Large, p.LargeCI, p.LargeM, "largest") }),
	})
	t.Wrap = true
	return t
}

// shown are the verdicts of all stretches of sizes; an effect that they share is said once.
func (t told) shown() string {
	s := t[0].shown()
	for i, p := range t[1:] {
		if p.Effect != "" && p.Effect == t[i].Effect {
			s += " and **" + doc.Text(p.Reach().Text) + "**"
		} else {
			s += ", " + p.shown()
		}
	}
	return s
}

// shown is the verdict, bold where more than 10 % are shown.
func (p *Policy) shown() string {
	if p.Effect != "" {
		return "**" + doc.Text(p.Where().Text) + "**"
	}
	return doc.Text(p.Where().Text)
}

func speed(ratio *float64, ci *Interval, size *float64, end string) string {
	if ratio == nil || ci == nil {
		return doc.Unknown
	}
	return AsFast(*ratio, ci, File+" ratio_"+end).Text + prose.AtSize(size, File+" "+end+"_millions").Text
}
