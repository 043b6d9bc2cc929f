// Package kernels is the Go side of the project's own CUDA kernels: their names and
// launch numbers, the data they are given, and for each one a reference on the CPU
// with the tolerance within which a GPU must agree. A figure is only worth keeping
// when the answer that came with it was right.
//
// The kernels are the .cu files beside this one; docs/kernels.md says what each of
// them measures. The package is pure Go and needs no GPU.
package kernels

// Numbers of kernels.h.
const (
	MatVecThreads  = 128 // of a block; each warp takes a row
	ComputeThreads = 256 // of a block
	FMAChains      = 16  // of a thread
	FMACounters    = 4   // chains that count
	FMAUnroll      = 8   // multiply-adds of a chain in an iteration
	MMATiles       = 8   // accumulators of a warp

	xFirst, xSecond, xScales, xSums, xWords = 0, 8, 16, 18, 20
)

// VectorBytes is the size of the elements that the bandwidth kernels count.
const VectorBytes = 16

// Operations of one iteration of a compute kernel, for one block.
const (
	FMAFlopPerIteration = 2 * ComputeThreads * FMAChains * FMAUnroll
	MMAFlopPerIteration = ComputeThreads / 32 * MMATiles * 2 * (2 * 16 * 8 * 16)
)

// Files says in which .cu file a kernel stands: its module's name.
var Files = map[string]string{
	"ls_read": "bandwidth", "ls_write": "bandwidth", "ls_copy": "bandwidth", "ls_triad": "bandwidth",
	"ls_fill": "bandwidth", "ls_pattern_sum": "bandwidth", "ls_check_triad": "bandwidth", "ls_check_write": "bandwidth",
	"ls_fma": "compute", "ls_mma_f16": "compute",
	"ls_block": "control", "ls_flush": "control",
	"ls_empty":      "launch",
	"ls_matvec_f16": "matvec", "ls_matvec_q8_0": "matvec", "ls_matvec_q4_0": "matvec",
}
