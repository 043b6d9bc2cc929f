// Package cuda is one NVIDIA GPU: what it is, how much memory it has left, and the
// project's own kernels run and timed on it. It uses the driver API alone, in the
// device's primary context, which is the one that ggml-cuda computes in.
//
// The code behind the build tag cuda stands on gorgonia.org/cu in its safe minimum
// (context, memory, modules, streams, events, single launches) and on a small C file
// for what that package lacks: host memory that the GPU sees, many launches between
// two events without Go in between, graphs, errors in words. Without the tag every
// entry point returns ErrNotBuilt, so that what uses the package compiles and tests
// anywhere.
//
// All calls run on one OS thread of the Device's own; they may come from any
// goroutine and wait for each other.
package cuda

import (
	"errors"
	"fmt"
	"math"
)

// ErrNotBuilt is returned by every function of a binary without CUDA.
var ErrNotBuilt = errors.New("cuda: this binary was built without CUDA: run `CUDA=1 make build`")

// ErrNoMemory is what errors.Is finds in an error of an allocation that the GPU has
// no room for.
var ErrNoMemory = errors.New("not enough GPU memory")

// ErrClosed is returned by what is used after Close.
var ErrClosed = errors.New("cuda: the device is closed")

// Error is a call of the CUDA driver that failed.
type Error struct {
	Op      string // what was being done
	Code    int    // CUresult
	Name    string // CUDA_ERROR_...
	Message string // the driver's words
}

func (e *Error) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("cuda: %s: CUDA error %d", e.Op, e.Code)
	}
	return fmt.Sprintf("cuda: %s: %s (%s)", e.Op, e.Message, e.Name)
}

// codeNoMemory is CUDA_ERROR_OUT_OF_MEMORY.
const codeNoMemory = 2

// Is makes errors.Is(err, ErrNoMemory) work.
func (e *Error) Is(target error) bool { return target == ErrNoMemory && e.Code == codeNoMemory }

// Facts is what the driver says of a GPU. Clocks are the highest that the card is
// built for, not those of the moment. Zero or empty: the driver does not say.
type Facts struct {
	Index             int     `json:"index"`
	Name              string  `json:"name"`
	UUID              string  `json:"uuid"`               // GPU-..., as nvidia-smi prints it
	ComputeCapability string  `json:"compute_capability"` // major.minor
	SMs               int     `json:"sms"`                // streaming multiprocessors
	SMClockMHz        float64 `json:"sm_clock_mhz"`
	MemClockMHz       float64 `json:"mem_clock_mhz"`
	BusWidthBits      int     `json:"bus_width_bits"`
	L2Bytes           int64   `json:"l2_bytes"`
	TotalBytes        int64   `json:"total_bytes"` // of memory
	ECC               bool    `json:"ecc"`
	DriverVersion     string  `json:"driver_version"`      // of the kernel module, such as 580.65.06
	DriverCUDAVersion string  `json:"driver_cuda_version"` // newest CUDA that the driver serves
	BuiltCUDAVersion  string  `json:"built_cuda_version"`  // toolkit that this binary was built with
}

// PeakBytesPerS is what the memory could move by its clock and width, which carries
// two bits a clock and line. 0 where the driver tells either not.
func (f Facts) PeakBytesPerS() float64 {
	return f.MemClockMHz * 1e6 * float64(f.BusWidthBits) / 8 * 2
}

// cudaVersion spells CUDA's number for a version: 13000 is 13.0.
func cudaVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// tooOld says in one sentence why a driver cannot run what a toolkit compiled:
// machine code runs on drivers of the same major version or newer.
func tooOld(driver, toolkit int) error {
	if driver/1000 >= toolkit/1000 {
		return nil
	}
	return fmt.Errorf("cuda: the NVIDIA driver serves CUDA up to %s and this binary was built with %s: update the driver, or build with a CUDA %d toolkit",
		cudaVersion(driver), cudaVersion(toolkit), driver/1000)
}

// Address is a place in a buffer, as an argument of a kernel.
type Address struct {
	Buffer *Buffer
	Offset int64 // bytes
}

// Work is one launch of a kernel: Grid blocks of Block threads. Arguments are uint32,
// uint64, float32, *Buffer or Address, of exactly the kernel's types in their order.
type Work struct {
	Kernel      *Kernel
	Grid, Block int
	Args        []any
}

// maxArgs is how many arguments the C side has room for.
const maxArgs = 8

// words boxes each argument in 8 bytes, of which the driver reads as many as the
// kernel's parameter has: little-endian, so the low ones.
func (w Work) words() ([]uint64, error) {
	if w.Kernel == nil {
		return nil, errors.New("cuda: a launch without a kernel")
	}
	if w.Grid < 1 || w.Grid > math.MaxInt32 || w.Block < 1 || w.Block > 1024 {
		return nil, fmt.Errorf("cuda: %s: %d blocks of %d threads cannot be launched", w.Kernel.Name(), w.Grid, w.Block)
	}
	if len(w.Args) > maxArgs {
		return nil, fmt.Errorf("cuda: %s: %d arguments, more than %d", w.Kernel.Name(), len(w.Args), maxArgs)
	}
	words := make([]uint64, len(w.Args))
	for i, arg := range w.Args {
		switch v := arg.(type) {
		case uint32:
			words[i] = uint64(v)
		case uint64:
			words[i] = v
		case float32:
			words[i] = uint64(math.Float32bits(v))
		case *Buffer:
			words[i] = v.address()
		case Address:
			if v.Offset < 0 || v.Offset >= v.Buffer.Bytes() {
				return nil, fmt.Errorf("cuda: %s: argument %d lies at byte %d of a buffer of %d", w.Kernel.Name(), i, v.Offset, v.Buffer.Bytes())
			}
			words[i] = v.Buffer.address()
			if words[i] != 0 {
				words[i] += uint64(v.Offset)
			}
		default:
			return nil, fmt.Errorf("cuda: %s: argument %d is a %T; want uint32, uint64, float32, *Buffer or Address", w.Kernel.Name(), i, arg)
		}
		switch arg.(type) {
		case *Buffer, Address:
			if words[i] == 0 {
				return nil, fmt.Errorf("cuda: %s: argument %d is a closed buffer", w.Kernel.Name(), i)
			}
		}
	}
	return words, nil
}

// Timing is how work is timed by CUDA events.
type Timing struct {
	Work    Work
	Count   int   // launches between the two events; 0 is 1
	Graph   bool  // the launches are one CUDA graph
	Before  *Work // runs before each pass, outside the events: an L2 flush
	Passes  int   // timed
	Warmups int   // not timed; the first also loads the kernel, so at least 1 is run
	// Budget ends the passes early, seconds of measured time; 0 has no end. At least
	// three passes are timed where Passes asks for as many.
	Budget float64
}

// MaxHeld is how many launches can be queued while the stream is held back: the
// driver's queue is finite, and a launch into a full one would wait for a stream
// that waits for the host.
const MaxHeld = 256

// Times is what Time found.
type Times struct {
	Seconds   []float64 // of each pass, all launches of it together, in run order
	Discarded int       // passes thrown away, because the stream was not held back long enough
}
