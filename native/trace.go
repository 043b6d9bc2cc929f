package native

import (
	"cmp"
	"slices"
)

// Trace is what a call consists of: prefill and decode steps, and the operations of their graphs. No figure of a
// trace belongs among measurements: watching costs time.
type Trace struct {
	Steps []TraceStep
	Ops   []TraceOp
}

// TraceStep is the prefill (the first) or one decode step. Times are nanoseconds of CLOCK_MONOTONIC.
type TraceStep struct {
	StartNS, EndNS int64 // around llama_decode + llama_synchronize
	Tokens         int
	Splits         int // pieces of the step's last graph, each computed by one backend; -1: not known
}

// TraceOp is an operation of a graph; views and reshapes, which compute nothing, are not among them.
type TraceOp struct {
	Op          string // ggml's name: MUL_MAT, FLASH_ATTN_EXT, SILU, ...
	Name        string // of the tensor that it computes
	Backend     string // that computes it: CPU, CUDA0, ...
	WeightType  string // of the largest tensor of weights that it reads; "" if it reads none
	CPU         bool
	Step        int // index into Steps
	Shape       [4]int64
	Inner       int64 // of a matrix product, what is summed over; else 0
	WeightBytes int64 // of the weights that it reads; of experts and of rows looked up, no more than can be chosen
	OutputBytes int64
	StartNS     int64 // 0 where operations were not timed
	EndNS       int64

	Reads []TraceRead // what WeightBytes consists of
}

// TraceRead is a tensor of weights, or a view into one, that an operation reads.
type TraceRead struct {
	Tensor string // in the file
	Offset int64  // of a view within the tensor, bytes
	Bytes  int64
	Lookup bool // rows are looked up
}

// Placement says which backend computes what: of the prefill's graph, and of a decode step's.
type Placement struct {
	Prefill GraphPlacement `json:"prefill"`
	Decode  GraphPlacement `json:"decode"`
}

// GraphPlacement is one graph's.
type GraphPlacement struct {
	Tokens         int       `json:"tokens"` // that the graph computes; of the prompt, no more than NUBatch
	Splits         int       `json:"splits"` // pieces that the graph is cut into, each computed by one backend
	Ops            int       `json:"ops"`    // views and reshapes, which compute nothing, not counted
	CPUOps         int       `json:"cpu_ops"`
	CPUWeightBytes int64     `json:"cpu_weight_bytes"` // that the operations on the CPU read
	CPUOutputBytes int64     `json:"cpu_output_bytes"` // that they write
	CPUOpCounts    []OpCount `json:"cpu_op_counts"`    // the most frequent first
	FlashAttn      bool      `json:"flash_attn"`       // the graph has flash attention
}

// OpCount is how many operations of one name there are.
type OpCount struct {
	Op    string `json:"op"`
	Count int    `json:"count"`
}

// placement sums up the operations of one step.
func (t *Trace) placement(step int) GraphPlacement {
	g := GraphPlacement{Tokens: t.Steps[step].Tokens, Splits: t.Steps[step].Splits}
	counts := map[string]int{}
	for i := range t.Ops {
		op := &t.Ops[i]
		if op.Step != step {
			continue
		}
		g.Ops++
		g.FlashAttn = g.FlashAttn || op.Op == "FLASH_ATTN_EXT"
		if op.CPU {
			g.CPUOps++
			g.CPUWeightBytes += op.WeightBytes
			g.CPUOutputBytes += op.OutputBytes
			counts[op.Op]++
		}
	}
	g.CPUOpCounts = make([]OpCount, 0, len(counts))
	for op, n := range counts {
		g.CPUOpCounts = append(g.CPUOpCounts, OpCount{op, n})
	}
	slices.SortFunc(g.CPUOpCounts, func(a, b OpCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Op, b.Op))
	})
	return g
}
