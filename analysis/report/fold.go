package report

import (
	"slices"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/prose"
)

// someSeries stands in a sentence for the backends that it is about.
const someSeries = prose.Some

func (w *writer) folder() *prose.Folder {
	return &prose.Folder{Total: len(analysis.Get[firstchange.Answer](w.r).Answers.FirstChange)}
}

// allSeries names backends: "all 7 backends" where none of the run's is missing.
func (w *writer) allSeries(all []prose.Series) string { return w.folder().Names(all) }

func (w *writer) fixedCostSentences() doc.List {
	f := w.folder()
	for _, k := range w.keys() {
		f.Add(k, w.fixedCostSentence(k, someSeries))
	}
	return f.List()
}

// foldRows joins the rows of backends of which nothing is known: all columns but
// the first and the last are "unknown", and the last ones agree.
func (w *writer) foldRows(keys []prose.Series, rows [][]string) [][]string {
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
		out[i][0] = w.allSeries(about[i])
	}
	return out
}
