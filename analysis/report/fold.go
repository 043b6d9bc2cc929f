package report

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/tails"
	"llmscale/runner/record"
)

// someSeries stands in a sentence for the backends that it is about.
const someSeries = prose.Some

func (w *writer) folder() *prose.Folder {
	return &prose.Folder{Total: len(analysis.Get[firstchange.Answer](w.r).Answers.FirstChange)}
}

// allSeries names backends: "all 7 backends" where none of the run's is missing.
func (w *writer) allSeries(all []prose.Series) string { return w.folder().Names(all) }

func (w *writer) firstChangeSentences() doc.List {
	f := w.folder()
	for _, c := range analysis.Get[firstchange.Answer](w.r).Answers.FirstChange {
		f.Add(prose.Of(c.Backend, c.BatchSize), w.firstChangeSentence(c, someSeries))
	}
	return f.List()
}

func (w *writer) feasibilitySentences() doc.List {
	f := w.folder()
	for _, x := range analysis.Get[firstchange.Answer](w.r).Answers.Feasibility {
		f.Add(prose.Of(x.Backend, x.BatchSize), w.feasibilitySentence(x, someSeries))
	}
	return f.List()
}

func (w *writer) fixedCostSentences() doc.List {
	f := w.folder()
	for _, k := range w.keys() {
		f.Add(k, w.fixedCostSentence(k, someSeries))
	}
	return f.List()
}

// slopeSentences has decode first, then prefill, then what has no slope: both
// modes together where one reason holds for both.
func (w *writer) slopeSentences() doc.List {
	var known doc.List
	var keys []prose.Series
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, s := range analysis.Get[scaling.Answer](w.r).Answers.Slopes {
			if s.Mode != mode {
				continue
			}
			if k := (prose.Of(s.Backend, s.BatchSize)); !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
			if !noSlope(s) {
				known = append(known, w.slopeSentence(s))
			}
		}
	}
	f := w.folder()
	for _, k := range keys {
		var causes []string
		modes := map[string][]string{}
		for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
			for _, s := range analysis.Get[scaling.Answer](w.r).Answers.Slopes {
				if s.Backend != k.Backend || s.BatchSize != k.BatchSize || s.Mode != mode || !noSlope(s) {
					continue
				}
				cause := doc.Text(s.Why) + "."
				if !slices.Equal(s.WarningCodes, []string{"too_few_points"}) { // which is the reason itself
					cause += w.codes(s.WarningCodes)
				}
				if modes[cause] == nil {
					causes = append(causes, cause)
				}
				modes[cause] = append(modes[cause], prose.Mode(mode))
			}
		}
		for _, cause := range causes {
			grows := "time on %s grows"
			if len(modes[cause]) > 1 {
				grows = "times on %s grow"
			}
			f.Add(k, fmt.Sprintf("How %s "+grows+" with %s is **unknown** on this machine: %s", doc.Join(modes[cause]), someSeries, w.axis(), cause))
		}
	}
	return append(known, f.List()...)
}

func noSlope(s scaling.SlopeAnswer) bool {
	return s.Slope == nil || s.Verdict == "unknown" || s.Verdict == ""
}

// tailSentences folds what is unknown, with the worst ratio of the backends that
// it is about.
func (w *writer) tailSentences() doc.List {
	f := w.folder()
	worst := map[string]tails.Trend{}
	for _, t := range analysis.Get[tails.Answer](w.r).Answers.Tails {
		s := w.tailSentence(t, someSeries)
		f.Add(prose.Of(t.Backend, t.BatchSize), s)
		if t.Verdict != "unknown" && t.Verdict != "" || t.WorstRatio == nil {
			continue
		}
		if have, seen := worst[s]; !seen || t.Quantile == have.Quantile && *t.WorstRatio > *have.WorstRatio {
			worst[s] = t
		}
	}
	out := f.List()
	for i, s := range f.Said {
		t, known := worst[s]
		if !known {
			continue
		}
		out[i] += fmt.Sprintf(" The worst %s of single token times is %s, on %s", doc.Text(strings.ReplaceAll(t.Quantile, "_over_", "/")), doc.NumberOf(t.WorstRatio), doc.Text(t.WorstModel))
		if len(f.About[s]) > 1 {
			out[i] += " by " + series(t.Backend, t.BatchSize)
		}
		out[i] += "."
	}
	return out
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
