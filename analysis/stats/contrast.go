package stats

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// MeanT is the mean of independent values, with variance s^2/n and n-1 degrees of
// freedom: of the differences inside blocks the t-test for pairs (Student 1908; Box,
// Hunter and Hunter 2005, section 3.2). ok is false below two values, of which nothing
// tells the scatter.
func MeanT(values []float64) (e Estimate, ok bool) {
	n := float64(len(values))
	if n < 2 {
		return Estimate{Variance: math.NaN()}, false
	}
	mean, variance := stat.MeanVariance(values, nil)
	return Estimate{mean, variance / n, n - 1}, true
}

// SE is e's standard error.
func (e Estimate) SE() float64 { return math.Sqrt(e.Variance) }

// P is the two-sided p of what e estimates being 0, by Student's t. A value of the
// numbers' own rounding is 0.
func (e Estimate) P() float64 {
	if math.Abs(e.Value) < rounding {
		return 1
	}
	return twoSided(e.Value/e.SE(), e.DF)
}

// SameWithin is the least margin d at which it is shown, with error p, that what e
// estimates lies between -d and d: two one-sided tests (Schuirmann 1987, J.
// Pharmacokinet. Biopharm. 15, 657). It is the end of the interval of error 2p that
// is farther from 0.
func (e Estimate) SameWithin(p float64) float64 { return math.Abs(e.Value) + e.Half(2*p) }

// Findable is the least true value that a two-sided test of error p on such data
// finds with the given power, in [0.5, 1): (t(1-p/2) + t(power)) times the standard
// error (Bloom 1995, Eval. Rev. 19, 547).
func (e Estimate) Findable(p, power float64) float64 { return e.Half(p) + e.Half(2*(1-power)) }

// Holm adjusts the p-values of a family of tests: where those below a level are
// taken, the family errs once or more with that probability at most, however the
// tests depend on each other. The i-th least of m is m-i+1 times itself, and no less
// than those before it (Holm 1979, Scand. J. Stat. 6, 65). A NaN is a test that was
// not made: it stays NaN and is not counted.
func Holm(ps []float64) []float64 {
	out := slices.Clone(ps)
	var order []int
	for i, p := range ps {
		if !math.IsNaN(p) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(ps[i], ps[j]) })
	least := 0.0
	for rank, i := range order {
		least = max(least, min(1, float64(len(order)-rank)*ps[i]))
		out[i] = least
	}
	return out
}
