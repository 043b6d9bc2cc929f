//go:build native

package native

// #include "llmscale_shim.h"
import "C"

import "unsafe"

// TraceSteps runs prefill and gen greedy steps as Measure does, with nothing attached, and says when each began and
// ended. The cache is empty afterwards, as after every trace.
func (c *Context) TraceSteps(prompt []int32, gen int) (*Trace, error) {
	return c.trace(C.LS_TRACE_STEPS, prompt, gen)
}

// TraceOps is TraceSteps with every operation computed and timed on its own, which makes the steps longer. On a GPU
// it makes them longer by far: there each operation waits for the device.
func (c *Context) TraceOps(prompt []int32, gen int) (*Trace, error) {
	return c.trace(C.LS_TRACE_TIMED, prompt, gen)
}

// Placement runs one prefill, of as many tokens of prompt as are computed at once, and one decode step, and says
// which operations the CPU computes. It is not timed. On a GPU it belongs before a context's warm-up, because
// afterwards ggml-cuda has seen graphs that it may not replay.
func (c *Context) Placement(prompt []int32) (Placement, error) {
	t, err := c.trace(C.LS_TRACE_PLACEMENT, prompt, 1)
	if err != nil {
		return Placement{}, err
	}
	return Placement{Prefill: t.placement(0), Decode: t.placement(1)}, nil
}

func (c *Context) trace(mode C.ls_trace_mode, prompt []int32, gen int) (*Trace, error) {
	var t *C.ls_trace
	err := c.run(func(cerr *C.ls_error) C.int {
		return C.ls_trace_new(c.c, mode, ids(prompt), C.int32_t(len(prompt)), C.int32_t(gen), &t, cerr)
	})
	if err != nil {
		return nil, err
	}
	defer C.ls_trace_free(t)

	var nSteps C.int32_t
	var nOps, nReads C.int64_t
	steps := unsafe.Slice(C.ls_trace_steps(t, &nSteps), nSteps)
	ops := unsafe.Slice(C.ls_trace_ops(t, &nOps), nOps)
	out := &Trace{Steps: make([]TraceStep, nSteps), Ops: make([]TraceOp, nOps)}
	for i := range steps {
		s := &steps[i]
		out.Steps[i] = TraceStep{StartNS: int64(s.start_ns), EndNS: int64(s.end_ns), Tokens: int(s.n_tokens), Splits: int(s.n_splits)}
	}
	for i := range ops {
		o := &ops[i]
		out.Ops[i] = TraceOp{
			Op: C.GoString(&o.op[0]), Name: C.GoString(&o.name[0]), Backend: C.GoString(&o.backend[0]), WeightType: C.GoString(&o.weight_type[0]),
			CPU: bool(o.cpu), Step: int(o.step), Shape: [4]int64{int64(o.ne[0]), int64(o.ne[1]), int64(o.ne[2]), int64(o.ne[3])}, Inner: int64(o.n_inner),
			WeightBytes: int64(o.weight_bytes), OutputBytes: int64(o.output_bytes), StartNS: int64(o.start_ns), EndNS: int64(o.end_ns),
		}
	}
	for _, r := range unsafe.Slice(C.ls_trace_reads(t, &nReads), nReads) {
		op := &out.Ops[r.op]
		op.Reads = append(op.Reads, TraceRead{C.GoString(&r.name[0]), int64(r.offset), int64(r.bytes), bool(r.lookup)})
	}
	return out, nil
}
