package answer

import (
	"fmt"
	"regexp"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/stats"
)

// mostWords is how long the answer is on the page, before its figure, but for its gravest
// doubt.
const mostWords = 150

// Opening is the answer without what to change: what was measured, verdict, law, doubts.
func (a *Answer) Opening() (out []doc.Block) {
	words := 0
	put := func(b doc.Block, s string) {
		words += len(strings.Fields(s))
		out = append(out, b)
	}
	put(doc.Paragraph(doc.Text(a.Of.Text)+"."), a.Of.Text)
	var verdict doc.Cited
	for i, s := range a.Verdict {
		verdict = append(verdict, doc.Citation{Text: "**" + doc.Text(s.Text) + "**", Place: a.places[i]})
	}
	put(verdict, a.said())
	if a.Law != nil {
		const brackets = "Brackets hold 95 % intervals."
		put(doc.Cited{{Text: doc.Text(a.Law.Text), Place: laws.Place}, {Text: brackets}}, a.Law.Text+" "+brackets)
	}
	words += len(strings.Fields(a.Trust.Text))
	doubts := doc.List{doc.Text(a.Trust.Text)}
	for _, c := range a.Caveats {
		n := len(strings.Fields(c.Text))
		if words+n > mostWords && len(doubts) > 1 { // the gravest always, and no lesser one in place of a graver
			break
		}
		doubts, words = append(doubts, doc.Text(c.Text)+"."), words+n
	}
	return append(out, doubts)
}

// told is the doubt with its advice.
func (c *Caveat) told() string { return c.Text + ". " + doc.Upper(c.Advice) + "." }

// Changed is what to change, and the largest model within the objective.
func (a *Answer) Changed() (out []doc.Block) {
	if items := a.changes(); len(items) > 0 {
		out = append(out, doc.List(stats.Map(items, doc.Text)))
	}
	for _, s := range a.Advice {
		out = append(out, doc.Paragraph(withCode(s.Text)))
	}
	return append(out, doc.Paragraph(doc.Text(a.Goal.Text)))
}

// code is what Text made of words between backticks.
var code = regexp.MustCompile("\\\\`.*?\\\\`")

// withCode is Text that keeps words between backticks as code. No setting has a backslash in it.
func withCode(s string) string {
	return code.ReplaceAllStringFunc(doc.Text(s), func(escaped string) string { return strings.ReplaceAll(escaped, `\`, "") })
}

// Within is the table of the largest models within times per token; nothing where none is
// predicted.
func (a *Answer) Within() []doc.Block {
	g := &a.Goal
	if len(g.Budgets) == 0 {
		return nil
	}
	t := doc.Table{Head: []string{fmt.Sprintf("<largest model on %s in %s that decodes a token in", doc.Text(g.Backend), doc.Text(g.WeightType))}}
	surely, guessed := []string{"surely (95 %)"}, []string{"by the best guess"}
	for _, b := range g.Budgets {
		t.Head = append(t.Head, doc.Size(b.MS)+" ms")
		surely, guessed = append(surely, b.size(b.SurelyM)), append(guessed, b.size(b.GuessedM))
	}
	t.Rows = [][]string{surely, guessed}
	return []doc.Block{t}
}

// size says a number of parameters, and what keeps it from being more.
func (b *Budget) size(m *float64) string {
	switch {
	case m == nil:
		return "none that can be predicted"
	case b.Memory:
		return doc.Millions(*m) + ", all that fits"
	case b.Ends && m == b.SurelyM, b.GuessEnds && m == b.GuessedM:
		return doc.Millions(*m) + " or more"
	}
	return doc.Millions(*m)
}

// Markdown is the answer to be pasted into an issue.
func (a *Answer) Markdown() (string, error) {
	title := "llmscale"
	if n := doc.Clean(a.Run.Name); n != "" {
		title += " " + n
	}
	d := &doc.Document{Title: title}
	d.Say("%s.", doc.Text(a.Of.Text))
	d.Section("The answer")
	d.Say("%s", doc.Text(a.said()))
	if a.Law != nil {
		d.Say("%s", doc.Text(a.Law.Text))
	}
	d.Section("What to change")
	d.Add(a.Changed()...)
	if len(a.Table.Rows) > 0 {
		d.Section("What was measured")
		t := doc.Table{}
		for _, c := range a.Table.columns() {
			head := "<" + c.head
			if c.right {
				head = c.head
			}
			t.Head = append(t.Head, head)
		}
		for _, r := range a.Table.Rows {
			var row []string
			for _, c := range a.Table.columns() {
				row = append(row, doc.OrNone(c.cell(r)))
			}
			t.Rows = append(t.Rows, row)
		}
		d.Add(t)
		if n := a.Table.Of - len(a.Table.Rows); n > 0 {
			d.Say("%s: analysis/%s.", doc.Count(n, "further row", "further rows"), a.Table.File)
		}
	}
	d.Section("Trust")
	d.Add(doc.List(stats.Map(a.doubts(), doc.Text)))
	d.Section("How it was measured")
	var how doc.List
	for _, x := range []struct{ what, is string }{{"machine", a.Run.Machine}, {"llmscale", a.Run.LLMScale}, {"llama.cpp", a.Run.LlamaCpp}, {"command", a.Run.Command}, {"run", a.Run.ID}} {
		if x.is != "" {
			how = append(how, fmt.Sprintf("%s: %s", x.what, doc.Text(x.is)))
		}
	}
	if len(how) > 0 {
		d.Add(how)
	}
	return d.Markdown("")
}
