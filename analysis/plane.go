package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// maxCondition is where a two-predictor resample counts as collinear.
const maxCondition = 1e8

// plane is OLS of y on a constant and two predictors, by QR. r2 is NaN where all y
// are equal.
func plane(u, v, y []float64) (c [3]float64, r2 float64, ok bool) {
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
	if cond := qr.Cond(); math.IsNaN(cond) || cond > maxCondition {
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

// fitPlane fills in ln(ms) = alpha + beta*ln(x) + gamma*ln(layers).
func fitPlane(f *TwoPredictorFit, points []Point, layers []float64, opt Options) {
	f.NModels = len(points)
	u := mapOf(points, func(p Point) float64 { return math.Log(p.X) })
	v := mapOf(layers, math.Log)
	y := mapOf(points, func(p Point) float64 { return math.Log(p.Y) })
	where := strings.Join([]string{f.Backend, f.Mode, f.Scenario, "two predictors"}, " ")
	if n := distinct(u); n < minPoints+1 {
		f.Reason = fmt.Sprintf("%s, of known depth; two predictors take %d", sizesOf(n), minPoints+1)
		return
	}
	c, r2, ok := plane(u, v, y)
	if !ok {
		f.Reason = "size and depth cannot be told apart in these models: all of one depth, or depth follows size exactly"
		return
	}
	f.OK = true
	f.Alpha, f.Beta, f.Gamma, f.R2 = finite(c[0]), finite(c[1]), finite(c[2]), finite(r2)
	if len(points) < 3*4 { // the usual rule of thumb asks for ten points per predictor; below four the R2 is mostly chance
		f.Warnings = append(f.Warnings, Warning{"few_sizes", where,
			fmt.Sprintf("%d models for two predictors", len(points)),
			"read the bootstrap intervals, not the point estimates; a ladder that varies depth and width apart would decide"})
	}
	if opt.Bootstrap <= 0 {
		return
	}
	f.BootRequested = opt.Bootstrap
	rng := resampler(opt.Seed, "plane", f.Backend, fmt.Sprint(f.BatchSize), f.Mode, f.Scenario, f.Axis)
	n := len(points)
	ru, rv, ry := make([]float64, n), make([]float64, n), make([]float64, n)
	var betas, gammas, r2s []float64
	for range opt.Bootstrap {
		for i := range n {
			k := rng.IntN(n)
			ru[i], rv[i], ry[i] = u[k], v[k], y[k]
		}
		if distinct(ru) < 3 {
			continue
		}
		if c, r2, ok := plane(ru, rv, ry); ok {
			betas, gammas = append(betas, c[1]), append(gammas, c[2])
			if !math.IsNaN(r2) {
				r2s = append(r2s, r2)
			}
		}
	}
	f.BootUsed = len(betas)
	f.BetaBoot = percentileInterval(betas, opt.Bootstrap, f.Beta)
	f.GammaBoot = percentileInterval(gammas, opt.Bootstrap, f.Gamma)
	f.R2Boot = percentileInterval(r2s, opt.Bootstrap, f.R2)
	if bad := opt.Bootstrap - f.BootUsed; bad > opt.Bootstrap/20 {
		f.Warnings = append(f.Warnings, Warning{"bootstrap_degenerate", where,
			fmt.Sprintf("%d of %d resamples could not tell size from depth and were left out", bad, opt.Bootstrap),
			"measure more models; until then the intervals are rough"})
	}
}
