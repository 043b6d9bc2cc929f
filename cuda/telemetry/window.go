package telemetry

import (
	"fmt"
	"math"
	"sort"
)

// Window says what the card did between two moments. A field is null where NullReasons, by the field's
// JSON name, says why.
//
// Values rest on the samples inside the window, both ends included. Where none lies inside, a phase
// shorter than the sampling interval, they rest on the sample before and the one after it; SamplesInside
// is 0 then. VRAM and power use these two in any case.
type Window struct {
	StartNS       int64   `json:"window_start_ns"` // CLOCK_MONOTONIC
	EndNS         int64   `json:"window_end_ns"`
	DurationS     float64 `json:"window_s"`
	SamplesInside int     `json:"samples_inside"`
	// GapMaxMS is the longest time between two neighbouring samples that the window rests on. Far above
	// the sampling interval it means that the driver kept the sampler waiting.
	GapMaxMS *float64 `json:"sample_gap_max_ms"`
	// UnsampledS is how much of the window lies before the first or after the last sample, because
	// sampling started late, ended early or dropped samples. Above 0, peaks and sums are of the rest, and
	// Warnings says so.
	UnsampledS float64  `json:"window_unsampled_s"`
	Warnings   []string `json:"warnings"`

	// VRAMPeakMiB is the highest memory use of the card, all processes, with the samples before and after:
	// memory does not come and go within a sampling interval as power does.
	VRAMPeakMiB *float64 `json:"vram_peak_mib"`

	// PowerMeanW is the time-weighted mean of the power readings (meanPower), PowerSource the NVML call
	// that they come from.
	PowerMeanW  *float64 `json:"power_mean_w"`
	PowerSource *string  `json:"power_source"`

	// EnergyJ is from the energy counter, the true value of the counter lying within ± EnergyUncertaintyJ
	// (see view.energy). The sensor's own error is not in it.
	EnergyJ            *float64 `json:"energy_j"`
	EnergyUncertaintyJ *float64 `json:"energy_uncertainty_j"`
	EnergyTicks        int      `json:"energy_ticks"`   // of the counter, inside the window
	EnergyTickMS       *float64 `json:"energy_tick_ms"` // median time between the counter's ticks, over the whole series
	// EnergyPowerW is EnergyJ / DurationS: the mean power by the counter, to hold against PowerMeanW.
	EnergyPowerW *float64 `json:"energy_power_w"`

	SMClockMedianMHz     *float64 `json:"sm_clock_median_mhz"`
	SMClockMinMHz        *float64 `json:"sm_clock_min_mhz"`
	MemoryClockMedianMHz *float64 `json:"memory_clock_median_mhz"`
	TemperatureMaxC      *float64 `json:"temperature_max_c"`

	// ClockEvents names whatever held the clocks down at any sample, ClockEventsSpoiling those of them
	// with the effect spoils; [] is none, null is not known.
	ClockEvents         []string `json:"clock_events"`
	ClockEventsSpoiling []string `json:"clock_events_spoiling"`

	NullReasons map[string]string `json:"null_reasons"`
}

// Summarise looks at the part of a series from startNS to endNS (CLOCK_MONOTONIC, as the native shim
// reports a phase). It panics where the window ends before it starts. For EnergyJ the series must go on
// for one tick of the counter after the window, about 0.1 s.
func Summarise(s Series, startNS, endNS int64) Window {
	if endNS < startNS {
		panic(fmt.Sprintf("telemetry: Summarise: the window ends %d ns before it starts", startNS-endNS))
	}
	w := Window{
		StartNS: startNS, EndNS: endNS, DurationS: float64(endNS-startNS) / 1e9,
		Warnings: []string{}, NullReasons: map[string]string{},
	}
	v := view{series: s, startNS: startNS, endNS: endNS}
	v.lo = sort.Search(len(s.Samples), func(i int) bool { return s.Samples[i].AtNS >= startNS })
	v.hi = sort.Search(len(s.Samples), func(i int) bool { return s.Samples[i].AtNS > endNS })
	w.SamplesInside = v.hi - v.lo
	around := v.around()
	v.coverage(&w)
	if len(around) >= 2 {
		w.GapMaxMS = new(float64)
		for i := 1; i < len(around); i++ {
			*w.GapMaxMS = max(*w.GapMaxMS, float64(around[i].AtNS-around[i-1].AtNS)/1e6)
		}
	} else {
		w.NullReasons["sample_gap_max_ms"] = "fewer than two samples in or beside the window"
	}

	peak := func(values []float64) *float64 {
		p := highest(values)
		if p != nil {
			*p /= mib
		}
		return p
	}
	inside := v.inside()
	w.VRAMPeakMiB = v.reduce(&w, "vram_peak_mib", readMemory, around, memoryOf, peak)
	w.SMClockMedianMHz = v.reduce(&w, "sm_clock_median_mhz", readSMClock, inside, smClockOf, median)
	w.SMClockMinMHz = v.reduce(&w, "sm_clock_min_mhz", readSMClock, inside, smClockOf, lowest)
	w.MemoryClockMedianMHz = v.reduce(&w, "memory_clock_median_mhz", readMemoryClock, inside, memoryClockOf, median)
	w.TemperatureMaxC = v.reduce(&w, "temperature_max_c", readTemperature, inside, temperatureOf, highest)
	v.clockEvents(&w, inside)
	v.meanPower(&w)
	v.energy(&w)
	return w
}

// view is a series seen from one window: samples[lo:hi] lie inside.
type view struct {
	series         Series
	startNS, endNS int64
	lo, hi         int
}

// around is the samples inside with the one before and the one after, where there are such.
func (v view) around() []Sample {
	return v.series.Samples[max(v.lo-1, 0):min(v.hi+1, len(v.series.Samples))]
}

// inside is the samples inside, or those around where none is.
func (v view) inside() []Sample {
	if v.hi > v.lo {
		return v.series.Samples[v.lo:v.hi]
	}
	return v.around()
}

// coverage finds the parts of the window outside the time that was sampled.
func (v view) coverage(w *Window) {
	n := len(v.series.Samples)
	if n == 0 {
		w.UnsampledS = w.DurationS
		return // every field says that there is no sample
	}
	late := min(v.series.Samples[0].AtNS, v.endNS) - v.startNS
	early := v.endNS - max(v.series.Samples[n-1].AtNS, v.startNS)
	if late > 0 {
		why := "sampling began after it"
		if v.series.Dropped > 0 && v.startNS <= v.series.DroppedToNS {
			why = fmt.Sprintf("the sampler keeps the newest samples and had to drop %d", v.series.Dropped)
		}
		w.UnsampledS += float64(late) / 1e9
		w.Warnings = append(w.Warnings, fmt.Sprintf("the first %.3g s of the window have no samples: %s", float64(late)/1e9, why))
	}
	if early > 0 {
		why := "sampling ended before"
		if v.series.Ended != "" {
			why = v.series.Ended
		}
		w.UnsampledS += float64(early) / 1e9
		w.Warnings = append(w.Warnings, fmt.Sprintf("the last %.3g s of the window have no samples: %s", float64(early)/1e9, why))
	}
}

// missing words why there is no value of a reading in this window.
func (v view) missing(which readings) string {
	s := v.series
	name := which.name()
	switch {
	case s.NullReasons[name] != "":
		return s.NullReasons[name]
	case s.Dropped > 0 && v.startNS <= s.DroppedToNS:
		return fmt.Sprintf("the samples of this time were dropped: the sampler keeps the newest and had to drop %d", s.Dropped)
	case s.Ended != "":
		return s.Ended
	default:
		return "no sample in or beside the window"
	}
}

// reduce applies f to one reading of the samples and notes the reason where there is none.
func (v view) reduce(w *Window, field string, which readings, samples []Sample, get func(Sample) Maybe[float64], f func([]float64) *float64) *float64 {
	var values []float64
	for _, s := range samples {
		if x := get(s); x.Known {
			values = append(values, x.Value)
		}
	}
	out := f(values)
	if out == nil {
		w.NullReasons[field] = v.missing(which)
	}
	return out
}

func (v view) clockEvents(w *Window, samples []Sample) {
	var mask uint64
	seen := false
	for _, s := range samples {
		if s.ClockEvents.Known {
			seen = true
			mask |= s.ClockEvents.Value
		}
	}
	if !seen {
		w.NullReasons["clock_events"] = v.missing(readClockEvents)
		w.NullReasons["clock_events_spoiling"] = w.NullReasons["clock_events"]
		return
	}
	w.ClockEvents, w.ClockEventsSpoiling = EventNames(mask), EventNames(mask, Spoils)
}

// powerSources in the order of preference. Where a reading is, or may be, the mean of the last second, a
// window needs two of them to be more than a picture of what was before it.
var powerSources = []struct {
	which  readings
	name   string
	get    func(Sample) Maybe[float64]
	leastS float64
}{
	{readPowerInstant, "NVML_FI_DEV_POWER_INSTANT", func(s Sample) Maybe[float64] { return s.PowerInstantW }, 0},
	{readPowerAverage, "NVML_FI_DEV_POWER_AVERAGE (mean of the last second)", func(s Sample) Maybe[float64] { return s.PowerAverageW }, 2},
	{readPowerUsage, "nvmlDeviceGetPowerUsage (mean of the last second on Ampere and newer except GA100, instantaneous before)", func(s Sample) Maybe[float64] { return s.PowerUsageW }, 2},
}

// meanPower integrates the readings P(t) over the window by the trapezoidal rule, with straight lines
// between samples and from the window's ends to the samples beside it, and divides by its length. Beyond
// the first and the last sample the nearest one holds. A window of no length has the power at its moment.
func (v view) meanPower(w *Window) {
	why := ""
	for _, source := range powerSources {
		var at []int64
		var watts []float64
		for _, s := range v.around() {
			if p := source.get(s); p.Known {
				at, watts = append(at, s.AtNS), append(watts, p.Value)
			}
		}
		if len(at) == 0 {
			if why == "" {
				why = v.missing(source.which)
			}
			continue
		}
		if w.DurationS < source.leastS {
			why = fmt.Sprintf("%s is all that the card tells, and the window of %.3g s is shorter than %.0f s", source.name, w.DurationS, source.leastS)
			continue
		}
		mean := meanOver(at, watts, v.startNS, v.endNS)
		w.PowerMeanW, w.PowerSource = &mean, &source.name
		return
	}
	w.NullReasons["power_mean_w"], w.NullReasons["power_source"] = why, why
}

// meanOver is the mean of the broken line through (at, y) from start to end.
func meanOver(at []int64, y []float64, start, end int64) float64 {
	if start == end {
		return lineAt(at, y, start)
	}
	t0, y0, area := start, lineAt(at, y, start), 0.0
	step := func(t int64, yt float64) {
		area += (y0 + yt) / 2 * float64(t-t0)
		t0, y0 = t, yt
	}
	for i, t := range at {
		if t > start && t < end {
			step(t, y[i])
		}
	}
	step(end, lineAt(at, y, end))
	return area / float64(end-start)
}

// lineAt is the broken line through (at, y) at t, level beyond its ends.
func lineAt(at []int64, y []float64, t int64) float64 {
	i := sort.Search(len(at), func(i int) bool { return at[i] >= t })
	switch {
	case i == 0:
		return y[0]
	case i == len(at):
		return y[i-1]
	}
	f := float64(t-at[i-1]) / float64(at[i]-at[i-1])
	return y[i-1] + f*(y[i]-y[i-1])
}

func memoryOf(s Sample) Maybe[float64] {
	return Maybe[float64]{float64(s.MemoryUsedBytes.Value), s.MemoryUsedBytes.Known}
}
func smClockOf(s Sample) Maybe[float64]     { return s.SMClockMHz }
func memoryClockOf(s Sample) Maybe[float64] { return s.MemoryClockMHz }
func temperatureOf(s Sample) Maybe[float64] { return s.TemperatureC }

func highest(v []float64) *float64 { return extreme(v, math.Max) }
func lowest(v []float64) *float64  { return extreme(v, math.Min) }

func extreme(v []float64, of func(a, b float64) float64) *float64 {
	if len(v) == 0 {
		return nil
	}
	m := v[0]
	for _, x := range v[1:] {
		m = of(m, x)
	}
	return &m
}
