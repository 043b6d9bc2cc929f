package scaling

import (
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/q/intervals"
)

func TestOneModelHasNoLine(t *testing.T) {
	p := celltest.Ladder
	p.Models = 1
	f := figuretest.Only(ask(celltest.Set(t, p.Rows(1))).Figures(), KindScaling)[0]
	if !strings.Contains(f.Subtitle, "no fit") || !strings.Contains(f.Caption, "no line") {
		t.Errorf("one model has a fit: %s", f.Caption)
	}
}

func TestWideBand(t *testing.T) {
	p := celltest.Ladder
	p.Models, p.PerToken = 3, func(m int) float64 { return []float64{1, 30, 1}[m] }
	f := figuretest.Only(ask(celltest.Set(t, p.Rows(1))).Figures(), KindScaling)[0]
	if !strings.Contains(f.Caption, "beyond the frame") {
		t.Errorf("three scattered points: %s", f.Caption)
	}
}

// ask asks with the verdicts on the cells.
func ask(c *cells.Set) *Answer { return Ask(c, intervals.Ask(c)) }
