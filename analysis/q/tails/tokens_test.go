package tails

import (
	"slices"
	"strings"
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
	if s.Reps != 3 || !slices.Equal(s.MedianMS, []float64{2, 5.5}) || !slices.Equal(s.MinMS, []float64{1, 5}) || !slices.Equal(s.MaxMS, []float64{3, 6}) || !slices.Equal(s.CountAt, []int{3, 2}) {
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

// TestTrend: slow tokens that grow with size, fall, follow no order, or are too few
// to tell.
func TestTrend(t *testing.T) {
	for _, c := range []struct {
		what            string
		slow            []float64 // of each model, every tenth token over the others
		tokens          int
		verdict, worst  string
		quantile, words string
	}{
		{"rises", []float64{2, 3, 4, 5, 6, 7}, 100, "rises", "m05", "p95_over_p50", "rises with total parameters"},
		{"falls", []float64{7, 6, 5, 4, 3, 2}, 100, "falls", "m00", "p95_over_p50", "falls with total parameters"},
		{"no order", []float64{4, 2, 6, 3, 7, 2.5}, 100, "no_trend", "m04", "p95_over_p50", "shows no trend"},
		{"enough for a p99", []float64{2, 3, 4, 5, 6, 7}, 250, "rises", "m05", "p99_over_p50", "p99/p50 of single token times is 2.000 on"},
		{"few models", []float64{2, 3, 4, 5}, 100, "unknown", "m03", "p95_over_p50", "The worst p95/p50 of single token times is 5.000, on m03"},
		{"few tokens", []float64{2, 3, 4, 5, 6, 7}, 10, "unknown", "", "", "too few tokens"},
	} {
		a := Ask(celltest.Set(t, timed(len(c.slow), 3, func(model, _ int) []float64 {
			out := make([]float64, c.tokens)
			for i := range out {
				out[i] = 1
				if i%10 == 9 {
					out[i] = c.slow[model]
				}
			}
			return out
		})))
		got := a.Answers.Tails[0]
		if got.Verdict != c.verdict || got.WorstModel != c.worst || got.Quantile != c.quantile || got.NModels != len(c.slow) {
			t.Errorf("%s: %+v", c.what, got)
		}
		if c.quantile != "" {
			celltest.Near(t, c.what+", smallest", got.SmallestRatio, c.slow[0], 1e-6)
			celltest.Near(t, c.what+", worst", got.WorstRatio, slices.Max(c.slow), 1e-6)
		}
		if said := a.Sentences(); len(said) != 1 || !strings.Contains(said[0], c.words) {
			t.Errorf("%s: %q", c.what, said)
		}
	}
}

// TestNoTokenTimes: without them there is an unknown trend, and no section.
func TestNoTokenTimes(t *testing.T) {
	rows := timed(3, 3, func(int, int) []float64 { return nil })
	rows = slices.DeleteFunc(rows, func(r runs.Row) bool { return r.Rep == nil && r.Mode == record.ModeDecode })
	a := Ask(celltest.Set(t, rows))
	if len(a.Tokens)+len(a.Tails) != 0 || a.Sections() != nil || a.Answers.Tails[0].Why != "no token times were recorded" {
		t.Errorf("%+v", a.Answers.Tails)
	}
}
