// Package telemetry watches one GPU through NVML while something else measures on it: what card it is, how
// much memory, power and energy it takes, at which clocks and temperature it runs, what holds its clocks
// down, and who else uses it.
//
// It holds four opinions. A value that the card does not tell is null with the reason, never 0. Nothing
// measured is dropped in silence. A number stands beside what it rests on: how many samples lay in the
// window, which sensor gave the power, by how much the energy can be off. And the watching is itself
// watched: the time that it spends in NVML is part of the result.
//
// Everything but the adaptor to NVML is plain Go over the small interfaces below, so that it is tested
// without a driver. The adaptor needs the build tag cuda; it links nothing: go-nvml opens
// libnvidia-ml.so.1 at run time.
package telemetry

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Sensors is what the sampler reads. Each method makes one NVML call and returns an *Error where NVML said
// no.
type Sensors interface {
	// Memory is the card's memory over all processes.
	Memory() (Memory, error)
	// PowerFields asks for NVML_FI_DEV_POWER_INSTANT and NVML_FI_DEV_POWER_AVERAGE in one call. The error
	// is that of the call; each field carries its own as well.
	PowerFields() (instant, average PowerField, err error)
	// PowerUsage is nvmlDeviceGetPowerUsage, in mW: the mean of the last second on Ampere (except GA100)
	// and newer, an instantaneous value before [nvml.h].
	PowerUsage() (uint32, error)
	// TotalEnergy counts mJ since the driver was loaded.
	TotalEnergy() (uint64, error)
	SMClock() (uint32, error)     // MHz
	MemoryClock() (uint32, error) // MHz
	Temperature() (uint32, error) // degrees Celsius, of the GPU's die
	ClockEvents() (uint64, error) // bits: see ClockEvents
}

// Memory is the device memory in bytes. Where the driver has the second version of the call (R510 and
// newer), what it keeps for itself is Reserved and not Used, as in nvidia-smi; before, Used holds both and
// HasReserved is false.
type Memory struct {
	Total, Used, Reserved uint64
	HasReserved           bool
}

// PowerField is one power reading in mW, or why there is none.
type PowerField struct {
	MilliWatts uint32
	Err        error
}

// Device is one GPU.
type Device interface {
	Sensors
	Describer
	ProcessLister
}

// ErrNotBuilt is what a binary without the build tag cuda answers.
var ErrNotBuilt = errors.New("telemetry: NVML is not in this build: build with the tag cuda (CUDA=1 make build)")

// Code is an nvmlReturn_t.
type Code int32

// The return codes of nvml.h that are told apart here. The adaptor's tests compare them with go-nvml's.
const (
	CodeUninitialized    Code = 1
	CodeInvalidArgument  Code = 2
	CodeNotSupported     Code = 3
	CodeNoPermission     Code = 4
	CodeDriverNotLoaded  Code = 9
	CodeLibraryNotFound  Code = 12
	CodeFunctionNotFound Code = 13
	CodeGPUIsLost        Code = 15
	CodeResetRequired    Code = 16
	CodeVersionMismatch  Code = 18
	CodeGPUNotFound      Code = 28
)

// Error is NVML's refusal of one call.
type Error struct {
	Op   string // the C function
	Code Code
	Name string // NVML's own words
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Op, e.Name) }

// Is lets errors.Is find a Code in an Error.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && e.Code == code
}

// Error makes a Code the target of errors.Is: errors.Is(err, CodeNotSupported).
func (c Code) Error() string { return fmt.Sprintf("NVML return code %d", int32(c)) }

// permanent says that asking again cannot help: the card, the driver or the user's rights will not change
// while the program runs.
func permanent(err error) bool {
	for _, c := range []Code{CodeNotSupported, CodeNoPermission, CodeFunctionNotFound, CodeInvalidArgument} {
		if errors.Is(err, c) {
			return true
		}
	}
	return false
}

// fatal says that nothing more is to be had from this device handle.
func fatal(err error) bool {
	for _, c := range []Code{CodeGPUIsLost, CodeResetRequired, CodeUninitialized, CodeDriverNotLoaded} {
		if errors.Is(err, c) {
			return true
		}
	}
	return false
}

// Now is the clock of every time in this package: CLOCK_MONOTONIC in ns, the one that the native shim
// reads, so that a phase's start and end can be looked up among the samples.
func Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("telemetry: clock_gettime(CLOCK_MONOTONIC): " + err.Error()) // Linux always has it
	}
	return t.Nano()
}

// Maybe is a value that may be unknown; JSON has null then. It is no pointer, so that a long series is one
// block of memory.
type Maybe[T any] struct {
	Value T
	Known bool
}

func known[T any](v T) Maybe[T] { return Maybe[T]{v, true} }

// Ptr returns a pointer to a copy of the value, nil where it is unknown.
func (m Maybe[T]) Ptr() *T {
	if !m.Known {
		return nil
	}
	return &m.Value
}
