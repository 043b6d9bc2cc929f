package telemetry

import (
	"fmt"
	"sync"
)

// fake is a card whose every answer can be set. It is asked from one goroutine at a time; mu
// guards what tests read and change while a sampler runs.
type fake struct {
	mu     sync.Mutex
	calls  map[string]int
	errs   map[string]error // by method
	clock  *int64           // moves on by step with each call, if set
	step   int64
	energy func(at int64) uint64

	instant, average PowerField
	memory           Memory
	events           uint64
	sm               uint32
	temperature      uint32
	took             chan struct{} // receives one value per sample, if set

	compute, graphics, mps []Process
	names                  map[int]string
	uncorrected            uint64
}

func newFake() *fake {
	return &fake{
		calls: map[string]int{}, errs: map[string]error{},
		energy:  func(int64) uint64 { return 1000 },
		instant: PowerField{MilliWatts: 300_000}, average: PowerField{MilliWatts: 250_000},
		memory: Memory{Total: 80 << 30, Used: 3 << 30, Reserved: 500 << 20, HasReserved: true},
		events: 4, sm: 1980, temperature: 55, names: map[int]string{},
	}
}

func nvmlError(op string, code Code) error { return &Error{op, code, fmt.Sprintf("code %d", code)} }

func (f *fake) asked(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[method]++
	if f.clock != nil {
		*f.clock += f.step
	}
	return f.errs[method]
}

func (f *fake) fail(method string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs[method] = err
}

func (f *fake) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func (f *fake) Memory() (Memory, error) {
	err := f.asked("Memory")
	if f.took != nil {
		f.took <- struct{}{}
	}
	return f.memory, err
}
func (f *fake) PowerFields() (PowerField, PowerField, error) {
	return f.instant, f.average, f.asked("PowerFields")
}
func (f *fake) PowerUsage() (uint32, error) { return 240_000, f.asked("PowerUsage") }
func (f *fake) TotalEnergy() (uint64, error) {
	at := int64(0)
	if f.clock != nil {
		at = *f.clock
	}
	return f.energy(at), f.asked("TotalEnergy")
}
func (f *fake) SMClock() (uint32, error)     { return f.sm, f.asked("SMClock") }
func (f *fake) MemoryClock() (uint32, error) { return 2619, f.asked("MemoryClock") }
func (f *fake) Temperature() (uint32, error) { return f.temperature, f.asked("Temperature") }
func (f *fake) ClockEvents() (uint64, error) { return f.events, f.asked("ClockEvents") }

func (f *fake) Name() (string, error)               { return "NVIDIA H100 80GB HBM3", f.asked("Name") }
func (f *fake) UUID() (string, error)               { return "GPU-1", f.asked("UUID") }
func (f *fake) DriverVersion() (string, error)      { return "580.95.05", f.asked("DriverVersion") }
func (f *fake) CUDADriverVersion() (int, error)     { return 13010, f.asked("CUDADriverVersion") }
func (f *fake) VBIOSVersion() (string, error)       { return "96.00.74", f.asked("VBIOSVersion") }
func (f *fake) PCIBusID() (string, error)           { return "00000000:19:00.0", f.asked("PCIBusID") }
func (f *fake) ECCEnabled() (bool, error)           { return true, f.asked("ECCEnabled") }
func (f *fake) PowerLimit() (uint32, error)         { return 650_000, f.asked("PowerLimit") }
func (f *fake) DefaultPowerLimit() (uint32, error)  { return 700_000, f.asked("DefaultPowerLimit") }
func (f *fake) EnforcedPowerLimit() (uint32, error) { return 600_000, f.asked("EnforcedPowerLimit") }
func (f *fake) MaxSMClock() (uint32, error)         { return 1980, f.asked("MaxSMClock") }
func (f *fake) MaxMemoryClock() (uint32, error)     { return 2619, f.asked("MaxMemoryClock") }
func (f *fake) PersistenceMode() (bool, error)      { return true, f.asked("PersistenceMode") }
func (f *fake) MIGMode() (bool, error)              { return false, f.asked("MIGMode") }
func (f *fake) ComputeMode() (string, error)        { return "default", f.asked("ComputeMode") }
func (f *fake) ECCErrors(uncorrected bool) (uint64, error) {
	if uncorrected {
		return f.uncorrected, f.asked("ECCErrors(true)")
	}
	return 7, f.asked("ECCErrors(false)")
}

func (f *fake) ComputeProcesses() ([]Process, error) { return f.compute, f.asked("ComputeProcesses") }
func (f *fake) GraphicsProcesses() ([]Process, error) {
	return f.graphics, f.asked("GraphicsProcesses")
}
func (f *fake) MPSProcesses() ([]Process, error) { return f.mps, f.asked("MPSProcesses") }
func (f *fake) ProcessName(pid int) (string, error) {
	name, ok := f.names[pid]
	if !ok {
		return "", nvmlError("nvmlSystemGetProcessName", 6)
	}
	return name, nil
}

var _ Device = (*fake)(nil)
