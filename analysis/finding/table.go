package finding

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/stats"
)

// Column is one column of a table.
type Column struct {
	Name string `json:"name"`
	Unit string `json:"unit"` // "" where a number has none
	Doc  string `json:"doc"`
}

// Table is one CSV file.
type Table struct {
	File     string   `json:"file"`
	Doc      string   `json:"doc"`
	Optional bool     `json:"optional"` // written only when it has rows
	Columns  []Column `json:"columns"`

	rows iter.Seq[[]string]
	n    int
}

// Rows is the table's body, in the order of Columns. A row is made when it is asked for.
func (t Table) Rows() iter.Seq[[]string] { return t.rows }

// Len is how many rows it has.
func (t Table) Len() int { return t.n }

// Always is t, written with its header alone where it has no rows.
func (t Table) Always() Table {
	t.Optional = false
	return t
}

// Computed is a column that is no field of the row. Its value is of a type that a
// field may have.
type Computed[T any] struct {
	Column
	of func(T) any
}

// Compute declares a column that is no field of the row.
func Compute[T any](name, unit, doc string, of func(T) any) Computed[T] {
	return Computed[T]{Column{name, unit, doc}, of}
}

// TableOf declares a CSV file with one row for each of rows, which are structs or
// pointers to structs. Its columns are the fields that have a doc, in their order, and
// behind them those of more. Where they are others, columns names them, separated by
// white space: each is one of more, or a field by its tag csv (else json), with the tags
// unit and doc. An interval has two columns, in whose names * stands for low and high (without
// a *, they end in _low and _high). Fields of embedded structs, and of those with the
// tag csv:"+", are the row's own. A name that is neither panics, as does a field without doc.
//
// Unknown values are empty: nil pointers, and zeros of fields with the tag
// zero:"unknown". Lists are joined by the tag sep, or a space.
func TableOf[T any](file, doc string, rows []T, columns string, more ...Computed[T]) Table {
	t := Table{File: file, Doc: doc, Optional: true, n: len(rows)}
	fields := collect(nil, reflect.TypeFor[T](), nil)
	names := strings.Fields(columns)
	if columns == "" {
		for _, f := range fields {
			if f.Doc != "" {
				names = append(names, f.Name)
			}
		}
		names = append(names, stats.Map(more, func(c Computed[T]) string { return c.Name })...)
	}
	var cells []func(T) string
	for _, name := range names {
		at := slices.IndexFunc(more, func(c Computed[T]) bool { return c.Name == name })
		i := slices.IndexFunc(fields, func(f field) bool { return f.Name == name })
		switch {
		case at >= 0:
			c := more[at]
			t.Columns = append(t.Columns, c.Column)
			cells = append(cells, func(row T) string { return text(reflect.ValueOf(c.of(row)), "") })
		case i >= 0 && fields[i].Doc != "":
			f := fields[i]
			t.Columns = append(t.Columns, f.Column)
			cells = append(cells, func(row T) string { return f.text(reflect.ValueOf(row)) })
		default:
			panic(fmt.Sprintf("finding: %s: no column %s with a doc", file, name))
		}
	}
	t.rows = func(yield func([]string) bool) {
		for _, row := range rows {
			line := make([]string, len(cells))
			for i, cell := range cells {
				line[i] = cell(row)
			}
			if !yield(line) {
				return
			}
		}
	}
	return t
}

// field is a column that is a field of the row.
type field struct {
	Column
	path  []int // of struct fields, from the row
	end   string
	blank bool // zero is unknown
	sep   string
}

// collect adds the columns of a struct type to some. Of two fields of one name the outer
// counts, as in Go.
func collect(out []field, t reflect.Type, path []int) []field {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	put := func(c field) {
		if i := slices.IndexFunc(out, func(o field) bool { return o.Name == c.Name }); i < 0 {
			out = append(out, c)
		} else if len(c.path) < len(out[i].path) {
			out[i] = c
		}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(append([]int(nil), path...), i)
		if f.Anonymous || f.Tag.Get("csv") == "+" {
			out = collect(out, f.Type, at)
			continue
		}
		name := f.Tag.Get("csv")
		if name == "" {
			name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
		}
		if name == "" || name == "-" {
			continue
		}
		c := field{Column{name, f.Tag.Get("unit"), f.Tag.Get("doc")}, at, "", f.Tag.Get("zero") == "unknown", f.Tag.Get("sep")}
		if f.Type != reflect.TypeFor[*stats.Interval]() {
			put(c)
			continue
		}
		if !strings.Contains(name, "*") {
			name += "_*"
		}
		for _, end := range []struct{ name, which string }{{"low", "lower"}, {"high", "upper"}} {
			c.Name, c.end = strings.Replace(name, "*", end.name, 1), end.name
			if c.Doc = f.Tag.Get("doc"); c.Doc != "" {
				c.Doc += ", " + end.which + " end"
			}
			put(c)
		}
	}
	return out
}

func (f field) text(v reflect.Value) string {
	for _, i := range f.path {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return ""
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	if f.end != "" {
		ci, _ := v.Interface().(*stats.Interval)
		switch {
		case ci == nil:
			return ""
		case f.end == "low":
			return number(ci.Low)
		}
		return number(ci.High)
	}
	if f.blank && v.IsZero() {
		return ""
	}
	return text(v, f.sep)
}

// text prints a value for a machine: all digits of a number, nothing for unknown.
func text(v reflect.Value, sep string) string {
	if !v.IsValid() {
		return ""
	}
	switch x := v.Interface().(type) {
	case fmt.Stringer:
		return x.String()
	case []Warning:
		return codes(x)
	case []string:
		if sep == "" {
			sep = " "
		}
		return strings.Join(x, sep)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return text(v.Elem(), sep)
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float64:
		return number(v.Float())
	}
	panic(fmt.Sprintf("finding: a column of type %s", v.Type()))
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// codes lists the different codes of warnings.
func codes(ws []Warning) string {
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

// TablesMarkdown documents tables and columns, from their declarations.
func TablesMarkdown(tables []Table) string {
	var b strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&b, "## %s\n\n%s", t.File, t.Doc)
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
