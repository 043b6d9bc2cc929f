package backend

import (
	"fmt"
	"math"
	"slices"
	"time"

	"llmscale/runner/protocol"
)

// selfCheckPrompts is how many prompts must give a wrong result before it is believed. Rounding may choose another expert
// of a mixture, and make much of one prompt in six; what is computed wrong is wrong in each.
const selfCheckPrompts = 6

// selfCheck has a prompt evaluated as a batch and token by token, before anything is timed. Where the results are too far
// apart it tries others, and the nearest ones count. Nil where the spec asks for no check.
func (n *Native) selfCheck(spec protocol.LoadSpec) (*protocol.SelfCheck, error) {
	if spec.SelfCheck == nil {
		return nil, nil
	}
	tokens := min(protocol.SelfCheckTokens, spec.NCtx)
	if n.positions > 0 {
		tokens = min(tokens, n.positions)
	}
	if tokens < 2 {
		return &protocol.SelfCheck{Skipped: "no self-check: the context has room for one token"}, nil
	}
	budget := time.Duration(spec.SelfCheck.BudgetS * float64(time.Second))
	var nearest *protocol.SelfCheck
	for seed := range int64(selfCheckPrompts) { // the same for all builds, so that they can be compared
		c, err := n.ctx.SelfCheck(protocol.DrawPrompt(seed, tokens, n.vocab), budget)
		switch {
		case err != nil:
			return nil, failure(err)
		case c.Tokens < 2:
			return &protocol.SelfCheck{Skipped: fmt.Sprintf("no self-check: one token took more than the %v that there were", budget)}, nil
		case !c.Finite:
			return nil, errNotFinite()
		}
		if nearest == nil || c.RelL2 < nearest.RelL2 {
			nearest = &protocol.SelfCheck{RelL2: c.RelL2, Tokens: c.Tokens, SameToken: c.SameArgmax, Bound: spec.SelfCheck.Bound}
		}
		if nearest.RelL2 <= nearest.Bound {
			break
		}
	}
	return nearest, nil
}

// batchCheck has sequences decoded together and alone. Where one of them comes out too far apart they try other texts, and
// its nearest result counts. Nil where the spec asks for no check, or for one sequence; skipped where the self-check has
// spoilt all calls already.
func (n *Native) batchCheck(spec protocol.LoadSpec, self *protocol.SelfCheck) (*protocol.BatchCheck, error) {
	if spec.SelfCheck == nil || n.sequences == 1 {
		return nil, nil
	}
	if self.RelL2 > self.Bound {
		return &protocol.BatchCheck{Skipped: "no check of the batch: the self-check found wrong results"}, nil
	}
	length := protocol.BatchCheckPrompt + protocol.BatchCheckSteps
	if room := spec.NCtx; room < length || n.positions > 0 && n.positions < length {
		return &protocol.BatchCheck{Skipped: fmt.Sprintf("no check of the batch: the context has no room for %d tokens", length)}, nil
	}
	budget := time.Duration(spec.SelfCheck.BudgetS * float64(time.Second))
	out := &protocol.BatchCheck{Bound: spec.SelfCheck.Bound}
	var (
		nearest []float64 // of each sequence that is compared
		most    = n.sequences
	)
	for try := range int64(selfCheckPrompts) {
		texts := make([][]int32, n.sequences)
		for s := range texts {
			texts[s] = protocol.DrawPrompt(protocol.SequenceSeed(try, s), length, n.vocab)
		}
		c, err := n.ctx.BatchCheck(texts, protocol.BatchCheckPrompt, most, budget)
		switch {
		case err != nil:
			return nil, failure(err)
		case !c.Finite:
			return nil, errNotFinite()
		case len(c.Sequences) == 0 && try == 0:
			return &protocol.BatchCheck{Skipped: fmt.Sprintf("no check of the batch: it would have taken more than the %v that there were", budget)}, nil
		}
		if try == 0 {
			nearest, out.Sequences = c.RelL2, len(c.Sequences)
			most, budget = out.Sequences, math.MaxInt64 // each of these gets as many tries, slow ones too
			if c.FirstDifference >= 0 {
				out.FirstDifference = &c.FirstDifference
			}
		}
		for i, rel := range c.RelL2 {
			nearest[i] = min(nearest[i], rel)
		}
		if out.RelL2 = slices.Max(nearest); out.RelL2 <= out.Bound {
			break
		}
	}
	return out, nil
}
