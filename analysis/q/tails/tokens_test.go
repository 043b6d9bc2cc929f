package tails

import (
	"slices"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// timed are rows of one scenario whose counting decode calls have the token times of
// each, in ms.
func timed(models, reps int, each func(model, rep int) []float64) []runs.Row {
	rows := celltest.Plan{Models: models, Reps: reps, Gen: 2, Backends: []string{"cpu"}, Scenarios: []string{"p"}, PerToken: func(m int) float64 { return float64(m + 1) }}.Rows(1)
	names := map[string]int{}
	for i := range rows {
		r := &rows[i]
		if _, seen := names[r.Model]; !seen {
			names[r.Model] = len(names)
		}
		r.TokenNS = []int64{9e15} // of warm-ups: must reach nothing
		if r.Rep == nil {
			continue
		}
		r.TokenNS = nil
		for _, ms := range each(names[r.Model], *r.Rep) {
			r.TokenNS = append(r.TokenNS, int64(ms*1e6))
		}
	}
	return rows
}

// TestTokens: calls are lined up by position, and pooled.
func TestTokens(t *testing.T) {
	calls := [][]float64{{1, 5}, {2, 6}, {3}}
	a := Ask(celltest.Set(t, timed(1, 3, func(_, rep int) []float64 { return calls[rep] })))
	if len(a.Tokens) != 1 || len(a.Tails) != 2 {
		t.Fatalf("%d token series, %d tails", len(a.Tokens), len(a.Tails))
	}
	s := a.Tokens[0]
	if s.Reps != 3 || !slices.Equal(s.MedianMS, []float64{2, 5.5}) || !slices.Equal(s.MinMS, []float64{1, 5}) || !slices.Equal(s.MaxMS, []float64{3, 6}) {
		t.Errorf("%+v", s)
	}
	tail := a.Tails[0]
	if tail.N != 5 || *tail.P50MS != 3 || *tail.MaxMS != 6 || tail.P90Ratio.Value != nil {
		t.Errorf("%+v", tail)
	}
	if all := a.Overall(a.set.Series[0], s.Model); all == nil || all.P50MS != nil || all.Calls != 3 {
		t.Errorf("over all scenarios: %+v", all)
	}
	if a.Overall(a.set.Series[0], "another") != nil {
		t.Error("a model that was not measured has a tail")
	}
}

// TestSlowCall: a call that is slow as a whole is a tail of the scenario, and none
// within calls.
func TestSlowCall(t *testing.T) {
	a := Ask(celltest.Set(t, timed(1, 4, func(_, rep int) []float64 {
		out := make([]float64, 100)
		for i := range out {
			out[i] = 1 + 2*float64(rep/3) // 1, 1, 1, 3
		}
		return out
	})))
	all := a.Overall(a.set.Series[0], a.Tails[0].Model)
	celltest.Near(t, "p95/p50", all.P95Ratio.Value, 3, 1e-9)
	celltest.Near(t, "p95/p50 within calls", all.P95InCalls, 1, 1e-9)
}

// TestNoTokenTimes: without them there is no section.
func TestNoTokenTimes(t *testing.T) {
	rows := timed(3, 3, func(int, int) []float64 { return nil })
	rows = slices.DeleteFunc(rows, func(r runs.Row) bool { return r.Rep == nil && r.Mode == record.ModeDecode })
	a := Ask(celltest.Set(t, rows))
	if len(a.Tokens)+len(a.Tails) != 0 || a.Sections() != nil {
		t.Errorf("%+v", a.Tails)
	}
}
