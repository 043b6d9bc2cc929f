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

// callScatter is the standard deviation of logs within samples, which are taken to
// scatter alike, by the median absolute deviation from each sample's median. share is
// the variance of the sum of their medians over that of one value. Without a sample of
// two values df is 0.
func callScatter(samples [][]float64) (sd, df, share float64) {
	var off []float64
	for _, s := range samples {
		n := len(s)
		if n == 0 {
			return 0, 0, 0
		}
		share += medianVariance / float64(n)
		if n == 1 {
			continue
		}
		factor := float64(n) / (float64(n) - 0.8)
		if n < len(madFactors) {
			factor = madFactors[n]
		}
		logs := Map(s, math.Log)
		mid := Median(logs)
		for _, v := range logs {
			off = append(off, 1.4826*factor*math.Abs(v-mid))
		}
		df += madEfficiency * float64(n-1)
	}
	if len(off) == 0 {
		return 0, 0, 0
	}
	return middle(off), df, share
}

// MedianScatter is the variance of the mean of the samples' medians, in logs, by
// the scatter within them. One slow sample in a few does not move it, as it does
// not move a median. The samples are taken to scatter alike.
func MedianScatter(samples ...[]float64) Scatter {
	sd, df, share := callScatter(samples)
	if df == 0 {
		return Scatter{}
	}
	k := float64(len(samples))
	return Scatter{Var: sd * sd * share / (k * k), DF: df}
}

// middle is the median of xs, which it sorts.
func middle(xs []float64) float64 {
	slices.Sort(xs)
	n := len(xs)
	return (xs[(n-1)/2] + xs[n/2]) / 2
}
