package lengths

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

func prefillRun(exponent float64, noise func(call int) float64, prompts ...int) []runs.Row {
	p := celltest.ServedPlan
	p.Models, p.Ollama, p.Scenarios = 1, nil, nil
	for _, n := range prompts {
		p.Scenarios = append(p.Scenarios, celltest.ServedScenario{Name: fmt.Sprint("p", n), Prompt: n})
	}
	rows := p.Rows()
	for i := range rows {
		if r := &rows[i]; r.Mode == record.ModePrefill {
			r.LatencyMS = new(3 * math.Pow(float64(*r.PromptTokensRaw), exponent) * noise(r.CallIdx))
		}
	}
	return rows
}

func exactly(int) float64 { return 1 }

func TestPrefillExponent(t *testing.T) {
	for _, tt := range []struct {
		exponent float64
		asWork   bool
	}{{1, true}, {1.25, true}, {0.1, false}, {2, false}} {
		// The prompts outside 64..1024 follow no law, and must not count.
		rows := prefillRun(tt.exponent, exactly, 8, 64, 128, 512, 1024, 2048)
		for i := range rows {
			if n := *rows[i].PromptTokensRaw; rows[i].Mode == record.ModePrefill && (n == 8 || n == 2048) {
				rows[i].LatencyMS = new(1e4)
			}
		}
		r := AskRows(t, rows)
		if len(r.PrefillLengths) != 6 || len(r.PrefillLengthFits) != 1 {
			t.Fatalf("%d lengths, %d fits", len(r.PrefillLengths), len(r.PrefillLengthFits))
		}
		f := r.PrefillLengthFits[0]
		celltest.Near(t, "exponent", f.Exponent, tt.exponent, 1e-9)
		celltest.Near(t, "R2", f.R2, 1, 1e-9)
		celltest.Near(t, "intercept", f.Log10Intercept, math.Log10(3), 1e-9)
		if f.NLengths != 4 || f.N != 24 || f.Shortest != 64 || f.Longest != 1024 || *f.AsWork != tt.asWork || f.Reason != "" {
			t.Errorf("%+v", f)
		}
		if p := r.PrefillLengths[1]; p.PromptTokens != 64 || p.N != 6 || !p.Fitted || r.PrefillLengths[0].Fitted || r.PrefillLengths[5].Fitted || math.Abs(p.MSPerToken*64/p.PrefillMS-1) > 1e-12 {
			t.Errorf("%+v", p)
		}
	}
}

// TestPrefillInterval: three lengths off a line of slope 1 by 0, +d and 0 in the
// middle: by hand slope 1, s^2 = 2 d^2/3, and t(0.975, 1) = 12.7062 from its table.
func TestPrefillInterval(t *testing.T) {
	rows := prefillRun(1, exactly, 100, 200, 400)
	const d = 0.01
	for i := range rows {
		if r := &rows[i]; r.Mode == record.ModePrefill && *r.PromptTokensRaw == 200 {
			r.LatencyMS = new(*r.LatencyMS * math.Pow(10, d))
		}
	}
	f := AskRows(t, rows).PrefillLengthFits[0]
	half := 12.7062 * math.Sqrt(2*d*d/3) / (math.Log10(2) * math.Sqrt2)
	celltest.Near(t, "exponent", f.Exponent, 1, 1e-9)
	celltest.Near(t, "low", &f.ExponentT.Low, 1-half, 1e-5)
	celltest.Near(t, "high", &f.ExponentT.High, 1+half, 1e-5)
}

func TestPrefillFewLengths(t *testing.T) {
	r := AskRows(t, prefillRun(1, exactly, 64, 512))
	if f := r.PrefillLengthFits[0]; f.Exponent != nil || f.AsWork != nil || !strings.Contains(f.Reason, "2 prompt lengths of 64 to 1024 tokens; an exponent takes 3") {
		t.Errorf("%+v", f)
	}
	for _, prompts := range [][]int{{512}, {1, 9, 17}, {9, 512}} {
		if r := AskRows(t, prefillRun(1, exactly, prompts...)); r.PrefillLengths != nil || r.PrefillLengthFits != nil {
			t.Errorf("%v: %+v", prompts, r.PrefillLengthFits)
		}
	}
}
