package backend

import (
	"llmscale/native"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// TraceSteps runs a call as Measure does, and says when each of its steps began and ended instead of measuring it.
func (n *Native) TraceSteps(call protocol.CallSpec) (*native.Trace, error) {
	return n.trace(call, (*native.Context).TraceSteps)
}

// TraceOps is TraceSteps with every operation on its own, timed. See native.Context.TraceOps.
func (n *Native) TraceOps(call protocol.CallSpec) (*native.Trace, error) {
	return n.trace(call, (*native.Context).TraceOps)
}

func (n *Native) trace(call protocol.CallSpec, how func(*native.Context, []int32, int) (*native.Trace, error)) (*native.Trace, error) {
	var ignored record.Measurement // where the prompt came from, which is in call
	prompts, err := n.prompts(call, &ignored)
	if err != nil {
		return nil, err
	}
	t, err := how(n.ctx, prompts[0], call.GenTokens)
	if err != nil {
		return nil, failure(err)
	}
	return t, nil
}
