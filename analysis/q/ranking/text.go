package ranking

import (
	"cmp"
	"slices"
	"strconv"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

const leastRanked = 3 // backends in a table of ranks: what there is to say of two, settings say

// said reports whether what is of a scenario is told: joined over scenarios where they can be.
func (a *Answer) said(scenario string) bool {
	return scenario == cells.AllScenarios || len(a.set.Joined()) < 2 || !a.set.Joins(scenario)
}

// Sections have the ranks by size and the pairs that cross.
func (a *Answer) Sections() []doc.Section {
	groups := a.groups()
	if len(groups) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: "Ranking"}
	sec.Add(doc.Pictures(kind))
	if crossed := a.crossed(); len(crossed) > 0 {
		sec.Show(crossingTable(crossed), "crossings.csv")
	}
	in := ""
	if s := groups[0][0].Scenario; s != cells.AllScenarios {
		in = " in " + doc.Text(s)
	}
	sec.Say("Places%s, with times as long as the first; “=” is not shown to be slower than the next faster one.", in)
	sec.Show(rankTable(groups), "ranks.csv")
	return []doc.Section{sec}
}

// title says whether the ranking changes with size, or which backend is the fastest.
func (a *Answer) title() string {
	if crossed := a.crossed(); len(crossed) > 0 {
		pairs, _ := stats.GroupBy(crossed, func(c Crossing) [2]string { return [2]string{c.Base, c.Backend} })
		return "The ranking changes with size: " + doc.Count(len(pairs), "pair of backends crosses", "pairs of backends cross")
	}
	decode, prefill := a.fastest(record.ModeDecode), a.fastest(record.ModePrefill)
	switch decode {
	case prefill:
		return cmp.Or(decode, "No backend") + " is shown to be the fastest, for decode and prefill"
	case "":
		return "No backend is shown to be the fastest for decode, and for prefill " + prefill
	}
	return decode + " is shown to be the fastest for decode, for prefill " + cmp.Or(prefill, "none")
}

// fastest is the backend that is shown to be faster than each other one, at every size; "" where there is none.
func (a *Answer) fastest(mode string) (first string) {
	lost := map[string]bool{}
	var all []string
	for _, c := range a.Crossings {
		if c.Mode != mode || !a.said(c.Scenario) {
			continue
		}
		all = append(all, c.Base, c.Backend)
		for _, s := range []string{c.Base, c.Backend} {
			lost[s] = lost[s] || c.Verdict != OneFaster || c.Above != s
		}
	}
	for _, s := range all {
		switch {
		case lost[s] || s == first:
		case first != "": // of other work than the first
			return ""
		default:
			first = s
		}
	}
	return first
}

func (a *Answer) crossed() []Crossing {
	return slices.DeleteFunc(slices.Clone(a.Crossings), func(c Crossing) bool { return c.Verdict != Crosses || !a.said(c.Scenario) })
}

func crossingTable(rows []Crossing) doc.Table {
	return doc.TableOf(rows, []doc.Column[Crossing]{
		{Head: "<phase", Cell: func(c Crossing) string { return prose.Mode(c.Mode) }},
		{Head: "<scenario", Cell: func(c Crossing) string { return prose.Scenario(c.Scenario) }},
		{Head: "<faster below", Cell: func(c Crossing) string { return doc.OrNone(c.Below) }},
		{Head: "<faster above", Cell: func(c Crossing) string { return doc.OrNone(c.Above) }},
		{Head: "cross at (million parameters)", Cell: func(c Crossing) string { return doc.SizeOf(c.SizeM) }},
		{Head: "95 %", Cell: func(c Crossing) string {
			if c.SizeM == nil {
				return doc.Unknown
			}
			end := func(v *float64, beyond string) string {
				if v == nil {
					return beyond
				}
				return doc.Size(*v)
			}
			return end(c.Low, "below the smallest") + " to " + end(c.High, "above the largest")
		}},
	})
}

// groups are the ranks that have a table, those of each mode, scenario and work.
func (a *Answer) groups() (out [][]Rank) {
	type event struct{ mode, scenario, work string }
	events, of := stats.GroupBy(a.Ranks, func(r Rank) event { return event{r.Mode, r.Scenario, r.work} })
	for _, e := range events {
		if names, _ := stats.GroupBy(of[e], func(r Rank) cells.Series { return r.Series }); len(names) >= leastRanked && a.said(e.scenario) {
			out = append(out, of[e])
		}
	}
	return out
}

// rankTable has a row for each backend, of the first scenario: its places at the smallest size and at the largest.
func rankTable(groups [][]Rank) doc.Table {
	var columns []doc.Column[cells.Series]
	var backends []cells.Series
	first := groups[0][0]
	for _, g := range groups {
		if g[0].Scenario != first.Scenario || g[0].work != first.work {
			continue
		}
		models, of := stats.GroupBy(g, func(r Rank) string { return r.Model })
		if len(models) > 2 {
			models = []string{models[0], models[len(models)-1]}
		}
		if backends == nil {
			backends = stats.Map(of[models[len(models)-1]], func(r Rank) cells.Series { return r.Series })
			columns = append(columns, doc.Column[cells.Series]{Head: "<backend", Cell: func(s cells.Series) string { return prose.Series{Series: s}.String() }})
		}
		for _, m := range models {
			columns = append(columns, doc.Column[cells.Series]{Head: prose.Mode(g[0].Mode) + " of " + doc.Text(m), Cell: func(s cells.Series) string {
				if i := slices.IndexFunc(of[m], func(r Rank) bool { return r.Series == s }); i >= 0 {
					return of[m][i].place()
				}
				return doc.Unknown
			}})
		}
	}
	return doc.TableOf(backends, columns)
}

// place is a rank in a table: "1", "2= (1.03)".
func (r *Rank) place() string {
	if r.Rank == 1 {
		return "**1**"
	}
	s := strconv.Itoa(r.Rank)
	if !r.Previous {
		s += "="
	}
	return s + " (" + doc.Fixed(&r.Ratio, 2) + ")"
}
