package runner

import (
	"time"

	"llmscale/runner/plan"
	"llmscale/runner/protocol"
)

// How long a prompt's tokens may take one by one. A wrong result takes six prompts so long, and each also as a batch, which
// is faster. The batch's check follows right results alone: usually of one prompt, and its own six tries take half the time
// alone and about as much as a batch each. Both leave time for the load itself.
const (
	selfCheckBudget = 10 * time.Second
	selfCheckShare  = 20 // of cell_timeout_s at most one part in so many
)

// selfCheck is the check that a load of the job makes.
func (r *Run) selfCheck(j *plan.Job) *protocol.SelfCheckSpec {
	spec := &protocol.SelfCheckSpec{BudgetS: min(selfCheckBudget, r.Plan.Config.CellTimeout()/selfCheckShare).Seconds(), Bound: protocol.SelfCheckBound}
	if j.Model.Desc.NExpert > 0 {
		spec.Bound = protocol.SelfCheckBoundMixture
	}
	return spec
}
