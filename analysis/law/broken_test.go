package law

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"llmscale/analysis/stats"
)

// hinges are the columns of a broken line.
func hinges(u, at []float64) [][]float64 {
	columns := [][]float64{ones(u), u}
	for _, k := range at {
		columns = append(columns, stats.Map(u, func(v float64) float64 { return max(0, v-k) }))
	}
	return columns
}

// TestBreakAgainstGrid: the best break is no worse than any of a fine grid that least
// squares by QR tries, and its error is that of QR.
func TestBreakAgainstGrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 30 {
		points := series(evenly(6+rng.IntN(8), 5, 2000), chainOf([]float64{60}, []float64{.3, 1}), .2, rng)
		points = append(points, points[3]) // two models of one size
		u, y := logs(points)
		c := chain(u)
		s := c.of(y)
		at, least := c.one(s)
		r, ok := stats.Regress(y, hinges(u, []float64{at + c.mean})...)
		if !ok || math.Abs(r.SSE-least) > 1e-9 {
			t.Fatalf("error %v, by QR %v", least, r.SSE)
		}
		first, last := c.sizes[0], c.sizes[len(c.sizes)-1]
		for i := range 200 {
			k := first + (last-first)*float64(i)/199
			if r, ok := stats.Regress(y, hinges(u, []float64{k + c.mean})...); ok && r.SSE < least-1e-9 {
				t.Fatalf("a break at %v leaves %v, that at %v %v", k, r.SSE, at, least)
			}
		}
		if pair, both := c.place(s, 2); !math.IsInf(both, 1) {
			r, ok := stats.Regress(y, hinges(u, []float64{pair[0] + c.mean, pair[1] + c.mean})...)
			if !ok || math.Abs(r.SSE-both) > 1e-9 {
				t.Fatalf("two breaks leave %v, by QR %v", both, r.SSE)
			}
		}
	}
}

// breakTruths are series with a break, and one without.
var breakTruths = []struct {
	below, above, at float64
}{{.7, .7, 100}, {.5, 1, 100}, {.2, 1, 60}, {.2, 1, 200}, {1, .5, 100}}

// TestBreakRates: a break is claimed in 5 % of series without one, and its interval
// holds it in 90 to 98 %, of 500 series each; the figures of docs/statistics.md.
func TestBreakRates(t *testing.T) {
	for _, n := range []int{7, 9, 13} {
		for _, sd := range []float64{.01, .03, .08} {
			for _, k := range breakTruths {
				t.Run(fmt.Sprintf("%d sizes, %g %%, %g then %g", n, 100*sd, k.below, k.above), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(1, 1))
					of := trials(500)
					claimed, two, covered := 0, 0, 0
					for range of {
						b, ok := FindBreaks(series(evenly(n, 5, 2000), chainOf([]float64{k.at}, []float64{k.below, k.above}), sd, rng), rng)
						if !ok {
							t.Fatal("no answer")
						}
						if b.Breaks > 0 {
							claimed++
						}
						if b.Breaks > 1 {
							two++
						}
						in := false
						for _, ci := range b.CI {
							in = in || holds(ci, k.at)
						}
						if in {
							covered++
						}
					}
					if k.below == k.above {
						between(t, "a break claimed", claimed, of, 0, .05)
						return
					}
					between(t, "a break claimed", claimed, of, .95, 1)
					between(t, "its interval holds it", covered, of, .9, .98)
					between(t, "two claimed", two, of, 0, .05)
				})
			}
		}
	}
}

// TestTwoBreaks: two breaks far apart are found, with intervals that hold them.
func TestTwoBreaks(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	of := trials(500)
	found, first, second := 0, 0, 0
	for range of {
		b, _ := FindBreaks(series(evenly(13, 5, 5000), chainOf([]float64{50, 600}, []float64{.1, 1, .5}), .02, rng), rng)
		if b.Breaks != 2 {
			continue
		}
		found++
		if holds(b.CI[0], 50) {
			first++
		}
		if holds(b.CI[1], 600) {
			second++
		}
	}
	between(t, "two claimed", found, of, .95, 1)
	between(t, "the first interval holds the break", first, found, .9, .98)
	between(t, "the second interval holds the break", second, found, .9, .98)
}
