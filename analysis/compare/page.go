package compare

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
)

// Page is the comparison as a document: the verdict first, the effect over size, and the
// rest folded.
func (c *Comparison) Page(figs []figure.Drawn) *doc.Document {
	base, other := c.Base.name(c), c.Other.name(c)
	d := &doc.Document{Title: other + " against " + base}
	first := doc.Section{Title: c.finding(), Place: "Verdict"}
	first.Say("Ratio of the times, %s over %s: below 1 %s is faster. From %s.", doc.Text(other), doc.Text(base), doc.Text(other), doc.Text(c.basis()))
	verdicts := doc.Table{Head: stats.Map(phaseHead, func(s string) string { return "<" + s }), Rows: c.phaseRows()}
	first.Add(verdicts, doc.Pictures(figureKind))
	var why strings.Builder
	c.explain(&why)
	for line := range strings.Lines(why.String()) {
		first.Say("%s", doc.Text(doc.Upper(line)))
	}
	d.AddSection(first, figs)

	sizes := doc.Section{Title: "By size"}
	sizes.Show(tableOf([]string{"<model", "million parameters", "<" + PhaseName(Phases[0]), "<" + PhaseName(Phases[1])}, c.sizeRows()), "")
	d.AddSection(sizes, figs)

	rest := doc.Section{Title: "What this rests on"}
	differs := stats.Map(c.Differs, func(d Difference) []string { return []string{d.Name, d.Base, d.Other} })
	if len(differs) == 0 {
		rest.Say("Nothing that the records tell differs: both did the same under the same settings.")
	} else {
		rest.Show(tableOf([]string{"<setting", "<" + doc.Text(base), "<" + doc.Text(other)}, differs), "")
	}
	rest.Fold(doc.Upper(c.verdicts()), tableOf(stats.Map(cellHead, func(s string) string { return "<" + s }), c.cellRows()))
	foldList(&rest, "Not in the means over sizes", stats.Map(c.LeftOut, Absent.String))
	foldList(&rest, "Notes", c.Notes)
	d.AddSection(rest, figs)
	return d
}

// finding says the verdicts, phases of one verdict together.
func (c *Comparison) finding() string {
	verdicts, of := stats.GroupBy(c.Phases, func(p Phase) string { return p.Verdict })
	return doc.Upper(strings.Join(stats.Map(verdicts, func(v string) string {
		phases, is := text.List(stats.Map(of[v], func(p Phase) string { return PhaseName(p.Mode) }), "and"), "is"
		if len(of[v]) > 1 {
			is = "are"
		}
		switch v {
		case Faster:
			return fmt.Sprintf("%s %s faster", phases, is)
		case Slower:
			return fmt.Sprintf("%s %s slower", phases, is)
		case Same:
			return fmt.Sprintf("%s %s as fast", phases, is)
		}
		return fmt.Sprintf("whether %s %s faster or slower cannot be told", phases, is)
	}), "; "))
}

// tableOf has plain texts in its cells.
func tableOf(head []string, rows [][]string) doc.Table {
	t := doc.Table{Head: head, Wrap: true}
	for _, row := range rows {
		t.Rows = append(t.Rows, stats.Map(row, doc.Text))
	}
	return t
}

func foldList(s *doc.Section, summary string, items []string) {
	if len(items) > 0 {
		s.Fold(fmt.Sprintf("%s (%d)", summary, len(items)), doc.List(stats.Map(slices.Clone(items), doc.Text)))
	}
}
