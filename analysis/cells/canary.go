package cells

import (
	"math"

	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
)

// A canary is far off where it takes a quarter more or less than the median of its
// team, and five of the run's robust standard deviations at that. Below a quarter a
// call is hardly touched (what takes a core for one tick of four milliseconds adds as
// much to a canary of a few), and five leave one call in a million of a machine whose
// canaries scatter normally, however widely.
const (
	canaryOff = 0.25
	canarySDs = 5
)

// canary is what the fixed work before the calls of a team takes.
type canary struct{ read, compute level }

// level is the median of times in logs, and how far off it is far.
type level struct{ log, far float64 }

func (l level) off(ms *float64) bool {
	return ms != nil && *ms > 0 && math.Abs(math.Log(*ms)-l.log) > l.far
}

func levelOf(rows []*runs.Row, of func(*runs.Row) *float64) level {
	var logs []float64
	for _, r := range rows {
		if v := of(r); v != nil && *v > 0 {
			logs = append(logs, math.Log(*v))
		}
	}
	mid := stats.Median(logs)
	sd := 1.4826 * stats.Median(stats.Map(logs, func(v float64) float64 { return math.Abs(v - mid) }))
	return level{mid, max(math.Log(1+canaryOff), canarySDs*sd)}
}

func canaryRead(r *runs.Row) *float64    { return r.CanaryReadMS }
func canaryCompute(r *runs.Row) *float64 { return r.CanaryComputeMS }

// team is the threads on which a canary runs: those of a backend that compute the
// call's prompt, which of one token may be fewer.
type team struct {
	Series
	one bool
}

func teamOf(r *runs.Row) team {
	return team{SeriesOf(r), r.PromptTokensRaw != nil && *r.PromptTokensRaw == 1}
}

// learnCanaries finds what the canary of each team takes.
func (set *Set) learnCanaries() {
	var rows []*runs.Row
	for i := range set.Run.Rows {
		if r := &set.Run.Rows[i]; r.OK() && (r.CanaryReadMS != nil || r.CanaryComputeMS != nil) {
			rows = append(rows, r)
		}
	}
	_, of := stats.GroupBy(rows, teamOf)
	set.canaries = map[team]canary{}
	for t, rows := range of {
		set.canaries[t] = canary{levelOf(rows, canaryRead), levelOf(rows, canaryCompute)}
	}
}

// CanaryOff is how many times the median of its team the call's canary took, that of
// its two parts that is farther off; known is false where the call had none.
func (set *Set) CanaryOff(r *runs.Row) (times float64, known bool) {
	c := set.canaries[teamOf(r)]
	times = 1
	for _, part := range []struct {
		ms *float64
		level
	}{{r.CanaryReadMS, c.read}, {r.CanaryComputeMS, c.compute}} {
		if part.ms == nil || !(*part.ms > 0) {
			continue
		}
		known = true
		if off := *part.ms / math.Exp(part.log); math.Abs(math.Log(off)) > math.Abs(math.Log(times)) {
			times = off
		}
	}
	return times, known
}

// Disturbed reports whether the machine did known work far off its team's median
// before the call, whatever the call's own time was; known is false where it had no
// canary.
func (set *Set) Disturbed(r *runs.Row) (disturbed, known bool) {
	c := set.canaries[teamOf(r)]
	_, known = set.CanaryOff(r)
	return known && (c.read.off(r.CanaryReadMS) || c.compute.off(r.CanaryComputeMS)), known
}
