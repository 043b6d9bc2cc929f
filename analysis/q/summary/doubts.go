package summary

import (
	"fmt"
	"strings"
)

// phaseGapPercent is how far end-to-end may be from the sum of its phases.
const phaseGapPercent = 1.0

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
}
