package native

import "math"

// SelfCheck is what a batch's logits have in common with those of its tokens one by one: those of the last token are
// compared. A right build differs by its rounding alone.
type SelfCheck struct {
	Tokens     int     // evaluated in both ways; below 2 there was no time, and nothing is compared
	RelL2      float64 // see relativeL2
	Finite     bool    // all logits; without that RelL2 says nothing
	SameArgmax bool    // both prefer the same token
}

// BatchCheck is what sequences decoded together have in common with the same ones alone. They are fed the same tokens,
// whichever they would choose.
type BatchCheck struct {
	Sequences       []int     // that were decoded alone too
	RelL2           []float64 // of the logits after the last step, of each of them; see relativeL2
	Finite          bool      // all logits; without that RelL2 says nothing
	FirstDifference int       // the first step, from 0, at which one would choose another token; -1: none
}

// compareLogits compares the logits of two ways to compute the same.
func compareLogits(batch, steps []float32, tokens int) SelfCheck {
	s := SelfCheck{Tokens: tokens}
	if tokens < 2 {
		return s
	}
	s.RelL2, s.Finite = relativeL2(batch, steps)
	s.SameArgmax = argmax(batch) == argmax(steps)
	return s
}

// relativeL2 is the Euclidean norm of a - b by the larger of the norms of a and b: 0 where they are equal, also if they
// are all 0, and 2 at most. It is 0 and not finite where a value is not.
func relativeL2(a, b []float32) (rel float64, finite bool) {
	var difference, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		difference += (x - y) * (x - y)
		aa += x * x
		bb += y * y
	}
	norm := math.Sqrt(max(aa, bb))
	switch {
	case math.IsNaN(aa) || math.IsInf(aa, 0) || math.IsNaN(bb) || math.IsInf(bb, 0):
		return 0, false
	case norm == 0:
		return 0, true
	}
	return math.Sqrt(difference) / norm, true
}

func argmax(x []float32) int {
	best := 0
	for i := range x {
		if x[i] > x[best] {
			best = i
		}
	}
	return best
}
