package telemetry

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
)

// MarshalJSON writes null for an unknown value.
func (m Maybe[T]) MarshalJSON() ([]byte, error) {
	if !m.Known {
		return []byte("null"), nil
	}
	return json.Marshal(m.Value)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Maybe[T]) UnmarshalJSON(b []byte) error {
	*m = Maybe[T]{}
	if string(b) == "null" {
		return nil
	}
	m.Known = true
	return json.Unmarshal(b, &m.Value)
}

// Sample is one reading of all sensors. Its values are read one after the other in the order of the
// fields, TookNS in all; the energy counter comes first so that it belongs to AtNS as closely as can be.
type Sample struct {
	AtNS            int64          `json:"at_ns"`              // CLOCK_MONOTONIC, before the first NVML call
	TookNS          int64          `json:"took_ns"`            // in NVML calls
	EnergyMJ        Maybe[uint64]  `json:"energy_counter_mj"`  // since the driver was loaded
	PowerInstantW   Maybe[float64] `json:"power_instant_w"`    // NVML_FI_DEV_POWER_INSTANT
	PowerAverageW   Maybe[float64] `json:"power_average_1s_w"` // NVML_FI_DEV_POWER_AVERAGE
	PowerUsageW     Maybe[float64] `json:"power_usage_w"`      // nvmlDeviceGetPowerUsage, read only where the two fields are not to be had
	SMClockMHz      Maybe[float64] `json:"sm_clock_mhz"`
	MemoryClockMHz  Maybe[float64] `json:"memory_clock_mhz"`
	TemperatureC    Maybe[float64] `json:"temperature_c"`
	ClockEvents     Maybe[uint64]  `json:"clock_events"`      // bits; EventNames tells them
	MemoryUsedBytes Maybe[uint64]  `json:"memory_used_bytes"` // of the whole card, all processes
}

// readings is a set of the quantities that a sample holds.
type readings uint16

const (
	readEnergy readings = 1 << iota
	readPowerInstant
	readPowerAverage
	readPowerUsage
	readSMClock
	readMemoryClock
	readTemperature
	readClockEvents
	readMemory
)

// readingNames are the JSON names of a sample's fields, in the order of the bits.
var readingNames = []string{
	"energy_counter_mj", "power_instant_w", "power_average_1s_w", "power_usage_w", "sm_clock_mhz",
	"memory_clock_mhz", "temperature_c", "clock_events", "memory_used_bytes",
}

func (r readings) name() string {
	for i, n := range readingNames {
		if r == 1<<i {
			return n
		}
	}
	panic(fmt.Sprintf("telemetry: %#x is not one reading", uint16(r)))
}

// reader takes samples from one device and remembers what the device refused.
type reader struct {
	dev     Sensors
	now     func() int64
	refused readings         // not asked for again
	reasons map[string]error // first refusal of each reading, by its name
	misses  map[string]int   // samples without it, of those that asked
	lost    error            // the device is gone
	changed bool             // the last sample met a refusal
}

func newReader(dev Sensors, now func() int64) *reader {
	return &reader{dev: dev, now: now, reasons: map[string]error{}, misses: map[string]int{}}
}

// answered keeps why a reading was refused and says whether there is a value.
func (r *reader) answered(which readings, err error) bool {
	if err == nil {
		return true
	}
	r.changed = true
	name := which.name()
	r.misses[name]++
	if r.reasons[name] == nil {
		r.reasons[name] = err
	}
	if permanent(err) {
		r.refused |= which
	}
	if fatal(err) {
		r.lost = err
	}
	return false
}

func (r *reader) wants(which readings) bool { return r.lost == nil && r.refused&which != which }

// take reads all sensors once. After a fatal answer it asks nothing more.
func (r *reader) take() Sample {
	r.changed = false
	s := Sample{AtNS: r.now()}
	if r.wants(readEnergy) {
		v, err := r.dev.TotalEnergy()
		if r.answered(readEnergy, err) {
			s.EnergyMJ = known(v)
		}
	}
	r.takePower(&s)
	number := func(which readings, ask func() (uint32, error), to *Maybe[float64]) {
		if !r.wants(which) {
			return
		}
		v, err := ask()
		if r.answered(which, err) {
			*to = known(float64(v))
		}
	}
	number(readSMClock, r.dev.SMClock, &s.SMClockMHz)
	number(readMemoryClock, r.dev.MemoryClock, &s.MemoryClockMHz)
	number(readTemperature, r.dev.Temperature, &s.TemperatureC)
	if r.wants(readClockEvents) {
		v, err := r.dev.ClockEvents()
		if r.answered(readClockEvents, err) {
			s.ClockEvents = known(v)
		}
	}
	if r.wants(readMemory) {
		m, err := r.dev.Memory()
		if r.answered(readMemory, err) {
			s.MemoryUsedBytes = known(m.Used)
		}
	}
	s.TookNS = r.now() - s.AtNS
	return s
}

// takePower prefers the two field values; nvmlDeviceGetPowerUsage, of which only the card's generation
// tells whether it is a mean, stands in once both are refused for good.
func (r *reader) takePower(s *Sample) {
	const fields = readPowerInstant | readPowerAverage
	if r.wants(fields) {
		instant, average, err := r.dev.PowerFields()
		if err != nil {
			instant.Err, average.Err = err, err
		}
		if r.refused&readPowerInstant == 0 && r.answered(readPowerInstant, instant.Err) {
			s.PowerInstantW = known(float64(instant.MilliWatts) / 1000)
		}
		if r.refused&readPowerAverage == 0 && r.answered(readPowerAverage, average.Err) {
			s.PowerAverageW = known(float64(average.MilliWatts) / 1000)
		}
	}
	if r.refused&fields == fields && r.wants(readPowerUsage) {
		v, err := r.dev.PowerUsage()
		if r.answered(readPowerUsage, err) {
			s.PowerUsageW = known(float64(v) / 1000)
		}
	}
}

// nullReasons words what was refused, one sentence for each reading.
func (r *reader) nullReasons() map[string]string {
	out := map[string]string{}
	for name, err := range r.reasons {
		switch {
		case errors.Is(err, CodeNotSupported):
			out[name] = fmt.Sprintf("the card or its driver does not tell it (%v)", err)
		case permanent(err):
			out[name] = fmt.Sprintf("it cannot be read here (%v)", err)
		default:
			out[name] = fmt.Sprintf("%d samples lack it, the first because of %v", r.misses[name], err)
		}
	}
	return out
}

// Series is what a sampler brought home.
type Series struct {
	EveryNS int64    `json:"every_ns"`
	Samples []Sample `json:"samples"` // in the order of their times
	// Dropped samples were the oldest ones when the ring was full; DroppedToNS is the time of the last of
	// them.
	Dropped     int64 `json:"dropped"`
	DroppedToNS int64 `json:"dropped_to_ns"`
	// Skipped counts the times at which a sample was due while the one before it was still being taken.
	Skipped     int64             `json:"skipped"`
	Cost        Cost              `json:"cost"`
	NullReasons map[string]string `json:"null_reasons"` // by the name of a sample's field
	Ended       string            `json:"ended"`        // why sampling ended by itself, "" where it did not
}

// Cost is what the watching itself took.
type Cost struct {
	Samples  int64   `json:"samples"`   // taken, dropped ones included
	MedianUS float64 `json:"median_us"` // time in NVML calls per sample, of the samples kept
	MaxUS    float64 `json:"max_us"`    // the same, of all
	Share    float64 `json:"share"`     // of one core's time: time in NVML calls / time sampled
}

// ring keeps the newest samples up to its capacity and counts what it overwrote.
type ring struct {
	buf       []Sample
	head      int // the oldest, once full
	capacity  int
	dropped   int64
	droppedTo int64
	taken     int64
	firstNS   int64
	endNS     int64 // end of the last sample
	spentNS   int64
	maxNS     int64
}

func (r *ring) add(s Sample) {
	if r.taken == 0 {
		r.firstNS = s.AtNS
	}
	r.taken++
	r.endNS = s.AtNS + s.TookNS
	r.spentNS += s.TookNS
	r.maxNS = max(r.maxNS, s.TookNS)
	if len(r.buf) < r.capacity {
		r.buf = append(r.buf, s)
		return
	}
	r.dropped++
	r.droppedTo = r.buf[r.head].AtNS
	r.buf[r.head] = s
	r.head = (r.head + 1) % r.capacity
}

// ordered copies the samples, oldest first.
func (r *ring) ordered() []Sample {
	out := make([]Sample, 0, len(r.buf))
	out = append(out, r.buf[r.head:]...)
	return append(out, r.buf[:r.head]...)
}

func (r *ring) cost() Cost {
	c := Cost{Samples: r.taken, MaxUS: float64(r.maxNS) / 1e3}
	took := make([]float64, len(r.buf))
	for i, s := range r.buf {
		took[i] = float64(s.TookNS) / 1e3
	}
	if m := median(took); m != nil {
		c.MedianUS = *m
	}
	if span := r.endNS - r.firstNS; span > 0 {
		c.Share = float64(r.spentNS) / float64(span)
	}
	return c
}

// median sorts v, which must be the caller's own; nil for no values.
func median(v []float64) *float64 {
	if len(v) == 0 {
		return nil
	}
	sort.Float64s(v)
	m := v[len(v)/2]
	if len(v)%2 == 0 {
		m = (m + v[len(v)/2-1]) / 2
	}
	return &m
}
