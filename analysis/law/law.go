// Package law fits laws of time over size and judges between them. Errors are taken
// to be relative and alike for each size: everything is least squares of ln time with
// equal weights. A law of few parameters is preferred only where it predicts: by
// leaving one size out, and by Akaike's criterion for small samples.
package law

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"llmscale/analysis/stats"
)

// Point is one model of a series.
type Point struct {
	X float64 // size, above 0, in the axis's unit
	T float64 // time, above 0; Law.Predict needs none

	// What the model takes at the machine's measured ceilings, in T's unit; 0 is unknown.
	Reads    float64 // to read its bytes
	Computes float64 // for its operations

	Scatter stats.Scatter // of ln T, as far as its repetitions tell
}

// Form is the shape of a law.
type Form string

// The forms. T0, A and B are 0 at least.
const (
	Constant Form = "constant"          // T = A
	Straight Form = "proportional"      // T = B x
	Power    Form = "power"             // T = A x^alpha
	Line     Form = "overhead_line"     // T = T0 + B x: on an axis of bytes 1/B is a bandwidth
	Offset   Form = "offset_power"      // T = T0 + A x^alpha
	Reading  Form = "overhead_reading"  // T = T0 + Reads
	Roof     Form = "overhead_roofline" // T = T0 + (Reads^p + Computes^p)^(1/p), p from 1 on
	OneBreak Form = "one_break"         // a power law up to a size, another beyond; they meet there
	TwoBreak Form = "two_breaks"
)

// Forms are all of them, the simpler first.
var Forms = []Form{Constant, Straight, Power, Line, Offset, Reading, Roof, OneBreak, TwoBreak}

// Param is one parameter of a law.
type Param struct {
	Name   string          `json:"name"`
	Value  float64         `json:"value"`
	Sizes  *stats.Interval `json:"ci"`        // 95 %, other sizes along the same law: curvature of the error, t over the sizes
	Blocks *stats.Interval `json:"blocks_ci"` // 95 %, these sizes measured again: t over the blocks
}

// Law is a form fitted to points.
type Law struct {
	Form   Form
	Params []Param
	N, K   int     // points, parameters
	SSE    float64 // of ln time
	LOO    float64 // leave-one-out error: root mean square of ln(time / what the law without the point says); NaN unknown
	AICc   float64 // +Inf where the points are too few for so many parameters
	Weight float64 // Akaike's, among the laws of its tournament

	spec  spec
	theta []float64
	cov   *mat.SymDense // of the parameters that the points decide, over the residual variance; nil without one
	free  []int         // which these are
	left  []float64     // of each point, ln of its time over what the law without it says; nil unknown
}

// exact is the relative error below which times lie on a law; more digits decide
// nothing.
const exact = 1e-6

// spec is how a form is fitted to points.
type spec struct {
	names   []string
	predict func(theta []float64, p Point, grad []float64) float64 // ln time; grad, if not nil, gets its derivatives
	solve   func(points []Point, start []float64) ([]float64, bool)
	natural func(theta []float64) []float64 // the values that names name, in theta's order
}

// minDF is how many more points than parameters a fit takes, so that it has an error.
const minDF = 1

// Fit fits a form; ok is false where the points do not carry it.
func Fit(form Form, points []Point) (l *Law, ok bool) {
	l = &Law{Form: form, N: len(points), spec: specOf(form, points)}
	l.K = len(l.spec.names)
	l.LOO, l.AICc = math.NaN(), math.Inf(1)
	if l.N < l.K+minDF || stats.Distinct(stats.Map(points, func(p Point) float64 { return p.X })) < sizes(form) || !carries(form, points) {
		return nil, false
	}
	if l.theta, ok = l.spec.solve(points, nil); !ok {
		return nil, false
	}
	l.SSE = l.sse(points, l.theta)
	// K and the residual variance are what Akaike's correction counts.
	n, k := float64(l.N), float64(l.K+1)
	if n > k+1 {
		l.AICc = n*math.Log(max(l.SSE/n, exact*exact)) + 2*k*n/(n-k-1)
	}
	l.curvature(points)
	l.params()
	return l, true
}

// carries is whether the points know what a form needs.
func carries(form Form, points []Point) bool {
	for _, p := range points {
		if form == Reading && !(p.Reads > 0) || form == Roof && !(p.Reads > 0 && p.Computes > 0) {
			return false
		}
	}
	return true
}

// sizes is how many different sizes a form takes.
func sizes(form Form) int {
	switch form {
	case Constant, Straight, Reading, Roof:
		return 2
	case Power, Line:
		return stats.MinPoints
	case Offset:
		return stats.MinPoints + 1
	case OneBreak:
		return 2 * besides
	}
	return 3*besides - 2
}

func (l *Law) sse(points []Point, theta []float64) (sse float64) {
	for _, p := range points {
		e := math.Log(p.T) - l.spec.predict(theta, p, nil)
		sse += e * e
	}
	return sse
}

// curvature is the covariance by the derivatives at the optimum (Gauss and Newton). A
// parameter at its bound, which moves no point, is taken as known.
func (l *Law) curvature(points []Point) {
	n, k := len(points), len(l.theta)
	rows := make([][]float64, n)
	for i, p := range points {
		rows[i] = make([]float64, k)
		l.spec.predict(l.theta, p, rows[i])
	}
	for j := range k {
		if slices.ContainsFunc(rows, func(r []float64) bool { return math.Abs(r[j]) > exact }) {
			l.free = append(l.free, j)
		}
	}
	if len(l.free) == 0 {
		return
	}
	info := mat.NewSymDense(len(l.free), nil)
	for a, i := range l.free {
		for b, j := range l.free[:a+1] {
			s := 0.0
			for _, r := range rows {
				s += r[i] * r[j]
			}
			info.SetSym(a, b, s)
		}
	}
	var c mat.Cholesky
	if !c.Factorize(info) || c.Cond() > 1e14 {
		return
	}
	var inverse mat.SymDense
	if c.InverseTo(&inverse) == nil {
		l.cov = &inverse
	}
}

// variance is that of the residuals.
func (l *Law) variance() float64 { return max(l.SSE, 1e-18) / float64(l.N-l.K) }

// along is the variance of the law's own value in the direction of a gradient, over
// that of the residuals; NaN unknown.
func (l *Law) along(grad []float64) float64 {
	if len(l.free) == 0 {
		return 0
	}
	if l.cov == nil {
		return math.NaN()
	}
	g := mat.NewVecDense(len(l.free), nil)
	for a, j := range l.free {
		g.SetVec(a, grad[j])
	}
	return mat.Inner(g, l.cov, g)
}

// At is ln time by the law at p, with the law's own error.
func (l *Law) At(p Point) stats.Estimate {
	grad := make([]float64, len(l.theta))
	v := l.spec.predict(l.theta, p, grad)
	return stats.Estimate{Value: v, Variance: l.variance() * l.along(grad), DF: float64(l.N - l.K)}
}

// Growth is ln of the time at to over that at from by the law, with the law's own error.
func (l *Law) Growth(from, to Point) stats.Estimate {
	start, grad := make([]float64, len(l.theta)), make([]float64, len(l.theta))
	before, v := l.spec.predict(l.theta, from, start), l.spec.predict(l.theta, to, grad)
	floats.Sub(grad, start)
	return stats.Estimate{Value: v - before, Variance: l.variance() * l.along(grad), DF: float64(l.N - l.K)}
}

// Predict is ln time of one more model at p: the law's error, and how far models lie
// from their law.
func (l *Law) Predict(p Point) stats.Estimate {
	e := l.At(p)
	e.Variance += l.variance()
	return e
}

// params puts the parameters in their own units, with intervals.
func (l *Law) params() {
	t := stats.TQuantile(l.N - l.K)
	for j, v := range l.spec.natural(l.theta) {
		p := Param{Name: l.spec.names[j], Value: v}
		if p.Name == "t0_ms" && !slices.Contains(l.free, j) {
			p.Value = 0 // it stands at its bound, which only its logarithm needs
		}
		// The derivative of the natural value by each theta, for those that are no
		// theta themselves.
		grad := make([]float64, len(l.theta))
		for i := range l.theta {
			const h = 1e-6
			up, down := slices.Clone(l.theta), slices.Clone(l.theta)
			up[i], down[i] = up[i]+h, down[i]-h
			grad[i] = (l.spec.natural(up)[j] - l.spec.natural(down)[j]) / (2 * h)
		}
		if slices.Contains(l.free, j) {
			half := t * math.Sqrt(l.variance()*l.along(grad))
			p.Sizes = stats.NewInterval(v-half, v+half)
		}
		l.Params = append(l.Params, p)
	}
}

// Param is the parameter of that name; nil without one.
func (l *Law) Param(name string) *Param {
	if i := slices.IndexFunc(l.Params, func(p Param) bool { return p.Name == name }); i >= 0 {
		return &l.Params[i]
	}
	return nil
}

// ByBlocks gives the parameters their intervals over the blocks: one fit for each
// block, t over the blocks. Each block has all of the points, measured again.
func (l *Law) ByBlocks(blocks [][]Point) {
	values := make([][]float64, len(l.Params))
	for _, points := range blocks {
		theta, ok := specOf(l.Form, points).solve(points, l.theta)
		if !ok {
			return
		}
		for j, v := range l.spec.natural(theta) {
			values[j] = append(values[j], v)
		}
	}
	for j := range l.Params {
		if e, ok := stats.MeanT(values[j]); ok && len(values[j]) >= stats.MinPoints && slices.Contains(l.free, j) {
			p, half := &l.Params[j], e.Half(1-stats.Confidence)
			p.Blocks = stats.NewInterval(p.Value-half, p.Value+half)
		}
	}
}

// leaveOut fills in the leave-one-out error.
func (l *Law) leaveOut(points []Point) {
	if len(points) > mostLeftOut {
		return
	}
	var left []float64
	for i, p := range points {
		rest := slices.Delete(slices.Clone(points), i, i+1)
		theta, ok := l.spec.solve(rest, l.theta)
		if !ok {
			return
		}
		left = append(left, math.Log(p.T)-l.spec.predict(theta, p, nil))
	}
	l.left, l.LOO = left, rms(left)
}

// mostLeftOut is up to how many points each is left out once: its time grows with their
// square.
const mostLeftOut = 100

// Left is ln of a point's time over what the law fitted without it says.
func (l *Law) Left(i int) (float64, bool) {
	if i >= len(l.left) {
		return 0, false
	}
	return l.left[i], true
}

func rms(v []float64) float64 {
	s := 0.0
	for _, e := range v {
		s += e * e
	}
	return math.Sqrt(s / float64(len(v)))
}
