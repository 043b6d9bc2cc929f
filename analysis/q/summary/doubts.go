package summary

import (
	"fmt"
	"strings"

	"llmscale/analysis/cells"
)

// phaseGapPercent is how far end-to-end may be from the sum of its phases.
const phaseGapPercent = 1.0

// doubts are warnings about the cells.
func (a *Answer) doubts(set *cells.Set) {
	for _, c := range set.Cells {
		where := strings.Join([]string{c.Backend, c.Model, c.Scenario, c.Mode}, " ")
		if c.E2EGapPercent != nil && *c.E2EGapPercent > phaseGapPercent {
			a.Warn("phases_do_not_add_up", where, fmt.Sprintf("end-to-end differs from prefill + decode by %.2f %% at the median", *c.E2EGapPercent),
				"something runs between the phases: suspect a busy machine, or report it as a fault of the harness")
		}
	}
}
