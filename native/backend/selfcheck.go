package backend

import (
	"fmt"
	"time"

	"llmscale/runner"
)

// selfCheckPrompts is how many prompts must give a wrong result before it is believed. Rounding may choose another expert
// of a mixture, and make much of one prompt in six; what is computed wrong is wrong in each.
const selfCheckPrompts = 6

// selfCheck has a prompt evaluated as a batch and token by token, before anything is timed. Where the results are too far
// apart it tries others, and the nearest ones count. Nil where the spec asks for no check.
func (n *Native) selfCheck(spec runner.LoadSpec) (*runner.SelfCheck, error) {
	if spec.SelfCheck == nil {
		return nil, nil
	}
	tokens := min(runner.SelfCheckTokens, n.ctx.NCtx())
	if n.positions > 0 {
		tokens = min(tokens, n.positions)
	}
	if tokens < 2 {
		return &runner.SelfCheck{Skipped: "no self-check: the context has room for one token"}, nil
	}
	budget := time.Duration(spec.SelfCheck.BudgetS * float64(time.Second))
	var nearest *runner.SelfCheck
	for seed := range int64(selfCheckPrompts) { // the same for all builds, so that they can be compared
		c, err := n.ctx.SelfCheck(runner.DrawPrompt(seed, tokens, n.vocab), budget)
		switch {
		case err != nil:
			return nil, failure(err)
		case c.Tokens < 2:
			return &runner.SelfCheck{Skipped: fmt.Sprintf("no self-check: one token took more than the %v that there were", budget)}, nil
		case !c.Finite:
			return nil, errNotFinite()
		}
		if nearest == nil || c.RelL2 < nearest.RelL2 {
			nearest = &runner.SelfCheck{RelL2: c.RelL2, Tokens: c.Tokens, SameToken: c.SameArgmax, Bound: spec.SelfCheck.Bound}
		}
		if nearest.RelL2 <= nearest.Bound {
			break
		}
	}
	return nearest, nil
}
