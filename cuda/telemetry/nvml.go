//go:build cuda

package telemetry

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"unsafe"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// libraryName is what go-nvml opens.
const libraryName = "libnvidia-ml.so.1"

// Available says in one sentence why there is no GPU to be watched; nil where there is one.
func Available() error {
	lib := nvml.New()
	if err := initialise(lib); err != nil {
		return err
	}
	defer lib.Shutdown() // nothing depends on its outcome
	return someGPU(lib)
}

func someGPU(lib nvml.Interface) error {
	n, ret := lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return fmt.Errorf("NVML cannot count the GPUs: %w", refusal("nvmlDeviceGetCount", ret))
	}
	if n == 0 {
		return errors.New("the NVIDIA driver is here, but it drives no GPU")
	}
	return nil
}

func initialise(lib nvml.Interface) error {
	switch ret := lib.Init(); ret {
	case nvml.SUCCESS:
		return nil
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return fmt.Errorf("no NVIDIA driver: %s is not on this machine", libraryName)
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return fmt.Errorf("%s is here, but the NVIDIA kernel driver is not loaded", libraryName)
	case nvml.ERROR_LIB_RM_VERSION_MISMATCH:
		return fmt.Errorf("%s and the loaded NVIDIA kernel driver have different versions: reload the driver or reboot", libraryName)
	case nvml.ERROR_NO_PERMISSION:
		return errors.New("this user may not talk to the NVIDIA driver: see the rights of /dev/nvidiactl")
	default:
		return fmt.Errorf("NVML does not start: %w", refusal("nvmlInit", ret))
	}
}

// refusal turns a return code into an error, nil for success. go-nvml builds the text over C memory of the
// library, which Close unloads, so it is copied.
func refusal(op string, ret nvml.Return) error {
	if ret == nvml.SUCCESS {
		return nil
	}
	return &Error{Op: op, Code: Code(ret), Name: strings.Clone(ret.Error())}
}

// GPU is one card, open in NVML. Its methods may be called from several goroutines.
type GPU struct {
	lib    nvml.Interface
	dev    nvml.Device
	absent map[string]bool // those of optionalFunctions that this driver lacks
	close  sync.Once
}

// optionalFunctions are those called here that a driver may lack: too old for some, or, for what NVML has
// declared deprecated, too new. go-nvml binds lazily: calling a function that the library lacks ends the
// process with "symbol lookup error" instead of returning ERROR_FUNCTION_NOT_FOUND, so that they are
// looked up when the card is opened.
var optionalFunctions = []string{
	"nvmlDeviceGetMemoryInfo_v2",                // from R510
	"nvmlDeviceGetCurrentClocksEventReasons",    // from R535
	"nvmlDeviceGetCurrentClocksThrottleReasons", // its old name
	"nvmlDeviceGetTemperature",                  // deprecated in 13.0
	"nvmlDeviceGetMPSComputeRunningProcesses",
	"nvmlDeviceGetMigMode",
	"nvmlDeviceGetTotalEnergyConsumption",
	"nvmlDeviceGetFieldValues",
}

// lacks returns an error where the driver has no such function.
func (g *GPU) lacks(function string) error {
	if g.absent[function] {
		return &Error{Op: function, Code: CodeFunctionNotFound, Name: "this driver does not have the function"}
	}
	return nil
}

var _ Device = (*GPU)(nil)

// Open starts NVML and opens the card that which names: its UUID ("GPU-...", or the beginning of it), or
// the number under which CUDA sees it in this process, "0" being the first. Close it after every sampler
// of it has stopped.
func Open(which string) (*GPU, error) { return openWith(nvml.New(), which, os.LookupEnv) }

func openWith(lib nvml.Interface, which string, getenv func(string) (string, bool)) (g *GPU, err error) {
	if err := initialise(lib); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	defer func() {
		if err != nil {
			lib.Shutdown() // the error that is returned is the one that matters
		}
	}()
	if err := someGPU(lib); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	cards, err := list(lib)
	if err != nil {
		return nil, err
	}
	uuid, err := choose(which, cards, getenv)
	if err != nil {
		return nil, err
	}
	dev, ret := lib.DeviceGetHandleByUUID(uuid)
	if ret != nvml.SUCCESS {
		return nil, fmt.Errorf("telemetry: open %s: %w", uuid, refusal("nvmlDeviceGetHandleByUUID", ret))
	}
	g = &GPU{lib: lib, dev: dev, absent: map[string]bool{}}
	for _, name := range optionalFunctions {
		g.absent[name] = lib.Extensions().LookupSymbol(name) != nil
	}
	return g, nil
}

// list names the cards in NVML's order. One that this process may not open, as containers arrange it, is
// left out, as CUDA does not see it either.
func list(lib nvml.Interface) ([]card, error) {
	n, ret := lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return nil, fmt.Errorf("telemetry: %w", refusal("nvmlDeviceGetCount", ret))
	}
	var cards []card
	for i := range n {
		dev, ret := lib.DeviceGetHandleByIndex(i)
		if ret == nvml.ERROR_NO_PERMISSION {
			continue
		}
		if ret != nvml.SUCCESS {
			return nil, fmt.Errorf("telemetry: GPU %d: %w", i, refusal("nvmlDeviceGetHandleByIndex", ret))
		}
		uuid, ret := dev.GetUUID()
		if ret != nvml.SUCCESS {
			return nil, fmt.Errorf("telemetry: GPU %d: %w", i, refusal("nvmlDeviceGetUUID", ret))
		}
		name, ret := dev.GetName()
		if ret != nvml.SUCCESS {
			return nil, fmt.Errorf("telemetry: GPU %d: %w", i, refusal("nvmlDeviceGetName", ret))
		}
		cards = append(cards, card{uuid, name})
	}
	return cards, nil
}

// Close shuts NVML down. Calling it again does nothing.
func (g *GPU) Close() (err error) {
	g.close.Do(func() { err = refusal("nvmlShutdown", g.lib.Shutdown()) })
	return err
}

// Memory uses the second version of the call where the driver has it.
func (g *GPU) Memory() (Memory, error) {
	const second = "nvmlDeviceGetMemoryInfo_v2"
	if g.lacks(second) == nil {
		m, ret := g.dev.GetMemoryInfo_v2()
		return Memory{Total: m.Total, Used: m.Used, Reserved: m.Reserved, HasReserved: true}, refusal(second, ret)
	}
	m, ret := g.dev.GetMemoryInfo()
	return Memory{Total: m.Total, Used: m.Used}, refusal("nvmlDeviceGetMemoryInfo", ret)
}

// PowerFields asks for both power fields at once.
func (g *GPU) PowerFields() (instant, average PowerField, err error) {
	if err := g.lacks("nvmlDeviceGetFieldValues"); err != nil {
		return PowerField{}, PowerField{}, err
	}
	fields := []nvml.FieldValue{{FieldId: nvml.FI_DEV_POWER_INSTANT}, {FieldId: nvml.FI_DEV_POWER_AVERAGE}}
	if ret := g.dev.GetFieldValues(fields); ret != nvml.SUCCESS {
		return PowerField{}, PowerField{}, refusal("nvmlDeviceGetFieldValues", ret)
	}
	read := func(f nvml.FieldValue, name string) PowerField {
		op := "nvmlDeviceGetFieldValues(" + name + ")"
		if err := refusal(op, nvml.Return(f.NvmlReturn)); err != nil {
			return PowerField{Err: err}
		}
		if t := nvml.ValueType(f.ValueType); t != nvml.VALUE_TYPE_UNSIGNED_INT {
			// The header does not fix the type; so far it is always this one.
			return PowerField{Err: &Error{op, CodeNotSupported, fmt.Sprintf("the value has type %d instead of unsigned int", t)}}
		}
		return PowerField{MilliWatts: *(*uint32)(unsafe.Pointer(&f.Value[0]))} // a C union in the machine's byte order
	}
	return read(fields[0], "NVML_FI_DEV_POWER_INSTANT"), read(fields[1], "NVML_FI_DEV_POWER_AVERAGE"), nil
}

// PowerUsage is nvmlDeviceGetPowerUsage.
func (g *GPU) PowerUsage() (uint32, error) {
	v, ret := g.dev.GetPowerUsage()
	return v, refusal("nvmlDeviceGetPowerUsage", ret)
}

// TotalEnergy is nvmlDeviceGetTotalEnergyConsumption.
func (g *GPU) TotalEnergy() (uint64, error) {
	const op = "nvmlDeviceGetTotalEnergyConsumption"
	if err := g.lacks(op); err != nil {
		return 0, err
	}
	v, ret := g.dev.GetTotalEnergyConsumption()
	return v, refusal(op, ret)
}

// SMClock is the clock of the streaming multiprocessors now.
func (g *GPU) SMClock() (uint32, error) {
	v, ret := g.dev.GetClockInfo(nvml.CLOCK_SM)
	return v, refusal("nvmlDeviceGetClockInfo(NVML_CLOCK_SM)", ret)
}

// MemoryClock is the memory's clock now.
func (g *GPU) MemoryClock() (uint32, error) {
	v, ret := g.dev.GetClockInfo(nvml.CLOCK_MEM)
	return v, refusal("nvmlDeviceGetClockInfo(NVML_CLOCK_MEM)", ret)
}

// Temperature is that of the die.
func (g *GPU) Temperature() (uint32, error) {
	const op = "nvmlDeviceGetTemperature"
	if err := g.lacks(op); err != nil {
		return 0, err
	}
	v, ret := g.dev.GetTemperature(nvml.TEMPERATURE_GPU)
	return v, refusal(op, ret)
}

// ClockEvents is nvmlDeviceGetCurrentClocksEventReasons, or the call by its name before R535.
func (g *GPU) ClockEvents() (uint64, error) {
	const op = "nvmlDeviceGetCurrentClocksEventReasons"
	const old = "nvmlDeviceGetCurrentClocksThrottleReasons"
	if g.lacks(op) == nil {
		v, ret := g.dev.GetCurrentClocksEventReasons()
		return v, refusal(op, ret)
	}
	if err := g.lacks(old); err != nil {
		return 0, err
	}
	v, ret := g.dev.GetCurrentClocksThrottleReasons()
	return v, refusal(old, ret)
}
