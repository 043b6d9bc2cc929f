package config

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"llmscale/internal/text"
)

// Markdown is docs/config.md: every key with its type, default, range and
// meaning, and the rules that tie them together.
func Markdown() string {
	var b strings.Builder
	b.WriteString(docHead)
	for _, t := range Tables() {
		title := t.Name
		if title == "" {
			title = "The file"
		} else {
			title = "An entry of `" + title + "`"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", title, t.Doc)
		for _, f := range t.Fields {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Key, f.typeDoc(), f.defaultDoc(), f.doc())
		}
	}
	var list strings.Builder
	for _, s := range sources {
		fmt.Fprintf(&list, "| `%s` | %s |\n", strings.ReplaceAll(s.form, "|", `\|`), s.doc)
	}
	var axes strings.Builder
	for _, f := range slices.Concat(axisFields(scenarioTable.fields), axisFields(backendTable.fields)) {
		fmt.Fprintf(&axes, "| `%s` | %s |\n", f.Key, f.exampleNames())
	}
	b.WriteString(strings.NewReplacer("SOURCES", list.String(), "AXES", axes.String()).Replace(docTail))
	return b.String()
}

// axisFields are the fields that take a list.
func axisFields[T any](fields []field[T]) (out []Field) {
	for _, f := range fields {
		if f.Axis {
			out = append(out, f.Field)
		}
	}
	return out
}

// exampleNames shows what values add to the name x.
func (f *Field) exampleNames() string {
	values := map[Type][]string{Int: {"1", "2"}, Bool: {"true", "false"}, Choice: nil}[f.Type]
	if f.Type == Choice {
		values = f.Values[len(f.Values)-2:]
	}
	if f.Type == Text {
		values = f.namesOf(f.Examples)
	}
	if words := f.words(); len(words) > 0 {
		values = append(values, words[0])
	}
	var out []string
	for _, v := range values {
		out = append(out, "`x"+f.nameOf(v)+"`")
	}
	return strings.Join(out, ", ")
}

func (f *Field) typeDoc() string {
	one := f.oneDoc()
	if f.Axis {
		one += "; or a list"
	}
	return one
}

func (f *Field) oneDoc() string {
	unit := ""
	if f.Unit != "" {
		unit = ", " + f.Unit
	}
	switch f.Type {
	case Choice:
		return "`" + strings.Join(f.Values, "`, `") + "`"
	case Int, Number:
		if f.Min == f.Max {
			return fmt.Sprintf("%s%s, %s only", f.Type, unit, plain(f.Min))
		}
		bounds := fmt.Sprintf("%s%s, %s to %s", f.Type, unit, plain(f.Min), plain(f.Max))
		for _, w := range f.words() {
			bounds += fmt.Sprintf(", `%s`", w)
		}
		return bounds
	}
	return string(f.Type) + unit
}

func (f *Field) defaultDoc() string {
	switch {
	case f.Required:
		return "**required**"
	case f.Default != "":
		return "`" + f.Default + "`"
	}
	return f.DefaultDoc
}

func (f *Field) doc() string {
	doc := f.Doc
	if f.Why != "" {
		doc += " " + strings.ToUpper(f.Why[:1]) + f.Why[1:] + "."
	}
	var also []string
	for alias, v := range f.Aliases {
		also = append(also, fmt.Sprintf("`%s` as `%s`", alias, v))
	}
	if len(also) > 0 {
		slices.Sort(also)
		doc += " Also read: " + text.List(also, "and") + "."
	}
	return strings.ReplaceAll(doc, "|", `\|`)
}

// What stands before and after the tables; SOURCES and AXES are put in.
var (
	//go:embed head.md.txt
	docHead string
	//go:embed tail.md.txt
	docTail string
)
