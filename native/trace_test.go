//go:build native

package native

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

var tracePrompt = []int32{15496, 11, 995, 0, 42, 50256, 7, 31337}

// TestPlacement: without a GPU one backend computes all of both graphs in one piece.
func TestPlacement(t *testing.T) {
	m := load(t, writeModel(t, smallModel, "f16"))
	c := newContext(t, m, ContextParams{NCtx: 256, NUBatch: 4, Threads: 2, FlashAttn: "on"})
	p, err := c.Placement(tracePrompt)
	if err != nil {
		t.Fatal(err)
	}
	if p.Prefill.Tokens != 4 || p.Decode.Tokens != 1 {
		t.Errorf("graphs of %d and %d tokens, want the 4 that are computed at once, and 1", p.Prefill.Tokens, p.Decode.Tokens)
	}
	for name, g := range map[string]GraphPlacement{"prefill": p.Prefill, "decode": p.Decode} {
		if g.Splits != 1 || g.Ops == 0 || g.CPUOps != g.Ops {
			t.Errorf("%s: %d splits, %d of %d operations on the CPU; want 1 and all", name, g.Splits, g.CPUOps, g.Ops)
		}
		counts := map[string]int{}
		sum := 0
		for _, o := range g.CPUOpCounts {
			counts[o.Op] = o.Count
			sum += o.Count
		}
		layers := m.Info().NLayer
		// Four products in each layer and the head; attention, the two cache writes, and the activation once each.
		want := map[string]int{"MUL_MAT": 4*layers + 1, "FLASH_ATTN_EXT": layers, "SET_ROWS": 2 * layers, "GELU": layers}
		for op, n := range want {
			if counts[op] != n {
				t.Errorf("%s: %d operations %s, want %d (%v)", name, counts[op], op, n, g.CPUOpCounts)
			}
		}
		if sum != g.CPUOps {
			t.Errorf("%s: the counts add up to %d of %d operations", name, sum, g.CPUOps)
		}
		for op := range counts {
			if slices.Contains([]string{"VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE", "NONE"}, op) {
				t.Errorf("%s: %s counts as an operation", name, op)
			}
		}
		// The matrices but the table of tokens, which is looked up, and read whole by the head that is tied to it.
		if size := m.Info().SizeBytes; float64(g.CPUWeightBytes) < 0.9*float64(size) || g.CPUWeightBytes > size+size/4 {
			t.Errorf("%s: %d bytes of weights read, of a model of %d", name, g.CPUWeightBytes, size)
		}
	}
	if p.Prefill.CPUOutputBytes <= p.Decode.CPUOutputBytes {
		t.Errorf("prefill of 4 tokens writes %d bytes, decode %d", p.Prefill.CPUOutputBytes, p.Decode.CPUOutputBytes)
	}
}

// TestTraceChangesNothing: the tokens before, between and after traces are the same, and afterwards no callback is
// left, neither on a graph that is used again nor on one that is built anew.
func TestTraceChangesNothing(t *testing.T) {
	const gen = 12
	m := load(t, writeModel(t, smallModel, "f32"))
	c := newContext(t, m, exact)
	fresh := newContext(t, m, exact)
	before, err := c.Measure(tracePrompt, gen)
	if err != nil {
		t.Fatal(err)
	}
	var traces []*Trace
	for _, trace := range []func([]int32, int) (*Trace, error){c.TraceOps, c.TraceSteps, c.TraceOps} {
		tr, err := trace(tracePrompt, gen)
		if err != nil {
			t.Fatal(err)
		}
		traces = append(traces, tr)
	}
	if _, err := c.Placement(tracePrompt); err != nil {
		t.Fatal(err)
	}
	a, b := traces[0], traces[2]
	if len(a.Ops) == 0 || len(a.Ops) != len(b.Ops) {
		t.Fatalf("two traces of one call have %d and %d operations", len(a.Ops), len(b.Ops))
	}
	for i := range a.Ops {
		if a.Ops[i].Op != b.Ops[i].Op || a.Ops[i].Name != b.Ops[i].Name || a.Ops[i].Step != b.Ops[i].Step {
			t.Fatalf("operation %d of two traces of one call: %+v and %+v", i, a.Ops[i], b.Ops[i])
		}
	}
	if len(traces[1].Ops) != 0 {
		t.Errorf("a trace of steps alone saw %d operations: a callback was left behind", len(traces[1].Ops))
	}
	after, err := c.Measure(tracePrompt, gen)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before.OutputIDs, after.OutputIDs) {
		t.Errorf("greedy tokens before %v and after %v", before.OutputIDs, after.OutputIDs)
	}
	c.Clear()
	got, err := c.Eval(tracePrompt)
	if err != nil {
		t.Fatal(err)
	}
	want, err := fresh.Eval(tracePrompt)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("a traced context computes other logits than a fresh one: its cache was not emptied, or its graphs changed")
	}
}

// TestTraceOps: every step has its operations, in time within it and one after the other, and they fill it.
func TestTraceOps(t *testing.T) {
	const gen = 4
	m := load(t, writeModel(t, smallModel, "q4_0"))
	c := newContext(t, m, ContextParams{NCtx: 256, Threads: 1, FlashAttn: "on"})
	tr, err := c.TraceOps(tracePrompt, gen)
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.Steps) != gen+1 {
		t.Fatalf("%d steps", len(tr.Steps))
	}
	perStep := make([]int, gen+1)
	last := int64(math.MinInt64)
	heads := 0
	for _, op := range tr.Ops {
		step := tr.Steps[op.Step]
		if op.StartNS < step.StartNS || op.EndNS > step.EndNS || op.EndNS < op.StartNS || op.StartNS < last {
			t.Fatalf("%s %s from %d to %d, after one until %d, in a step from %d to %d", op.Op, op.Name, op.StartNS, op.EndNS, last, step.StartNS, step.EndNS)
		}
		last = op.EndNS
		perStep[op.Step]++
		if op.Backend != "CPU" || !op.CPU {
			t.Fatalf("%s is computed by %q", op.Name, op.Backend)
		}
		if op.Op == "MUL_MAT" && op.Name == "result_output" {
			heads++
			if op.WeightType == "" || op.Inner != int64(m.Info().NEmbd) || op.Shape[0] != int64(m.Info().NVocab) || op.Shape[1] != 1 {
				t.Errorf("the head: %+v", op)
			}
		}
		if strings.HasPrefix(op.Name, "ffn_up") && op.Op == "MUL_MAT" && op.WeightType != "q4_0" {
			t.Errorf("%s reads weights of type %q", op.Name, op.WeightType)
		}
	}
	if heads != gen+1 {
		t.Errorf("the head was computed %d times", heads)
	}
	for i, n := range perStep {
		if n == 0 || i > 1 && n != perStep[1] {
			t.Errorf("step %d has %d operations, the first decode step %d", i, n, perStep[1])
		}
	}
}

// TestTraceBadInput: refusals are errors, and the context is as good as before.
func TestTraceBadInput(t *testing.T) {
	m := load(t, writeModel(t, smallModel, "f32"))
	c := newContext(t, m, ContextParams{NCtx: 64, Threads: 1})
	if _, err := c.TraceOps(nil, 1); err == nil {
		t.Error("a trace of no prompt")
	}
	if _, err := c.Placement([]int32{-1}); err == nil {
		t.Error("a trace of a token outside the vocabulary")
	}
	if _, err := c.TraceSteps(make([]int32, 8), c.NCtx()); !errors.Is(err, ErrKVFull) {
		t.Errorf("a trace longer than the context: %v", err)
	}
	if _, err := c.TraceOps(tracePrompt, 2); err != nil {
		t.Error(err)
	}
	c.Close()
	if _, err := c.Placement(tracePrompt); err == nil {
		t.Error("a trace on a closed context")
	}
}
