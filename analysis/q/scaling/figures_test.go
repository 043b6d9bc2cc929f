package scaling

import (
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/figuretest"
)

func TestOneModelHasNoLine(t *testing.T) {
	p := celltest.Ladder
	p.Models = 1
	f := figuretest.Only(Ask(celltest.Set(t, p.Rows(1))).Figures(), KindScaling)[0]
	if !strings.Contains(f.Subtitle, "no fit") || !strings.Contains(f.Caption, "no line") {
		t.Errorf("one model has a fit: %s", f.Caption)
	}
}

func TestWideBand(t *testing.T) {
	p := celltest.Ladder
	p.Models, p.PerToken = 3, func(m int) float64 { return []float64{1, 30, 1}[m] }
	f := figuretest.Only(Ask(celltest.Set(t, p.Rows(1))).Figures(), KindScaling)[0]
	if !strings.Contains(f.Caption, "beyond the frame") {
		t.Errorf("three scattered points: %s", f.Caption)
	}
}
