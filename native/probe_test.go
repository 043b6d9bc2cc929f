package native

import (
	"errors"
	"math"
	"testing"

	"llmscale/runner/ceilings"
)

// machine is a made-up CPU: it reads small sets at 100 GB/s and large ones at 10,
// does 1 Tflop/s and takes 2 us for a barrier. Its first passes take three times
// as long, and every fourth twice.
type machine struct {
	sizes            map[int64]bool
	noFMA, noBarrier error
}

func (m *machine) slow(s float64, passes int) []float64 {
	out := make([]float64, passes)
	for i := range out {
		switch out[i] = s; {
		case i < readWarmups:
			out[i] = 3 * s
		case i%4 == 3:
			out[i] = 2 * s
		}
	}
	return out
}

func (m *machine) probes() probes {
	return probes{
		read: func(size int64, threads, streams, sweeps, passes int) ([]float64, int64, error) {
			if m.sizes == nil {
				m.sizes = map[int64]bool{}
			}
			m.sizes[size] = true
			rate := 100e9
			if size > 8<<20 {
				rate = 10e9
			}
			if streams == 4 {
				rate *= 1.25
			}
			bytes := size * int64(sweeps)
			return m.slow(float64(bytes)/rate, passes), bytes, nil
		},
		fma: func(_ int, steps int64, passes int) ([]float64, int64, error) {
			return m.slow(float64(steps)*384/1e12, passes), steps * 384, m.noFMA
		},
		barrier: func(_ int, n int64, passes int) ([]float64, error) {
			return m.slow(float64(n)*2e-6, passes), m.noBarrier
		},
	}
}

func TestProbeMethod(t *testing.T) {
	near := func(what string, have, want float64) {
		t.Helper()
		if math.Abs(have/want-1) > 1e-6 {
			t.Errorf("%s is %v, want %v", what, have, want)
		}
	}
	for _, quick := range []bool{false, true} {
		m := &machine{}
		d, err := probeCPU(m.probes(), ProbeOptions{Threads: 2, Quick: quick})
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]int{false: 15, true: 14}[quick] // 64 KiB to 1 GiB or 512 MiB
		if len(m.sizes) != want || len(d.Bandwidth) != 2*want {
			t.Errorf("quick %v: %d sizes, %d figures", quick, len(m.sizes), len(d.Bandwidth))
		}
		total := 0.0
		for _, b := range d.Bandwidth {
			rate := 100e9
			if b.WorkingSetB > 8<<20 {
				rate = 10e9
			}
			if b.Streams == 4 {
				rate *= 1.25
			}
			near("the median rate", b.BytesPerS, rate)
			near("the best rate", b.BestBytesPerS, rate)
			s := float64(b.BytesPerPass) / rate
			if s < 0.4e-3 {
				t.Errorf("a pass over %d bytes takes %v s, which a clock and the start of threads would blur", b.WorkingSetB, s)
			}
			total += s * float64(b.Passes+readWarmups)
		}
		if limit := map[bool]float64{false: 40, true: 5}[quick]; total > limit {
			t.Errorf("quick %v: reading takes %v s at these rates, want at most %v", quick, total, limit)
		}
		near("flop/s", d.Compute[0].FlopPerS, 1e12)
		near("the barrier", d.Launch[0].US, 2)
		for _, s := range []float64{d.Bandwidth[0].RelativeSpread, d.Launch[0].RelativeSpread} {
			if !(s >= 0 && s <= 1) {
				t.Errorf("a spread of %v", s)
			}
		}
	}
}

func TestProbeSaysWhatItHasNot(t *testing.T) {
	m := &machine{noFMA: errors.New("no units"), noBarrier: errors.New("no OpenMP")}
	d, err := probeCPU(m.probes(), ProbeOptions{Threads: 8, MaxBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Bandwidth)+len(d.Compute)+len(d.Launch) != 0 {
		t.Errorf("%+v", d)
	}
	for _, what := range []string{ceilings.Read, ceilings.FMA32, ceilings.Barrier} {
		if d.NotMeasured[what] == "" {
			t.Errorf("no reason why %s was not measured", what)
		}
	}
	bad := m.probes()
	bad.read = func(int64, int, int, int, int) ([]float64, int64, error) { return nil, 0, ErrNoMemory }
	if _, err := probeCPU(bad, ProbeOptions{}); !errors.Is(err, ErrNoMemory) {
		t.Errorf("%v, want ErrNoMemory", err)
	}
}

// TestSummarise has numpy.percentile's figures for its default method, linear.
func TestSummarise(t *testing.T) {
	s := []float64{5, 1, 4, 2}
	got := summarise(s)
	if got.best != 1 || got.median != 3 || math.Abs(got.spread-(4.25-1.75)/3) > 1e-12 {
		t.Errorf("%+v", got)
	}
	if s[0] != 5 {
		t.Error("the caller's slice was sorted")
	}
	if got := summarise([]float64{2}); got != (passTimes{2, 2, 0}) {
		t.Errorf("of one: %+v", got)
	}
}
