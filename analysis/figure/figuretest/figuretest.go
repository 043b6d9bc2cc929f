// Package figuretest helps tests to ask what figures say.
package figuretest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/figure"
)

// Says fails the test unless each of texts is somewhere in f.
func Says(t *testing.T, f figure.Figure, texts ...string) {
	t.Helper()
	all := Text(t, f)
	for _, want := range texts {
		if !strings.Contains(all, want) {
			t.Errorf("%s does not say %q", f.Name, want)
		}
	}
}

// Text is all that a figure holds, as JSON.
func Text(t *testing.T, f figure.Figure) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	return b.String()
}

// Only are the figures of a kind.
func Only(figs []figure.Figure, kind string) []figure.Figure {
	return slices.DeleteFunc(slices.Clone(figs), func(f figure.Figure) bool { return f.Kind != kind })
}

// Names lists kind and name of each figure.
func Names(figs []figure.Figure) []string {
	var out []string
	for _, f := range figs {
		out = append(out, f.Kind+" "+f.Name)
	}
	return out
}
