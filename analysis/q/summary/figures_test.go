package summary

import (
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/figuretest"
)

// TestShareFigure: a line for each scenario, at decode's share of end-to-end time.
func TestShareFigure(t *testing.T) {
	a := Ask(celltest.Set(t, celltest.Ladder.Rows(1)))
	figs := a.Figures()
	if len(figs) != 1 || figs[0].Name != "decode_share_cpu" {
		t.Fatalf("figures: %v", figuretest.Names(figs))
	}
	figuretest.Says(t, figs[0], "8 models · 2 scenarios · answers of 64 tokens", "scenario p1", "scenario p9")
	layers := figs[0].Panels[0].Layers
	if len(layers) != 2 || len(layers[0].Points) != 8 {
		t.Fatalf("layers: %+v", layers)
	}
	for _, d := range a.DecodeFractions {
		if d.Model == layers[0].Points[0].Name && d.Scenario == "p1" && layers[0].Points[0].Y != 100*d.Fraction {
			t.Errorf("%s is drawn at %g %%, its share is %g", d.Model, layers[0].Points[0].Y, d.Fraction)
		}
	}
}
