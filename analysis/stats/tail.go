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
	places := make([][]int, len(groups)) // of each group's values in all
	for i, x := range all {
		places[x.group] = append(places[x.group], i)
	}
	// tail is taken without the values at places.
	tail := func(places []int) float64 {
		rest := len(all) - len(places)
		at := func(i int) float64 { // the i-th of the rest
			for _, p := range places {
				if p > i {
					break
				}
				i++
			}
			return all[i].v
		}
		quantile := func(p float64) float64 {
			i, part := math.Modf(p * float64(rest-1))
			low := at(int(i))
			return low + float64(part*(at(min(int(i)+1, rest-1))-low))
		}
		return math.Log(quantile(p) / quantile(0.5))
	}
	n := float64(len(groups))
	left := make([]float64, len(groups))
	for i := range left {
		left[i] = tail(places[i])
	}
	floats.AddConst(-stat.Mean(left, nil), left)
	e = Estimate{tail(nil), (n - 1) / n * floats.Dot(left, left), n - 1}
	return e, !math.IsNaN(e.Value) && !math.IsInf(e.Value, 0) && !math.IsNaN(e.Variance) && !math.IsInf(e.Variance, 0)
}
