package report

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/ollama"
)

// ollama adds the fits over answers of full length to what the answers say.
func (w *writer) ollama() {
	for _, s := range analysis.Get[ollama.Answer](w.r).Sections() {
		if all := analysis.Get[ollama.Answer](w.r).Ollama.LengthLimited; len(all) > 0 {
			fits := doc.Section{}
			fits.Fold("Fits over answers of full length only", fitTable(all))
			s.Blocks = slices.Insert(s.Blocks, 1, fits.Blocks...)
		}
		w.placed[s.Title] = true
		w.doc.AddSection(s, w.figs)
	}
}

// failures lists what did not run, with reasons.
func (w *writer) failures() {
	w.doc.Section("What failed or did not fit")
	if len(analysis.Get[failures.Answer](w.r).Failed) == 0 {
		if w.r.Counts.Used == 0 {
			w.doc.Say("Unknown: no record says that a cell ran or failed.")
			return
		}
		if len(w.calls().Invalid) > 0 {
			w.doc.Say("Nothing: every cell with a record ran. Calls that something spoilt are listed below.")
			return
		}
		w.doc.Say("Nothing: every cell with a record gave measurements.")
		return
	}
	t := doc.Table{Wrap: true, Head: []string{"<model", "<backend", "parameters (millions)", "<scenario", "<status", "failed calls", "ok calls", "<reason"}}
	var stderr strings.Builder
	for _, f := range analysis.Get[failures.Answer](w.r).Failed {
		reason := doc.Clean(f.Reason)
		if f.Signal != "" {
			reason = strings.TrimPrefix(reason+"; signal "+f.Signal, "; ")
		}
		if f.ExitCode != nil {
			reason = strings.TrimPrefix(fmt.Sprintf("%s; exit code %d", reason, *f.ExitCode), "; ")
		}
		t.Rows = append(t.Rows, []string{doc.Text(f.Model), series(f.Backend, f.BatchSize), doc.SizeOf(f.ParamsM), doc.Text(f.Scenario), doc.Text(f.Status), fmt.Sprint(f.Calls), fmt.Sprint(f.OKCalls), doc.OrNone(reason)})
		if len(f.Stderr) > 0 {
			fmt.Fprintf(&stderr, "%s / %s / %s\n", doc.Clean(f.Model), doc.Clean(f.Backend), doc.Clean(f.Scenario))
			for _, line := range f.Stderr {
				fmt.Fprintf(&stderr, "    %s\n", doc.Clean(line))
			}
		}
	}
	w.doc.Say("A cell that did not fit in memory is a result, not an error. “waived” is what this machine cannot run at all.")
	w.doc.Add(t)
	if stderr.Len() > 0 {
		w.doc.Fold("Last lines of the workers' error output", doc.Code(stderr.String()))
	}
}

// warnings lists all doubts, those of one kind together.
func (w *writer) warnings() {
	w.doc.Section("Warnings")
	type kind struct{ code, advice string }
	var kinds []kind
	byKind := map[kind][]finding.Warning{}
	seen := map[finding.Warning]bool{}
	for _, x := range w.r.Warnings {
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

// saidLimit is how much of a prompt or an answer is shown, in characters.
const saidLimit = 300

// said shows an answer of each model that came as a file, so that a reader sees
// whether it computes sense.
func (w *writer) said() {
	if len(w.calls().Said) == 0 {
		return
	}
	t := doc.Table{Wrap: true, Head: []string{"<model", "<backend", "<prompt", "<answer"}}
	for _, s := range w.calls().Said {
		t.Rows = append(t.Rows, []string{doc.Text(s.Model), doc.Text(s.Backend), doc.OrNone(shorten(s.Prompt, saidLimit)), doc.OrNone(shorten(s.Output, saidLimit))})
	}
	w.doc.Section("What the models said")
	w.doc.Say("One answer of each model that came as a file, by greedy decoding and as long as the run asked for. It shows that the model computes sense; it does not measure quality.")
	w.doc.Add(t)
}

// shorten cuts one line of s to n characters.
func shorten(s string, n int) string {
	r := []rune(doc.Clean(s))
	if len(r) <= n {
		return string(r)
	}
	return strings.TrimSpace(string(r[:n])) + "…"
}
