package native

import (
	"math"
	"testing"
)

func TestRelativeL2(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		name   string
		a, b   []float32
		rel    float64
		finite bool
		same   bool
	}{
		{"equal", []float32{3, -4}, []float32{3, -4}, 0, true, true},
		{"all zero", []float32{0, 0}, []float32{0, 0}, 0, true, true},
		{"one is zero", []float32{0, 0}, []float32{3, -4}, 1, true, true},
		{"the other is zero", []float32{-3, 4}, []float32{0, 0}, 1, true, false},
		{"opposite", []float32{3, -4}, []float32{-3, 4}, 2, true, false},
		{"by the larger", []float32{3, 4}, []float32{6, 8}, 0.5, true, true},
		{"by the larger, in the other order", []float32{6, 8}, []float32{3, 4}, 0.5, true, true},
		{"small values", []float32{3e-30, 4e-30}, []float32{3e-30, -4e-30}, 1.6, true, false},
		{"large values", []float32{3e38, 0}, []float32{0, 3e38}, math.Sqrt2, true, false},
		{"NaN in a batch", []float32{1, nan}, []float32{1, 1}, 0, false, true},
		{"infinity in a step", []float32{1, 1}, []float32{1, inf}, 0, false, true},
	} {
		s := compareLogits(c.a, c.b, 2)
		if math.Abs(s.RelL2-c.rel) > 1e-12 || s.Finite != c.finite || s.SameArgmax != c.same || s.Tokens != 2 {
			t.Errorf("%s: %+v, want %g, finite %v, the same token %v", c.name, s, c.rel, c.finite, c.same)
		}
	}
	if s := compareLogits([]float32{0}, []float32{1}, 1); s != (SelfCheck{Tokens: 1}) {
		t.Errorf("one token: %+v, though a batch of one is a step", s)
	}
}
