package plot

import (
	"strings"
	"testing"

	"llmscale/analysis/figure"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/plot/plottest"
)

func TestCrosscheckFigure(t *testing.T) {
	models := small().Models[:3]
	r, err := plottest.Ollama(models, plottest.Served{StepMS: 0.4, PrefillShare: 0.3, HTTPMS: 1, LoadMS: 5, RestMS: 0.1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	drawn := func() []figure.Drawn {
		t.Helper()
		figs, err := draw.Write(t.TempDir(), newBook(r).crosscheckFigures())
		if err != nil {
			t.Fatal(err)
		}
		return figs
	}
	figs := drawn()
	if len(figs) != 1 || figs[0].Name != "crosscheck_native_cpu_f32_ollama_cpu_f32" {
		t.Fatalf("%v", names(figs))
	}
	svg := checkXML(t, figs[0].SVGPath)
	for _, text := range []string{"decode: Ollama / native", "prefill: Ollama / native", models[0].Name, "short", "p512", "10 % off", "over 4 calls or more"} {
		if !strings.Contains(svg, text) {
			t.Errorf("the figure does not say %q", text)
		}
	}
	// Decode alone where no prefill counts, nothing where nothing can be compared.
	for i := range r.Crosscheck {
		if c := &r.Crosscheck[i]; c.Phase == "prefill" {
			c.Counters.Ratio = nil
		}
	}
	if figs = drawn(); len(figs) != 1 || strings.Contains(checkXML(t, figs[0].SVGPath), "prefill: Ollama") {
		t.Errorf("%v", names(figs))
	}
	r.Crosscheck = nil
	if figs = drawn(); len(figs) != 0 {
		t.Errorf("%v", names(figs))
	}
}
