//go:build cuda

package cuda

// #include "shim.h"
// #include "kernels.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"gorgonia.org/cu"

	"llmscale/cuda/kernels"
)

// Kernel is one of the project's own kernels, loaded on a Device.
type Kernel struct {
	device   *Device
	name     string
	function cu.Function
}

// Name is the kernel's name in its source.
func (k *Kernel) Name() string { return k.name }

// Kernel finds a kernel by its name and loads it.
func (d *Device) Kernel(name string) (k *Kernel, err error) {
	err = d.do(func() error {
		k, err = d.kernel(name)
		return err
	})
	return k, err
}

// kernel runs on the device's thread.
func (d *Device) kernel(name string) (*Kernel, error) {
	if k, ok := d.kernels[name]; ok {
		return k, nil
	}
	file, ok := kernels.Files[name]
	if !ok {
		return nil, fmt.Errorf("cuda: there is no kernel %q", name)
	}
	module, ok := d.modules[file]
	if !ok {
		compiled, err := image(file)
		if err != nil {
			return nil, err
		}
		if module, err = cu.LoadData(compiled); err != nil {
			return nil, toError(fmt.Sprintf("load the kernels of %s.cu for compute capability %s", file, d.facts.ComputeCapability), err)
		}
		d.modules[file] = module
		d.undo = append(d.undo, func() error { return toError("unload "+file, module.Unload()) })
	}
	function, err := module.Function(name)
	if err != nil {
		return nil, toError("find kernel "+name, err)
	}
	k := &Kernel{device: d, name: name, function: function}
	d.kernels[name] = k
	return k, nil
}

// image is the compiled .cu file of a name.
func image(name string) (string, error) {
	for _, f := range unsafe.Slice((*C.struct_ls_fatbin)(unsafe.Pointer(&C.ls_fatbins)), int(C.ls_fatbin_count)) {
		if C.GoString(f.name) == name {
			return unsafe.String((*byte)(unsafe.Pointer(f.data)), int(f.size)), nil
		}
	}
	return "", fmt.Errorf("cuda: this binary holds no kernels of %s.cu", name)
}

// BlocksPerSM is how many blocks of that many threads fit on a multiprocessor.
func (k *Kernel) BlocksPerSM(block int) (n int, err error) {
	err = k.device.do(func() error {
		n, err = k.function.MaxActiveBlocksPerMultiProcessor(block, 0)
		return toError("occupancy of "+k.name, err)
	})
	return n, err
}

// Run launches w once and waits until it is done, outside any timing.
func (d *Device) Run(w Work) error {
	words, err := w.words()
	if err != nil {
		return err
	}
	return d.do(func() error {
		params := make([]unsafe.Pointer, len(words))
		for i := range words {
			params[i] = unsafe.Pointer(&words[i])
		}
		if err := w.Kernel.function.Launch(w.Grid, 1, 1, w.Block, 1, 1, 0, d.stream, params); err != nil {
			return toError("launch "+w.Kernel.name, err)
		}
		return toError("run "+w.Kernel.name, d.stream.Synchronize())
	})
}

func (w Work) c() (C.ls_work, error) {
	words, err := w.words()
	if err != nil {
		return C.ls_work{}, err
	}
	out := C.ls_work{function: (C.CUfunction)(handle(&w.Kernel.function)), grid: C.uint32_t(w.Grid), block: C.uint32_t(w.Block), n_args: C.uint32_t(len(words))}
	for i, v := range words {
		out.args[i] = C.uint64_t(v)
	}
	return out, nil
}

// neverHold lets streams run as they come. ncu and compute-sanitizer wait for every
// launch before the next: the host would never come to let a stream go that is held
// back. What is timed without holding means nothing; only answers count there.
var neverHold = os.Getenv("LLMSCALE_NEVER_HOLD") != ""

// Time times work by events. In each pass the stream is held back until all of it is
// queued, so that the events see the GPU at work and not the host at launching.
func (d *Device) Time(t Timing) (times Times, err error) {
	count := max(t.Count, 1)
	sample := C.ls_sample{count: C.uint32_t(count)}
	if sample.work, err = t.Work.c(); err != nil {
		return Times{}, err
	}
	if count > MaxHeld && !t.Graph {
		return Times{}, fmt.Errorf("cuda: time %s: %d launches in a pass, more than %d", t.Work.Kernel.name, count, MaxHeld)
	}
	if t.Passes < 1 {
		return Times{}, fmt.Errorf("cuda: time %s: %d passes", t.Work.Kernel.name, t.Passes)
	}
	var before *C.ls_work
	if t.Before != nil {
		b, err := t.Before.c()
		if err != nil {
			return Times{}, err
		}
		before = &b
	}
	err = d.do(func() (err error) {
		var op *C.char
		fail := func(code C.CUresult) error {
			return resultError(fmt.Sprintf("time %s: %s", t.Work.Kernel.name, C.GoString(op)), code)
		}
		if t.Graph {
			// A kernel is loaded by its first launch, which must not be a captured one.
			var ns C.int64_t
			if code := C.ls_time_isolated(&d.stage, &sample.work, 1, &ns, &op); code != C.CUDA_SUCCESS {
				return fail(code)
			}
			if code := C.ls_graph_new(&d.stage, &sample, &op); code != C.CUDA_SUCCESS {
				return fail(code)
			}
			defer func() {
				if code := C.ls_graph_free(&sample, &op); code != C.CUDA_SUCCESS {
					err = errors.Join(err, fail(code))
				}
			}()
		}
		pass := func(hold bool) (seconds float64, late bool, err error) {
			var ms C.float
			var timedOut C.bool
			held := C.bool(hold && !neverHold)
			if code := C.ls_time_pass(&d.stage, before, &sample, held, &ms, &timedOut, &op); code != C.CUDA_SUCCESS {
				return 0, false, fail(code)
			}
			return float64(ms) / 1e3, bool(timedOut), nil
		}
		// Not held back: the first launch may load the kernel, for which the driver
		// waits for the stream.
		for range max(t.Warmups, 1) {
			if _, _, err := pass(false); err != nil {
				return err
			}
		}
		for total := 0.0; len(times.Seconds)+times.Discarded < t.Passes; {
			seconds, late, err := pass(true)
			if err != nil {
				return err
			}
			if late {
				times.Discarded++
				continue
			}
			times.Seconds = append(times.Seconds, seconds)
			if total += seconds; t.Budget > 0 && total > t.Budget && len(times.Seconds) >= 3 {
				break
			}
		}
		if len(times.Seconds) == 0 {
			return fmt.Errorf("cuda: time %s: none of %d passes could be held back: the host is too slow to queue them", t.Work.Kernel.name, t.Passes)
		}
		return nil
	})
	return times, err
}

// TimeIsolated launches w n times, each on an idle stream, and returns the host's
// seconds from before each launch to after it was done.
func (d *Device) TimeIsolated(w Work, n int) ([]float64, error) {
	work, err := w.c()
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("cuda: %d launches", n)
	}
	ns := make([]int64, n)
	err = d.do(func() error {
		var op *C.char
		code := C.ls_time_isolated(&d.stage, &work, C.uint32_t(n), (*C.int64_t)(unsafe.Pointer(&ns[0])), &op)
		return resultError(fmt.Sprintf("time %s: %s", w.Kernel.name, C.GoString(op)), code)
	})
	if err != nil {
		return nil, err
	}
	seconds := make([]float64, n)
	for i, t := range ns {
		seconds[i] = float64(t) / 1e9
	}
	return seconds, nil
}
