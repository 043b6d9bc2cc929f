package stats

import (
	"math"
	"slices"
)

// madFactors make the median absolute deviation of few samples an unbiased
// standard deviation, beside the 1.4826 of many (Croux and Rousseeuw 1992,
// table 1; from ten on n/(n-0.8)).
var madFactors = []float64{2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}

const (
	madEfficiency  = 0.37 // of the median absolute deviation against the standard deviation, normal samples
	medianVariance = math.Pi / 2
)

// MedianScatter is the variance of the mean of the samples' medians, in logs, by
// the scatter within them. One slow sample in a few does not move it, as it does
// not move a median. The samples are taken to scatter alike.
func MedianScatter(samples ...[]float64) Scatter {
	var off []float64
	share, df := 0.0, 0.0
	for _, s := range samples {
		n := len(s)
		if n == 0 {
			return Scatter{}
		}
		share += medianVariance / float64(n)
		if n == 1 {
			continue
		}
		factor := float64(n) / (float64(n) - 0.8)
		if n < len(madFactors) {
			factor = madFactors[n]
		}
		logs := make([]float64, n)
		for i, v := range s {
			logs[i] = math.Log(v)
		}
		mid := middle(logs)
		for _, v := range logs {
			off = append(off, 1.4826*factor*math.Abs(v-mid))
		}
		df += madEfficiency * float64(n-1)
	}
	if len(off) == 0 {
		return Scatter{}
	}
	sd := middle(off)
	k := float64(len(samples))
	return Scatter{Var: sd * sd * share / (k * k), DF: df}
}

// middle is the median of xs, which it sorts.
func middle(xs []float64) float64 {
	slices.Sort(xs)
	n := len(xs)
	return (xs[(n-1)/2] + xs[n/2]) / 2
}
