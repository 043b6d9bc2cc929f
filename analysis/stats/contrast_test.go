package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestMeanT: log ratios .01, .03, .02, .04, .05 have mean .03 and variance .00025,
// so that t is .03/sqrt(.00005). With 4 degrees of freedom t(.975) is 2.776445, t(.95)
// 2.131847 and t(.8) .940965.
func TestMeanT(t *testing.T) {
	e, ok := MeanT([]float64{.01, .03, .02, .04, .05})
	if !ok || e.DF != 4 {
		t.Fatalf("%v %+v", ok, e)
	}
	se := math.Sqrt(.00005)
	// The distribution of t with 4 degrees of freedom in closed form (Abramowitz and
	// Stegun 26.7.4): 1 - 2 Q(t) = sin a (1 + cos^2(a)/2), a = atan(t/2).
	a := math.Atan(.03 / se / 2)
	close(t, "p", e.P(), 1-math.Sin(a)*(1+math.Cos(a)*math.Cos(a)/2), 1e-9)
	close(t, "effect", e.Value, .03, 1e-12)
	close(t, "half-width", e.Half(.05), 2.776445*se, 1e-6)
	close(t, "margin of equality", e.SameWithin(.05), .03+2.131847*se, 1e-6)
	close(t, "findable", e.Findable(.05, .8), (2.776445+.940965)*se, 1e-6)
	if _, ok := MeanT([]float64{1}); ok {
		t.Error("one block tells a scatter")
	}
	if p := (Estimate{Value: 0, DF: 3}).P(); p != 1 {
		t.Errorf("p of no effect is %v", p)
	}
	if p := (Estimate{Value: .1, DF: 3}).P(); p != 0 {
		t.Errorf("p of an effect without scatter is %v", p)
	}
}

// TestHolm: (.01, .04, .03, .005) are, adjusted, .03, .06, .06, .02: as R's p.adjust
// and by hand.
func TestHolm(t *testing.T) {
	for i, got := range Holm([]float64{.01, .04, math.NaN(), .03, .005}) {
		want := []float64{.03, .06, math.NaN(), .06, .02}[i]
		if math.IsNaN(want) {
			if !math.IsNaN(got) {
				t.Errorf("a test that was not made has p %v", got)
			}
			continue
		}
		close(t, "p", got, want, 1e-12)
	}
	if got := Holm([]float64{.7, .6}); got[0] != 1 || got[1] != 1 {
		t.Errorf("above 1: %v", got)
	}
}

// TestContrastRates: over normal blocks the interval errs in 5 %, an effect of zero is
// told as the same within the margin that e itself gives in 5 % where it lies there,
// and an effect of the findable size is found in 80 %.
func TestContrastRates(t *testing.T) {
	const trials = 20000
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{3, 5, 10} {
		// The findable effect of the true scatter: the test's own standard error is a guess of it.
		truth := Estimate{Variance: 1 / float64(n), DF: float64(n - 1)}
		wrong, found, same := 0, 0, 0
		for range trials {
			values := make([]float64, n)
			for i := range values {
				values[i] = rng.NormFloat64()
			}
			e, _ := MeanT(values)
			if e.P() < .05 {
				wrong++
			}
			e.Value += truth.Findable(.05, .8)
			if e.P() < .05 {
				found++
			}
			e.Value += 2 - truth.Findable(.05, .8) // a true effect of 2, just at the margin
			if e.SameWithin(.05) < 2 {
				same++
			}
		}
		rate := func(k int) float64 { return float64(k) / trials }
		if r := rate(wrong); r < .045 || r > .055 {
			t.Errorf("%d blocks: wrong in %.3f", n, r)
		}
		if r := rate(same); r < .04 || r > .055 {
			t.Errorf("%d blocks: an effect at the margin is told as within it in %.3f", n, r)
		}
		if r := rate(found); r < .75 || r > .85 {
			t.Errorf("%d blocks: the findable effect is found in %.3f", n, r)
		}
	}
}
