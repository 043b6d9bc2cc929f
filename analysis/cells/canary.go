package cells

import (
	"llmscale/analysis/canary"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
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

// leaveOutDisturbed takes the disturbed calls out of what medians and intervals are made of, where enough processes
// have others. The canary ran before the call, so that no call is chosen by its own time.
func (set *Set) leaveOutDisturbed() {
	type call struct {
		ScenarioKey
		CallID
	}
	left := map[call]bool{}
	for _, g := range set.groups {
		g.All = g.Rows
		var calm []*runs.Row
		for _, r := range g.Rows {
			_, disturbed, known := set.Canary(r)
			if known && g.Disturbed == nil {
				g.Disturbed = new(0)
			}
			if disturbed {
				*g.Disturbed++
			} else {
				calm = append(calm, r)
			}
		}
		if len(calm) == len(g.All) {
			continue
		}
		if g.Kept = len(byBlock(calm)) < min(canary.FewestProcesses, len(byBlock(g.All))); g.Kept {
			continue
		}
		for _, r := range g.Rows {
			if _, disturbed, _ := set.Canary(r); disturbed {
				left[call{ScenarioKeyOf(r), CallIDOf(r)}] = true
			}
		}
		g.Rows = calm
		set.Counts.Used -= len(g.All) - len(calm)
		set.Counts.Disturbed += len(g.All) - len(calm)
	}
	set.Counts.DisturbedCalls = len(left)
}

// States are those of the machine before the calls of the run.
func (set *Set) States() canary.States {
	var calls []canary.Call
	for i := range set.Run.Rows {
		if r := &set.Run.Rows[i]; r.OK() && r.Mode == record.ModeE2E {
			calls = append(calls, canaryOf(r))
		}
	}
	return set.canaries.Seen(calls)
}
