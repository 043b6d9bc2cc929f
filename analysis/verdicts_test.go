package analysis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/device"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

var spoiltPlan = celltest.Plan{Models: 4, Reps: 4, Gen: 70, Backends: []string{"gpu"}, Scenarios: []string{"a", "b"}, PerToken: func(m int) float64 { return float64(m + 1) }}

// TestInvalidCallsReachNoFigure: two of four repetitions of one cell, a warm-up of
// another, and all of a third.
func TestInvalidCallsReachNoFigure(t *testing.T) {
	rows := spoiltPlan.Rows(1)
	for i := range rows {
		if rows[i].Status == record.StatusOK {
			rows[i].CUDAEventMS = new(*rows[i].LatencyMS * 0.99)
		}
	}
	celltest.Spoil(rows, func(r *runs.Row) bool {
		return r.Model == "m00" && r.Scenario == "a" && r.CallIdx > 2 || r.Model == "m01" && r.IsWarmup && r.Scenario == "a" || r.Model == "m02" && r.Scenario == "b"
	})
	r := analyzeRows(t, rows)
	if r.Counts.Invalid != 3*(2+1+5) || r.Counts.Used != 3*(4*2*4-2-4) {
		t.Errorf("%+v", r.Counts)
	}
	for _, c := range r.Cells {
		if c.MaxMS > 1e4 || c.Model == "m02" && c.Scenario == "b" || c.Model == "m00" && c.Scenario == "a" && c.N != 2 {
			t.Errorf("%s %s %s: %d calls, at most %v ms", c.Model, c.Scenario, c.Mode, c.N, c.MaxMS)
		}
	}
	for _, x := range Get[tails.Answer](r).Tails {
		if x.MaxMS != nil && *x.MaxMS > 1e4 || x.P95Ratio.Value != nil && *x.P95Ratio.Value > 10 {
			t.Errorf("a tail holds INVALID tokens: %+v", x)
		}
	}
	for _, g := range Get[device.Answer](r).Gaps {
		if g.AbsMedianMS > 1e3 || g.N > 3*4*2*4 {
			t.Errorf("%+v", g)
		}
	}
	for _, f := range Get[scaling.Answer](r).Fits {
		for _, p := range f.Points {
			if p.Y > 1e4 || p.Model == "m02" && f.Scenario != "a" {
				t.Errorf("%s %s: %+v", f.Mode, f.Scenario, p)
			}
		}
	}
	var got []string
	for _, c := range Get[calls.Answer](r).Invalid {
		got = append(got, fmt.Sprint(c.Model, c.Scenario, c.Repetitions, c.Warmups, c.Valid, len(c.Reasons)))
	}
	if want := []string{"m00a2 0 2 1", "m01a0 1 4 1", "m02b4 1 0 1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	text := ""
	for _, w := range r.Warnings {
		if w.Code == "invalid_calls" {
			text += w.Where + ": " + w.Text + "\n"
			if !strings.Contains(w.Advice, "CUDA_VISIBLE_DEVICES") {
				t.Errorf("%+v", w)
			}
		}
	}
	for _, want := range []string{"gpu m00 a: 2 repetitions left out as INVALID; 2 of 4 repetitions count: another program uses the GPU: process 4711 (other)", "1 warm-up", "so that the cell has no figure"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// A run of which every call is spoilt has cells to name and no figure.
func TestAllInvalid(t *testing.T) {
	rows := spoiltPlan.Rows(1)
	celltest.Spoil(rows, func(*runs.Row) bool { return true })
	r := analyzeRows(t, rows)
	if len(r.Cells) != 0 || len(Get[tails.Answer](r).Tails) != 0 || len(Get[calls.Answer](r).Invalid) != 8 || r.Counts.Used != 0 {
		t.Errorf("%d cells, %d tails, %d invalid", len(r.Cells), len(Get[tails.Answer](r).Tails), len(Get[calls.Answer](r).Invalid))
	}
	if a := Get[firstchange.Answer](r).Answers.First[0]; a.Verdict != firstchange.Unknown || len(a.Unknown) != 3 {
		t.Errorf("%+v", a)
	}
}

const cachedReason = "prefill: the prompt's text begins as an earlier one of this load: its tokens were cached"

// TestPartlyInvalid: one mode may count where the others do not.
func TestPartlyInvalid(t *testing.T) {
	rows := spoiltPlan.Rows(1)
	celltest.Partly(rows, cachedReason, func(r *runs.Row) bool { return r.Model == "m00" && r.Scenario == "a" && r.CallIdx > 1 })
	celltest.Partly(rows, cachedReason, func(r *runs.Row) bool { return r.Model == "m01" && r.Scenario == "a" })
	celltest.Partly(rows, "prefill: the server gives no time for the prompt", func(r *runs.Row) bool { return r.Model == "m02" && r.Scenario == "a" })
	celltest.Spoil(rows, func(r *runs.Row) bool { return r.Model == "m02" && r.Scenario == "a" && r.CallIdx == 2 })
	r := analyzeRows(t, rows)
	var got []string
	for i := range Get[calls.Answer](r).Invalid {
		c := &Get[calls.Answer](r).Invalid[i]
		got = append(got, fmt.Sprint(c.Model, " ", c.Repetitions, c.Warmups, c.Partly, c.Valid, " ", c.Modes, c.NoFigure))
	}
	want := []string{
		"m00 3 0 3 4 [prefill e2e_kv] []",
		"m01 4 1 4 4 [prefill e2e_kv] [prefill e2e_kv]",
		"m02 4 1 3 3 [prefill kv_decode e2e_kv] [prefill e2e_kv]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var said []string
	for _, w := range r.Warnings {
		if w.Code == "invalid_calls" {
			said = append(said, w.Text+" | "+w.Advice)
		}
	}
	for i, parts := range [][]string{
		{"3 repetitions left out as INVALID in prefill and e2e_kv alone; 4 of 4 repetitions count: prefill: ", "prompt_tokens in place of a prompt", "read its decode rows only"},
		{"4 repetitions and 1 warm-up left out as INVALID in prefill and e2e_kv alone; 4 of 4 repetitions count, none of them in prefill and e2e_kv, of which there is no figure: "},
		{", 3 of them not in all modes; 3 of 4 repetitions count", "read the decode rows of this scenario only", "CUDA_VISIBLE_DEVICES"},
	} {
		for _, part := range parts {
			if i >= len(said) || !strings.Contains(said[i], part) {
				t.Errorf("no %q in %q", part, said)
			}
		}
	}
	for _, c := range r.Cells {
		n := 4
		switch {
		case c.Scenario == "a" && c.Model == "m00" && c.Mode != record.ModeDecode:
			n = 1
		case c.Scenario == "a" && c.Model == "m01" && c.Mode != record.ModeDecode:
			n = 0
		case c.Scenario == "a" && c.Model == "m02":
			n = map[bool]int{true: 3, false: 0}[c.Mode == record.ModeDecode]
		}
		if c.N != n || c.MaxMS > 1e5 {
			t.Errorf("%s %s %s: %d calls, at most %v ms", c.Model, c.Scenario, c.Mode, c.N, c.MaxMS)
		}
	}
}

// A build that fails its self-check leaves no figure, and what to do about it is to take another build.
func TestWrongResults(t *testing.T) {
	rows := spoiltPlan.Rows(1)
	celltest.Spoil(rows, func(r *runs.Row) bool { return r.Model == "m03" })
	for i := range rows {
		if rows[i].Invalid() {
			rows[i].VerdictReasons = []string{record.WrongResults.Text("relative L2 0.58")}
		}
	}
	r := analyzeRows(t, rows)
	for _, c := range r.Cells {
		if c.Model == "m03" {
			t.Errorf("%s %s has a figure: %v ms", c.Scenario, c.Mode, c.MaxMS)
		}
	}
	if len(Get[calls.Answer](r).Invalid) != 2 {
		t.Fatalf("%+v", Get[calls.Answer](r).Invalid)
	}
	for _, c := range Get[calls.Answer](r).Invalid {
		if advice := c.Advice(); !c.Wrong() || !strings.Contains(advice, "another llama.cpp") || strings.Contains(advice, "CUDA_VISIBLE_DEVICES") {
			t.Errorf("%+v: %s", c, advice)
		}
	}
}
