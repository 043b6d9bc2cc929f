package stats

import "math"

// NonNegative is least squares of y on columns with no coefficient below 0. Of few
// columns every subset is tried: the optimum is the free one of the subset whose other
// coefficients are 0 (Lawson and Hanson 1974, chapter 23). ok is false where the columns
// are more than the points, or none fits.
func NonNegative(y []float64, columns ...[]float64) (coef []float64, ok bool) {
	best := math.Inf(1)
	for subset := 1; subset < 1<<len(columns) && len(y) >= len(columns); subset++ {
		var some [][]float64
		var which []int
		for j, c := range columns {
			if subset>>j&1 == 1 {
				some, which = append(some, c), append(which, j)
			}
		}
		r, fits := Regress(y, some...)
		if !fits || r.SSE >= best {
			continue
		}
		c := make([]float64, len(columns))
		negative := false
		for i, j := range which {
			c[j] = r.Coef[i]
			negative = negative || c[j] < 0
		}
		if !negative {
			best, coef = r.SSE, c
		}
	}
	return coef, coef != nil
}

// Jackknife is the half-width of a 95 % interval of an estimate, by t, from the values
// that it has without one of its parts each (Efron and Stein 1981). It is NaN below two
// values.
func Jackknife(without []float64) (half float64) {
	e, ok := MeanT(without)
	if !ok {
		return math.NaN()
	}
	n := float64(len(without))
	// MeanT's variance is s^2/n; the jackknife's is (n-1)^2/n s^2.
	e.Variance *= (n - 1) * (n - 1)
	return e.Half(Alpha)
}
