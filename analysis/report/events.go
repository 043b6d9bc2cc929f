package report

import (
	"fmt"

	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
)

// warnings lists all doubts, those of one kind together.
func (w *writer) warnings() {
	w.doc.Section("Warnings")
	type kind struct{ code, advice string }
	var kinds []kind
	byKind := map[kind][]finding.Warning{}
	seen := map[finding.Warning]bool{}
	for _, x := range w.left() {
		if seen[x] {
			continue
		}
		seen[x] = true
		k := kind{x.Code, x.Advice}
		if byKind[k] == nil {
			kinds = append(kinds, k)
		}
		byKind[k] = append(byKind[k], x)
	}
	if len(kinds) == 0 {
		w.doc.Say("None.")
		return
	}
	t := doc.Table{Wrap: true, Head: []string{"<warning", "times", "<seen", "<what to do"}}
	all := doc.Table{Wrap: true, Head: []string{"<warning", "<where", "<seen"}}
	for _, k := range kinds {
		first := byKind[k][0]
		seen := doc.Text(first.Text)
		if first.Where != "" {
			seen = doc.Text(first.Where) + ": " + seen
		}
		if n := len(byKind[k]); n > 1 {
			seen += fmt.Sprintf(" (and %d more)", n-1)
		}
		t.Rows = append(t.Rows, []string{doc.Text(k.code), fmt.Sprint(len(byKind[k])), seen, doc.OrNone(k.advice)})
		for _, x := range byKind[k] {
			all.Rows = append(all.Rows, []string{doc.Text(x.Code), doc.OrNone(x.Where), doc.Text(x.Text)})
		}
	}
	w.doc.Add(t)
	if len(all.Rows) > len(t.Rows) {
		w.doc.Fold(fmt.Sprintf("Each warning (%d)", len(all.Rows)), all)
	}
}
