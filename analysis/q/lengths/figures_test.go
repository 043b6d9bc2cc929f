package lengths

import (
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/figuretest"
)

func TestFigures(t *testing.T) {
	a := AskRows(t, celltest.LengthRun(2, []int{8, 64}, 3, celltest.Affine(3, 2), nil))
	figs := a.Figures()
	if len(figs) != 1 || figs[0].Kind != figureKind {
		t.Fatalf("%v", figuretest.Names(figs))
	}
	figuretest.Says(t, figs[0], "decode time per token (ms)", "length of the answer (tokens decoded)", "m00", "m01", "2 models", "prompts of 9 tokens", "median of 3 calls")
	if l := figs[0].Panels[0].Layers; len(l) != 2 || len(l[1].Points) != 2 || l[1].Points[1].X != 64 || l[1].End != "m01" {
		t.Errorf("%+v", l)
	}
	if figs := AskRows(t, celltest.LengthRun(2, []int{64}, 3, celltest.Affine(3, 2), nil)).Figures(); len(figs) > 0 {
		t.Errorf("one length has a figure: %v", figuretest.Names(figs))
	}
}
