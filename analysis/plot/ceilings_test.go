package plot

import (
	"strings"
	"testing"

	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/plot/plottest"
)

func TestCeilingFigure(t *testing.T) {
	r := small().Result()
	plottest.AddCeilings(r)
	figs := figuretest.Only(figures(r), KindCeilings)
	if len(figs) != 1 || figs[0].Name != "ceilings_cpu_2_threads" {
		t.Fatalf("%v", figuretest.Names(figs))
	}
	figuretest.Says(t, figs[0], "cpu with 2 threads", "reading (GB/s)", "best rate measured", "half of it", "decode, native_cpu_f32 (4 models)", "gpt2-25m")
	// Without shares the device is still drawn; with one rate there is no curve.
	r.CeilingShares = nil
	if figs := figuretest.Only(figures(r), KindCeilings); len(figs) != 1 || !strings.Contains(figs[0].Caption, "No decode of the run") {
		t.Error("no word that decode is missing")
	}
	r.Ceilings[0].Read = r.Ceilings[0].Read[:1]
	if figs := figuretest.Only(figures(r), KindCeilings); len(figs) > 0 {
		t.Error("one rate has a figure")
	}
}
