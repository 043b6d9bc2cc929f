//go:build native

package native

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// BenchmarkTimingPath asks what measuring costs: the same steps of the same
// model through the plainest C loop (llama_decode + llama_synchronize, one clock
// reading before and one after) and through Measure (a clock reading around each
// step, argmax, arrays copied to Go). Each iteration runs plain, timed, timed,
// plain, so that a drift of the machine falls on both alike, and gives one ratio
// of times; reported are the medians of these ratios with their standard error.
// timed/plain leaves the argmax out, sampled/plain counts it.
func BenchmarkTimingPath(b *testing.B) {
	const gen = 32
	for _, name := range []string{"gpt2-1m", "gpt2-5m", "gpt2-25m", "gpt2-50m"} {
		b.Run("model="+name, func(b *testing.B) {
			c := newContext(b, load(b, writeModel(b, preset(b, name), "f32")), ContextParams{NCtx: 256, Threads: 2})
			prompt := []int32{1, 2, 3}
			warm, err := c.Measure(prompt, gen)
			if err != nil {
				b.Fatal(err)
			}
			plain := func() float64 {
				ns, err := c.bareDecode(prompt, warm.OutputIDs)
				if err != nil {
					b.Fatal(err)
				}
				return float64(ns)
			}
			timed := func() (decode, sampled float64) {
				m, err := c.Measure(prompt, gen)
				if err != nil {
					b.Fatal(err)
				}
				for _, ns := range m.TokenNS {
					decode += float64(ns)
				}
				return decode, float64(m.KVDecodeNS)
			}
			var plains, ratios, sampledRatios []float64
			for b.Loop() {
				first := plain()
				d1, s1 := timed()
				d2, s2 := timed()
				p := first + plain()
				plains = append(plains, p/2/gen)
				ratios = append(ratios, (d1+d2)/p)
				sampledRatios = append(sampledRatios, (s1+s2)/p)
			}
			b.ReportMetric(median(plains)/1e3, "plain-us/token")
			b.ReportMetric(median(ratios), "timed/plain")
			b.ReportMetric(medianError(ratios), "timed/plain-se")
			b.ReportMetric(median(sampledRatios), "sampled/plain")
		})
	}
}

// BenchmarkReadBandwidth measures the ceiling of batch-1 decode at several
// working sets, with the threads that inference uses here.
func BenchmarkReadBandwidth(b *testing.B) {
	for _, mib := range []int64{1, 4, 16, 64, 256, 1024} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("MiB=%d/threads=%d", mib, threads), func(b *testing.B) {
				var all []float64
				for b.Loop() {
					rates, err := ReadBandwidth(mib<<20, threads, 10)
					if err != nil {
						b.Fatal(err)
					}
					all = append(all, rates[2:]...) // the first passes fill caches and page tables
				}
				b.ReportMetric(median(all)/1e9, "GB/s")
			})
		}
	}
}

// medianError is the standard error of a median, 1.2533 s/sqrt(n) for a normal
// distribution, with the interquartile range / 1.349 for s: robust against the
// outliers of a shared machine.
func medianError(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	return 1.2533 * (s[3*n/4] - s[n/4]) / 1.349 / math.Sqrt(float64(n))
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
