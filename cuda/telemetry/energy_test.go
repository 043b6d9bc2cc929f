package telemetry

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// counterSeries samples a counter that ticks every tick and, at a tick, holds what power
// (W over ns) used up to then, in whole mJ. Times in ns; samples from 0 to end.
func counterSeries(every, tickNS, phase, end int64, used func(t int64) float64) Series {
	s := series()
	for t := int64(0); t <= end; t += every {
		last := (t-phase)/tickNS*tickNS + phase // the newest tick
		if t < phase {
			last = phase - tickNS
		}
		s.Samples = append(s.Samples, Sample{AtNS: t, EnergyMJ: known(uint64(5_000_000 + 1000*used(last)))})
	}
	return s
}

// steady is watts for forMS, sampled every everyMS with ticks of tickMS.
func steady(everyMS, tickMS, watts, forMS int64) Series {
	return counterSeries(everyMS*ms, tickMS*ms, 37*ms, forMS*ms, func(t int64) float64 { return float64(watts) * float64(t) / 1e9 })
}

func TestEnergyAtSteadyPower(t *testing.T) {
	// 300 W over 2 s, ticks of 100 ms: 600 J; a tick is 30 J, so at most ± 60 J; the estimate is off by no more
	// than half a sampling interval's energy at each end.
	w := Summarise(steady(20, 100, 300, 4000), 1000*ms, 3000*ms)
	if w.EnergyJ == nil {
		t.Fatal(w.NullReasons)
	}
	if math.Abs(*w.EnergyJ-600) > 300*0.020 || *w.EnergyUncertaintyJ < 30 || *w.EnergyUncertaintyJ > 60.1 {
		t.Errorf("%g ± %g J", *w.EnergyJ, *w.EnergyUncertaintyJ)
	}
	if w.EnergyTicks != 20 || *w.EnergyTickMS != 100 {
		t.Errorf("%d ticks of %g ms", w.EnergyTicks, *w.EnergyTickMS)
	}
	if got := *w.EnergyPowerW; got != *w.EnergyJ/2 {
		t.Errorf("%g W", got)
	}
}

// The promise of the uncertainty: whatever the power does and however sampling falls against the ticks, what the
// counter would have counted is inside.
func TestEnergyUncertaintyHolds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	told := 0
	for range 1000 {
		tickNS := (20 + rng.Int64N(130)) * ms
		every := (1 + rng.Int64N(60)) * ms
		edges := []int64{0} // power changes at these times
		watts := []float64{}
		for edges[len(edges)-1] < 5000*ms {
			edges = append(edges, edges[len(edges)-1]+1+rng.Int64N(400*ms))
			watts = append(watts, 60+640*rng.Float64()*rng.Float64())
		}
		used := func(t int64) float64 {
			joule := 0.0
			for i, p := range watts {
				if from, to := edges[i], min(edges[i+1], t); to > from {
					joule += p * float64(to-from) / 1e9
				}
			}
			return joule
		}
		s := counterSeries(every, tickNS, rng.Int64N(tickNS), 5000*ms, used)
		c, _, _ := readCounter(s.Samples, 0, 0)
		for range 20 {
			moment := rng.Int64N(5000 * ms)
			least, estimate, most, ok := c.used(moment)
			if truth := 5_000_000 + 1000*used(moment); ok && (least > truth+1 || most < truth-1 || estimate < least || estimate > most) {
				t.Fatalf("at %d: %g mJ counted, between %g and %g, estimate %g", moment, truth, least, most, estimate)
			}
		}
		start := 300*ms + rng.Int64N(2000*ms)
		end := start + rng.Int64N(2300*ms)
		w := Summarise(s, start, end)
		if w.EnergyJ == nil {
			continue
		}
		told++
		want := used(end) - used(start)
		if off := math.Abs(*w.EnergyJ - want); off > *w.EnergyUncertaintyJ+0.002 { // the counter's whole mJ
			t.Fatalf("%g ± %g J, but %g J were used (tick %d ms, sampled every %d ms, window %d to %d)", *w.EnergyJ, *w.EnergyUncertaintyJ, want, tickNS/ms, every/ms, start, end)
		}
		if most := 4 * 700 * float64(tickNS+every) / 1e9; *w.EnergyUncertaintyJ > most {
			t.Fatalf("± %g J is more than two ticks and samples at both ends can be off: %g", *w.EnergyUncertaintyJ, most)
		}
	}
	if told < 600 {
		t.Errorf("only %d of 1000 windows had an energy", told)
	}
}

// The worst case: all of a tick's energy is used before the window starts, and at its end all after it.
func TestEnergyUncertaintyAtItsWorst(t *testing.T) {
	const burst = 30.0 // J
	used := func(t int64) float64 {
		n, rest := t/(100*ms), t%(100*ms)
		switch {
		case n < 10 && rest >= 5*ms || n >= 20 && rest >= 95*ms: // early in its tick, and late from 2 s on
			n++
		case n >= 10 && n < 20: // steady between
			return burst * float64(t) / float64(100*ms)
		}
		return burst * float64(n)
	}
	w := Summarise(counterSeries(ms, 100*ms, 0, 4000*ms, used), 906*ms, 3094*ms)
	truth := used(3094*ms) - used(906*ms)
	if w.EnergyJ == nil || *w.EnergyJ-truth < 1.5*burst {
		t.Fatalf("the case is not as bad as it is meant to be: %v J for %g", deref(w.EnergyJ), truth)
	}
	if *w.EnergyJ-truth > *w.EnergyUncertaintyJ {
		t.Errorf("%g ± %g J, but %g J were used", *w.EnergyJ, *w.EnergyUncertaintyJ, truth)
	}
}

func TestEnergyIsNull(t *testing.T) {
	good := func() Series { return steady(20, 100, 300, 4000) }
	reload := func(from int64) Series { // the counter starts anew
		s := good()
		for i := range s.Samples {
			if s.Samples[i].AtNS >= from {
				s.Samples[i].EnergyMJ.Value -= 4_900_000
			}
		}
		return s
	}
	cut := func(from, to int64) Series {
		s := good()
		s.Samples = s.Samples[from/20 : to/20]
		return s
	}
	for _, tc := range []struct {
		name string
		s    Series
		from int64
		to   int64
		why  string // "" for a value
	}{
		{"good", good(), 1000, 3000, ""},
		{"short", good(), 1000, 1200, "holds 2 ticks of the energy counter, 3 are needed"},
		{"of no length", good(), 1000, 1000, "holds 0 ticks"},
		{"long enough", good(), 1000, 1350, ""},
		{"frozen counter", steady(20, 100, 0, 4000), 1000, 3000, "holds 0 ticks"},
		{"backwards inside", reload(2000 * ms), 1000, 3000, "went backwards"},
		{"backwards at the end's bracket", reload(3000 * ms), 1000, 2990, "went backwards"},
		{"backwards before", reload(500 * ms), 1000, 3000, ""},
		{"backwards just before", reload(980 * ms), 1000, 3000, "began less than a tick"},
		{"backwards after", reload(3500 * ms), 1000, 3000, ""},
		{"backwards right after", reload(3020 * ms), 1000, 3000, "ended before the energy counter's next tick"},
		{"began late", cut(1000, 4000), 1000, 3000, "began less than a tick"},
		{"ended early", cut(0, 3020), 1000, 3000, "ended before the energy counter's next tick"},
		{"no counter", five, 0, 400, "no sample"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Summarise(tc.s, tc.from*ms, tc.to*ms)
			if tc.why == "" {
				if want := 0.3 * float64(tc.to-tc.from); w.EnergyJ == nil || math.Abs(*w.EnergyJ-want) > 6 {
					t.Errorf("energy %v, want %g: %v", deref(w.EnergyJ), want, w.NullReasons)
				}
			} else if w.EnergyJ != nil || w.EnergyUncertaintyJ != nil || w.EnergyPowerW != nil || !strings.Contains(w.NullReasons["energy_j"], tc.why) {
				t.Errorf("energy %v, reason %q", deref(w.EnergyJ), w.NullReasons["energy_j"])
			}
			checkReasons(t, w)
		})
	}
}

func TestEnergyNullBecauseOfTheSeries(t *testing.T) {
	s := steady(20, 100, 300, 4000)
	s.Samples = s.Samples[50:]
	s.Dropped, s.DroppedToNS = 50, 980*ms
	if w := Summarise(s, 900*ms, 3000*ms); !strings.Contains(w.NullReasons["energy_j"], "had to drop 50") {
		t.Errorf("dropped: %q", w.NullReasons["energy_j"])
	}
	s = steady(20, 100, 300, 2000)
	s.Ended = "the GPU does not answer any more"
	if w := Summarise(s, 1000*ms, 3000*ms); w.NullReasons["energy_j"] != s.Ended {
		t.Errorf("lost: %q", w.NullReasons["energy_j"])
	}
}
