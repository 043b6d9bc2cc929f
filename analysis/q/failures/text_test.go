package failures

import (
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/doc"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// TestNothingFailed: without a failed call the section says so, and points to the calls that do not count.
func TestNothingFailed(t *testing.T) {
	plan := celltest.Plan{Models: 2, Reps: 3, Gen: 8, Backends: []string{"cpu"}, Scenarios: []string{"a"}, PerToken: func(m int) float64 { return float64(m + 1) }}
	for _, c := range []struct {
		what string
		rows func([]runs.Row) []runs.Row
		want string
	}{
		{"no record", func([]runs.Row) []runs.Row { return nil }, "Unknown: no record"},
		{"all count", func(rows []runs.Row) []runs.Row { return rows }, "Nothing: every cell with a record gave measurements."},
		{"one is INVALID", func(rows []runs.Row) []runs.Row {
			rows[0].Verdict = new(record.VerdictInvalid)
			return rows
		}, "Calls that something spoilt are listed below."},
	} {
		sections := Ask(celltest.Set(t, c.rows(plan.Rows(1)))).Sections()
		if got := sections[0].Blocks[0].(doc.Paragraph); !strings.Contains(string(got), c.want) {
			t.Errorf("%s: the section says %q, want %q", c.what, got, c.want)
		}
	}
}
