package doc

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// maxText bounds a table's cell, an item or a paragraph, in bytes: names of a
// thousand models are no sentence.
const maxText = 2000

// Shorten leaves the tables and lists of a document at most so many rows and items
// together. The longest are cut, all to the same length, and say so.
func (d *Document) Shorten(rows int) {
	lengths := lengthsOf(d.blocks, nil)
	slices.Sort(lengths)
	longest, left := 0, rows
	for i, n := range lengths {
		if longest = left / (len(lengths) - i); n > longest {
			d.blocks = shortened(d.blocks, longest)
			return
		}
		left -= n
	}
	d.blocks = shortened(d.blocks, rows)
}

func lengthsOf(blocks []Block, lengths []int) []int {
	for _, b := range blocks {
		switch b := b.(type) {
		case Table:
			lengths = append(lengths, len(b.Rows))
		case List:
			lengths = append(lengths, len(b))
		case details:
			lengths = lengthsOf(b.blocks, lengths)
		}
	}
	return lengths
}

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
				x.Rows[i] = mapped(row, shortText)
			}
			b = x
		case List:
			further = max(0, len(x)-longest)
			b = List(mapped(x[:len(x)-further], shortText))
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

func mapped(texts []string, f func(string) string) []string {
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = f(s)
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
