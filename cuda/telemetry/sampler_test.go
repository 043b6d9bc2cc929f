package telemetry

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func frozen() int64 { return 5 }

func TestTakeReadsEverySensorOnce(t *testing.T) {
	f := newFake()
	clock := int64(100)
	f.clock, f.step = &clock, 10
	got := newReader(f, func() int64 { return clock }).take()
	want := Sample{
		AtNS: 100, TookNS: 70, EnergyMJ: known[uint64](1000),
		PowerInstantW: known(300.0), PowerAverageW: known(250.0),
		SMClockMHz: known(1980.0), MemoryClockMHz: known(2619.0), TemperatureC: known(55.0),
		ClockEvents: known[uint64](4), MemoryUsedBytes: known[uint64](3 << 30),
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestARefusedReadingIsNullAskedOnceAndExplained(t *testing.T) {
	fields := readingNames
	methods := map[string]string{
		"energy_counter_mj": "TotalEnergy", "sm_clock_mhz": "SMClock", "memory_clock_mhz": "MemoryClock",
		"temperature_c": "Temperature", "clock_events": "ClockEvents", "memory_used_bytes": "Memory",
	}
	for field, method := range methods {
		f := newFake()
		f.errs[method] = nvmlError("nvmlSomething", CodeNotSupported)
		r := newReader(f, frozen)
		first, second := r.take(), r.take()
		for _, s := range []Sample{first, second} {
			var m map[string]any
			b, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			for _, other := range fields {
				v, there := m[other]
				if !there {
					t.Fatalf("no field %s in %s", other, b)
				}
				wantNull := other == field || other == "power_usage_w"
				if (v == nil) != wantNull {
					t.Errorf("%s refused: %s is %v", method, other, v)
				}
			}
		}
		if n := f.count(method); n != 1 {
			t.Errorf("%s was asked %d times after NOT_SUPPORTED", method, n)
		}
		if why := r.nullReasons()[field]; !strings.Contains(why, "nvmlSomething") {
			t.Errorf("%s: reason %q", field, why)
		}
	}
}

func TestPowerFallsBackWhereTheFieldsAreNotToBeHad(t *testing.T) {
	no := nvmlError("nvmlDeviceGetFieldValues", CodeNotSupported)
	for _, tc := range []struct {
		name                        string
		set                         func(*fake)
		instant, average, usage     bool
		fieldsAsked, usageAskedThat int
	}{
		{"both fields", func(*fake) {}, true, true, false, 2, 0},
		{"no average: GA100", func(f *fake) { f.average.Err = no }, true, false, false, 2, 0},
		{"no instant", func(f *fake) { f.instant.Err = no }, false, true, false, 2, 0},
		{"neither field", func(f *fake) { f.instant.Err, f.average.Err = no, no }, false, false, true, 1, 2},
		{"no such call", func(f *fake) { f.errs["PowerFields"] = nvmlError("x", CodeFunctionNotFound) }, false, false, true, 1, 2},
		{"no power at all", func(f *fake) { f.errs["PowerFields"] = no; f.errs["PowerUsage"] = no }, false, false, false, 1, 1},
		{"a hiccup is not a refusal", func(f *fake) { f.errs["PowerFields"] = nvmlError("x", 10) }, false, false, false, 2, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake()
			tc.set(f)
			r := newReader(f, frozen)
			r.take()
			s := r.take()
			if s.PowerInstantW.Known != tc.instant || s.PowerAverageW.Known != tc.average || s.PowerUsageW.Known != tc.usage {
				t.Errorf("%+v", s)
			}
			if a, b := f.count("PowerFields"), f.count("PowerUsage"); a != tc.fieldsAsked || b != tc.usageAskedThat {
				t.Errorf("fields asked %d times, usage %d times", a, b)
			}
		})
	}
}

func TestAPassingFailureIsCountedAndAskedAgain(t *testing.T) {
	f := newFake()
	r := newReader(f, frozen)
	f.errs["Temperature"] = nvmlError("nvmlDeviceGetTemperature", 10)
	if s := r.take(); s.TemperatureC.Known || !s.SMClockMHz.Known {
		t.Errorf("%+v", s)
	}
	r.take()
	delete(f.errs, "Temperature")
	if s := r.take(); !s.TemperatureC.Known {
		t.Error("not asked again")
	}
	if why := r.nullReasons()["temperature_c"]; !strings.HasPrefix(why, "2 samples lack it") {
		t.Errorf("reason %q", why)
	}
}

func TestALostGPUEndsTheSampler(t *testing.T) {
	f := newFake()
	f.took = make(chan struct{})
	s := Start(f, time.Microsecond)
	<-f.took // the first sample is nearly done
	f.fail("SMClock", nvmlError("nvmlDeviceGetClockInfo", CodeGPUIsLost))
	select { // a sample may be past the clock already; it then still asks for the memory
	case <-f.took:
	case <-s.done:
	}
	select {
	case <-f.took:
		t.Fatal("sampling went on without the GPU")
	case <-s.done:
	}
	series := s.Stop()
	if !strings.Contains(series.Ended, "nvmlDeviceGetClockInfo") {
		t.Errorf("ended %q", series.Ended)
	}
	last := series.Samples[len(series.Samples)-1]
	if !last.EnergyMJ.Known || last.SMClockMHz.Known || last.TemperatureC.Known || last.MemoryUsedBytes.Known {
		t.Errorf("what was read before the loss is kept, nothing is asked after it: %+v", last)
	}
	if !series.Samples[0].MemoryUsedBytes.Known {
		t.Error("a sample from before the loss went missing")
	}
	n := f.count("TotalEnergy")
	if s.Stop(); f.count("TotalEnergy") != n {
		t.Error("the lost GPU was asked again")
	}
}

func TestSamplerHasASampleOnBothSides(t *testing.T) {
	f := newFake()
	f.took = make(chan struct{}, 1000)
	s := Start(f, time.Millisecond)
	<-f.took
	between := Now()
	for range 3 {
		<-f.took
	}
	if got := len(s.Series().Samples); got < 3 {
		t.Errorf("%d samples while running, 3 were complete", got)
	}
	before := Now()
	series := s.Stop()
	first, last := series.Samples[0], series.Samples[len(series.Samples)-1]
	if first.AtNS > between || last.AtNS < before {
		t.Errorf("samples from %d to %d, want them around %d to %d", first.AtNS, last.AtNS, between, before)
	}
	for i := 1; i < len(series.Samples); i++ {
		if series.Samples[i].AtNS <= series.Samples[i-1].AtNS {
			t.Fatalf("sample %d is not after the one before", i)
		}
	}
	if series.Cost.Samples != int64(len(series.Samples)) || series.Cost.MaxUS < series.Cost.MedianUS || series.Cost.MedianUS <= 0 {
		t.Errorf("cost %+v of %d samples", series.Cost, len(series.Samples))
	}
	if !reflect.DeepEqual(s.Stop(), series) {
		t.Error("a second Stop returns something else")
	}
}

func TestSlowReadingsAreSkippedAndCounted(t *testing.T) {
	f := newFake()
	f.took = make(chan struct{})
	s := Start(f, time.Millisecond)
	<-f.took
	time.Sleep(20 * time.Millisecond) // the second sample waits for this test all the while
	<-f.took
	<-f.took
	go func() { // the last sample may or may not be preceded by another
		for {
			select {
			case <-f.took:
			case <-s.done:
				return
			}
		}
	}()
	if got := s.Stop(); got.Skipped < 10 {
		t.Errorf("%d skipped in 20 ms at one per ms, of which one sample took nearly all", got.Skipped)
	}
}

func TestStartRefusesNoPace(t *testing.T) {
	defer func() {
		if r := recover(); r == nil {
			t.Error("no panic")
		}
	}()
	Start(newFake(), 0)
}

func TestNextDue(t *testing.T) {
	for _, tc := range []struct{ due, t, every, next, missed int64 }{
		{100, 103, 20, 120, 0},
		{100, 119, 20, 120, 0},
		{100, 120, 20, 140, 1}, // due at the very moment: too late to be on time
		{100, 121, 20, 140, 1},
		{100, 185, 20, 200, 4}, // 120, 140, 160 and 180 went by
	} {
		if next, missed := nextDue(tc.due, tc.t, tc.every); next != tc.next || missed != tc.missed {
			t.Errorf("nextDue(%d, %d, %d) = %d, %d; want %d, %d", tc.due, tc.t, tc.every, next, missed, tc.next, tc.missed)
		}
	}
}

func TestRingKeepsTheNewestAndCountsTheRest(t *testing.T) {
	for n, want := range map[int][]int64{0: {}, 2: {1, 2}, 3: {1, 2, 3}, 4: {2, 3, 4}, 8: {6, 7, 8}} {
		r := ring{capacity: 3}
		for i := 1; i <= n; i++ {
			r.add(Sample{AtNS: int64(i), TookNS: int64(100 * (10 - i))})
		}
		got := []int64{}
		for _, s := range r.ordered() {
			got = append(got, s.AtNS)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d samples: kept %v, want %v", n, got, want)
		}
		if wantDropped := int64(max(n-3, 0)); r.dropped != wantDropped || r.droppedTo != wantDropped {
			t.Errorf("%d samples: dropped %d to %d, want %d", n, r.dropped, r.droppedTo, wantDropped)
		}
	}
	r := ring{capacity: 2}
	for i, took := range []int64{9000, 1000, 3000} { // the slowest is dropped, but not forgotten
		r.add(Sample{AtNS: int64(i) * 100_000, TookNS: took})
	}
	want := Cost{Samples: 3, MedianUS: 2, MaxUS: 9, Share: 13.0 / 203}
	if got := r.cost(); got != want {
		t.Errorf("cost %+v, want %+v", got, want)
	}
}

func TestSampleJSONRoundTrip(t *testing.T) {
	in := Sample{AtNS: 1, EnergyMJ: known[uint64](1 << 60), PowerInstantW: known(0.0)}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"power_instant_w":0,"power_average_1s_w":null`) {
		t.Errorf("zero and unknown are not told apart: %s", b)
	}
	var out Sample
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("%+v, %v; want %+v", out, err, in)
	}
}

func TestErrorsAreToldApartByCode(t *testing.T) {
	err := nvmlError("nvmlDeviceGetPowerUsage", CodeNotSupported)
	if !errors.Is(err, CodeNotSupported) || errors.Is(err, CodeGPUIsLost) {
		t.Error("errors.Is does not find the code")
	}
	if want := "nvmlDeviceGetPowerUsage: code 3"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}
