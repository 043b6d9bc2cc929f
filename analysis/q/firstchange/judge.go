package firstchange

import (
	"fmt"
	"math"

	"llmscale/analysis/stats"
)

// judgement of one aspect at one model.
type judgement struct {
	changed bool
	same    bool   // it was judged, and has not changed
	open    string // why it could not be judged, or is not shown; "" if it could
	why     string // what was seen, where changed
}

// errorOf is the error that each of n one-sided comparisons may have, so that all
// together err with walkError at most (Bonferroni).
func errorOf(n int) float64 { return walkError / float64(max(1, n)) }

// judgeLatency compares z with base, one of n comparisons: has decode time grown by
// more than latencyFactor?
func judgeLatency(step *ChangeStep, z, base *sized, n int) judgement {
	switch {
	case z.empty || !z.larger(base):
		return judgement{}
	case step.LatencyTotal == nil || step.SizeTotal == nil:
		return judgement{open: fmt.Sprintf("%s or %s has no decode time over all scenarios", z.model.Name, base.model.Name)}
	}
	x := *step.LatencyTotal
	seen := func(bound string) string {
		return fmt.Sprintf("decode on %s takes %.2f times%s as long as on %s, the smallest measured, at %.3g times its size", z, x, bound, base, *step.SizeTotal)
	}
	for _, d := range []string{base.doubt, z.doubt} {
		if d != "" {
			return judgement{open: seen("") + ", but " + d}
		}
	}
	step.LatencyLow = stats.Finite(math.Exp(z.log.Minus(base.log).Below(errorOf(n))))
	switch {
	case x < latencyFactor:
		return judgement{same: true}
	case step.LatencyLow == nil || *step.LatencyLow <= latencyFactor:
		return judgement{open: fmt.Sprintf("%s, but that it is more than %g times is not shown: %s", seen(""), latencyFactor, atLeast(step.LatencyLow))}
	}
	why := seen(fmt.Sprintf(" (%s)", atLeast(step.LatencyLow)))
	if step.LatencyDoubling != nil {
		why += fmt.Sprintf(" (%.2f times for each doubling of size)", *step.LatencyDoubling)
	}
	return judgement{changed: true, why: why}
}

// atLeast says a lower bound.
func atLeast(low *float64) string {
	if low == nil {
		return "these calls give it no lower bound"
	}
	return fmt.Sprintf("at least %.2f", *low)
}

// judgeTails fills in the step's rise over the least ratio of the smaller models.
// Any two of the models may come to be compared, so n is the number of pairs.
func judgeTails(step *ChangeStep, z *sized, smaller []*sized, n int) judgement {
	var least *sized
	why, some := "", false
	for _, y := range smaller {
		if !z.larger(y) {
			continue
		}
		some = true
		switch {
		case y.p95 == nil:
			if why == "" {
				why = tooFewTokens(y)
			}
		case y.doubt != "":
			if why == "" {
				why = y.doubt
			}
		case least == nil || *y.p95 < *least.p95:
			least = y
		}
	}
	switch {
	case z.empty || !some:
		return judgement{}
	case z.p95 == nil:
		return judgement{open: tooFewTokens(z)}
	case least == nil:
		return judgement{open: why}
	}
	rise := z.logTail().Minus(least.logTail())
	step.TailRise, step.TailFrom = stats.Finite(math.Exp(rise.Value)), least.model.Name
	if step.TailRise == nil {
		return judgement{open: tooFewTokens(z)}
	}
	seen := func(bound string) string {
		return fmt.Sprintf("p95/p50 of the token times within a call on %s is %.2f, %.2f times%s that of %s (%.2f), the least of the smaller models", z, *z.p95, *step.TailRise, bound, least, *least.p95)
	}
	if z.doubt != "" {
		return judgement{open: seen("") + ", but " + z.doubt}
	}
	step.TailRiseLow = stats.Finite(math.Exp(rise.Below(errorOf(n))))
	switch {
	case *step.TailRise < tailFactor && *least.p95 >= unsteady && *z.p95 >= tailFactor:
		return judgement{open: seen("") + ", but that is itself too unsteady for a rise to show"}
	case *step.TailRise < tailFactor:
		return judgement{same: true}
	case step.TailRiseLow == nil || *step.TailRiseLow <= tailFactor:
		return judgement{open: fmt.Sprintf("%s, but that it is more than %g times is not shown: %s", seen(""), tailFactor, atLeast(step.TailRiseLow))}
	}
	return judgement{changed: true, why: seen(fmt.Sprintf(" (%s)", atLeast(step.TailRiseLow)))}
}

func tooFewTokens(z *sized) string {
	switch {
	case z.tail == nil && z.empty:
		return z.model.Name + " was not measured"
	case z.tail == nil:
		return "no token times were recorded on " + z.model.Name
	}
	return fmt.Sprintf("%s has too few token times (%d): a p95 takes %d, also without one call", z.model.Name, z.tail.N, stats.NeedP95)
}

func judgeFeasibility(z *sized) judgement {
	if z.failed == 0 {
		return judgement{same: !z.empty}
	}
	cells := "cells"
	if z.failed == 1 {
		cells = "cell"
	}
	return judgement{changed: true, why: fmt.Sprintf("%d %s of %s %s, and no larger model ran there", z.failed, cells, z, statusWord(z.status))}
}
