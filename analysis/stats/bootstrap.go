package stats

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
)

// Resampler draws models with replacement. Its stream depends on the seed and on
// the fit's key alone, so that adding a backend to a run changes no other fit.
func Resampler(seed uint64, key ...string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(key, "\x00")))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// ResampledLine is OLS over the points that index names. sizes counts different
// x among them, up to 3; below 2 there is no line.
func ResampledLine(x, y []float64, index []int) (a, b float64, sizes int) {
	first, second := x[index[0]], math.NaN()
	sizes = 1
	var mx, my float64
	for _, i := range index {
		mx += x[i]
		my += y[i]
		switch {
		case sizes == 1 && x[i] != first:
			second, sizes = x[i], 2
		case sizes == 2 && x[i] != first && x[i] != second:
			sizes = 3
		}
	}
	if sizes < 2 {
		return 0, 0, sizes
	}
	n := float64(len(index))
	mx, my = mx/n, my/n
	var sxx, sxy float64
	for _, i := range index {
		d := x[i] - mx
		sxx += float64(d * d)
		sxy += float64(d * (y[i] - my))
	}
	b = sxy / sxx
	return my - float64(b*mx), b, sizes
}

// PercentileInterval is the middle 95 % of a bootstrap's values; nil where too
// few of the requested resamples gave one (TR121's rule). It reaches to the
// estimate where that lies outside, as an R2 of few models does: their resamples
// repeat points, which fits them too well.
func PercentileInterval(values []float64, requested int, estimate *float64) *Interval {
	if len(values) < max(10, requested/10) {
		return nil
	}
	s := Sorted(values)
	low, high := QuantileSorted(s, (1-Confidence)/2), QuantileSorted(s, 1-(1-Confidence)/2)
	if estimate != nil {
		low, high = min(low, *estimate), max(high, *estimate)
	}
	return NewInterval(low, high)
}
