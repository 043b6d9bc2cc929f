package intervals

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/canary"
	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

const (
	manyDisturbed = 0.10 // share of the run's calls above which the machine's states are told
	compared      = 3    // disturbed calls of a cell, and others, that are compared
)

// States are those that the machine was in, where more than a tenth of the calls were made in another one than most.
type States struct {
	canary.States

	Cells int      `json:"cells"`             // with disturbed calls and others to compare
	Low   *float64 `json:"times_others_low"`  // disturbed calls over the cell's others, by their medians: the fastest of cells
	High  *float64 `json:"times_others_high"` // the slowest
}

// states finds whether the run was made in two states, and what these do to times.
func (a *asker) states() {
	s := a.Set.States()
	if float64(s.Disturbed) <= manyDisturbed*float64(s.Calls) {
		return
	}
	out := &States{States: s}
	var times []float64
	a.EachCell(func(_ cells.Key, _ *cells.Model, g *cells.Group) {
		var of [2][]float64
		for _, r := range g.All {
			_, disturbed, known := a.Canary(r)
			if ms, ok := r.Latency(); known && ok {
				i := 0
				if disturbed {
					i = 1
				}
				of[i] = append(of[i], ms)
			}
		}
		if min(len(of[0]), len(of[1])) >= compared {
			times = append(times, stats.Median(of[1])/stats.Median(of[0]))
		}
	})
	if out.Cells = len(times); out.Cells > 0 {
		out.Low, out.High = stats.Finite(slices.Min(times)), stats.Finite(slices.Max(times))
	}
	a.out.States = out
	a.out.Warn("two_states", "run", out.seen()+out.effect(),
		"medians and intervals are of the state before most calls, where a cell has three processes in it; resume the run, or measure on processors of your own. Compare runs only where their canaries agree")
}

// seen says what the canary saw.
func (s *States) seen() string {
	what := map[string]string{"read": "reading the same memory took %s ms instead of %s", "compute": "the same multiply-adds took %s ms instead of %s", "meeting": "its threads met in %s ns instead of %s"}[s.Part]
	number := func(v float64) string { return fmt.Sprintf("%.2g", v) }
	if s.Most >= 100 || s.Other >= 100 {
		number = func(v float64) string { return fmt.Sprintf("%.0f", v) }
	}
	return fmt.Sprintf("the machine was in another state before %.0f %% of %d calls: "+what, math.Round(100*float64(s.Disturbed)/float64(s.Calls)), s.Calls, number(s.Other), number(s.Most))
}

// effect says what the other state does to times.
func (s *States) effect() string {
	switch {
	case s.Low == nil || s.High == nil:
		return ""
	case s.Cells == 1:
		return fmt.Sprintf("; of the one cell with calls in both they took %.2f times the others", *s.Low)
	}
	return fmt.Sprintf("; of %d cells with calls in both they took %.2f to %.2f times the others", s.Cells, *s.Low, *s.High)
}
