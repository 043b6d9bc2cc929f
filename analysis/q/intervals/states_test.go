package intervals

import (
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
)

// TestStates: a run in two states says by what they were seen and what they do to times; a few disturbed calls are none.
func TestStates(t *testing.T) {
	for _, other := range []int{0, 1, 2} { // blocks in another state, of 20: 0, 5 and 10 %, and one more process
		rows := plan.Blocks(20, wobble)
		for i := range rows {
			r := &rows[i]
			if machine(r); r.Replicate < other || other == 2 && r.Replicate == 2 && r.Model == "m00" {
				r.CanarySyncNS = new(35.0)
				celltest.Stretch(r, map[bool]float64{true: .5, false: 1.25}[r.Model == "m00"])
			}
		}
		a := Ask(celltest.Set(t, rows))
		said := ""
		for _, w := range a.Warnings() {
			said += w.Text + "\n"
		}
		warned := slices.Contains(celltest.Codes(a.Warnings()), "two_states")
		if other < 2 {
			if a.States != nil || warned || strings.Contains(said, "another state before") {
				t.Errorf("%d of 20 blocks: %+v, %v\n%s", other, a.States, warned, said)
			}
			continue
		}
		want := "the machine was in another state before 12 % of 600 calls: its threads met in 35 ns instead of 180; of 18 cells with calls in both they took 0.50 to 1.2"
		if !warned || !strings.Contains(said, want) {
			t.Errorf("warned %v; want %s\n%s", warned, want, said)
		}
	}
}

// TestOneState: a run whose calls had no canary has no states.
func TestOneState(t *testing.T) {
	if a := Ask(celltest.Set(t, plan.Blocks(5, func(int, *runs.Row) float64 { return 1 }))); a.States != nil {
		t.Errorf("%+v", a.States)
	}
}
