package doc

import (
	"fmt"
	"slices"
)

// Column is a table's column that is left out where no row has a value.
type Column[T any] struct {
	Head string
	Cell func(T) string
}

// TableOf leaves out the columns in which nothing is known.
func TableOf[T any](rows []T, columns ...[]Column[T]) Table {
	t := Table{Rows: make([][]string, len(rows))}
	for _, c := range slices.Concat(columns...) {
		known := false
		cells := make([]string, len(rows))
		for i, r := range rows {
			cells[i] = c.Cell(r)
			known = known || cells[i] != Unknown
		}
		if !known {
			continue
		}
		t.Head = append(t.Head, c.Head)
		for i := range rows {
			t.Rows[i] = append(t.Rows[i], cells[i])
		}
	}
	return t
}

// shownRows is how many rows of a table stand open in a section.
const shownRows = 8

// Show adds a table's first rows. The others are in a file of analysis/, or, without
// one, folded.
func (s *Section) Show(t Table, file string) {
	first := t
	further := len(t.Rows) - shownRows
	if further > 0 {
		first.Rows = t.Rows[:shownRows]
	}
	if len(t.Rows) > 0 {
		s.Add(first)
	}
	switch {
	case further <= 0:
	case file == "":
		s.Fold(fmt.Sprintf("All rows (%d)", len(t.Rows)), t)
	default:
		s.Say("%s: analysis/%s.", Count(further, "further row", "further rows"), file)
	}
}
