package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

const ms = int64(1e6)

// at makes a sample at t milliseconds with all but the energy.
func at(t int64, sm, watts float64, usedMiB uint64, events uint64) Sample {
	return Sample{
		AtNS: t * ms, PowerInstantW: known(watts), SMClockMHz: known(sm), MemoryClockMHz: known(2619.0),
		TemperatureC: known(float64(t)), ClockEvents: known(events), MemoryUsedBytes: known(usedMiB << 20),
	}
}

func series(samples ...Sample) Series {
	return Series{EveryNS: 20 * ms, Samples: samples, NullReasons: map[string]string{}}
}

var five = series(
	at(0, 300, 100, 10, 0x1),
	at(100, 1980, 500, 4000, 0x0),
	at(200, 1900, 700, 9000, 0x4),
	at(300, 1800, 600, 5000, 0x20),
	at(400, 345, 200, 12, 0x1),
)

func TestSummarise(t *testing.T) {
	for _, tc := range []struct {
		name               string
		s                  Series
		from, to           int64 // ms
		inside             int
		vram, power        float64
		smMedian, smMin, c float64
		gap                float64
		events, spoiling   []string
	}{
		// Power: trapezoids between the samples, whose values hold at 100, 200 and 300 ms: (600 + 650) / 2.
		{"three inside", five, 100, 300, 3, 9000, 625, 1900, 1800, 300, 100, []string{"sw_power_cap", "sw_thermal_slowdown"}, []string{"sw_thermal_slowdown"}},
		// From 150 (600 W) over 200 (700 W) to 250 (650 W): (650 + 675) / 2.
		{"one inside, memory from beside", five, 150, 250, 1, 9000, 662.5, 1900, 1900, 200, 100, []string{"sw_power_cap"}, []string{}},
		// Between two samples: the line from 500 to 700 W at 120 and 140 ms is 540 and 580 W.
		{"none inside", five, 120, 140, 0, 9000, 560, 1940, 1900, 200, 100, []string{"sw_power_cap"}, []string{}},
		{"no length, between samples", five, 350, 350, 0, 5000, 400, 1072.5, 345, 400, 100, []string{"gpu_idle", "sw_thermal_slowdown"}, []string{"sw_thermal_slowdown"}},
		{"two inside: the median is between", five, 100, 250, 2, 9000, (600*100 + 675*50) / 150., 1940, 1900, 200, 100, []string{"sw_power_cap"}, []string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Summarise(tc.s, tc.from*ms, tc.to*ms)
			if w.SamplesInside != tc.inside {
				t.Errorf("%d samples inside, want %d", w.SamplesInside, tc.inside)
			}
			for _, v := range []struct {
				name string
				got  *float64
				want float64
			}{
				{"vram", w.VRAMPeakMiB, tc.vram}, {"power", w.PowerMeanW, tc.power}, {"sm median", w.SMClockMedianMHz, tc.smMedian},
				{"sm min", w.SMClockMinMHz, tc.smMin}, {"memory clock", w.MemoryClockMedianMHz, 2619}, {"temperature", w.TemperatureMaxC, tc.c},
				{"gap", w.GapMaxMS, tc.gap},
			} {
				if v.got == nil || math.Abs(*v.got-v.want) > 1e-9 {
					t.Errorf("%s %v, want %g", v.name, deref(v.got), v.want)
				}
			}
			if !reflect.DeepEqual(w.ClockEvents, tc.events) || !reflect.DeepEqual(w.ClockEventsSpoiling, tc.spoiling) {
				t.Errorf("events %v, spoiling %v", w.ClockEvents, w.ClockEventsSpoiling)
			}
			if len(w.Warnings) != 0 || w.UnsampledS != 0 {
				t.Errorf("warnings %q, unsampled %g", w.Warnings, w.UnsampledS)
			}
		})
	}
}

func deref(p *float64) any {
	if p == nil {
		return nil
	}
	return *p
}

func TestPartsWithoutSamplesAreTold(t *testing.T) {
	for _, tc := range []struct {
		name      string
		change    func(*Series)
		from, to  int64
		unsampled float64
		warnings  []string
	}{
		{"late start", func(*Series) {}, -100, 100, 0.1, []string{"the first 0.1 s of the window have no samples: sampling began after it"}},
		{"early end", func(*Series) {}, 300, 600, 0.2, []string{"the last 0.2 s of the window have no samples: sampling ended before"}},
		{"both", func(*Series) {}, -100, 600, 0.3, []string{"the first", "the last"}},
		{"dropped", func(s *Series) { s.Dropped, s.DroppedToNS = 12, -20*ms }, -100, 100, 0.1, []string{"had to drop 12"}},
		{"dropped long before", func(s *Series) { s.Dropped, s.DroppedToNS = 12, -200*ms }, -100, 100, 0.1, []string{"sampling began after it"}},
		{"lost", func(s *Series) { s.Ended = "the GPU is gone" }, 300, 600, 0.2, []string{"the GPU is gone"}},
		{"wholly after", func(*Series) {}, 500, 600, 0.1, []string{"the last 0.1 s"}},
		{"wholly before", func(*Series) {}, -300, -100, 0.2, []string{"the first 0.2 s"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := five
			tc.change(&s)
			w := Summarise(s, tc.from*ms, tc.to*ms)
			if math.Abs(w.UnsampledS-tc.unsampled) > 1e-9 || len(w.Warnings) != len(tc.warnings) {
				t.Fatalf("unsampled %g, warnings %q", w.UnsampledS, w.Warnings)
			}
			for i, want := range tc.warnings {
				if !strings.Contains(w.Warnings[i], want) {
					t.Errorf("warning %q does not say %q", w.Warnings[i], want)
				}
			}
		})
	}
}

// Every pointer that is null must have its reason, and none that is not.
func checkReasons(t *testing.T, w Window) {
	t.Helper()
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for field, v := range m {
		if _, explained := w.NullReasons[field]; (v == nil) != explained {
			t.Errorf("%s is %v, its reason %q", field, v, w.NullReasons[field])
		}
	}
	for field, why := range w.NullReasons {
		if _, there := m[field]; !there || why == "" {
			t.Errorf("reason %q for %s", why, field)
		}
	}
}

func TestNullsHaveReasons(t *testing.T) {
	blank := func(n int) []Sample {
		out := make([]Sample, n)
		for i := range out {
			out[i].AtNS = int64(i) * 20 * ms
		}
		return out
	}
	refused := series(blank(10)...)
	for _, n := range readingNames {
		refused.NullReasons[n] = "refused: " + n
	}
	for name, s := range map[string]Series{
		"no samples": series(), "nothing readable": refused, "hiccups": series(blank(10)...),
		"one sample": series(at(50, 1, 1, 1, 0)), "all but energy": five, "all": steady(20, 100, 300, 4000),
	} {
		t.Run(name, func(t *testing.T) {
			checkReasons(t, Summarise(s, 10*ms, 130*ms))
			checkReasons(t, Summarise(s, 500*ms, 2500*ms))
		})
	}
	w := Summarise(refused, 10*ms, 130*ms)
	for field, reading := range map[string]string{
		"vram_peak_mib": "memory_used_bytes", "sm_clock_median_mhz": "sm_clock_mhz", "temperature_max_c": "temperature_c",
		"energy_j": "energy_counter_mj", "clock_events": "clock_events", "power_mean_w": "power_instant_w",
	} {
		if got, want := w.NullReasons[field], "refused: "+reading; got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if w := Summarise(series(), 0, ms); w.SamplesInside != 0 || w.VRAMPeakMiB != nil || w.UnsampledS != 0.001 {
		t.Errorf("%+v", w)
	}
}

func TestMeanOfTheLastSecondNeedsTwoSeconds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		set    func(*Sample)
		source string
	}{
		{"field", func(s *Sample) { s.PowerAverageW = known(250.0) }, "NVML_FI_DEV_POWER_AVERAGE"},
		{"old call", func(s *Sample) { s.PowerUsageW = known(250.0) }, "nvmlDeviceGetPowerUsage"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := five
			s.Samples = append([]Sample(nil), five.Samples...)
			for i := range s.Samples {
				s.Samples[i].PowerInstantW = Maybe[float64]{}
				tc.set(&s.Samples[i])
			}
			if w := Summarise(s, 0, 400*ms); w.PowerMeanW != nil || !strings.Contains(w.NullReasons["power_mean_w"], "shorter than 2 s") {
				t.Errorf("%v, %q", deref(w.PowerMeanW), w.NullReasons["power_mean_w"])
			}
			s.Samples[4].AtNS = 2400 * ms
			w := Summarise(s, 0, 2400*ms)
			if w.PowerMeanW == nil || *w.PowerMeanW != 250 || !strings.HasPrefix(*w.PowerSource, tc.source) {
				t.Errorf("%v, %q", deref(w.PowerMeanW), w.NullReasons["power_mean_w"])
			}
		})
	}
}

func TestSummariseRefusesAnInvertedWindow(t *testing.T) {
	defer func() {
		if r := recover(); r == nil {
			t.Error("no panic")
		}
	}()
	Summarise(five, 2, 1)
}

func TestIdlePower(t *testing.T) {
	f := newFake()
	start := Now()
	f.energy = func(int64) uint64 { return 1_000_000 + 90*uint64((Now()-start)/(10*ms)*10) } // 90 W in ticks of 10 ms
	w, err := IdlePower(context.Background(), f, 200*time.Millisecond, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if w.PowerMeanW == nil || *w.PowerMeanW != 300 || w.DurationS != 0.2 {
		t.Errorf("%+v", w)
	}
	if w.EnergyJ == nil || math.Abs(*w.EnergyJ-18) > *w.EnergyUncertaintyJ {
		t.Errorf("energy %v ± %v J, want 18: %v", deref(w.EnergyJ), deref(w.EnergyUncertaintyJ), w.NullReasons)
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := IdlePower(ctx, f, time.Hour, time.Millisecond); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	f.fail("TotalEnergy", nvmlError("nvmlDeviceGetTotalEnergyConsumption", CodeGPUIsLost))
	if _, err := IdlePower(context.Background(), f, time.Millisecond, time.Millisecond); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("lost: %v", err)
	}
}
