package analysis

import (
	"fmt"
	"strconv"
	"strings"

	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
)

// Column declares one column of a table.
type Column struct {
	Name string `json:"name"`
	Unit string `json:"unit"` // "" where a number has none
	Doc  string `json:"doc"`
}

// Table declares one of the CSV files that Write makes.
type Table struct {
	File     string   `json:"file"`
	Doc      string   `json:"doc"`
	Optional bool     `json:"optional"` // written only when it has rows
	Columns  []Column `json:"columns"`

	rows func(*Result) [][]string
}

// Rows renders the table's body from r, in the order of Columns.
func (t Table) Rows(r *Result) [][]string { return t.rows(r) }

// Tables lists all CSV files of an analysis.
func Tables() []Table { return tables }

// TablesMarkdown documents every table and column, from their declarations.
func TablesMarkdown() string {
	var b strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&b, "### %s\n\n%s", t.File, t.Doc)
		if t.Optional {
			b.WriteString(" Written only when there is something to say.")
		}
		b.WriteString("\n\n| column | unit | meaning |\n|---|---|---|\n")
		for _, c := range t.Columns {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, c.Unit, c.Doc)
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// column is a Column and how to print its value.
type column[T any] struct {
	name, unit, doc string
	text            func(T) string
}

func table[T any](file, doc string, optional bool, items func(*Result) []T, columns ...[]column[T]) Table {
	t := Table{File: file, Doc: doc, Optional: optional}
	var all []column[T]
	for _, cs := range columns {
		all = append(all, cs...)
	}
	for _, c := range all {
		t.Columns = append(t.Columns, Column{c.name, c.unit, c.doc})
	}
	t.rows = func(r *Result) [][]string {
		var out [][]string
		for _, it := range items(r) {
			line := make([]string, len(all))
			for i, c := range all {
				line[i] = c.text(it)
			}
			out = append(out, line)
		}
		return out
	}
	return t
}

func num(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// opt prints an optional number; nothing for unknown.
func opt(v *float64) string {
	if v == nil {
		return ""
	}
	return num(*v)
}

// whole prints a count of which 0 means unknown.
func whole[T int | int64](v T) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatInt(int64(v), 10)
}

func low(i *stats.Interval) string {
	if i == nil {
		return ""
	}
	return num(i.Low)
}

func high(i *stats.Interval) string {
	if i == nil {
		return ""
	}
	return num(i.High)
}

// bounds makes the two columns of an interval.
func bounds[T any](stem, unit, doc string, of func(T) *stats.Interval) []column[T] {
	return []column[T]{
		{stem + "_low", unit, doc + ", lower end", func(v T) string { return low(of(v)) }},
		{stem + "_high", unit, doc + ", upper end", func(v T) string { return high(of(v)) }},
	}
}

// pointers makes a table's items of a slice, without copying it.
func pointers[T any](xs []T) []*T {
	out := make([]*T, len(xs))
	for i := range xs {
		out[i] = &xs[i]
	}
	return out
}

func codes(ws []finding.Warning) string {
	var out []string
	seen := map[string]bool{}
	for _, w := range ws {
		if !seen[w.Code] {
			seen[w.Code] = true
			out = append(out, w.Code)
		}
	}
	return strings.Join(out, " ")
}
