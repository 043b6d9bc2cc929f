package coldstart

import (
	"math"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/doc"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// started is a run of blocks whose processes load a model in 100, 110 and 121 ms, make a
// context in 5 ms, and take twice as long for the first prefill as for the others.
func started(blocks int) []runs.Row {
	plan := celltest.Ladder
	plan.Models, plan.Reps, plan.Backends = 2, 3, []string{"cpu", "old"}
	rows := plan.Blocks(blocks, nil)
	seen := map[[3]any]bool{}
	for i := range rows {
		r := &rows[i]
		if k := [3]any{r.Backend, r.Model, r.Replicate}; !seen[k] {
			// The modes of a call stand together.
			for j := range record.Modes {
				first := &rows[i+j]
				first.ModelLoadMS, first.ContextInitMS = new(100*math.Pow(1.1, float64(r.Replicate))), new(5.0)
				if r.Backend == "cpu" {
					first.PrefillColdMS = new(2 * *first.PrefillMS)
				}
			}
			seen[k] = true
		}
	}
	return rows
}

func TestColdStart(t *testing.T) {
	a := Ask(celltest.Set(t, started(3)))
	if len(a.Starts) != 4 || a.Tables()[0].Len() != 4 {
		t.Fatalf("%+v", a.Starts)
	}
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got/want-1) > 1e-6 {
			t.Errorf("%s is %v, want %v", what, doc.NumberOf(got), want)
		}
	}
	for _, x := range a.Starts {
		near("load", x.LoadMS, 110)
		near("context", x.ContextMS, 5)
		// t(.975) of 2 degrees of freedom is 4.302653; the logs are log(1.1) apart.
		near("load's upper end", &x.LoadCI.High, 110*math.Exp(4.302653*math.Log(1.1)/math.Sqrt(3)))
		if x.Processes != 3 || (x.FirstOver != nil) != (x.Backend == "cpu") {
			t.Errorf("%+v", x)
		}
	}
	prefill := 3.0 // ms, of the smallest model
	near("first prefill", a.Starts[0].FirstOver, 2)
	near("start", a.Starts[0].StartMS, math.Cbrt((105+prefill)*(115+prefill)*(126+prefill)))
	one := Ask(celltest.Set(t, started(1))).Starts[0]
	near("load of one process", one.LoadMS, 100)
	if one.LoadCI != nil || one.StartCI != nil {
		t.Errorf("one process has an interval: %+v", one)
	}
	if none := Ask(celltest.Set(t, celltest.Ladder.Rows(1))); none.Starts != nil {
		t.Errorf("%+v", none.Starts)
	}
}
