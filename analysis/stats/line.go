package stats

import (
	"math"
	"slices"
)

// RelativeLine is y = A + B*x by least squares of relative errors.
type RelativeLine struct {
	A, B   float64
	ASE    float64 // standard error of A
	DF     int
	R2     float64 // of the relative times: 1 - SSE over that of the best constant
	Bend   Term    // whether another power of x would fit better
	LackP  float64 // of the points lying on the line, against their own scatter; NaN where that is unknown
	Fitted []float64
}

const lineSteps = 50 // of reweighting; errors of 30 % take ten

// FitRelativeLine weights each point with 1 over its fitted value squared, for
// errors in proportion to y: iteratively reweighted least squares, which solves
// the quasi-likelihood equations of a constant coefficient of variation
// (McCullagh and Nelder 1989, chapters 8 and 9). Bend is the test of Box and
// Tidwell (1962): x ln x belongs in the fit where another power of x than the
// first does. x and y are positive; it takes three different x.
func FitRelativeLine(x, y []float64, points []Scatter) (l RelativeLine, ok bool) {
	scale := 0.0 // the geometric mean keeps the columns of one size
	for _, v := range x {
		scale += math.Log(v) / float64(len(x))
	}
	scale = math.Exp(scale)
	design := func(fitted []float64) (ratio, one, linear, bent []float64) {
		for i, f := range fitted {
			u := x[i] / scale
			ratio, one, linear, bent = append(ratio, y[i]/f), append(one, 1/f), append(linear, u/f), append(bent, u*math.Log(u)/f)
		}
		return ratio, one, linear, bent
	}
	fitted := slices.Clone(y)
	var r Regression
	for range lineSteps {
		ratio, one, linear, _ := design(fitted)
		if r, ok = Regress(ratio, one, linear); !ok || r.DF < 1 {
			return l, false
		}
		next := make([]float64, len(x))
		change := 0.0
		for i := range x {
			next[i] = max(r.Coef[0]+r.Coef[1]*x[i]/scale, y[i]/10) // a line below 0 would weigh without bound
			change = max(change, math.Abs(next[i]/fitted[i]-1))
		}
		fitted = next
		if change < 1e-12 {
			break
		}
	}
	ratio, one, linear, bent := design(fitted)
	if r, ok = Regress(ratio, one, linear); !ok {
		return l, false
	}
	l = RelativeLine{A: r.Coef[0], B: r.Coef[1] / scale, ASE: r.SE(0), DF: r.DF, R2: math.NaN(), Bend: Term{P: math.NaN()}, LackP: r.LackOfFit(points), Fitted: fitted}
	if c, fits := Regress(ratio, one); fits && c.SSE > float64(len(x))*rounding*rounding {
		l.R2 = 1 - r.SSE/c.SSE
	}
	if b, fits := Regress(ratio, one, linear, bent); fits {
		l.Bend = b.Term(2, points)
	}
	return l, true
}
