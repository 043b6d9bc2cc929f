package analysis

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// minPoints is the fewest models of different size that a line is fitted to. Two
// would always lie on it: a slope without any measure of its error.
const minPoints = 3

// minLeft is the fewest models of different size that a leave-one-out fit keeps.
const minLeft = minPoints

// resampler draws models with replacement. Its stream depends on the seed and on
// the fit's key alone, so that adding a backend to a run changes no other fit.
func resampler(seed uint64, key ...string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(key, "\x00")))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// logPoints gives log10 of x and y.
func logPoints(points []Point) (x, y []float64) {
	x = mapOf(points, func(p Point) float64 { return math.Log10(p.X) })
	y = mapOf(points, func(p Point) float64 { return math.Log10(p.Y) })
	return x, y
}

// fitLogLog fills in f's figures from its points, which it puts in order of size.
func fitLogLog(f *Fit, points []Point, opt Options) {
	f.Points = slices.Clone(points)
	slices.SortStableFunc(f.Points, func(a, b Point) int {
		switch {
		case a.X < b.X:
			return -1
		case a.X > b.X:
			return 1
		}
		return strings.Compare(a.Model, b.Model)
	})
	f.NModels = len(f.Points)
	x, y := logPoints(f.Points)
	if n := distinct(x); n < minPoints {
		f.Reason = fmt.Sprintf("%s; a slope takes %d", sizesOf(n), minPoints)
		return
	}
	l, ok := ols(x, y)
	if !ok {
		f.Reason = "no line can be fitted to these points"
		return
	}
	f.OK = true
	f.Log10Intercept, f.Slope, f.R2 = finite(l.a), finite(l.b), finite(l.r2)
	f.SlopeSE, f.InterceptSE, f.ResidualSD = finite(l.seB), finite(l.seA), finite(l.sd)
	t := tQuantile(l.n - 2)
	f.SlopeT = interval(l.b-t*l.seB, l.b+t*l.seB)
	f.InterceptT = interval(l.a-t*l.seA, l.a+t*l.seA)

	if s, i, ci, ok := theilSen(x, y); ok {
		f.TheilSenSlope, f.TheilSenIntercept, f.TheilSen = finite(s), finite(i), ci
	}
	if rho, p, ok := spearman(x, y); ok {
		f.SpearmanRho, f.SpearmanP = finite(rho), finite(p)
	}
	if p, ok := spearmanExact(x, y); ok {
		f.SpearmanPExact = &p
	}
	bootstrapLine(f, x, y, opt)
	leaveOneOut(f, x, y)
}

// bootstrapLine resamples the models (pairs) and takes percentiles of the slope
// and the intercept, as TR121 did. Resamples of a single size have no slope and
// are left out; BootUsed says how many remained.
func bootstrapLine(f *Fit, x, y []float64, opt Options) {
	if opt.Bootstrap <= 0 {
		return
	}
	f.BootRequested = opt.Bootstrap
	rng := resampler(opt.Seed, "loglog", f.Backend, fmt.Sprint(f.BatchSize), f.Mode, f.Scenario, f.Filter, f.Axis)
	n := len(x)
	index := make([]int, n)
	slopes := make([]float64, 0, opt.Bootstrap)
	intercepts := make([]float64, 0, opt.Bootstrap)
	for range opt.Bootstrap {
		for i := range index {
			index[i] = rng.IntN(n)
		}
		a, b, sizes := resampledLine(x, y, index)
		if sizes < 2 {
			continue
		}
		if sizes == 2 {
			f.BootTwoModels++
		}
		intercepts, slopes = append(intercepts, a), append(slopes, b)
	}
	f.BootUsed = len(slopes)
	f.SlopeBoot = percentileInterval(slopes, opt.Bootstrap)
	f.InterceptBoot = percentileInterval(intercepts, opt.Bootstrap)
}

// resampledLine is OLS over the points that index names. sizes counts different
// x among them, up to 3; below 2 there is no line.
func resampledLine(x, y []float64, index []int) (a, b float64, sizes int) {
	first, second := x[index[0]], math.NaN()
	sizes = 1
	var mx, my float64
	for _, i := range index {
		mx += x[i]
		my += y[i]
		switch {
		case sizes == 1 && x[i] != first:
			second, sizes = x[i], 2
		case sizes == 2 && x[i] != first && x[i] != second:
			sizes = 3
		}
	}
	if sizes < 2 {
		return 0, 0, sizes
	}
	n := float64(len(index))
	mx, my = mx/n, my/n
	var sxx, sxy float64
	for _, i := range index {
		d := x[i] - mx
		sxx += float64(d * d)
		sxy += float64(d * (y[i] - my))
	}
	b = sxy / sxx
	return my - float64(b*mx), b, sizes
}

// percentileInterval is the middle 95 % of a bootstrap's values; nil where too
// few of the requested resamples gave one (TR121's rule).
func percentileInterval(values []float64, requested int) *Interval {
	if len(values) < max(10, requested/10) {
		return nil
	}
	s := sorted(values)
	return interval(quantileSorted(s, (1-confidence)/2), quantileSorted(s, 1-(1-confidence)/2))
}

func leaveOneOut(f *Fit, x, y []float64) {
	if len(x) <= minLeft {
		return
	}
	var worst float64
	for drop := range x {
		lx := slices.Delete(slices.Clone(x), drop, drop+1)
		ly := slices.Delete(slices.Clone(y), drop, drop+1)
		row := LeaveOneOut{Dropped: f.Points[drop].Model, N: len(lx)}
		if l, ok := ols(lx, ly); ok && distinct(lx) >= minLeft {
			row.Slope, row.Log10Intercept, row.R2 = finite(l.b), finite(l.a), finite(l.r2)
			row.SlopeChange = finite(l.b - *f.Slope)
			t := tQuantile(l.n - 2)
			row.SlopeT = interval(l.b-t*l.seB, l.b+t*l.seB)
			if c := math.Abs(l.b - *f.Slope); c > worst {
				worst, f.MostInfluential = c, row.Dropped
			}
		}
		f.LeaveOneOut = append(f.LeaveOneOut, row)
	}
}

// influential is the leave-one-out row of the model that moves the slope most.
func (f *Fit) influential() *LeaveOneOut {
	for i := range f.LeaveOneOut {
		if f.LeaveOneOut[i].Dropped == f.MostInfluential && f.MostInfluential != "" {
			return &f.LeaveOneOut[i]
		}
	}
	return nil
}

// Line is the fitted latency at x, in ms; ok is false where there is no fit.
func (f *Fit) Line(x float64) (ms float64, ok bool) {
	if !f.OK || !(x > 0) {
		return 0, false
	}
	return math.Pow(10, *f.Log10Intercept+*f.Slope*math.Log10(x)), true
}

// Band is the 95 % confidence band of the line at x, in ms: it holds the line,
// not the next measurement. ok is false where the points give no error.
func (f *Fit) Band(x float64) (low, high float64, ok bool) {
	if !f.OK || !(x > 0) || f.ResidualSD == nil {
		return 0, 0, false
	}
	lx, _ := logPoints(f.Points)
	mean := stat.Mean(lx, nil)
	var sxx float64
	for _, v := range lx {
		sxx += (v - mean) * (v - mean)
	}
	at := math.Log10(x)
	n := float64(len(lx))
	half := tQuantile(len(lx)-2) * *f.ResidualSD * math.Sqrt(1/n+(at-mean)*(at-mean)/sxx)
	mid := *f.Log10Intercept + *f.Slope*at
	return math.Pow(10, mid-half), math.Pow(10, mid+half), true
}

// fitOffset fits a fixed cost and one that grows: a + b*x by OLS, or a + b*x^s
// bounded to a, b >= 0 and 0 <= s <= 2.
func fitOffset(f *OffsetFit, points []Point) {
	f.NModels = len(points)
	x := mapOf(points, func(p Point) float64 { return p.X })
	y := mapOf(points, func(p Point) float64 { return p.Y })
	need := minPoints
	if f.Form == FormPower {
		need = minPoints + 1 // one parameter more
	}
	if n := distinct(x); n < need {
		f.Reason = fmt.Sprintf("%s; %s takes %d", sizesOf(n), f.Form, need)
		return
	}
	where := strings.Join([]string{f.Backend, f.Mode, f.Scenario, f.Form}, " ")
	var a, b float64
	s := 1.0
	if f.Form == FormLinear {
		l, ok := ols(x, y)
		if !ok {
			f.Reason = "no line can be fitted to these points"
			return
		}
		a, b = l.a, l.b
		f.R2 = finite(l.r2)
		if half := tQuantile(l.n-2) * l.seA; !math.IsNaN(half) {
			f.ACI = interval(l.a-half, l.a+half)
		}
	} else {
		var sse float64
		a, b, s, sse = boundedPower(x, y)
		f.S = finite(s)
		mean, sst := stat.Mean(y, nil), 0.0
		for _, v := range y {
			sst += (v - mean) * (v - mean)
		}
		if sst > 0 {
			f.R2 = finite(1 - sse/sst)
		}
		switch {
		case b == 0:
			f.S = nil
			f.Warnings = append(f.Warnings, Warning{"no_growth", where,
				"latency does not rise with size: the best bounded fit is a constant, and s means nothing",
				"look at depth and at the single points; size does not explain this series"})
		case s >= 2:
			f.Warnings = append(f.Warnings, Warning{"at_bound", where,
				"the exponent s stands at its bound of 2", "the largest point dominates: see the leave-one-out table"})
		}
	}
	f.OK = true
	f.A, f.B = finite(a), finite(b)
	if a < 0 {
		f.Warnings = append(f.Warnings, Warning{"negative_offset", where,
			"the fixed cost comes out negative, which no machine has; overhead fractions mean nothing here",
			"take the bounded form, or the log-log fit"})
	} else {
		if f.ACI != nil && f.ACI.Low <= 0 {
			f.Warnings = append(f.Warnings, Warning{"offset_not_identified", where,
				fmt.Sprintf("the fixed cost of %.4g ms could be 0 (95 %% interval %.4g to %.4g ms): the largest models decide a straight line in ms", a, f.ACI.Low, f.ACI.High),
				"do not quote the fixed cost; fit the small models alone"})
		}
		f.OverheadAtMin = overhead(a, b, s, slices.Min(x))
		f.OverheadAtMax = overhead(a, b, s, slices.Max(x))
	}
}

func overhead(a, b, s, x float64) *float64 {
	total := a + b*math.Pow(x, s)
	if !(total > 0) {
		return nil
	}
	return finite(a / total)
}

// boundedPower minimises the squared error of a + b*x^s under a, b >= 0 and
// 0 <= s <= 2. For a given s the rest is non-negative least squares in two
// unknowns, which has a closed form, so only s is searched: on a grid, because
// the error can have several minima, and then by golden section around the best
// (variable projection; Golub and Pereyra 1973).
func boundedPower(x, y []float64) (a, b, s, sse float64) {
	const steps = 200
	at := func(s float64) float64 { _, _, e := nonNegative(x, y, s); return e }
	best, bestErr := 0.0, math.Inf(1)
	for i := 0; i <= steps; i++ {
		s := 2 * float64(i) / steps
		if e := at(s); e < bestErr {
			best, bestErr = s, e
		}
	}
	lo, hi := max(0, best-2.0/steps), min(2, best+2.0/steps)
	ratio := (math.Sqrt(5) - 1) / 2
	for range 60 {
		c, d := hi-ratio*(hi-lo), lo+ratio*(hi-lo)
		if at(c) <= at(d) {
			hi = d
		} else {
			lo = c
		}
	}
	s = best
	if mid := (lo + hi) / 2; at(mid) < bestErr {
		s = mid
	}
	a, b, sse = nonNegative(x, y, s)
	return a, b, s, sse
}

// nonNegative is least squares of y = a + b*x^s with a, b >= 0. With two
// unknowns the optimum is the free one, or lies on one of the two edges.
func nonNegative(x, y []float64, s float64) (a, b, sse float64) {
	z := mapOf(x, func(v float64) float64 { return math.Pow(v, s) })
	errorOf := func(a, b float64) float64 {
		var e float64
		for i := range z {
			d := y[i] - a - b*z[i]
			e += d * d
		}
		return e
	}
	if l, ok := ols(z, y); ok && l.a >= 0 && l.b >= 0 {
		return l.a, l.b, errorOf(l.a, l.b)
	}
	a = max(0, stat.Mean(y, nil)) // the edge b = 0
	sse = errorOf(a, 0)
	var zy, zz float64
	for i := range z {
		zy += z[i] * y[i]
		zz += z[i] * z[i]
	}
	if zz > 0 && zy > 0 && s > 0 { // the edge a = 0; at s = 0 both edges are the constant
		if e := errorOf(0, zy/zz); e < sse {
			return 0, zy / zz, e
		}
	}
	return a, 0, sse
}

// maxCondition is where a two-predictor resample counts as collinear.
const maxCondition = 1e8

// plane is OLS of y on a constant and two predictors, by QR.
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
	return [3]float64{beta.AtVec(0), beta.AtVec(1), beta.AtVec(2)}, 1 - sse/sst, sst > 0
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
			betas, gammas, r2s = append(betas, c[1]), append(gammas, c[2]), append(r2s, r2)
		}
	}
	f.BootUsed = len(betas)
	f.BetaBoot = percentileInterval(betas, opt.Bootstrap)
	f.GammaBoot = percentileInterval(gammas, opt.Bootstrap)
	f.R2Boot = percentileInterval(r2s, opt.Bootstrap)
	if bad := opt.Bootstrap - f.BootUsed; bad > opt.Bootstrap/20 {
		f.Warnings = append(f.Warnings, Warning{"bootstrap_degenerate", where,
			fmt.Sprintf("%d of %d resamples could not tell size from depth and were left out", bad, opt.Bootstrap),
			"measure more models; until then the intervals are rough"})
	}
}
