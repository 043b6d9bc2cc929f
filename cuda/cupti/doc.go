// Package cupti records what the GPU does - kernels, copies, memory sets - through CUPTI, the profiling library of
// the CUDA toolkit, which is found when the program runs and not linked. Recording slows a program down: its figures
// are for looking at, never for a table of latencies.
//
// Start must come before the process has a CUDA context. Started later, CUPTI does not see the kernels of CUDA graphs
// that were captured meanwhile, and says nothing about it.
//
// Without the build tag cuda, Start says that it is missing.
package cupti

import "errors"

// ErrNotBuilt is returned by Start of a program without CUDA.
var ErrNotBuilt = errors.New("cupti: this program was built without CUDA: build it with `make build CUDA=1`")

// Kinds of activity.
const (
	Kernel = "kernel"
	Memcpy = "memcpy"
	Memset = "memset"
)

// Activity is one piece of work on the GPU.
type Activity struct {
	Kind           string // Kernel, Memcpy or Memset
	Name           string // of a kernel, demangled, without its parameters; else ""
	StartNS, EndNS int64  // of the host's CLOCK_MONOTONIC, within Records.ClockErrorNS

	Bytes int64  // copied or set; 0 for a kernel
	Copy  string // direction of a copy: host to device, device to host, device to device, ...

	Device      int
	Stream      uint32
	Correlation uint32 // of the call that started it; all nodes of one launch of a graph share it
	Graph       uint32
	GraphNode   uint64 // 0: not part of a CUDA graph

	Grid, Block [3]int // of a kernel
	Registers   int    // per thread
	SharedBytes int64  // per block, static and dynamic
}

// Records is what was recorded between two calls.
type Records struct {
	Activities   []Activity // by start
	Dropped      int64      // records that CUPTI or this program had no room for: not zero means that counts are too low
	Untimed      int64      // records that came without a time and are not among Activities
	ClockErrorNS int64      // how far StartNS and EndNS may be off the host's clock
}
