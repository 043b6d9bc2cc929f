//go:build cuda

package telemetry

import (
	"fmt"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// Name is the card's product name.
func (g *GPU) Name() (string, error) {
	v, ret := g.dev.GetName()
	return v, refusal("nvmlDeviceGetName", ret)
}

// UUID is "GPU-..." (UUIDString writes CUDA's the same way).
func (g *GPU) UUID() (string, error) {
	v, ret := g.dev.GetUUID()
	return v, refusal("nvmlDeviceGetUUID", ret)
}

// DriverVersion is that of the kernel driver.
func (g *GPU) DriverVersion() (string, error) {
	v, ret := g.lib.SystemGetDriverVersion()
	return v, refusal("nvmlSystemGetDriverVersion", ret)
}

// CUDADriverVersion is 1000 * major + 10 * minor of the newest CUDA that the driver runs.
func (g *GPU) CUDADriverVersion() (int, error) {
	v, ret := g.lib.SystemGetCudaDriverVersion()
	return v, refusal("nvmlSystemGetCudaDriverVersion", ret)
}

// VBIOSVersion is that of the card's firmware.
func (g *GPU) VBIOSVersion() (string, error) {
	v, ret := g.dev.GetVbiosVersion()
	return v, refusal("nvmlDeviceGetVbiosVersion", ret)
}

// PCIBusID is domain:bus:device.function in NVML's long form.
func (g *GPU) PCIBusID() (string, error) {
	v, ret := g.dev.GetPciInfo()
	var id strings.Builder
	for _, c := range v.BusId {
		if c == 0 {
			break
		}
		id.WriteByte(byte(c))
	}
	return id.String(), refusal("nvmlDeviceGetPciInfo", ret)
}

// ECCEnabled is the mode now, not the one after the next reboot.
func (g *GPU) ECCEnabled() (bool, error) {
	now, _, ret := g.dev.GetEccMode()
	return now == nvml.FEATURE_ENABLED, refusal("nvmlDeviceGetEccMode", ret)
}

// ECCErrors counts memory errors since the driver was loaded.
func (g *GPU) ECCErrors(uncorrected bool) (uint64, error) {
	kind := nvml.MEMORY_ERROR_TYPE_CORRECTED
	if uncorrected {
		kind = nvml.MEMORY_ERROR_TYPE_UNCORRECTED
	}
	v, ret := g.dev.GetTotalEccErrors(kind, nvml.VOLATILE_ECC)
	return v, refusal("nvmlDeviceGetTotalEccErrors", ret)
}

// PowerLimit is the limit as set.
func (g *GPU) PowerLimit() (uint32, error) {
	v, ret := g.dev.GetPowerManagementLimit()
	return v, refusal("nvmlDeviceGetPowerManagementLimit", ret)
}

// DefaultPowerLimit is the limit that the card starts with.
func (g *GPU) DefaultPowerLimit() (uint32, error) {
	v, ret := g.dev.GetPowerManagementDefaultLimit()
	return v, refusal("nvmlDeviceGetPowerManagementDefaultLimit", ret)
}

// EnforcedPowerLimit is the lowest of all limits, those set out of band included.
func (g *GPU) EnforcedPowerLimit() (uint32, error) {
	v, ret := g.dev.GetEnforcedPowerLimit()
	return v, refusal("nvmlDeviceGetEnforcedPowerLimit", ret)
}

// MaxSMClock is the highest clock of the streaming multiprocessors.
func (g *GPU) MaxSMClock() (uint32, error) {
	v, ret := g.dev.GetMaxClockInfo(nvml.CLOCK_SM)
	return v, refusal("nvmlDeviceGetMaxClockInfo(NVML_CLOCK_SM)", ret)
}

// MaxMemoryClock is the memory's highest clock.
func (g *GPU) MaxMemoryClock() (uint32, error) {
	v, ret := g.dev.GetMaxClockInfo(nvml.CLOCK_MEM)
	return v, refusal("nvmlDeviceGetMaxClockInfo(NVML_CLOCK_MEM)", ret)
}

// PersistenceMode says whether the driver stays loaded when no program uses it.
func (g *GPU) PersistenceMode() (bool, error) {
	v, ret := g.dev.GetPersistenceMode()
	return v == nvml.FEATURE_ENABLED, refusal("nvmlDeviceGetPersistenceMode", ret)
}

// MIGMode says whether the card is divided into instances now.
func (g *GPU) MIGMode() (bool, error) {
	const op = "nvmlDeviceGetMigMode"
	if err := g.lacks(op); err != nil {
		return false, err
	}
	now, _, ret := g.dev.GetMigMode()
	return now == nvml.DEVICE_MIG_ENABLE, refusal(op, ret)
}

// ComputeMode says who may open a CUDA context.
func (g *GPU) ComputeMode() (string, error) {
	v, ret := g.dev.GetComputeMode()
	name := fmt.Sprintf("unknown (%d)", v)
	switch v {
	case nvml.COMPUTEMODE_DEFAULT:
		name = "default"
	case nvml.COMPUTEMODE_EXCLUSIVE_THREAD:
		name = "exclusive_thread"
	case nvml.COMPUTEMODE_PROHIBITED:
		name = "prohibited"
	case nvml.COMPUTEMODE_EXCLUSIVE_PROCESS:
		name = "exclusive_process"
	}
	return name, refusal("nvmlDeviceGetComputeMode", ret)
}

// ComputeProcesses lists who has a CUDA context.
func (g *GPU) ComputeProcesses() ([]Process, error) {
	v, ret := g.dev.GetComputeRunningProcesses()
	return processes(v), refusal("nvmlDeviceGetComputeRunningProcesses", ret)
}

// GraphicsProcesses lists who draws.
func (g *GPU) GraphicsProcesses() ([]Process, error) {
	v, ret := g.dev.GetGraphicsRunningProcesses()
	return processes(v), refusal("nvmlDeviceGetGraphicsRunningProcesses", ret)
}

// MPSProcesses lists who computes through an MPS server.
func (g *GPU) MPSProcesses() ([]Process, error) {
	const op = "nvmlDeviceGetMPSComputeRunningProcesses"
	if err := g.lacks(op); err != nil {
		return nil, err
	}
	v, ret := g.dev.GetMPSComputeRunningProcesses()
	return processes(v), refusal(op, ret)
}

// ProcessName asks NVML, which looks into /proc.
func (g *GPU) ProcessName(pid int) (string, error) {
	v, ret := g.lib.SystemGetProcessName(pid)
	return v, refusal("nvmlSystemGetProcessName", ret)
}

// processes takes NVML's list over. A memory figure of all ones is NVML_VALUE_NOT_AVAILABLE.
func processes(from []nvml.ProcessInfo) []Process {
	out := make([]Process, 0, len(from))
	for _, p := range from {
		process := Process{PID: int(p.Pid)}
		if p.UsedGpuMemory != ^uint64(0) {
			used := p.UsedGpuMemory
			process.UsedBytes = &used
		}
		out = append(out, process)
	}
	return out
}
