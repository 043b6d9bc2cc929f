package report

import (
	"slices"

	"llmscale/analysis/q/prose"
)

// foldRows joins the rows of backends of which nothing is known: all columns but
// the first and the last are "unknown", and the last ones agree.
func (w *writer) foldRows(keys []prose.Series, rows [][]string) [][]string {
	folder := prose.Folder{Total: len(w.set.Series)}
	var out [][]string
	var about [][]prose.Series
	at := map[string]int{} // of the row for one last column
	for i, row := range rows {
		last := row[len(row)-1]
		known := slices.ContainsFunc(row[1:len(row)-1], func(s string) bool { return s != "unknown" })
		if j, seen := at[last]; seen && !known {
			about[j] = append(about[j], keys[i])
			continue
		}
		if !known {
			at[last] = len(out)
		}
		out, about = append(out, row), append(about, []prose.Series{keys[i]})
	}
	for i := range out {
		out[i][0] = folder.Names(about[i])
	}
	return out
}
