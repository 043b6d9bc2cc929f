package stats

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// Majority is where the larger part of xs lies and how it scatters, whatever the rest does: the middle of the
// shortest interval that holds half of them, then mean and standard deviation of what lies within two and a half
// of that interval's robust standard deviations (least median of squares, reweighted; Rousseeuw 1984). The median
// absolute deviation fails before: of a machine that is in another state for a third of the time it takes both
// states for scatter. NaN without values.
func Majority(xs []float64) (center, sd float64) {
	s := Sorted(xs)
	n := len(s)
	if n == 0 {
		return math.NaN(), math.NaN()
	}
	half := n/2 + 1
	at := 0
	for i := range n - half + 1 {
		if s[i+half-1]-s[i] < s[at+half-1]-s[at] {
			at = i
		}
	}
	low, high := s[at], s[min(at+half, n)-1]
	center = (low + high) / 2
	const (
		normal = 1.4826 // half of normal values lie within 1/normal standard deviations
		kept   = 2.5    // one in 80 normal values lies beyond
	)
	reach := kept * normal * (high - low) / 2
	var near []float64
	for _, x := range s {
		if math.Abs(x-center) <= reach {
			near = append(near, x)
		}
	}
	if len(near) < 2 {
		return center, 0
	}
	return stat.MeanStdDev(near, nil)
}
