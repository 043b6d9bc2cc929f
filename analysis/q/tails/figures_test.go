package tails

import (
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/q/intervals"
)

func TestTooFewTokens(t *testing.T) {
	p := celltest.Ladder
	p.Models, p.Reps, p.Gen, p.Scenarios = 4, 3, 50, []string{"p1"} // 150 tokens: p95 but no p99
	drawn := figuretest.Only(Ask(celltest.Set(t, p.Rows(1))).Figures(new(intervals.Answer)), KindTails)
	if len(drawn) != 1 {
		t.Fatalf("figures of tails: %v", figuretest.Names(drawn))
	}
	if c := drawn[0].Subtitle; !strings.Contains(c, "not drawn: p99 below 662 tokens") {
		t.Errorf("caption: %s", c)
	}
	if strings.Contains(figuretest.Text(t, drawn[0]), "p99 / p50") {
		t.Error("p99 is drawn")
	}
}
