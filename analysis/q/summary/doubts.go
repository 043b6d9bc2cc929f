package summary

import (
	"fmt"
	"strings"

	"llmscale/analysis/cells"
)

// Thresholds of the warnings about cells.
const (
	noisySpread     = 0.2 // standard deviation over mean
	phaseGapPercent = 1.0 // end-to-end against the sum of its phases
)

// doubts are warnings about the cells.
func (a *asker) doubts() {
	for _, c := range a.Cells {
		where := strings.Join([]string{c.Backend, c.Model, c.Scenario, c.Mode}, " ")
		if c.E2EGapPercent != nil && *c.E2EGapPercent > phaseGapPercent {
			a.out.Warn("phases_do_not_add_up", where, fmt.Sprintf("end-to-end differs from prefill + decode by %.2f %% at the median", *c.E2EGapPercent),
				"something runs between the phases: suspect a busy machine, or report it as a fault of the harness")
		}
	}
	if p := a.out.Phases; p != nil && p.MedianPercent >= phaseGapPercent {
		a.out.Warn("phases_disagree", "run", fmt.Sprintf("over %d calls end-to-end differs from prefill + decode by %.2f %% at the median and %.2f %% at most", p.N, p.MedianPercent, p.LargestPercent),
			"do not quote shares of prefill and decode: the clock readings leave out, or count twice, a part of the call")
	}
	a.noise()
}

// noise says for each series how many cells scatter widely, and which
// most.
func (a *asker) noise() {
	for _, s := range a.Series {
		judged, noisy := 0, 0
		var worst *cells.Cell
		for _, c := range a.CellsOf(s) {
			if c.StdDevMS == nil {
				continue
			}
			judged++
			if c.Spread() <= noisySpread {
				continue
			}
			noisy++
			if worst == nil || c.Spread() > worst.Spread() {
				worst = c
			}
		}
		if worst == nil {
			continue
		}
		text := fmt.Sprintf("%d of %d cells scatter by more than %.0f %% of their mean; most: %s %s %s, %.0f %% over %d calls (%.4g to %.4g ms)",
			noisy, judged, 100*noisySpread, worst.Model, worst.Scenario, worst.Mode, 100*worst.Spread(), worst.N, worst.MinMS, worst.MaxMS)
		load := 0.0
		for i := range a.Run.Rows {
			if r := &a.Run.Rows[i]; r.Backend == s.Backend && r.LoadAverage1Min != nil {
				load = max(load, *r.LoadAverage1Min)
			}
		}
		if load > 0 {
			text += fmt.Sprintf("; the load average reached %.1f", load)
		}
		a.out.Warn("noisy_cells", s.Backend, text, "close other programs, fix the clock frequency, add repetitions; look at the raw latencies in run order")
	}
}
