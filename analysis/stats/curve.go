package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Curve is a quantity over x, such as the logarithm of a ratio over that of size. Its value at any x is a weighted sum
// of what was measured at X: of a least-squares line, or where the values lie on none, of the two neighbours. So each
// block has one value at x, and the curve's error there is t over the blocks, whatever the sizes of a block share.
type Curve struct {
	X        []float64 // rising
	Straight bool      // a line; else interpolated
	BendP    float64   // of a line, against a quadratic and a cubic term; NaN below three sizes

	blocks [][]float64
	points []Estimate
}

// bendLevel is the p below which values lie on no line. A false alarm costs width alone.
const bendLevel = 0.05

// CurveOfBlocks has the values of each block at x, two blocks at least.
func CurveOfBlocks(x []float64, blocks [][]float64) Curve {
	return Curve{X: x, blocks: blocks}.bent()
}

// CurveOfPoints has independent estimates at x.
func CurveOfPoints(x []float64, points []Estimate) Curve { return Curve{X: x, points: points}.bent() }

// sum is the estimate of a weighted sum of the values at X.
func (c *Curve) sum(weights []float64) Estimate {
	if c.points == nil {
		e, _ := MeanT(Map(c.blocks, func(y []float64) float64 { return floats.Dot(weights, y) }))
		return e
	}
	var parts []Estimate
	for i, w := range weights {
		if w != 0 {
			parts = append(parts, c.points[i].Times(w))
		}
	}
	return Sum(parts...)
}

// At is the curve's value at x, which lies within X.
func (c *Curve) At(x float64) Estimate {
	w := make([]float64, len(c.X))
	if !c.Straight || len(c.X) < MinPoints {
		i := 1
		for i < len(c.X)-1 && c.X[i] < x {
			i++
		}
		if w[0] = 1; len(c.X) > 1 {
			w[0] = 0
			w[i] = (x - c.X[i-1]) / (c.X[i] - c.X[i-1])
			w[i-1] = 1 - w[i]
		}
		return c.sum(w)
	}
	mean := stat.Mean(c.X, nil)
	for i, s := range c.slopeWeights() {
		w[i] = 1/float64(len(w)) + (x-mean)*s
	}
	return c.sum(w)
}

// Slope is that of the line through the values.
func (c *Curve) Slope() Estimate { return c.sum(c.slopeWeights()) }

func (c *Curve) slopeWeights() []float64 {
	mean, n := stat.Mean(c.X, nil), float64(len(c.X))
	sxx := (n - 1) * stat.Variance(c.X, nil)
	return Map(c.X, func(x float64) float64 { return (x - mean) / sxx })
}

// bent asks whether the values bend away from a line: F of what the orthogonal quadratic and cubic terms explain, against
// the scatter of residuals over the blocks, which are taken to scatter alike (Draper and Smith 1998, sections 2.1 and
// 22.2).
func (c Curve) bent() Curve {
	c.Straight, c.BendP = true, math.NaN()
	terms := bends(c.X)
	if len(terms) == 0 {
		return c
	}
	explained := 0.0
	for _, q := range terms {
		explained += math.Pow(c.sum(q).Value, 2) / float64(len(terms))
	}
	scatter, df := c.scatter()
	scatter = max(scatter, rounding*rounding)
	if math.IsInf(df, 1) {
		df = manyDF
	}
	c.BendP = distuv.F{D1: float64(len(terms)), D2: df}.Survival(explained / scatter)
	c.Straight = !(c.BendP < bendLevel)
	return c
}

// scatter is the variance of one value that the estimates leave about a line.
func (c *Curve) scatter() (variance, df float64) {
	if c.points != nil {
		all := Sum(c.points...)
		return all.Variance / float64(len(c.points)), all.DF
	}
	n, r := len(c.X), float64(len(c.blocks))
	mean := make([]float64, n)
	var left [][]float64
	for _, y := range c.blocks {
		a, b := stat.LinearRegression(c.X, y, nil, false)
		res := make([]float64, n)
		for i := range y {
			res[i] = y[i] - a - b*c.X[i]
			mean[i] += res[i] / r
		}
		left = append(left, res)
	}
	ss := 0.0
	for _, res := range left {
		ss += math.Pow(floats.Distance(res, mean, 2), 2)
	}
	df = float64(n-2) * (r - 1)
	return ss / df / r, df
}

// bends are the quadratic and the cubic term over x, of length 1 and orthogonal to lines and to each other; the first
// alone of three x, none of fewer.
func bends(x []float64) (terms [][]float64) {
	n := len(x)
	mid, half := (x[0]+x[n-1])/2, (x[n-1]-x[0])/2
	basis := [][]float64{}
	for power := range min(4, n) {
		q := Map(x, func(v float64) float64 { return math.Pow((v-mid)/max(half, rounding), float64(power)) })
		for range 2 { // twice, for the rounding (Giraud and others 2005)
			for _, b := range basis {
				floats.AddScaled(q, -floats.Dot(q, b), b)
			}
		}
		floats.Scale(1/floats.Norm(q, 2), q)
		if basis = append(basis, q); power >= 2 {
			terms = append(terms, q)
		}
	}
	return terms
}

// Probe is a curve's value at X with its interval, Half to either side.
type Probe struct {
	X, Value, Half float64
	Measured       bool // at X something was measured
}

const probes = 16 // from one measured x to the next

// Probes are values of the curve at all X and between, with intervals of error p each.
func (c *Curve) Probes(p float64) (out []Probe) {
	add := func(x float64, measured bool) {
		e := c.At(x)
		out = append(out, Probe{x, e.Value, e.Half(p), measured})
	}
	add(c.X[0], true)
	for i := 1; i < len(c.X); i++ {
		for k := 1; k < probes; k++ {
			add(c.X[i-1]+(c.X[i]-c.X[i-1])*float64(k)/probes, false)
		}
		add(c.X[i], true)
	}
	return out
}

// Stretch are the x where a curve is shown to lie beyond a level, at one measured X at least: between two, the errors of
// few blocks can cancel by chance. An Edge is nil where it reaches the end of X.
type Stretch struct{ From, To *Edge }

// Edge is where a curve crosses a level: At by its values, between Low and High by its intervals, which are the
// crossings that the data do not contradict (Fieller 1954, by inversion of the test). One beyond X is nil.
type Edge struct{ At, Low, High *float64 }

// Beyond are the stretches where sign times the curve is shown to lie above level.
func Beyond(ps []Probe, sign, level float64) (out []Stretch) {
	upper := func(p Probe) float64 { return sign*p.Value + p.Half - level }
	value := func(p Probe) float64 { return sign*p.Value - level }
	lower := func(p Probe) float64 { return sign*p.Value - p.Half - level }
	// edge looks from the stretch's end at i outwards.
	edge := func(i, step, end int) *Edge {
		root := func(of func(Probe) float64) *float64 {
			for j := i; j != end; j += step {
				if y0, y1 := of(ps[j]), of(ps[j+step]); y0 > 0 && y1 <= 0 {
					return new(ps[j].X + (ps[j+step].X-ps[j].X)*y0/(y0-y1))
				}
			}
			return nil
		}
		if i == end {
			return nil
		}
		inner, outer := root(lower), root(upper)
		if step > 0 {
			return &Edge{root(value), inner, outer}
		}
		return &Edge{root(value), outer, inner}
	}
	last := len(ps) - 1
	for i := 0; i <= last; i++ {
		if !(lower(ps[i]) > 0) {
			continue
		}
		j := i
		for j < last && lower(ps[j+1]) > 0 {
			j++
		}
		if slices.ContainsFunc(ps[i:j+1], func(p Probe) bool { return p.Measured }) {
			out = append(out, Stretch{edge(i, -1, 0), edge(j, 1, last)})
		}
		i = j
	}
	return out
}

// Within reports whether the curve is shown to lie between -level and level at all x.
func Within(ps []Probe, level float64) bool {
	for _, p := range ps {
		if !(math.Abs(p.Value)+p.Half < level) {
			return false
		}
	}
	return true
}
