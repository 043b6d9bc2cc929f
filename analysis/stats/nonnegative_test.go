package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestNonNegative: against coordinate descent, which finds the optimum of this convex
// problem too (Franc, Hlavac and Navara 2005).
func TestNonNegative(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		const n, k = 7, 3
		y, columns := make([]float64, n), make([][]float64, k)
		for i := range y {
			y[i] = rng.NormFloat64() + 0.5
		}
		for j := range columns {
			columns[j] = make([]float64, n)
			for i := range columns[j] {
				columns[j][i] = rng.NormFloat64()
			}
		}
		c := make([]float64, k)
		for range 5000 {
			for j := range c {
				num, den := 0.0, 0.0
				for i := range y {
					rest := y[i]
					for o := range c {
						if o != j {
							rest -= c[o] * columns[o][i]
						}
					}
					num += rest * columns[j][i]
					den += columns[j][i] * columns[j][i]
				}
				c[j] = max(0, num/den)
			}
		}
		got, ok := NonNegative(y, columns...)
		if !ok {
			if c[0]+c[1]+c[2] > 1e-9 {
				t.Errorf("none found, want %v", c)
			}
			continue
		}
		for j := range c {
			if math.Abs(got[j]-c[j]) > 1e-6 {
				t.Errorf("%v, want %v", got, c)
				break
			}
		}
	}
}

// TestJackknife: of a mean it is the t-interval.
func TestJackknife(t *testing.T) {
	xs := []float64{3, 5, 4, 8}
	var without []float64
	for i := range xs {
		sum := 0.0
		for j, x := range xs {
			if j != i {
				sum += x / 3
			}
		}
		without = append(without, sum)
	}
	e, _ := MeanT(xs)
	if got := Jackknife(without); math.Abs(got-e.Half(Alpha)) > 1e-9 {
		t.Errorf("%v, want %v", got, e.Half(Alpha))
	}
	if got := Jackknife([]float64{1}); !math.IsNaN(got) {
		t.Errorf("of one value %v", got)
	}
}
