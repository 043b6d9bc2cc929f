package doc

import "slices"

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
