package stats

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// PooledTail is the logarithm of a quantile over the median of all values together,
// by Hyndman and Fan's definition 7. Values of one group are not independent, groups
// are: the variance is the jackknife's (Tukey 1958) over the groups, each left out
// once. ok is false where fewer than need values would remain, or there are fewer
// than two groups.
func PooledTail(groups [][]float64, p float64, need int) (e Estimate, ok bool) {
	type item struct {
		v     float64
		group int
	}
	var all []item
	longest := 0
	for i, g := range groups {
		longest = max(longest, len(g))
		for _, v := range g {
			all = append(all, item{v, i})
		}
	}
	if len(groups) < 2 || len(all)-longest < need {
		return e, false
	}
	slices.SortFunc(all, func(x, y item) int { return cmp.Compare(x.v, y.v) })
	rest := make([]float64, 0, len(all))
	tail := func(without int) float64 {
		rest = rest[:0]
		for _, x := range all {
			if x.group != without {
				rest = append(rest, x.v)
			}
		}
		return math.Log(QuantileSorted(rest, p) / QuantileSorted(rest, 0.5))
	}
	n := float64(len(groups))
	left := make([]float64, len(groups))
	for i := range left {
		left[i] = tail(i)
	}
	floats.AddConst(-stat.Mean(left, nil), left)
	e = Estimate{tail(-1), (n - 1) / n * floats.Dot(left, left), n - 1}
	return e, !math.IsNaN(e.Value) && !math.IsInf(e.Value, 0) && !math.IsNaN(e.Variance) && !math.IsInf(e.Variance, 0)
}
