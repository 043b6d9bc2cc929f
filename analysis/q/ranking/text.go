package ranking

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// kind of the figures.
const kind = "ranking"

const (
	leastRanked = 3 // backends in a table of ranks: two have a sentence
	mostPairs   = 4 // in the opening
	mostTables  = 4 // that are not folded
)

// said reports whether what is of a scenario is told: joined over scenarios where they can be.
func (a *Answer) said(scenario string) bool {
	return scenario == cells.AllScenarios || len(a.set.Joined()) < 2 || !a.set.Joins(scenario)
}

// Sentences say of the first backend and each other whether they cross, where they differ in more than one setting.
func (a *Answer) Sentences() (out []string) {
	for i := range a.Crossings {
		if c := &a.Crossings[i]; c.Mode == record.ModeDecode && a.said(c.Scenario) && c.NSizes > 1 && c.Base == a.set.Series[0].Backend && !a.settings.Told(c.Base, c.Backend) {
			if len(out) == mostPairs {
				return append(out, "Further pairs of backends are in crossings.csv.")
			}
			out = append(out, c.sentence())
		}
	}
	return out
}

func (c *Crossing) sentence() string {
	s := fmt.Sprintf("Decode on **%s** against %s on this machine (%s)", prose.Series{Series: c.Series}, doc.Text(c.Base), c.differ())
	if c.SmallCI != nil && c.LargeCI != nil {
		s += fmt.Sprintf(": %s times as fast at %s, %s at %s%s", strings.Replace(policy.AsFast(c.Small, c.SmallCI), "[", "[95 % ", 1), doc.Params(c.SmallM), policy.AsFast(c.Large, c.LargeCI), doc.Params(c.LargeM), prose.Within(c.Basis))
	}
	return s + ": " + c.where() + "."
}

func (c *Crossing) differ() string {
	if len(c.Differ) == 0 {
		return "the same settings"
	}
	return "they differ in " + doc.Text(strings.Join(c.Differ, ", "))
}

// where says the verdict.
func (c *Crossing) where() string {
	switch {
	case c.Verdict == Crosses && c.SizeM != nil:
		return fmt.Sprintf("**they cross at %s** (%s), %s is faster below and %s above", doc.Params(c.SizeM), c.interval(), doc.Text(c.Below), doc.Text(c.Above))
	case c.Verdict == Crosses:
		return "they cross more than once"
	case c.Verdict == OneFaster:
		return doc.Text(c.Above) + " is faster at every size"
	}
	return "no crossing is shown: " + doc.Text(c.Reason)
}

func (c *Crossing) interval() string {
	end := func(v *float64, beyond string) string {
		if v == nil {
			return beyond
		}
		return doc.Size(*v)
	}
	return "95 % " + end(c.Low, "below the smallest") + " to " + end(c.High, "above the largest")
}

// Sections have the ranks by size and the pairs that cross.
func (a *Answer) Sections() []doc.Section {
	tables := a.rankTables()
	if len(tables) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: "Ranking"}
	sec.Say("Places of the backends at each size, and behind them how many times as long as the first they take; “=” is not shown to be slower than the next faster one.")
	sec.Add(doc.Pictures(kind))
	if crossed := a.crossed(); len(crossed) > 0 {
		sec.FoldAbove(2*mostTables, "Pairs that cross", crossingTable(crossed))
	}
	var rest []doc.Block
	for i, t := range tables {
		if i < mostTables {
			sec.Add(doc.Paragraph(t.of), t.Table)
		} else {
			rest = append(rest, doc.Paragraph(t.of), t.Table)
		}
	}
	sec.Fold("Further scenarios", rest...)
	return []doc.Section{sec}
}

// title says whether backends are ranked alike at every size.
func (a *Answer) title() string {
	crossed, open := a.crossed(), 0
	for _, c := range a.Crossings {
		if a.said(c.Scenario) && c.Verdict == NoneShown {
			open++
		}
	}
	sizes := slices.ContainsFunc(a.Crossings, func(c Crossing) bool { return c.NSizes > 1 })
	switch n := len(crossed); {
	case !sizes:
		return "Backends in their order"
	case n > 0:
		pairs, _ := stats.GroupBy(crossed, func(c Crossing) [2]string { return [2]string{c.Base, c.Backend} })
		return "The ranking changes with size: " + doc.Count(len(pairs), "pair of backends crosses", "pairs of backends cross")
	case open == 0:
		return "Backends are ranked alike at every size"
	}
	return "No change of rank is shown"
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
			return strings.TrimPrefix(c.interval(), "95 % ")
		}},
	})
}

type rankTable struct {
	of string
	doc.Table
}

type ranked struct {
	mode, scenario, work string
}

// rankTables have a row for each backend and a column for each size.
func (a *Answer) rankTables() (out []rankTable) {
	for _, g := range a.groups() {
		backends, of := stats.GroupBy(g, func(r Rank) cells.Series { return r.Series })
		models, _ := stats.GroupBy(g, func(r Rank) string { return r.Model })
		columns := []doc.Column[cells.Series]{{Head: "<backend", Cell: func(s cells.Series) string { return prose.Series{Series: s}.String() }}}
		for _, m := range models {
			columns = append(columns, doc.Column[cells.Series]{Head: doc.Text(m), Cell: func(s cells.Series) string {
				for _, r := range of[s] {
					if r.Model == m {
						return r.place()
					}
				}
				return doc.Unknown
			}})
		}
		out = append(out, rankTable{doc.Upper(prose.Mode(g[0].Mode)) + ", " + doc.Text(prose.InScenario(g[0].Scenario)) + ":", doc.TableOf(backends, columns)})
	}
	return out
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
