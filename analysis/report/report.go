// Package report writes what an analysed run says, for a reader: report.md, and
// report.html, which needs no network: its figures are inside, as far as they fit.
//
// The opinions it holds:
//
//   - The answer comes first, in sentences made from the run's own numbers. A
//     sentence whose evidence is lacking says "unknown" and why.
//   - An exponent belongs to one machine and one axis; each sentence says both.
//   - Numbers have four significant digits and their units in the table's head;
//     a dash is "not known", never zero.
//   - Both files come from one tree of blocks, so they cannot disagree; names
//     from configs and errors from machines are text, whatever they contain.
//   - The same Result and figures give the same bytes.
package report

import (
	"fmt"
	"path/filepath"
	"slices"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/regimes"
	"llmscale/internal/durable"
)

// Names of the files that Write writes.
const (
	MarkdownFile = "report.md"
	HTMLFile     = "report.html"
)

// Paths are the files that Write wrote.
type Paths struct {
	Markdown string
	HTML     string
}

// maxRows is how many rows and items the tables and lists of a report may have in
// all, so that its page stays below 2 MiB.
const maxRows = 3500

// Write makes report.md and report.html in runDir. The figures must lie where
// figs say; report.md points to the PNG files relative to runDir, report.html
// holds the SVG files' contents, or shows the PNG files where there are many.
func Write(runDir string, r *analysis.Result, figs []figure.Drawn) (Paths, error) {
	p := Paths{Markdown: filepath.Join(runDir, MarkdownFile), HTML: filepath.Join(runDir, HTMLFile)}
	doc := compose(r, figs)
	doc.Shorten(maxRows)
	md, err := doc.Markdown(runDir)
	if err != nil {
		return Paths{}, fmt.Errorf("report: %w", err)
	}
	page, err := doc.HTML(runDir)
	if err != nil {
		return Paths{}, fmt.Errorf("report: %w", err)
	}
	if err := durable.Quick.WriteFile(p.Markdown, []byte(md)); err != nil {
		return Paths{}, fmt.Errorf("report: %w", err)
	}
	if err := durable.Quick.WriteFile(p.HTML, page); err != nil {
		return Paths{}, fmt.Errorf("report: %w", err)
	}
	return p, nil
}

// writer composes the document of one Result.
type writer struct {
	r    *analysis.Result
	set  *cells.Set
	figs []figure.Drawn
	doc  *doc.Document

	found  []doc.Section // what the questions found
	placed map[string]bool
}

// compose puts the sections in the order in which a reader needs them.
func compose(r *analysis.Result, figs []figure.Drawn) *doc.Document {
	title := "Model scaling"
	if name := doc.Clean(r.RunName + " " + r.RunID); name != "" {
		title += ": " + name
	}
	w := &writer{r: r, set: r.Set, figs: figs, doc: &doc.Document{Title: title}, placed: map[string]bool{}}
	for _, a := range r.Asked {
		w.found = append(w.found, a.Sections()...)
	}
	w.answer()
	w.doc.AddSection(doc.Section{Title: "At a glance", Blocks: []doc.Block{doc.Pictures(laws.KindOverview)}}, figs)
	w.asked(firstchange.Place)
	w.asked("Models")
	w.asked(regimes.Place, "Ceilings", "Settings", "Ranking", "Weight types")
	w.asked("Device time, memory and power")
	w.asked("Memory wall")
	w.asked(laws.Place, "Tails")
	w.asked(lengths.Place)
	w.asked("Scaling fits", "Warm-up", "Host clock against device clock")
	w.asked("Cross-check with Ollama", "Ollama", "What the models said")
	last := []string{"How well each cell is known", "Outliers", "What failed or did not fit", "Calls that do not count"}
	w.others(append(last, "All cells"))
	w.asked(last...)
	w.warnings()
	w.limits()
	w.facts()
	w.repeat()
	w.asked("All cells")
	return w.doc
}

// asked adds sections of what the questions found, by their places.
func (w *writer) asked(places ...string) {
	for _, place := range places {
		w.placed[place] = true
		for _, s := range w.found {
			if s.At() == place {
				w.doc.AddSection(s, w.figs)
			}
		}
	}
}

// others adds the sections that no order names.
func (w *writer) others(but []string) {
	for _, s := range w.found {
		if !w.placed[s.At()] && !slices.Contains(but, s.At()) {
			w.doc.AddSection(s, w.figs)
		}
	}
}
