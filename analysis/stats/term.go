package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Scatter is what is known of a point's variance without looking at other points.
type Scatter struct {
	Floor float64 // known part
	Var   float64 // part estimated from repetitions
	DF    float64 // degrees of freedom of Var; 0: nothing is known
}

// total is the variance of a sum of independent points with these factors, and
// its degrees of freedom (Satterthwaite 1946).
func total(points []Scatter, factor func(i int) float64) (v, df float64) {
	spread := 0.0
	for i, p := range points {
		f := factor(i)
		v += f * (p.Floor + p.Var)
		spread += f * p.Var * f * p.Var / p.DF
	}
	v = max(v, rounding*rounding)
	return v, min(v*v/spread, manyDF)
}

func known(points []Scatter) bool {
	return !slices.ContainsFunc(points, func(p Scatter) bool { return !(p.DF > 0) })
}

// LackOfFit is the p of the residuals against the points' own scatter: F of SSE
// over its expectation (Draper and Smith 1998, section 2.1, with variances that
// differ). NaN where either is unknown.
func (r *Regression) LackOfFit(points []Scatter) float64 {
	if !known(points) || r.DF < 1 {
		return math.NaN()
	}
	expected, df := total(points, func(i int) float64 { return 1 - r.Leverage[i] })
	return distuv.F{D1: float64(r.DF), D2: df}.Survival(r.SSE / expected)
}

// Yardsticks that a term is held against.
const (
	ByResiduals   = "residuals"   // the points' scatter about the fit
	ByRepetitions = "repetitions" // each point's own scatter
)

// OwnDF is the degrees of freedom from which on residuals can be a yardstick.
const OwnDF = 3

// explained is the lack-of-fit p from which on repetitions are taken to explain the
// residuals (Bozivich, Bancroft and Hartley 1956).
const explained = 0.25

// Term tells whether a column belongs in a regression.
type Term struct {
	Coef float64
	P    float64 // two-sided; NaN where no yardstick is known
	By   string
}

// Term tests Coef[j] by the residuals and, where it explains these (LackOfFit), by
// the points' own scatter, which has more degrees of freedom; the clearer of the
// two is told. Where it does not explain them, points differ by more than
// repetitions show. With fewer than OwnDF degrees of freedom residuals could
// excuse any curve, and the points' own scatter alone is asked.
func (r *Regression) Term(j int, points []Scatter) Term {
	own := Term{Coef: r.Coef[j], P: math.NaN()}
	if r.DF > 0 {
		own.By, own.P = ByResiduals, twoSided(own.Coef/r.SE(j), float64(r.DF))
	}
	if !known(points) || r.DF >= OwnDF && r.LackOfFit(points) < explained {
		return own
	}
	v, df := total(points, func(i int) float64 { return r.weights[j][i] * r.weights[j][i] })
	t := Term{Coef: own.Coef, P: twoSided(own.Coef/math.Sqrt(v), df), By: ByRepetitions}
	if r.DF >= OwnDF && own.P < t.P {
		return own
	}
	return t
}
