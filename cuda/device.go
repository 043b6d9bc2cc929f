//go:build cuda

package cuda

// The libraries to link come from CMake through CGO_LDFLAGS, which the Makefile
// sets; among them the one that stands in for libcuda (package driver).

// #cgo CFLAGS: -I${SRCDIR}/kernels
// #include "shim.h"
// #include "kernels.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"unsafe"

	"gorgonia.org/cu"

	"llmscale/cuda/driver"
)

// Built says whether this binary holds CUDA code.
const Built = true

// Available returns nil where there is a driver, a GPU, and both can run this
// binary; otherwise one sentence on what is missing.
func Available() error {
	if err := driver.Status(); err != nil {
		return err
	}
	v, err := driver.Version()
	if err != nil {
		return err
	}
	return tooOld(v, C.CUDA_VERSION)
}

// toError names the step that a result of gorgonia.org/cu came from.
func toError(op string, err error) error {
	if err == nil {
		return nil
	}
	// Its error is a CUresult of an unexported type.
	if v := reflect.ValueOf(err); v.Kind() == reflect.Int {
		return resultError(op, C.CUresult(v.Int()))
	}
	return fmt.Errorf("cuda: %s: %w", op, err)
}

func resultError(op string, code C.CUresult) error {
	if code == C.CUDA_SUCCESS {
		return nil
	}
	var name, message *C.char
	C.ls_result_text(code, &name, &message)
	return &Error{Op: op, Code: int(code), Name: C.GoString(name), Message: C.GoString(message)}
}

// Device is an open GPU: its primary context, a stream, and the project's kernels.
type Device struct {
	calls   chan func()
	stopped chan struct{}

	// Of the device's thread alone.
	device  cu.Device
	context cu.CUContext
	facts   Facts
	modules map[string]cu.Module
	kernels map[string]*Kernel
	stream  cu.Stream
	start   cu.Event
	end     cu.Event
	stage   C.ls_stage
	open    map[*Buffer]bool
	undo    []func() error // what Close does, last first
	closed  bool
}

// Open takes the GPU with the given index into use. Close it after everything that
// was made with it.
func Open(index int) (*Device, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	d := &Device{
		calls: make(chan func()), stopped: make(chan struct{}),
		modules: map[string]cu.Module{}, kernels: map[string]*Kernel{}, open: map[*Buffer]bool{},
	}
	go d.serve()
	if err := d.do(func() error { return d.begin(index) }); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// serve owns the OS thread that the context is current on. The thread is never
// unlocked: it ends with the goroutine, and its state with it.
func (d *Device) serve() {
	runtime.LockOSThread()
	defer close(d.stopped)
	for !d.closed {
		(<-d.calls)()
	}
}

// do runs f on the device's thread. After Close it returns ErrClosed.
func (d *Device) do(f func() error) (err error) {
	finished := make(chan struct{})
	run := func() {
		defer close(finished)
		if d.closed {
			err = ErrClosed
			return
		}
		err = f()
	}
	select {
	case d.calls <- run:
		<-finished
		return err
	case <-d.stopped:
		return ErrClosed
	}
}

// begin runs on the device's thread. Each step says at once how it is undone.
func (d *Device) begin(index int) error {
	n, err := cu.NumDevices()
	if err != nil {
		return toError("count GPUs", err)
	}
	if index < 0 || index >= n {
		return fmt.Errorf("cuda: there is no GPU %d: this machine has %d, counted from 0", index, n)
	}
	if d.device, err = cu.GetDevice(index); err != nil {
		return toError("get device", err)
	}
	if d.context, err = d.device.RetainPrimaryCtx(); err != nil {
		return toError("retain the primary context", err)
	}
	d.undo = append(d.undo, func() error { return toError("release the primary context", d.device.ReleasePrimaryCtx()) })
	if err := d.context.Lock(); err != nil {
		return toError("make the context current", err)
	}
	if err := d.readFacts(index); err != nil {
		return err
	}
	// Not synchronised with the default stream, as ggml's streams are not.
	if d.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return toError("make a stream", err)
	}
	d.undo = append(d.undo, func() error { return toError("destroy the stream", d.stream.Destroy()) })
	for _, e := range []*cu.Event{&d.start, &d.end} {
		if *e, err = cu.MakeEvent(cu.DefaultEvent); err != nil {
			return toError("make an event", err)
		}
		d.undo = append(d.undo, func() error { return toError("destroy an event", cu.DestroyEvent(e)) })
	}
	hold, err := d.kernel("ls_block")
	if err != nil {
		return err
	}
	d.stage.stream = (C.CUstream)(handle(&d.stream))
	d.stage.start = (C.CUevent)(handle(&d.start))
	d.stage.end = (C.CUevent)(handle(&d.end))
	d.stage.hold = (C.CUfunction)(handle(&hold.function))
	var op *C.char
	d.undo = append(d.undo, func() error {
		code := C.ls_gate_free(&d.stage, &op)
		return resultError(C.GoString(op), code)
	})
	code := C.ls_gate_new(&d.stage, &op)
	return resultError(C.GoString(op), code)
}

// handle is the driver's handle in one of gorgonia.org/cu's types, each of which is a
// struct of that alone without a way to get at it.
func handle[T cu.Stream | cu.Event | cu.Function](v *T) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(v))
}

// Close gives everything back: after it, each use of the device or of what was made
// with it returns ErrClosed. Buffers that are still open are freed, and reported. A
// second Close does nothing.
func (d *Device) Close() error {
	err := d.do(func() error {
		var errs []error
		if len(d.open) > 0 {
			errs = append(errs, fmt.Errorf("cuda: close: %d buffers were still open", len(d.open)))
		}
		for b := range d.open {
			errs = append(errs, b.free())
		}
		for i := len(d.undo) - 1; i >= 0; i-- {
			errs = append(errs, d.undo[i]())
		}
		d.closed = true
		return errors.Join(errs...)
	})
	if err == ErrClosed {
		return nil
	}
	<-d.stopped
	return err
}

// Facts says what GPU it is.
func (d *Device) Facts() Facts { return d.facts }

func (d *Device) readFacts(index int) error {
	f := Facts{Index: index, BuiltCUDAVersion: cudaVersion(C.CUDA_VERSION), DriverVersion: kernelModuleVersion()}
	var err error
	if f.Name, err = d.device.Name(); err != nil {
		return toError("name", err)
	}
	if id, err := d.device.UUID(); err != nil {
		return toError("UUID", err)
	} else {
		f.UUID = "GPU-" + id.String()
	}
	if f.TotalBytes, err = d.device.TotalMem(); err != nil {
		return toError("total memory", err)
	}
	version, err := driver.Version()
	if err != nil {
		return fmt.Errorf("cuda: %w", err)
	}
	f.DriverCUDAVersion = cudaVersion(version)
	var major, minor, smKHz, memKHz, l2, ecc int
	for _, a := range []struct {
		to        *int
		attribute cu.DeviceAttribute
	}{
		{&major, cu.ComputeCapabilityMajor}, {&minor, cu.ComputeCapabilityMinor}, {&f.SMs, cu.MultiprocessorCount},
		{&smKHz, cu.ClockRate}, {&memKHz, cu.MemoryClockRate}, {&f.BusWidthBits, cu.GlobalMemoryBusWidth},
		{&l2, cu.L2CacheSize}, {&ecc, cu.EccEnabled},
	} {
		if *a.to, err = d.device.Attribute(a.attribute); err != nil {
			return toError(fmt.Sprintf("device attribute %d", int(a.attribute)), err)
		}
	}
	f.ComputeCapability = fmt.Sprintf("%d.%d", major, minor)
	f.SMClockMHz, f.MemClockMHz = float64(smKHz)/1e3, float64(memKHz)/1e3
	f.L2Bytes, f.ECC = int64(l2), ecc != 0
	d.facts = f
	return nil
}

// kernelModuleVersion reads what the driver's kernel half says of itself, "" where
// it does not (a container without that file).
func kernelModuleVersion() string {
	text, err := os.ReadFile("/proc/driver/nvidia/version")
	if err != nil {
		return ""
	}
	return moduleVersion.FindString(string(text))
}

// Both the closed and the open module name themselves in words and then the version.
var moduleVersion = regexp.MustCompile(`\b\d{3,}\.\d+(\.\d+)?\b`)

// MemInfo is the memory that the whole GPU has left, other processes' included.
func (d *Device) MemInfo() (free, total int64, err error) {
	err = d.do(func() error {
		free, total, err = cu.MemInfo()
		return toError("memory info", err)
	})
	return free, total, err
}
