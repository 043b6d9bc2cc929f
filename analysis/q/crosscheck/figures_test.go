package crosscheck

import (
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/q/intervals"
	"llmscale/runner/record"
)

// TestFigures: decode above prefill; decode alone where no prefill counts, nothing
// where nothing can be compared.
func TestFigures(t *testing.T) {
	p := celltest.ServedPlan
	p.GapMS = func(string, int) float64 { return 0.4 }
	r := ask(t, p)
	figs := r.Figures(new(intervals.Answer))
	if len(figs) != 1 || figs[0].Name != "crosscheck_native_ollama" {
		t.Fatalf("%v", figuretest.Names(figs))
	}
	figuretest.Says(t, figs[0], "decode: Ollama / native", "prefill: Ollama / native", "m00", "p128", "p512", "10 % off", "over 6 calls or more")
	for i := range r.Comparisons {
		if c := &r.Comparisons[i]; c.Phase == record.ModePrefill {
			c.Counters.Ratio = nil
		}
	}
	if figs = r.Figures(new(intervals.Answer)); len(figs) != 1 || len(figs[0].Panels) != 1 {
		t.Errorf("%v", figuretest.Names(figs))
	}
	r.Comparisons = nil
	if figs = r.Figures(new(intervals.Answer)); len(figs) != 0 {
		t.Errorf("%v", figuretest.Names(figs))
	}
}
