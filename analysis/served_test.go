package analysis

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/summary"
	"llmscale/runner/record"
)

// TestServed: what a run natively and through Ollama says elsewhere.
func TestServed(t *testing.T) {
	p := celltest.ServedPlan
	p.Edit = celltest.Cached

	r := analyzeRows(t, p.Rows())
	for _, l := range Get[lengths.Answer](r).Laws {
		if l.Backend == "ollama" && l.Mode == record.ModePrefill { // one of its three prompts was in the cache
			t.Errorf("%+v", l)
		}
	}
	// The share of decode over all scenarios is of those that have both.
	for _, d := range Get[summary.Answer](r).DecodeFractions {
		if d.Backend == "ollama" && d.Scenario == cells.AllScenarios && !(d.Fraction < 0.4) {
			t.Errorf("decode of three scenarios over end-to-end of two: %+v", d)
		}
	}
	for _, v := range Get[calls.Answer](r).Invalid {
		if v.Scenario == "p128" && (fmt.Sprint(v.Modes, v.NoFigure) != "[prefill e2e_kv] [prefill e2e_kv]" || v.Repetitions != 6 || v.Partly != 6 || v.Valid != 6 || v.Warmups != 1) {
			t.Errorf("%+v", v)
		}
		if v.Scenario == "p256" && (len(v.NoFigure) != 0 || v.Repetitions != 1 || v.Partly != 1 || v.Valid != 6) {
			t.Errorf("%+v", v)
		}
	}
	// HTTP and sampling are no fault of the phases.
	q := celltest.ServedPlan
	q.GapMS = func(string, int) float64 { return 3 }
	r = analyzeRows(t, q.Rows())
	for _, w := range r.Warnings {
		if strings.HasPrefix(w.Code, "phases") {
			t.Errorf("%+v", w)
		}
	}
	// Answers of half the length stand for the whole one.
	q.Models, q.GapMS, q.Edit = 1, celltest.ServedPlan.GapMS, celltest.Halved
	r = analyzeRows(t, q.Rows())
	for _, cell := range r.Cells { // 16 tokens, whichever were decoded
		if cell.Backend == "ollama" && cell.Mode == record.ModeDecode && math.Abs(*cell.MSPerToken-1) > 0.02 {
			t.Errorf("%v ms per token", *cell.MSPerToken)
		}
	}
}
