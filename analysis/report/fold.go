package report

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/runner/record"
)

// someSeries stands in a sentence for the backends that it is about. Foreign text
// cannot hold it: clean takes control characters away.
const someSeries = "\x00"

// manySeries is the number of backends from which on "all" stands for their names.
const manySeries = 4

// folder says once what holds for several backends in the same words.
type folder struct {
	w     *writer
	said  []string // sentences with someSeries for the backends
	about map[string][]key
}

func (w *writer) folder() *folder { return &folder{w: w, about: map[string][]key{}} }

func (f *folder) add(k key, sentence string) {
	if sentence == "" {
		return
	}
	if f.about[sentence] == nil {
		f.said = append(f.said, sentence)
	}
	f.about[sentence] = append(f.about[sentence], k)
}

// list has the sentences in the order in which they were first said.
func (f *folder) list() doc.List {
	var out doc.List
	for _, s := range f.said {
		out = append(out, strings.ReplaceAll(s, someSeries, f.w.allSeries(f.about[s])))
	}
	return out
}

// allSeries names backends: "all 7 backends" where none of the run's is missing.
func (w *writer) allSeries(keys []key) string {
	batches := slices.ContainsFunc(keys, func(k key) bool { return k.batch > 1 })
	if n := len(keys); n >= manySeries && n == len(w.r.Answers.FirstChange) && !batches {
		return fmt.Sprintf("all %d backends", n)
	}
	var names []string
	for _, k := range keys {
		names = append(names, k.String())
	}
	return doc.Join(names)
}

func (w *writer) firstChangeSentences() doc.List {
	f := w.folder()
	for _, c := range w.r.Answers.FirstChange {
		f.add(key{c.Backend, c.BatchSize}, w.firstChangeSentence(c, someSeries))
	}
	return f.list()
}

func (w *writer) feasibilitySentences() doc.List {
	f := w.folder()
	for _, x := range w.r.Answers.Feasibility {
		f.add(key{x.Backend, x.BatchSize}, w.feasibilitySentence(x, someSeries))
	}
	return f.list()
}

func (w *writer) fixedCostSentences() doc.List {
	f := w.folder()
	for _, k := range w.keys() {
		f.add(k, w.fixedCostSentence(k, someSeries))
	}
	return f.list()
}

// slopeSentences has decode first, then prefill, then what has no slope: both
// modes together where one reason holds for both.
func (w *writer) slopeSentences() doc.List {
	var known doc.List
	var keys []key
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, s := range w.r.Answers.Slopes {
			if s.Mode != mode {
				continue
			}
			if k := (key{s.Backend, s.BatchSize}); !slices.Contains(keys, k) {
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
			for _, s := range w.r.Answers.Slopes {
				if s.Backend != k.backend || s.BatchSize != k.batch || s.Mode != mode || !noSlope(s) {
					continue
				}
				cause := doc.Text(s.Why) + "."
				if !slices.Equal(s.WarningCodes, []string{"too_few_points"}) { // which is the reason itself
					cause += w.codes(s.WarningCodes)
				}
				if modes[cause] == nil {
					causes = append(causes, cause)
				}
				modes[cause] = append(modes[cause], modeWord(mode))
			}
		}
		for _, cause := range causes {
			grows := "time on %s grows"
			if len(modes[cause]) > 1 {
				grows = "times on %s grow"
			}
			f.add(k, fmt.Sprintf("How %s "+grows+" with %s is **unknown** on this machine: %s", doc.Join(modes[cause]), someSeries, w.axis(), cause))
		}
	}
	return append(known, f.list()...)
}

func noSlope(s analysis.SlopeAnswer) bool {
	return s.Slope == nil || s.Verdict == "unknown" || s.Verdict == ""
}

// tailSentences folds what is unknown, with the worst ratio of the backends that
// it is about.
func (w *writer) tailSentences() doc.List {
	f := w.folder()
	worst := map[string]analysis.TailTrend{}
	for _, t := range w.r.Answers.Tails {
		s := w.tailSentence(t, someSeries)
		f.add(key{t.Backend, t.BatchSize}, s)
		if t.Verdict != "unknown" && t.Verdict != "" || t.WorstRatio == nil {
			continue
		}
		if have, seen := worst[s]; !seen || t.Quantile == have.Quantile && *t.WorstRatio > *have.WorstRatio {
			worst[s] = t
		}
	}
	out := f.list()
	for i, s := range f.said {
		t, known := worst[s]
		if !known {
			continue
		}
		out[i] += fmt.Sprintf(" The worst %s of single token times is %s, on %s", doc.Text(strings.ReplaceAll(t.Quantile, "_over_", "/")), doc.NumberOf(t.WorstRatio), doc.Text(t.WorstModel))
		if len(f.about[s]) > 1 {
			out[i] += " by " + series(t.Backend, t.BatchSize)
		}
		out[i] += "."
	}
	return out
}

// foldRows joins the rows of backends of which nothing is known: all columns but
// the first and the last are "unknown", and the last ones agree.
func (w *writer) foldRows(keys []key, rows [][]string) [][]string {
	var out [][]string
	var about [][]key
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
		out, about = append(out, row), append(about, []key{keys[i]})
	}
	for i := range out {
		out[i][0] = w.allSeries(about[i])
	}
	return out
}
