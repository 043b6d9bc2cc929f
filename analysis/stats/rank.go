package stats

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// TheilSen is the median of the slopes between all pairs of points with
// different x (Theil 1950, Sen 1968), with Sen's 95 % interval for it; the
// intercept is median(y) - slope*median(x). As scipy.stats.theilslopes.
func TheilSen(x, y []float64) (slope, intercept float64, ci *Interval, ok bool) {
	var slopes []float64
	for i := range x {
		for j := range x {
			if d := x[i] - x[j]; d > 0 {
				slopes = append(slopes, (y[i]-y[j])/d)
			}
		}
	}
	if len(slopes) == 0 {
		return 0, 0, nil, false
	}
	slices.Sort(slopes)
	slope = QuantileSorted(slopes, 0.5)
	intercept = Median(y) - float64(slope*Median(x))

	// Sen 1968, section 3: the number of concordant less discordant pairs is
	// near normal with this variance, less what ties take away.
	n, nt := float64(len(x)), float64(len(slopes))
	variance := n * (n - 1) * (2*n + 5)
	for _, v := range [][]float64{x, y} {
		_, ties := GroupBy(v, func(x float64) float64 { return x })
		for _, equal := range ties {
			k := float64(len(equal))
			variance -= k * (k - 1) * (2*k + 5)
		}
	}
	sigma := math.Sqrt(max(0, variance) / 18) // all y equal, and ties in x: less than 0
	z := distuv.UnitNormal.Quantile(1 - (1-Confidence)/2)
	hi := min(int(math.RoundToEven((nt+z*sigma)/2)), len(slopes)-1)
	lo := max(int(math.RoundToEven((nt-z*sigma)/2))-1, 0)
	return slope, intercept, NewInterval(slopes[lo], slopes[hi]), true
}

// ranks gives each value its rank from 1, ties the mean of theirs.
func ranks(xs []float64) []float64 {
	order := make([]int, len(xs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(xs[a], xs[b]) })
	out := make([]float64, len(xs))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && xs[order[j]] == xs[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			out[k] = float64(i+j+1) / 2
		}
		i = j
	}
	return out
}

// Spearman is the rank correlation and its two-sided p by Student's t with n-2
// degrees of freedom, as scipy.stats.spearmanr. It takes three points.
func Spearman(x, y []float64) (rho, p float64, ok bool) {
	n := len(x)
	if n < 3 || Distinct(x) < 2 || Distinct(y) < 2 {
		return 0, 0, false
	}
	rho = max(-1, min(1, stat.Correlation(ranks(x), ranks(y), nil)))
	if 1-math.Abs(rho) < 1e-12 {
		return math.Copysign(1, rho), 0, true
	}
	df := float64(n - 2)
	t := math.Abs(rho) * math.Sqrt(df/((1-rho)*(1+rho)))
	p = 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Survival(t)
	return rho, p, true
}

// maxExact bounds the permutation test: the 9! orders are gone through once.
const maxExact = 9

// rankSums holds for each n how many orders of n ranks have each absolute sum of
// products of centred ranks, in quarters.
var rankSums [maxExact + 1]struct {
	once   sync.Once
	orders map[int]int
	total  int
}

// SpearmanExact is the two-sided p of rho over all orders of y. It is known for
// 3 to maxExact points without ties. The t approximation errs badly there: five
// points at rho .9 give .037 by t and .083 in truth.
func SpearmanExact(x, y []float64) (p float64, ok bool) {
	n := len(x)
	if n < 3 || n > maxExact || Distinct(x) < n || Distinct(y) < n {
		return 0, false
	}
	// Only the sum of products of ranks varies; centred, its size orders |rho|.
	// Twice the centred ranks are whole numbers.
	centred := func(rank float64) int { return int(2*rank) - n - 1 }
	rx, ry := ranks(x), ranks(y)
	observed := 0
	for i := range rx {
		observed += centred(rx[i]) * centred(ry[i])
	}
	observed = max(observed, -observed)
	all := &rankSums[n]
	all.once.Do(func() {
		all.orders = map[int]int{}
		b := make([]int, n)
		for i := range b {
			b[i] = centred(float64(i + 1))
		}
		var walk func(k, sum int)
		walk = func(k, sum int) {
			if k == n {
				all.total++
				all.orders[max(sum, -sum)]++
				return
			}
			for i := k; i < n; i++ {
				b[k], b[i] = b[i], b[k]
				walk(k+1, sum+centred(float64(k+1))*b[k])
				b[k], b[i] = b[i], b[k]
			}
		}
		walk(0, 0)
	})
	extreme := 0
	for sum, orders := range all.orders {
		if sum >= observed {
			extreme += orders
		}
	}
	return float64(extreme) / float64(all.total), true
}
