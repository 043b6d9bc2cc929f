package telemetry

import (
	"fmt"
)

// Describer tells what does not change while a program runs, or hardly.
type Describer interface {
	Name() (string, error)
	UUID() (string, error)
	DriverVersion() (string, error)
	CUDADriverVersion() (int, error) // 1000 * major + 10 * minor
	VBIOSVersion() (string, error)
	PCIBusID() (string, error)
	ECCEnabled() (bool, error)
	ECCErrors(uncorrected bool) (uint64, error) // since the driver was loaded
	PowerLimit() (uint32, error)                // mW, as set
	DefaultPowerLimit() (uint32, error)         // mW, at boot
	EnforcedPowerLimit() (uint32, error)        // mW, the lowest of all limits
	MaxSMClock() (uint32, error)                // MHz
	MaxMemoryClock() (uint32, error)            // MHz
	PersistenceMode() (bool, error)
	MIGMode() (bool, error)
	ComputeMode() (string, error)
	Memory() (Memory, error)
}

// Facts describe a card. A field is null where NullReasons says why.
type Facts struct {
	Name                   *string           `json:"gpu_name"`
	UUID                   *string           `json:"gpu_uuid"`
	DriverVersion          *string           `json:"driver_version"`
	CUDADriverVersion      *string           `json:"cuda_driver_version"` // the newest CUDA that the driver runs, "13.0"
	VBIOSVersion           *string           `json:"vbios_version"`
	PCIBusID               *string           `json:"pci_bus_id"`
	ECCEnabled             *bool             `json:"ecc_enabled"`
	ECCCorrected           *uint64           `json:"ecc_corrected_volatile"`   // errors since the driver was loaded
	ECCUncorrected         *uint64           `json:"ecc_uncorrected_volatile"` // the same; any means wrong results
	PowerLimitW            *float64          `json:"power_limit_w"`
	PowerLimitDefaultW     *float64          `json:"power_limit_default_w"`
	PowerLimitEnforcedW    *float64          `json:"power_limit_enforced_w"`
	SMClockMaxMHz          *float64          `json:"sm_clock_max_mhz"`
	MemoryClockMaxMHz      *float64          `json:"memory_clock_max_mhz"`
	PersistenceMode        *bool             `json:"persistence_mode"` // off: the driver unloads between programs, and with it counters and clocks
	MIGMode                *bool             `json:"mig_mode"`
	ComputeMode            *string           `json:"compute_mode"` // default, exclusive_process or prohibited
	MemoryTotalMiB         *float64          `json:"memory_total_mib"`
	MemoryReservedMiB      *float64          `json:"memory_reserved_mib"` // the driver's own
	MemoryUsedIncludesRsvd *bool             `json:"memory_used_includes_reserved"`
	NullReasons            map[string]string `json:"null_reasons"`
}

const mib = 1 << 20

// Describe asks for all facts. It fails only where the device is gone; what the card does not tell is null
// with the reason.
func Describe(d Describer) (Facts, error) {
	f := Facts{NullReasons: map[string]string{}}
	var lost error
	note := func(field string, err error) {
		f.NullReasons[field] = err.Error()
		if lost == nil && fatal(err) {
			lost = err
		}
	}
	text := func(field string, ask func() (string, error)) *string { return fact(note, field, ask) }
	flag := func(field string, ask func() (bool, error)) *bool { return fact(note, field, ask) }
	scaled := func(field string, per float64, ask func() (uint32, error)) *float64 {
		return fact(note, field, func() (float64, error) {
			v, err := ask()
			return float64(v) / per, err
		})
	}
	f.Name = text("gpu_name", d.Name)
	f.UUID = text("gpu_uuid", d.UUID)
	f.DriverVersion = text("driver_version", d.DriverVersion)
	f.CUDADriverVersion = text("cuda_driver_version", func() (string, error) {
		v, err := d.CUDADriverVersion()
		return fmt.Sprintf("%d.%d", v/1000, v%1000/10), err
	})
	f.VBIOSVersion = text("vbios_version", d.VBIOSVersion)
	f.PCIBusID = text("pci_bus_id", d.PCIBusID)
	f.ECCEnabled = flag("ecc_enabled", d.ECCEnabled)
	f.ECCCorrected = fact(note, "ecc_corrected_volatile", func() (uint64, error) { return d.ECCErrors(false) })
	f.ECCUncorrected = fact(note, "ecc_uncorrected_volatile", func() (uint64, error) { return d.ECCErrors(true) })
	f.PowerLimitW = scaled("power_limit_w", 1000, d.PowerLimit)
	f.PowerLimitDefaultW = scaled("power_limit_default_w", 1000, d.DefaultPowerLimit)
	f.PowerLimitEnforcedW = scaled("power_limit_enforced_w", 1000, d.EnforcedPowerLimit)
	f.SMClockMaxMHz = scaled("sm_clock_max_mhz", 1, d.MaxSMClock)
	f.MemoryClockMaxMHz = scaled("memory_clock_max_mhz", 1, d.MaxMemoryClock)
	f.PersistenceMode = flag("persistence_mode", d.PersistenceMode)
	f.MIGMode = flag("mig_mode", d.MIGMode)
	f.ComputeMode = text("compute_mode", d.ComputeMode)
	if m, err := d.Memory(); err != nil {
		note("memory_total_mib", err)
		note("memory_reserved_mib", err)
		note("memory_used_includes_reserved", err)
	} else {
		total, includes := float64(m.Total)/mib, !m.HasReserved
		f.MemoryTotalMiB, f.MemoryUsedIncludesRsvd = &total, &includes
		if m.HasReserved {
			reserved := float64(m.Reserved) / mib
			f.MemoryReservedMiB = &reserved
		} else {
			f.NullReasons["memory_reserved_mib"] = "this driver counts it as used memory (nvmlDeviceGetMemoryInfo_v2 came with R510)"
		}
	}
	if lost != nil {
		return f, fmt.Errorf("telemetry: the GPU does not answer: %w", lost)
	}
	return f, nil
}

func fact[T any](note func(string, error), field string, ask func() (T, error)) *T {
	v, err := ask()
	if err != nil {
		note(field, err)
		return nil
	}
	return &v
}
