package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// planeCondition is where a two-predictor resample counts as collinear.
const planeCondition = 1e8

// Plane is OLS of y on a constant and two predictors, by QR. r2 is NaN where all y
// are equal.
func Plane(u, v, y []float64) (c [3]float64, r2 float64, ok bool) {
	n := len(y)
	if n < 3 {
		return c, 0, false
	}
	design := mat.NewDense(n, 3, nil)
	for i := range y {
		design.SetRow(i, []float64{1, u[i], v[i]})
	}
	var qr mat.QR
	qr.Factorize(design)
	if cond := qr.Cond(); math.IsNaN(cond) || cond > planeCondition {
		return c, 0, false
	}
	var beta mat.VecDense
	if qr.SolveVecTo(&beta, false, mat.NewVecDense(n, slices.Clone(y))) != nil {
		return c, 0, false
	}
	mean := stat.Mean(y, nil)
	var sse, sst float64
	for i := range y {
		e := y[i] - beta.AtVec(0) - beta.AtVec(1)*u[i] - beta.AtVec(2)*v[i]
		sse += e * e
		sst += (y[i] - mean) * (y[i] - mean)
	}
	if r2 = math.NaN(); differs(sst, y) {
		r2 = 1 - sse/sst
	}
	return [3]float64{beta.AtVec(0), beta.AtVec(1), beta.AtVec(2)}, r2, true
}
