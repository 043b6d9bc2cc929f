package native

import (
	"slices"
	"testing"
)

// TestSumOfPlacement: of two backends' operations, the CPU's are counted, by step.
func TestSumOfPlacement(t *testing.T) {
	trace := &Trace{
		Steps: []TraceStep{{Tokens: 8, Splits: 3}, {Tokens: 1, Splits: 1}},
		Ops: []TraceOp{
			{Op: "GET_ROWS", Backend: "CPU", CPU: true, WeightBytes: 100, OutputBytes: 10},
			{Op: "MUL_MAT", Backend: "CUDA0", WeightBytes: 1000, OutputBytes: 20},
			{Op: "FLASH_ATTN_EXT", Backend: "CPU", CPU: true, OutputBytes: 5},
			{Op: "FLASH_ATTN_EXT", Backend: "CPU", CPU: true, OutputBytes: 5},
			{Op: "MUL_MAT", Backend: "CPU", CPU: true, WeightBytes: 7, OutputBytes: 1},
			{Op: "MUL_MAT", Backend: "CUDA0", Step: 1, WeightBytes: 1000, OutputBytes: 20},
		},
	}
	got := trace.placement(0)
	counts := []OpCount{{"FLASH_ATTN_EXT", 2}, {"GET_ROWS", 1}, {"MUL_MAT", 1}}
	if !slices.Equal(got.CPUOpCounts, counts) {
		t.Errorf("counts %v, want %v", got.CPUOpCounts, counts)
	}
	if got.Tokens != 8 || got.Splits != 3 || got.Ops != 5 || got.CPUOps != 4 || got.CPUWeightBytes != 107 || got.CPUOutputBytes != 21 {
		t.Errorf("%+v", got)
	}
	if got = trace.placement(1); got.Ops != 1 || got.CPUOps != 0 || got.CPUOpCounts == nil || len(got.CPUOpCounts) != 0 {
		t.Errorf("all on the GPU: %+v", got)
	}
}
