package calls

import (
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
)

var plan = celltest.Plan{Models: 4, Reps: 4, Gen: 70, Backends: []string{"gpu"}, Scenarios: []string{"a", "b"}, PerToken: func(m int) float64 { return float64(m + 1) }}

// TestDisturbedCalls: a repetition with many times the switches of its cell is named, and stays in every figure.
func TestDisturbedCalls(t *testing.T) {
	quiet := func(r *runs.Row) int64 { return 75 + int64(r.CallIdx) }
	for _, c := range []struct {
		what     string
		switches func(r *runs.Row) int64 // -1: not on record
		text     string                  // in the warning
	}{
		{"none", quiet, ""},
		{"one", func(r *runs.Row) int64 {
			if r.Model == "m01" && r.Scenario == "a" && r.Rep != nil && *r.Rep == 2 {
				return 916
			}
			return quiet(r)
		}, "1 repetition has at least 5 times as many involuntary switches as the median of its cell: m01/gpu/a rep 2: 916, the median is 78"},
		{"a warm-up", func(r *runs.Row) int64 {
			if r.IsWarmup {
				return 916
			}
			return quiet(r)
		}, ""},
		{"few", func(r *runs.Row) int64 { return int64(10 * (r.CallIdx % 4)) }, ""},
		{"not on record", func(r *runs.Row) int64 { return -1 }, ""},
		{"one in each cell", func(r *runs.Row) int64 {
			if r.Rep != nil && *r.Rep == 0 {
				return 1000
			}
			return quiet(r)
		}, "8 repetitions have at least 5 times as many involuntary switches as the median of its cell, most of all: m00/gpu/a rep 0: 1000"},
	} {
		rows := plan.Rows(1)
		for i := range rows {
			if n := c.switches(&rows[i]); n >= 0 {
				rows[i].InvoluntaryCtx = &n
			}
		}
		set := celltest.Set(t, rows)
		r := Ask(set)
		i := slices.IndexFunc(r.Warnings(), func(w finding.Warning) bool { return w.Code == "disturbed_calls" })
		if (i >= 0) != (c.text != "") || i >= 0 && !strings.HasPrefix(r.Warnings()[i].Text, c.text) {
			t.Errorf("%s: the warnings are %+v", c.what, r.Warnings())
		}
		for _, cell := range set.Cells {
			if cell.N != 4 {
				t.Errorf("%s: %s %s has %d calls", c.what, cell.Model, cell.Scenario, cell.N)
			}
		}
	}
}
