package calls

import (
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// TestOutliers: a slow call is found, with the canary's word on what made it slow; one
// that is disturbed is in no median.
func TestOutliers(t *testing.T) {
	for _, c := range []struct {
		cause  string
		canary func(slow bool) *float64
	}{
		{CauseOwn, func(bool) *float64 { return new(2.0) }},
		{CauseDisturbed, func(slow bool) *float64 { return new(map[bool]float64{false: 2, true: 5}[slow]) }},
		{CauseUnknown, func(bool) *float64 { return nil }},
	} {
		rows := plan.Blocks(3, func(b int, _ *runs.Row) float64 { return 1 + .5*float64(b) }) // processes that differ are no outliers
		for i := range rows {
			r := &rows[i]
			slow := r.Model == "m01" && r.Scenario == "a" && r.Replicate == 1 && r.Rep != nil && *r.Rep == 2
			if r.CanaryReadMS, r.CanaryComputeMS = c.canary(slow), nil; slow {
				celltest.Stretch(r, 3)
			}
		}
		set := celltest.Set(t, rows)
		got := Ask(set).Outliers
		if len(got) != len(record.Modes) {
			t.Fatalf("%s: %+v", c.cause, got)
		}
		for _, o := range got {
			if o.Model != "m01" || o.Scenario != "a" || o.Replicate != 1 || o.Rep != 2 || o.Cause != c.cause || o.Times < 2.8 || (o.Canary == nil) != (c.cause == CauseUnknown) {
				t.Errorf("%s: %+v", c.cause, o)
			}
		}
		for _, cell := range set.Cells {
			n := 12
			if c.cause == CauseDisturbed && cell.Model == "m01" && cell.Scenario == "a" {
				n = 11
			}
			if cell.N != n {
				t.Errorf("%s: %s has %d calls", c.cause, cell.Model, cell.N)
			}
		}
	}
}
