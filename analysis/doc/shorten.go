package doc

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"llmscale/analysis/stats"
)

// maxText bounds a table's cell, an item or a paragraph, in bytes: names of a
// thousand models are no sentence.
const maxText = 2000

// Shorten leaves each table and list of a document at most so many rows or items. Those that
// are cut say so.
func (d *Document) Shorten(longest int) { d.blocks = shortened(d.blocks, longest) }

func shortened(blocks []Block, longest int) (out []Block) {
	for _, b := range blocks {
		further := 0
		switch x := b.(type) {
		case Paragraph:
			b = Paragraph(shortText(string(x)))
		case Table:
			further = max(0, len(x.Rows)-longest)
			x.Rows = slices.Clone(x.Rows[:len(x.Rows)-further])
			for i, row := range x.Rows {
				x.Rows[i] = stats.Map(row, shortText)
			}
			b = x
		case List:
			further = max(0, len(x)-longest)
			b = List(stats.Map(x[:len(x)-further], shortText))
		case details:
			b = details{x.summary, shortened(x.blocks, longest)}
		}
		out = append(out, b)
		if further > 0 {
			out = append(out, Paragraph(fmt.Sprintf("%d further rows are not shown: the CSV files in analysis/ have all.", further)))
		}
	}
	return out
}

// shortText cuts between words, where Markdown has no open escape.
func shortText(s string) string {
	if len(s) <= maxText {
		return s
	}
	at := maxText
	for at > 0 && s[at] != ' ' {
		at--
	}
	if at == 0 {
		for at = maxText; !utf8.RuneStart(s[at]); at-- {
		}
	}
	return s[:at] + " …"
}
