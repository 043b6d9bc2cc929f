package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestMajority: of normal values it gives their mean and standard deviation, and the
// same where a third lies elsewhere.
func TestMajority(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 0))
	for _, minority := range []float64{0, .1, .35} {
		var xs []float64
		for range 4000 {
			x := 5 + .08*random.NormFloat64()
			if random.Float64() < minority {
				x += math.Log(2)
			}
			xs = append(xs, x)
		}
		center, sd := Majority(xs)
		if math.Abs(center-5) > .01 || math.Abs(sd/.08-1) > .15 {
			t.Errorf("%.0f %% elsewhere: %.4f with standard deviation %.4f, want 5 and .08", 100*minority, center, sd)
		}
	}
	if c, sd := Majority(nil); !math.IsNaN(c) || !math.IsNaN(sd) {
		t.Errorf("of nothing: %v %v", c, sd)
	}
	if c, sd := Majority([]float64{3}); c != 3 || sd != 0 {
		t.Errorf("of one: %v %v", c, sd)
	}
	if c, sd := Majority([]float64{2, 2, 2, 9}); c != 2 || sd != 0 {
		t.Errorf("of equal values: %v %v", c, sd)
	}
}
