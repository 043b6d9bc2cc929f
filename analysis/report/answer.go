package report

import (
	"slices"

	"llmscale/analysis/answer"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
)

// answer opens the report: what was found, the figure that shows it, what to change.
func (w *writer) answer(a *answer.Answer) {
	opening := doc.Section{Title: "The answer", Blocks: a.Opening()}
	var shown []figure.Drawn
	if i := slices.IndexFunc(w.figs, func(f figure.Drawn) bool { return f.Kind == a.Figure }); i >= 0 { // no other section has it again
		shown = w.figs[i : i+1]
		w.figs = slices.Delete(slices.Clone(w.figs), i, i+1)
		opening.Add(doc.Pictures(a.Figure))
	}
	w.doc.AddSection(opening, shown)
	w.doc.AddSection(doc.Section{Title: "What to change", Blocks: a.Changed()}, nil)
}
