//go:build native

package native

// #include "llmscale_shim.h"
import "C"

import (
	"math"
	"runtime"
	"unsafe"

	"llmscale/runner/ceilings"
)

// ProbeCPU measures what this CPU can do at most with the threads that inference
// uses: bandwidth of reading by working set, f32 multiply-adds, and the barrier
// between two operations of a graph. Nothing else should run meanwhile.
func ProbeCPU(o ProbeOptions) (ceilings.Device, error) {
	var (
		d   ceilings.Device
		err error
	)
	onOwnThread(func() { d, err = probeCPU(probes{readPasses, fmaPasses, barrierPasses}, o) })
	return d, err
}

// ReadBandwidth reads a buffer of size bytes with the given threads, passes
// times, and returns each pass's rate in bytes per second, in order. The first
// passes may be slower (page tables, clocks).
func ReadBandwidth(size int64, threads, passes int) ([]float64, error) {
	seconds, bytes, err := readPasses(size, threads, 1, 1, passes)
	if err != nil {
		return nil, err
	}
	rates := make([]float64, passes)
	for i, s := range seconds {
		rates[i] = float64(bytes) / s
	}
	return rates, nil
}

// MultiplyAddRate computes multiply-adds on registers with the given threads for some tens of milliseconds and returns
// the median pass's operations per second, two for each multiply-add.
func MultiplyAddRate(threads int) (float64, error) {
	const steps, passes = 1_000_000, 5
	var (
		seconds []float64
		flop    int64
		err     error
	)
	onOwnThread(func() { seconds, flop, err = fmaPasses(threads, steps, passes) })
	if err != nil {
		return 0, err
	}
	return float64(flop) / summarise(seconds[1:]).median, nil
}

// MemoryReadRate returns the rate in bytes per second at which the given threads read memory, over a quarter of a GiB
// that is read in some tens of milliseconds, whatever else this machine does meanwhile: for a guess of how long work
// takes. It needs memory for a small buffer, which is out of the caches before it is read again.
func MemoryReadRate(threads int) (float64, error) {
	const total = 256 << 20
	size := max(8<<20, int64(threads)<<21)
	seconds, bytes, err := readMemory(size, threads, 1, 1, int(max(total/size, 1)), true)
	if err != nil { // no program can empty the caches here: a buffer that none holds
		seconds, bytes, err = readMemory(total, threads, 1, 1, 2, false)
	}
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, s := range seconds {
		sum += s
	}
	return float64(bytes) * float64(len(seconds)) / sum, nil
}

func readPasses(size int64, threads, streams, sweeps, passes int) ([]float64, int64, error) {
	return readMemory(size, threads, streams, sweeps, passes, false)
}

// readMemory times passes over a buffer; cold takes it out of the caches before each.
func readMemory(size int64, threads, streams, sweeps, passes int, cold bool) ([]float64, int64, error) {
	if passes < 1 || size < 1 || threads < 1 || max(threads, streams, sweeps, passes) > math.MaxInt32 {
		return nil, 0, &Error{Op: "read bandwidth", Message: "size, threads and passes must be positive"}
	}
	ns := make([]int64, passes)
	var (
		cerr     C.ls_error
		read     C.size_t
		checksum C.uint64_t
		flush    C.int32_t
	)
	if cold {
		flush = 1
	}
	code := C.ls_read_bandwidth(C.size_t(size), C.int32_t(threads), C.int32_t(streams), C.int32_t(sweeps), flush, C.int32_t(passes),
		times(ns), &read, &checksum, &cerr)
	return seconds(ns), int64(read), toError(code, &cerr, nil)
}

func fmaPasses(threads int, steps int64, passes int) ([]float64, int64, error) {
	if passes < 1 || max(threads, passes) > math.MaxInt32 {
		return nil, 0, &Error{Op: "fma rate", Message: "passes must be positive"}
	}
	ns := make([]int64, passes)
	var (
		cerr     C.ls_error
		flop     C.int64_t
		checksum C.double
	)
	code := C.ls_fma_rate(C.int32_t(threads), C.int64_t(steps), C.int32_t(passes), times(ns), &flop, &checksum, &cerr)
	if err := toError(code, &cerr, nil); err != nil {
		return nil, 0, err
	}
	// After ten thousand steps of x = x*(1-1/1024) + 1/1024 nothing is left of
	// where a chain began.
	if steps >= 10_000 && math.Abs(float64(checksum)-1) > 1e-2 {
		return nil, 0, &Error{Op: "fma rate", Message: "the sum of the multiply-adds is wrong: this machine or this build computes garbage"}
	}
	return seconds(ns), int64(flop), nil
}

func barrierPasses(threads int, barriers int64, passes int) ([]float64, error) {
	if passes < 1 || max(threads, passes) > math.MaxInt32 {
		return nil, &Error{Op: "barrier", Message: "passes must be positive"}
	}
	ns := make([]int64, passes)
	var cerr C.ls_error
	code := C.ls_barrier_cost(C.int32_t(threads), C.int64_t(barriers), C.int32_t(passes), (*C.int64_t)(unsafe.Pointer(&ns[0])), &cerr)
	return seconds(ns), toError(code, &cerr, nil)
}

func seconds(ns []int64) []float64 {
	s := make([]float64, len(ns))
	for i, t := range ns {
		s[i] = float64(t) * 1e-9
	}
	return s
}

// onOwnThread runs f on an OS thread that ends with it: what f sets up there, as
// libgomp's team of threads, ends too, and cannot disturb what is measured later.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked
		defer close(done)
		f()
	}()
	<-done
}
