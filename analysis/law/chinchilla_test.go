package law

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestChinchilla reproduces Besiroglu et al.'s (2024) re-fit of Hoffmann et al.'s
// approach 3: L = E + A/N^alpha + B/D^beta, least Huber loss of ln L at 1e-3, on data
// made from the parameters that they publish, with errors of the size of their
// residuals. Reads and Computes stand for N and D.
func TestChinchilla(t *testing.T) {
	const delta, sd = 1e-3, 3e-3
	truth := []float64{math.Log(482.01), math.Log(2085.43), math.Log(1.8172), .3478, .3658}
	predict := func(theta []float64, p Point, grad []float64) float64 {
		a, b, e := theta[0]-theta[3]*math.Log(p.Reads), theta[1]-theta[4]*math.Log(p.Computes), theta[2]
		ab, share := plus(a, b)
		sum, of := plus(ab, e)
		if grad != nil {
			grad[0], grad[1], grad[2] = of*share, of*(1-share), 1-of
			grad[3], grad[4] = -grad[0]*math.Log(p.Reads), -grad[1]*math.Log(p.Computes)
		}
		return sum
	}
	huber := func(r float64) (cost, slope float64) {
		if math.Abs(r) <= delta {
			return r * r / 2, r
		}
		return delta * (math.Abs(r) - delta/2), math.Copysign(delta, r)
	}
	var starts [][]float64
	for _, a := range []float64{4, 6, 8} {
		for _, exponent := range []float64{.2, .35, .5} {
			starts = append(starts, []float64{a, a + 1, .5, exponent, exponent})
		}
	}
	fit := func(sd float64, rng *rand.Rand) []float64 {
		var points []Point
		for i := range 240 { // 15 sizes by 16 lengths, as far as the paper's reach
			n, d := 44e6*math.Pow(16e9/44e6, float64(i%15)/14), 4e8*math.Pow(400e9/4e8, float64(i/15)/15)
			p := Point{Reads: n, Computes: d}
			p.T = math.Exp(predict(truth, p, nil) + sd*rng.NormFloat64())
			points = append(points, p)
		}
		theta, ok := minimise(predict, points, huber, starts, func([]float64) {})
		if !ok {
			t.Fatal("no fit")
		}
		return theta
	}
	for j, v := range fit(0, rand.New(rand.NewPCG(1, 1))) {
		if math.Abs(v-truth[j]) > 2e-3 {
			t.Errorf("without errors parameter %d is %v, want %v", j, v, truth[j])
		}
	}
	// With errors the exponents lie about the published ones by no more than the
	// standard errors that the paper states for them, .0154 and .0206.
	of := max(10, trials(100))
	var mean, square [5]float64
	rng := rand.New(rand.NewPCG(2, 2))
	for range of {
		for j, v := range fit(sd, rng) {
			d := v - truth[j]
			mean[j] += d / float64(of)
			square[j] += d * d / float64(of)
		}
	}
	for j, stated := range map[int]float64{3: .0154, 4: .0206} {
		t.Logf("exponent %d: bias %.4f, spread %.4f", j, mean[j], math.Sqrt(square[j]))
		if math.Sqrt(square[j]) > stated || math.Abs(mean[j]) > stated/2 {
			t.Errorf("exponent %d: bias %v, spread %v, want within %v", j, mean[j], math.Sqrt(square[j]), stated)
		}
	}
}
