// Package stats has statistics of plain numbers that know nothing of models or
// runs. Errors are taken to be relative: y is a logarithm, or a time over what it
// is expected to be. The sources of the formulas stand beside them.
package stats

import (
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

const (
	maxCondition = 1e12 // of a design: beyond it its columns count as collinear
	rounding     = 1e-9 // standard deviation below which scatter is that of the numbers' own digits
	manyDF       = 1e6  // degrees of freedom that stand for a variance known without error
)

// Regression is least squares of y on columns.
type Regression struct {
	Coef      []float64
	Residuals []float64
	Leverage  []float64   // of each point: the hat matrix's diagonal
	SSE       float64     // sum of the squared residuals
	DF        int         // points less columns
	weights   [][]float64 // Coef[j] is the sum of weights[j][i]*y[i]
}

// Regress fits y = sum of Coef[j]*columns[j] by QR. ok is false where the columns
// are collinear or more than the points.
func Regress(y []float64, columns ...[]float64) (r Regression, ok bool) {
	n, k := len(y), len(columns)
	if n < k || k == 0 {
		return r, false
	}
	design := mat.NewDense(n, k, nil)
	for j, c := range columns {
		design.SetCol(j, c)
	}
	var qr mat.QR
	qr.Factorize(design)
	if c := qr.Cond(); math.IsNaN(c) || c > maxCondition {
		return r, false
	}
	inverse, ok := pseudoInverse(&qr, n, k)
	if !ok {
		return r, false
	}
	r = Regression{Coef: make([]float64, k), Residuals: make([]float64, n), Leverage: make([]float64, n), DF: n - k}
	for j := range k {
		row := mat.Row(nil, j, inverse)
		r.weights = append(r.weights, row)
		for i := range n {
			r.Coef[j] += row[i] * y[i]
		}
	}
	for i := range n {
		e := y[i]
		for j, c := range columns {
			e -= r.Coef[j] * c[i]
			r.Leverage[i] += c[i] * r.weights[j][i]
		}
		r.Residuals[i] = e
		r.SSE += e * e
	}
	return r, true
}

// pseudoInverse is of the n x k matrix that was factorized. Of many points it is
// solved for transposed, which takes no n x n matrix; the digits of a few stay those
// that other versions gave.
func pseudoInverse(qr *mat.QR, n, k int) (mat.Matrix, bool) {
	const many = 200
	size, transposed := n, n > many
	if transposed {
		size = k
	}
	unit := mat.NewDense(size, size, nil)
	for i := range size {
		unit.Set(i, i, 1)
	}
	var inverse mat.Dense
	if qr.SolveTo(&inverse, transposed, unit) != nil {
		return nil, false
	}
	if transposed {
		return inverse.T(), true
	}
	return &inverse, true
}

// variance is that of the residuals; NaN without a degree of freedom.
func (r *Regression) variance() float64 {
	if r.DF < 1 {
		return math.NaN()
	}
	return max(r.SSE/float64(r.DF), rounding*rounding)
}

// SE is the standard error of Coef[j] by the residuals; NaN without a degree of
// freedom.
func (r *Regression) SE(j int) float64 {
	s := 0.0
	for _, w := range r.weights[j] {
		s += w * w
	}
	return math.Sqrt(r.variance() * s)
}

// Outlier is the point that the line through the others fits least.
type Outlier struct {
	Index int
	Gap   float64 // y less the others' line there
	T     float64 // deleted studentised residual: Gap over its standard error
	P     float64 // of the greatest |T| of all points, by Bonferroni
}

// Outlier tests the point of the greatest deleted studentised residual for a
// shift of its own (Cook and Weisberg 1982, section 2.2.2). All points were
// looked at, so P is n times that of one; whatever the design, an outlier-free
// sample of normal errors falls below a given P no more often than that. It takes
// a degree of freedom beside the shift's.
func (r *Regression) Outlier() (o Outlier, ok bool) {
	if r.DF < 2 {
		return o, false
	}
	n := 0
	for i, e := range r.Residuals {
		free := 1 - r.Leverage[i]
		if free < 1e-9 {
			continue // the fit goes through this point, whatever it is
		}
		n++
		rest := max((r.SSE-e*e/free)/float64(r.DF-1), rounding*rounding)
		if t := e / math.Sqrt(rest*free); !ok || math.Abs(t) > math.Abs(o.T) {
			o, ok = Outlier{Index: i, Gap: e / free, T: t}, true
		}
	}
	o.P = min(1, float64(n)*twoSided(o.T, float64(r.DF-1)))
	return o, ok
}

// twoSided is the probability of a Student's t at least as far from 0.
func twoSided(t, df float64) float64 {
	if math.IsNaN(t) || !(df > 0) {
		return math.NaN()
	}
	if math.IsInf(t, 0) {
		return 0
	}
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: min(df, manyDF)}.Survival(math.Abs(t))
}

// HC3 is the standard error of Coef[j] where the points may scatter each by its own
// measure: each residual, over 1 less its leverage, stands for its point's error
// (MacKinnon and White 1985; Long and Ervin 2000).
func (r *Regression) HC3(j int) float64 {
	v := 0.0
	for i, e := range r.Residuals {
		v += math.Pow(r.weights[j][i]*e/(1-r.Leverage[i]), 2)
	}
	return math.Sqrt(v)
}
