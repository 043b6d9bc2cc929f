package analysis

import (
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"llmscale/analysis/stats"
)

// confidence is the level of every interval in this package.
const confidence = 0.95

// Samples it takes before a quantile p is printed: the fewest n at which, with
// 99 % confidence, at least two of n samples lie above the true quantile
// (binomial tail). It is the early-stopping rule of MLPerf's LoadGen with one
// sample discarded; 64 and 662 are named in mlcommons/inference#1629.
const (
	needP90 = 64
	needP95 = 130
	needP99 = 662
)

// finite is v as an optional number: nil for NaN and the infinities.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func mapOf[T, U any](xs []T, f func(T) U) []U {
	out := make([]U, len(xs))
	for i, x := range xs {
		out[i] = f(x)
	}
	return out
}

func sorted(xs []float64) []float64 {
	s := slices.Clone(xs)
	slices.Sort(s)
	return s
}

// quantileSorted interpolates linearly between order statistics: Hyndman and
// Fan's definition 7, numpy's default. s is sorted and not empty.
func quantileSorted(s []float64, p float64) float64 {
	h := p * float64(len(s)-1)
	i := int(h)
	if i >= len(s)-1 {
		return s[len(s)-1]
	}
	return s[i] + float64((h-float64(i))*(s[i+1]-s[i]))
}

func quantile(xs []float64, p float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	return quantileSorted(sorted(xs), p)
}

func median(xs []float64) float64 { return quantile(xs, 0.5) }

// medianOf is the median of what is known; nil where nothing is.
func medianOf(xs []float64) *float64 { return finite(median(xs)) }

func percentileSorted(s []float64, p float64, need int) Percentile {
	q := Percentile{N: len(s), Need: need}
	if len(s) >= need {
		q.Value = finite(quantileSorted(s, p))
	}
	return q
}

func geomean(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	return stat.GeometricMean(xs, nil)
}

// distinct counts different values.
func distinct(xs []float64) int {
	return len(slices.Compact(sorted(xs)))
}

// line is an ordinary least-squares fit y = a + b*x.
type line struct {
	n          int
	a, b, r2   float64
	seA, seB   float64 // standard errors; NaN for two points
	sd         float64 // of the residuals, n-2 degrees of freedom
	xMean, sxx float64
}

// ols fits y = a + b*x. ok is false where no slope is defined: fewer than two
// points or a single x.
func ols(x, y []float64) (l line, ok bool) {
	l.n = len(x)
	if l.n < 2 || len(y) != l.n {
		return l, false
	}
	l.xMean = stat.Mean(x, nil)
	for _, v := range x {
		d := v - l.xMean
		l.sxx += float64(d * d)
	}
	if !(l.sxx > 0) || distinct(x) < 2 {
		return l, false
	}
	l.a, l.b = stat.LinearRegression(x, y, nil, false)
	var sse, sst float64
	yMean := stat.Mean(y, nil)
	for i := range x {
		e := y[i] - (l.a + float64(l.b*x[i]))
		d := y[i] - yMean
		sse += float64(e * e)
		sst += float64(d * d)
	}
	if l.r2 = math.NaN(); differs(sst, y) {
		l.r2 = 1 - sse/sst
	}
	l.seA, l.seB, l.sd = math.NaN(), math.NaN(), math.NaN()
	if l.n > 2 {
		l.sd = math.Sqrt(sse / float64(l.n-2))
		l.seB = l.sd / math.Sqrt(l.sxx)
		l.seA = l.sd * math.Sqrt(1/float64(l.n)+float64(l.xMean*l.xMean)/l.sxx)
	}
	return l, !math.IsNaN(l.b) && !math.IsInf(l.b, 0)
}

// sse is the sum of the residuals' squares.
func (l *line) sse() float64 { return float64(l.sd*l.sd) * float64(l.n-2) }

// lackOfFit is the p of the means of so many groups, each of one x, lying on the
// line: F of what the residuals have beyond pure, the sum of squares within the
// groups. Nil where it cannot be told: there is no scatter but of rounding.
func (l *line) lackOfFit(groups int, pure float64) *float64 {
	df := l.n - groups
	if df <= 0 || pure <= float64(df)*math.Pow(1e-9*l.a, 2) {
		return nil
	}
	k := float64(groups - 2)
	f := max(0, l.sse()-pure) / k / (pure / float64(df))
	return finite(distuv.F{D1: k, D2: float64(df)}.Survival(f))
}

// differs reports whether a sum of squares about the mean of y is more than the
// rounding of equal values.
func differs(sst float64, y []float64) bool {
	largest := 0.0
	for _, v := range y {
		largest = max(largest, math.Abs(v))
	}
	return sst > float64(len(y))*math.Pow(1e-13*largest, 2)
}

// tQuantile is the two-sided 95 % quantile of Student's t.
func tQuantile(df int) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(df)}.Quantile(1 - (1-confidence)/2)
}

func interval(low, high float64) *Interval {
	if finite(low) == nil || finite(high) == nil {
		return nil
	}
	return &Interval{Low: low, High: high}
}

// ratioOfMedians is the ratio of median(y[i]) to median(x[i]), as the geometric mean
// over the scenarios i, with its 95 % interval; none where a sample has fewer than
// MinRatioCalls. The calls of a sample are of one process, and so is the interval.
func ratioOfMedians(x, y [][]float64) (ratio float64, ci *Interval) {
	ratio, reach := stats.RatioOfMedians(x, y, 1-confidence)
	for i := range x {
		if min(len(x[i]), len(y[i])) < MinRatioCalls {
			return ratio, nil
		}
	}
	return ratio, interval(ratio/reach, ratio*reach)
}

// theilSen is the median of the slopes between all pairs of points with
// different x (Theil 1950, Sen 1968), with Sen's 95 % interval for it; the
// intercept is median(y) - slope*median(x). As scipy.stats.theilslopes.
func theilSen(x, y []float64) (slope, intercept float64, ci *Interval, ok bool) {
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
	slope = quantileSorted(slopes, 0.5)
	intercept = median(y) - float64(slope*median(x))

	// Sen 1968, section 3: the number of concordant less discordant pairs is
	// near normal with this variance, less what ties take away.
	n, nt := float64(len(x)), float64(len(slopes))
	variance := n * (n - 1) * (2*n + 5)
	for _, v := range [][]float64{x, y} {
		for _, k := range tieSizes(v) {
			variance -= k * (k - 1) * (2*k + 5)
		}
	}
	sigma := math.Sqrt(max(0, variance) / 18) // all y equal, and ties in x: less than 0
	z := distuv.UnitNormal.Quantile(1 - (1-confidence)/2)
	hi := min(int(math.RoundToEven((nt+z*sigma)/2)), len(slopes)-1)
	lo := max(int(math.RoundToEven((nt-z*sigma)/2))-1, 0)
	return slope, intercept, interval(slopes[lo], slopes[hi]), true
}

// tieSizes lists how often each repeated value occurs.
func tieSizes(xs []float64) []float64 {
	var out []float64
	s := sorted(xs)
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && s[j] == s[i] {
			j++
		}
		if j-i > 1 {
			out = append(out, float64(j-i))
		}
		i = j
	}
	return out
}

// ranks gives each value its rank from 1, ties the mean of theirs.
func ranks(xs []float64) []float64 {
	order := make([]int, len(xs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case xs[a] < xs[b]:
			return -1
		case xs[a] > xs[b]:
			return 1
		}
		return 0
	})
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

// spearman is the rank correlation and its two-sided p by Student's t with n-2
// degrees of freedom, as scipy.stats.spearmanr. It takes three points.
func spearman(x, y []float64) (rho, p float64, ok bool) {
	n := len(x)
	if n < 3 || distinct(x) < 2 || distinct(y) < 2 {
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

// spearmanExact is the two-sided p of rho over all orders of y. It is known for
// 3 to maxExact points without ties. The t approximation errs badly there: five
// points at rho .9 give .037 by t and .083 in truth.
func spearmanExact(x, y []float64) (p float64, ok bool) {
	n := len(x)
	if n < 3 || n > maxExact || distinct(x) < n || distinct(y) < n {
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
