package plot

import (
	"testing"

	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/plot/plottest"
)

func TestCrosscheckFigure(t *testing.T) {
	models := small().Models[:3]
	r, err := plottest.Ollama(models, plottest.Served{StepMS: 0.4, PrefillShare: 0.3, HTTPMS: 1, LoadMS: 5, RestMS: 0.1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	figs := newBook(r).crosscheckFigures()
	if len(figs) != 1 || figs[0].Name != "crosscheck_native_cpu_f32_ollama_cpu_f32" {
		t.Fatalf("%v", figuretest.Names(figs))
	}
	figuretest.Says(t, figs[0], "decode: Ollama / native", "prefill: Ollama / native", models[0].Name, "short", "p512", "10 % off", "over 4 calls or more")
	// Decode alone where no prefill counts, nothing where nothing can be compared.
	for i := range r.Crosscheck {
		if c := &r.Crosscheck[i]; c.Phase == "prefill" {
			c.Counters.Ratio = nil
		}
	}
	if figs = newBook(r).crosscheckFigures(); len(figs) != 1 || len(figs[0].Panels) != 1 {
		t.Errorf("%v", figuretest.Names(figs))
	}
	r.Crosscheck = nil
	if figs = newBook(r).crosscheckFigures(); len(figs) != 0 {
		t.Errorf("%v", figuretest.Names(figs))
	}
}
