package report

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/answer"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/runs"
)

// mostWords is how many words of a report are open, and mostOfCaption those of a caption.
const mostWords, mostOfCaption = 1500, 25

// committed is a run under results, with its figures but for their drawings.
func committed(t *testing.T, name string) (*analysis.Result, []figure.Drawn) {
	t.Helper()
	run, err := runs.Load(filepath.Join("..", "..", "results", name))
	if err != nil {
		t.Fatal(err)
	}
	r, err := analysis.Analyze(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var drawn []figure.Drawn
	for _, f := range r.Figures() {
		drawn = append(drawn, figure.Drawn{Kind: f.Kind, Title: f.Title, Caption: f.Caption, PNGPath: f.Name + ".png"})
	}
	return r, drawn
}

// wordsOf are the words of Markdown that a reader sees, without those of figures.
func wordsOf(md string) (n int) {
	for line := range strings.Lines(md) {
		if strings.HasPrefix(line, "![") || strings.HasPrefix(line, "| ---") {
			continue
		}
		n += len(slices.DeleteFunc(strings.Fields(line), func(w string) bool { return strings.Trim(w, "|#-*") == "" }))
	}
	return n
}

// TestWords: the page of the default run is read in some minutes. report.md is what is
// open of it.
func TestWords(t *testing.T) {
	r, drawn := committed(t, "2026-11-30-blocks-epyc-2-cores")
	md, err := compose(r, answer.Of(r), drawn).Markdown("")
	if err != nil {
		t.Fatal(err)
	}
	total := wordsOf(md)
	for _, s := range strings.Split(md, "\n## ") {
		title, body, _ := strings.Cut(s, "\n")
		t.Logf("%5d words: %s", wordsOf(title)+wordsOf(body), title)
	}
	if t.Logf("%5d words, %d unfolded", total, wordsOf(unfolded(t, r, "", drawn))); total > mostWords || total < mostWords/10 {
		t.Errorf("%d words are open, want %d at most", total, mostWords)
	}
	for _, f := range drawn {
		if n := wordsOf(doc.Clean(f.Caption)); n > mostOfCaption {
			t.Errorf("%d words in a caption: %s", n, f.Caption)
		}
	}
}
