package cells

import (
	"llmscale/analysis/canary"
	"llmscale/analysis/runs"
)

func canaryOf(r *runs.Row) canary.Call {
	return canary.Of(&r.Phases, &r.Costs, &r.ModelFacts, &r.RuntimeFacts)
}

// learnCanaries finds what the canary of each team takes.
func (set *Set) learnCanaries() {
	var calls []canary.Call
	for i := range set.Run.Rows {
		if r := &set.Run.Rows[i]; r.OK() {
			calls = append(calls, canaryOf(r))
		}
	}
	set.canaries = canary.Learn(calls)
}

// Canary is how many times the canary of most calls of its team the call's took, and whether that is far off: then the
// call is disturbed. known is false where it had no canary.
func (set *Set) Canary(r *runs.Row) (times float64, disturbed, known bool) {
	return set.canaries.Off(canaryOf(r))
}
