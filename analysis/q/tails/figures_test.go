package tails

import (
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/runs"
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

// TestTitle: the title has the interval of the largest model's p99, which is not below 1.
func TestTitle(t *testing.T) {
	p := celltest.Ladder
	p.Models = 4
	a := Ask(celltest.Set(t, p.Blocks(5, func(b int, r *runs.Row) float64 { return 1 + float64(b*b*len(r.Scenario))/5 })))
	if title := a.Sections()[0].Title; !strings.HasPrefix(title, "One token in 100 takes ") || !strings.Contains(title, " times the median or longer; at 40M ") || !strings.Contains(title, " [1.00 to ") {
		t.Error(title)
	}
	a = Ask(celltest.Set(t, p.Rows(1)))
	if title := a.Sections()[0].Title; !strings.HasSuffix(title, " times the median or longer") {
		t.Errorf("one process: %s", title)
	}
}
