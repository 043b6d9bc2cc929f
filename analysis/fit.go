package analysis

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	words "llmscale/internal/text"
)

// minPoints is the fewest models of different size that a line is fitted to. Two
// would always lie on it: a slope without any measure of its error.
const minPoints = 3

// minLeft is the fewest models of different size that a leave-one-out fit keeps.
const minLeft = minPoints

// sizesOf counts different sizes, for a reason why there are too few.
func sizesOf(n int) string { return words.Counted(n, "model size", "models of different size") }

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
	f.law()
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
	f.SlopeBoot = percentileInterval(slopes, opt.Bootstrap, f.Slope)
	f.InterceptBoot = percentileInterval(intercepts, opt.Bootstrap, f.Log10Intercept)
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
// few of the requested resamples gave one (TR121's rule). It reaches to the
// estimate where that lies outside, as an R2 of few models does: their resamples
// repeat points, which fits them too well.
func percentileInterval(values []float64, requested int, estimate *float64) *Interval {
	if len(values) < max(10, requested/10) {
		return nil
	}
	s := sorted(values)
	low, high := quantileSorted(s, (1-confidence)/2), quantileSorted(s, 1-(1-confidence)/2)
	if estimate != nil {
		low, high = min(low, *estimate), max(high, *estimate)
	}
	return interval(low, high)
}

// leastChange of a slope is more than the rounding of its points.
const leastChange = 1e-9

func leaveOneOut(f *Fit, x, y []float64) {
	if len(x) <= minLeft {
		return
	}
	worst := leastChange
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
