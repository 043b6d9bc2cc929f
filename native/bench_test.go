//go:build native

package native

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// BenchmarkTimingPath asks what measuring costs: the same steps of the same
// model through the plainest C loop (llama_decode + llama_synchronize, one clock
// reading before and one after) and through Measure (a clock reading around each
// step, argmax, arrays copied to Go), in alternation, in random order. The ratios
// are of medians: decode without sampling over the bare loop is the cost of the
// timing path, kv_decode over it adds the argmax.
func BenchmarkTimingPath(b *testing.B) {
	const gen = 64
	for _, name := range []string{"gpt2-1m", "gpt2-5m", "gpt2-25m", "gpt2-50m"} {
		b.Run("model="+name, func(b *testing.B) {
			c := newContext(b, load(b, writeModel(b, preset(b, name), "f32")), ContextParams{NCtx: 256, Threads: 2})
			prompt := []int32{1, 2, 3}
			warm, err := c.Measure(prompt, gen)
			if err != nil {
				b.Fatal(err)
			}
			var bare, timed, whole []float64
			once := func(plain bool) {
				if plain {
					ns, err := c.bareDecode(prompt, warm.OutputIDs)
					if err != nil {
						b.Fatal(err)
					}
					bare = append(bare, float64(ns)/gen)
					return
				}
				m, err := c.Measure(prompt, gen)
				if err != nil {
					b.Fatal(err)
				}
				sum := int64(0)
				for _, ns := range m.TokenNS {
					sum += ns
				}
				timed = append(timed, float64(sum)/gen)
				whole = append(whole, float64(m.KVDecodeNS)/gen)
			}
			for b.Loop() {
				first := rand.IntN(2) == 0
				once(first)
				once(!first)
			}
			b.ReportMetric(median(bare)/1e3, "bare-us/token")
			b.ReportMetric(median(timed)/1e3, "timed-us/token")
			b.ReportMetric(median(timed)/median(bare), "timed/bare")
			b.ReportMetric(median(whole)/median(bare), "sampled/bare")
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

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
