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
	"llmscale/analysis/answer"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/machines"
	"llmscale/analysis/q/prose"
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

// maxRows is how many rows or items each table and list of a report may have, so that its
// page stays below 2 MiB.
const maxRows = 350

// Write makes report.md and report.html in runDir, of a result and its answer. The figures must lie where
// figs say; report.md points to the PNG files relative to runDir, report.html
// holds the SVG files' contents, or shows the PNG files where there are many.
func Write(runDir string, r *analysis.Result, a *answer.Answer, figs []figure.Drawn) (Paths, error) {
	p := Paths{Markdown: filepath.Join(runDir, MarkdownFile), HTML: filepath.Join(runDir, HTMLFile)}
	doc := compose(r, a, figs)
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
	warned map[string]bool // codes of warnings that stand under a section
}

// compose puts the sections in the order in which a reader needs them. What explains or
// backs them is closed, at the end.
func compose(r *analysis.Result, a *answer.Answer, figs []figure.Drawn) *doc.Document {
	title := "Model scaling"
	name := r.RunName
	if r.RunID != r.RunName {
		name += " " + r.RunID
	}
	if name = doc.Clean(name); name != "" {
		title += ": " + name
	}
	w := &writer{r: r, set: r.Set, figs: figs, doc: &doc.Document{Title: title, Page: HTMLFile}, placed: map[string]bool{}, warned: map[string]bool{}}
	for _, q := range r.Asked {
		if s, says := q.(interface{ Sections() []doc.Section }); says {
			w.found = append(w.found, s.Sections()...)
		}
	}
	w.answer(a)
	for i := range w.found {
		if s := &w.found[i]; s.At() == laws.Place {
			s.Add(a.Within()...)
		}
	}
	w.asked(firstchange.Place, laws.Place, regimes.Place)
	w.asked(machines.Place, "Settings", "Ranking", "Weight types")
	w.asked(lengths.Place, "Tails")
	w.asked("Memory wall", "Device time, memory and power", "What failed or did not fit")
	w.asked("Cross-check with Ollama", "Ollama")
	last := []string{"Models", "Ceilings"}
	w.others(last)
	w.trust()
	for i := range w.found {
		w.found[i].Closed = true
	}
	w.asked(last...)
	w.limits()
	w.facts()
	w.repeat()
	return w.doc
}

// add adds a section with the warnings that concern it.
func (w *writer) add(s doc.Section) {
	if len(s.Blocks) == 0 {
		return
	}
	line, all := prose.Concerns(w.r.Warnings, s.Warned...)
	if n := len(all.Rows); n > 0 {
		s.Fold(fmt.Sprintf("Warnings (%d)", n), all)
	}
	w.doc.AddSection(s, w.figs, line...)
	for _, code := range s.Warned {
		w.warned[code] = true
	}
}

// left are the warnings that stand under no section.
func (w *writer) left() []finding.Warning {
	return slices.DeleteFunc(slices.Clone(w.r.Warnings), func(x finding.Warning) bool { return w.warned[x.Code] })
}

// asked adds sections of what the questions found, by their places.
func (w *writer) asked(places ...string) {
	for _, place := range places {
		w.placed[place] = true
		for _, s := range w.found {
			if s.At() == place {
				w.add(s)
			}
		}
	}
}

// others adds the sections that no order names.
func (w *writer) others(but []string) {
	for _, s := range w.found {
		if !w.placed[s.At()] && !slices.Contains(but, s.At()) {
			w.add(s)
		}
	}
}
