package compare

import (
	"fmt"
	"math"
	"sort"

	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Verdicts on an effect.
const (
	Same      = "SAME"   // it is shown to be smaller than what matters
	Faster    = "FASTER" // the other takes less time: shown, and by the best guess as much as matters
	Slower    = "SLOWER"
	Ambiguous = record.VerdictAmbiguous
)

// Reason is why a verdict is AMBIGUOUS, with what to do about it.
type Reason struct{ Code, Text, Advice string }

// Reasons that there are.
var (
	NoReplicates = Reason{"no_replicates", "each model ran in one process on each side", "measure both in one run with `replicates: 5`"}
	OneRun       = Reason{"one_run", "one run on a side, and runs differ by an unknown amount", "measure both in one run with `replicates: 5`, or name several runs of each side"}
	Invalid      = Reason{"invalid", "cells of it are INVALID: what happened meanwhile spoilt them", "see cell_intervals.csv of `llmscale report` for what it was, and measure again"}
	Interference = Reason{"interference", fmt.Sprintf("the machine did other work beside more than %.0f %% of the cells", 100*maxInDoubt), "see cell_intervals.csv of `llmscale report` for what it was, end it, and measure again"}
	NotShown     = Reason{"not_shown", "the interval, with the other tests of its kind, leaves room for no effect", "measure more blocks, or several runs"}
	TooSmall     = Reason{"too_small", "an effect is shown, and may be too small to matter", "measure more blocks, or choose another --threshold"}
)

var reasons = []Reason{NoReplicates, OneRun, Invalid, Interference, NotShown, TooSmall}

// ReasonOf is the reason with a code.
func ReasonOf(code string) Reason {
	for _, r := range reasons {
		if r.Code == code {
			return r
		}
	}
	panic("compare: no reason " + code)
}

// Effect is the ratio of two times with a verdict.
type Effect struct {
	Ratio      float64         `json:"ratio"`
	RatioCI    *stats.Interval `json:"ratio_ci"`    // of 95 %, of this ratio alone
	P          *float64        `json:"p"`           // of no effect; null where the scatter between processes is assumed
	PHolm      *float64        `json:"p_holm"`      // the same, adjusted for the family: phases, or cells
	Findable   float64         `json:"findable"`    // effect that is found in 80 % of such comparisons, as a share
	SameWithin float64         `json:"same_within"` // least threshold at which SAME would be said, as a share
	Verdict    string          `json:"verdict"`
	Reason     string          `json:"reason,omitempty"` // of AMBIGUOUS: code of a Reason

	estimate stats.Estimate
	invalid  bool // of INVALID cells
	inDoubt  bool // of more cells than maxInDoubt beside which something else went on
}

const (
	alpha     = 0.05
	power     = 0.8
	maxNeeded = 1000 // blocks

	// Share of a phase's cells beside which something else went on. Up to it these are left
	// out; with more nobody knows what else it hit, and the verdict is withheld.
	// docs/compare.md has how often it errs.
	maxInDoubt = 0.25
)

// judge gives verdicts.
type judge struct {
	design    *design
	threshold float64 // as a logarithm
}

func share(log float64) float64 { return math.Expm1(log) }

func (j *judge) effect(e stats.Estimate) Effect {
	return Effect{Ratio: math.Exp(e.Value), RatioCI: e.ExpInterval(), SameWithin: share(e.SameWithin(alpha)), estimate: e}
}

// verdicts judges a family of effects: FASTER and SLOWER are wrong of any of them with a
// probability of 5 % at most.
func (j *judge) verdicts(family []*Effect) {
	ps := stats.Map(family, func(e *Effect) float64 { return e.estimate.P() })
	adjusted := stats.Holm(ps)
	for i, e := range family {
		level := alpha / float64(len(family))
		e.Findable = share(e.estimate.Findable(level, power))
		e.P, e.PHolm = &ps[i], &adjusted[i]
		found := adjusted[i] < alpha
		switch {
		case j.design.kind == DesignProcess:
			e.P, e.PHolm = nil, nil
			e.Verdict, e.Reason = Ambiguous, NoReplicates.Code
		case e.invalid:
			e.Verdict, e.Reason = Ambiguous, Invalid.Code
		case e.inDoubt:
			e.Verdict, e.Reason = Ambiguous, Interference.Code
		case e.estimate.SameWithin(alpha) <= j.threshold:
			e.Verdict = Same
		case found && e.estimate.Value <= -j.threshold:
			e.Verdict = Faster
		case found && e.estimate.Value >= j.threshold:
			e.Verdict = Slower
		case found:
			e.Verdict, e.Reason = Ambiguous, TooSmall.Code
		case j.design.kind == DesignRun:
			e.Verdict, e.Reason = Ambiguous, OneRun.Code
		default:
			e.Verdict, e.Reason = Ambiguous, NotShown.Code
		}
	}
}

// needed is in how many blocks that scatter as these an effect of the threshold is found
// with the same power; nil where there are no blocks, or maxNeeded do not suffice.
func (j *judge) needed(e stats.Estimate, family int) *int {
	if j.design.kind != DesignBlocks {
		return nil
	}
	level := alpha / float64(family)
	spread := e.Variance * (e.DF + 1)
	n := 2 + sort.Search(maxNeeded-1, func(i int) bool {
		n := float64(i + 2)
		return stats.Estimate{Variance: spread / n, DF: n - 1}.Findable(level, power) <= j.threshold
	})
	if n > maxNeeded {
		return nil
	}
	return &n
}

// trend is the slope of the effect along the logarithm of size, by least squares over
// the models; nil where it is not told.
func (w *work) trend(j *judge, whole []CellID) *Trend {
	names := models(whole)
	var x []float64
	for _, m := range names {
		if p := w.params[m]; p == nil || !(*p > 0) {
			return nil
		} else {
			x = append(x, math.Log10(*p))
		}
	}
	if stats.Distinct(x) < stats.MinPoints || j.design.kind == DesignRun {
		return nil
	}
	middle, sxx := sum(x)/float64(len(x)), 0.0
	off := map[string]float64{}
	for i, m := range names {
		off[m] = x[i] - middle
		sxx += off[m] * off[m]
	}
	level := mean(whole)
	slope := stats.Map(level, func(t term) term { return term{t.CellID, t.weight * float64(len(names)) * off[t.Model] / sxx} })
	at, ok := j.design.estimate(level)
	e, also := j.design.estimate(slope)
	if !ok || !also {
		return nil
	}
	lo, hi := x[0]-middle, x[0]-middle
	for _, v := range x {
		lo, hi = min(lo, v-middle), max(hi, v-middle)
	}
	t := &Trend{PerTenfold: math.Exp(e.Value), PerTenfoldCI: e.ExpInterval(), Smallest: math.Exp(at.Value + lo*e.Value), Largest: math.Exp(at.Value + hi*e.Value)}
	if j.design.kind != DesignProcess {
		t.P = new(e.P())
	}
	return t
}
