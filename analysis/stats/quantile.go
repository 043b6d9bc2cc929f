package stats

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Percentile is a quantile that is known only with enough samples.
type Percentile struct {
	Value *float64 `json:"value"` // nil: too few samples
	N     int      `json:"n"`     // samples there were
	Need  int      `json:"need"`  // samples it takes
}

// Confidence is the level of every interval.
const Confidence = 0.95

// Samples it takes before a quantile p is printed: the fewest n at which, with
// 99 % confidence, at least two of n samples lie above the true quantile
// (binomial tail). It is the early-stopping rule of MLPerf's LoadGen with one
// sample discarded; 64 and 662 are named in mlcommons/inference#1629.
const (
	NeedP90 = 64
	NeedP95 = 130
	NeedP99 = 662
)

// Finite is v as an optional number: nil for NaN and the infinities.
func Finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// Ratio is a/b; nil where either is unknown or the quotient is no number.
func Ratio(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	return Finite(*a / *b)
}

// Larger is the larger of two numbers that may be unknown.
func Larger(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// Map has f of each of xs.
func Map[T, U any](xs []T, f func(T) U) []U {
	out := make([]U, len(xs))
	for i, x := range xs {
		out[i] = f(x)
	}
	return out
}

// GroupBy sorts xs by a key; keys are in the order of their first x.
func GroupBy[T any, K comparable](xs []T, key func(T) K) (keys []K, groups map[K][]T) {
	groups = map[K][]T{}
	for _, x := range xs {
		k := key(x)
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], x)
	}
	return keys, groups
}

// Sorted is a sorted copy.
func Sorted(xs []float64) []float64 {
	s := slices.Clone(xs)
	slices.Sort(s)
	return s
}

// QuantileSorted interpolates linearly between order statistics: Hyndman and
// Fan's definition 7, numpy's default. s is sorted and not empty.
func QuantileSorted(s []float64, p float64) float64 {
	h := p * float64(len(s)-1)
	i := int(h)
	if i >= len(s)-1 {
		return s[len(s)-1]
	}
	return s[i] + float64((h-float64(i))*(s[i+1]-s[i]))
}

// Quantile is QuantileSorted of samples in any order; NaN of none.
func Quantile(xs []float64, p float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	return QuantileSorted(Sorted(xs), p)
}

// Median is the middle of xs, which it leaves alone; NaN of none.
func Median(xs []float64) float64 { return Quantile(xs, 0.5) }

// MedianOf is the median of what is known; nil where nothing is.
func MedianOf(xs []float64) *float64 { return Finite(Median(xs)) }

// PercentileSorted is a quantile of sorted samples, where there are as many as it needs.
func PercentileSorted(s []float64, p float64, need int) Percentile {
	q := Percentile{N: len(s), Need: need}
	if len(s) >= need {
		q.Value = Finite(QuantileSorted(s, p))
	}
	return q
}

// Geomean is the geometric mean of positive values; NaN of none.
func Geomean(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	return stat.GeometricMean(xs, nil)
}

// Distinct counts different values.
func Distinct(xs []float64) int {
	return len(slices.Compact(Sorted(xs)))
}

// TQuantile is the two-sided 95 % quantile of Student's t.
func TQuantile(df int) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(df)}.Quantile(1 - (1-Confidence)/2)
}

// NewInterval is the interval between two bounds; nil where one is no number.
func NewInterval(low, high float64) *Interval {
	if Finite(low) == nil || Finite(high) == nil {
		return nil
	}
	return &Interval{Low: low, High: high}
}

// MinRatioCalls is how many calls either side needs for an interval of their
// ratio. At 3 it holds the truth in 94 % (docs/statistics.md).
const MinRatioCalls = 3

// String is the value, with all digits; "too few" where there were too few samples.
func (p Percentile) String() string {
	switch {
	case p.Value != nil:
		return strconv.FormatFloat(*p.Value, 'g', -1, 64)
	case p.N < p.Need:
		return "too few"
	}
	return ""
}

// Alpha is the level at which a rank correlation counts as a trend.
const Alpha = 1 - Confidence

func CrossesZero(i *Interval) bool { return i != nil && i.Low <= 0 && i.High >= 0 }

func HalfWidth(i *Interval) float64 {
	if i == nil {
		return math.Inf(1)
	}
	return (i.High - i.Low) / 2
}

func Scaled(i *Interval, by float64) *Interval {
	if i == nil {
		return nil
	}
	return &Interval{Low: i.Low * by, High: i.High * by}
}
