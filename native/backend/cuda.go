//go:build cuda

package backend

import (
	"errors"
	"fmt"
	"os"
	"time"

	"llmscale/cuda"
	"llmscale/cuda/driver"
	"llmscale/cuda/telemetry"
	"llmscale/internal/text"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// checkDevice says what is missing before llama.cpp finds out by aborting.
func checkDevice() error {
	if err := cuda.Available(); err != nil {
		return err
	}
	return driver.CuBLAS()
}

// card is the first GPU that CUDA shows this process.
type card struct {
	gpu     *cuda.Device
	reserve *cuda.Reservation

	nvml    *telemetry.GPU // nil where NVML is not to be had: noNVML says why
	noNVML  error
	sampler *telemetry.Sampler

	before  telemetry.Listing // who was there before this process had a context
	strange string            // what the listing cannot explain, one sentence
}

// unlistedMiB is how much memory without an owner an idle card may show.
const unlistedMiB = 64

func openDevice() (device, error) {
	c := &card{}
	// First who is there, then a context of our own.
	if c.nvml, c.noNVML = telemetry.Open("0"); c.noNVML == nil {
		c.look()
	}
	var err error
	if c.gpu, err = cuda.Open(0); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if c.nvml != nil {
		// Two libraries count the cards; they must mean the same one.
		if uuid, err := c.nvml.UUID(); err != nil || uuid != c.gpu.Facts().UUID {
			c.noNVML = errors.Join(err, c.nvml.Close(), fmt.Errorf("NVML shows GPU %s where CUDA shows %s", uuid, c.gpu.Facts().UUID))
			c.nvml = nil
		}
	}
	return c, nil
}

// look notes who uses the card.
func (c *card) look() {
	var err error
	if c.before, err = telemetry.Processes(c.nvml); err != nil {
		c.strange = err.Error()
		return
	}
	for kind, why := range c.before.Unknown {
		c.strange = "who else uses the GPU is not known: NVML does not list its " + kind + " processes: " + why
	}
	m, err := c.nvml.Memory()
	if err != nil {
		return // the sampler will say so
	}
	if bytes, ok := telemetry.Unlisted(m, c.before.Processes); ok && bytes > unlistedMiB<<20 {
		c.strange = fmt.Sprintf("%s of device memory were in use by nobody that NVML lists before this process came", text.Size(int64(bytes)))
	}
}

func (c *card) GPU() *protocol.GPU {
	f := c.gpu.Facts()
	facts := map[string]any{"cuda": f}
	if c.nvml != nil {
		if n, err := telemetry.Describe(c.nvml); err == nil {
			facts["nvml"] = n
		} else {
			facts["nvml_missing"] = err.Error()
		}
	} else {
		facts["nvml_missing"] = c.noNVML.Error()
	}
	return &protocol.GPU{Name: f.Name, UUID: f.UUID, Facts: facts}
}

func (c *card) Memory() (free, total int64, err error) { return c.gpu.MemInfo() }

func (c *card) Reserve(bytes int64) (err error) {
	c.reserve, err = c.gpu.Reserve(bytes)
	return err
}

func (c *card) Sample(every time.Duration) error {
	if c.nvml == nil {
		return c.noNVML
	}
	c.sampler = telemetry.Start(c.nvml, every)
	return nil
}

// The energy counter moves about every 0.1 s: a window can be told once it has
// moved behind it. Windows that hold no two ticks have no energy anyway.
const (
	energyTick    = 120 * time.Millisecond
	energyShortNS = int64(200 * time.Millisecond)
)

func (c *card) Windows(phases map[string][2]int64) map[string]protocol.Window {
	for _, p := range phases {
		if behind := time.Duration(telemetry.Now() - p[1]); p[1]-p[0] > energyShortNS && behind < energyTick {
			time.Sleep(energyTick - behind)
		}
	}
	series := c.sampler.Series()
	out := map[string]protocol.Window{}
	for mode, p := range phases {
		out[mode] = window(series, p[0], p[1])
	}
	return out
}

// window is a summary of the sensors in the record's words.
func window(series telemetry.Series, startNS, endNS int64) protocol.Window {
	w := telemetry.Summarise(series, startNS, endNS)
	out := protocol.Window{
		DeviceWindow: record.DeviceWindow{
			TelemetrySamples: &w.SamplesInside, TelemetryReadUS: &series.Cost.MedianUS, VRAMPeakMiB: w.VRAMPeakMiB, PowerMeanW: w.PowerMeanW,
			EnergyJ: w.EnergyJ, EnergyUncertaintyJ: w.EnergyUncertaintyJ,
			SMClockMedianMHz: w.SMClockMedianMHz, SMClockMinMHz: w.SMClockMinMHz, MemClockMedianMHz: w.MemoryClockMedianMHz,
			TemperatureMaxC: w.TemperatureMaxC, ThrottleReasons: w.ClockEvents,
		},
		Missing: map[string]string{},
	}
	// The window's names, and the record's: not all of the one are in the other.
	for from, to := range map[string]string{
		"vram_peak_mib": "vram_peak_mib", "power_mean_w": "power_mean_w", "energy_j": "energy_j", "energy_uncertainty_j": "energy_uncertainty_j",
		"sm_clock_median_mhz": "sm_clock_median_mhz", "sm_clock_min_mhz": "sm_clock_min_mhz", "memory_clock_median_mhz": "mem_clock_median_mhz",
		"temperature_max_c": "temperature_max_c", "clock_events": "throttle_reasons",
	} {
		if why, ok := w.NullReasons[from]; ok {
			out.Missing[to] = why
		}
	}
	return out
}

func (c *card) Spoilt() (others []string, unknown string) {
	if c.nvml == nil {
		return nil, "who else uses the GPU is not known: " + c.noNVML.Error()
	}
	now, err := telemetry.Processes(c.nvml)
	if err != nil {
		return nil, err.Error()
	}
	for _, p := range telemetry.Foreign(c.before.Processes, now.Processes, os.Getpid()) {
		others = append(others, p.String())
	}
	return others, c.strange
}

func (c *card) Close() error {
	var errs []error
	if c.sampler != nil {
		c.sampler.Stop()
		c.sampler = nil
	}
	if c.reserve != nil {
		errs = append(errs, c.reserve.Close())
		c.reserve = nil
	}
	if c.gpu != nil {
		errs = append(errs, c.gpu.Close())
		c.gpu = nil
	}
	if c.nvml != nil {
		errs = append(errs, c.nvml.Close())
		c.nvml = nil
	}
	return errors.Join(errs...)
}
