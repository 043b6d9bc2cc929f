package law

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/stats"
)

// leastDeparture of a curve, or of a point, from the line: what is nearer is a good
// law, whatever the test says.
const leastDeparture = 0.04

// Bend is the test of a quadratic term in log-log: whether a series is a straight line
// there at all, as a power law is.
type Bend struct {
	P       float64 // two-sided; NaN unknown
	By      string  // the yardstick: stats.ByResiduals or stats.ByRepetitions
	Departs float64 // by how much the curve leaves the line at a point, at most, as a share of the line
}

// Shown is whether the series bends.
func (b Bend) Shown() bool { return b.P < stats.Alpha && b.Departs >= leastDeparture }

func ones(x []float64) []float64 { return slices.Repeat([]float64{1}, len(x)) }

// parabola is the regression of y on a constant, u and its centred square.
func parabola(u, y []float64) (stats.Regression, bool) {
	mean := stat.Mean(u, nil)
	return stats.Regress(y, ones(u), u, stats.Map(u, func(v float64) float64 { return (v - mean) * (v - mean) }))
}

// FindBend tests the quadratic term; ok is false where the points cannot have one.
func FindBend(points []Point) (b Bend, ok bool) {
	u, y := logs(points)
	straight, ok := stats.Regress(y, ones(u), u)
	curve, bends := parabola(u, y)
	if !ok || !bends {
		return Bend{P: math.NaN()}, false
	}
	t := curve.Term(2, stats.Map(points, func(p Point) stats.Scatter { return p.Scatter }))
	b = Bend{P: t.P, By: t.By}
	for i := range u {
		b.Departs = max(b.Departs, math.Abs(math.Expm1(straight.Residuals[i]-curve.Residuals[i])))
	}
	return b, true
}

// Stray is the point that the line in log-log through the others fits least.
type Stray struct {
	Index int
	Times float64 // its time over that of the others' line
	P     float64 // of the worst of all points, by Bonferroni
	Moves bool    // the exponent, by more than its interval with the point or without it allows
	Alone bool    // the series does not bend both with the point and without it
}

// Shown is whether the point does not fit.
func (s Stray) Shown() bool { return s.P < stats.Alpha && math.Abs(s.Times-1) >= leastDeparture }

// Withholds is whether an exponent over all points says nothing of the others: one
// point makes it.
func (s Stray) Withholds() bool { return s.Shown() && s.Moves && s.Alone }

// FindStray tests the point of the greatest deleted studentised residual (Cook and
// Weisberg 1982, section 2.2.2). Whether its absence moves the exponent further than
// chance lets it is the same question: the change is the residual times a constant of
// the design, over the same error. ok is false where too few points are left for a
// yardstick.
func FindStray(points []Point) (s Stray, ok bool) {
	u, y := logs(points)
	r, ok := stats.Regress(y, ones(u), u)
	if !ok || len(points) <= stats.MinPoints {
		return s, false
	}
	o, ok := r.Outlier()
	if !ok {
		return s, false
	}
	s = Stray{Index: o.Index, Times: math.Exp(o.Gap), P: o.P, Moves: true, Alone: true}
	rest := Without(points, o.Index)
	with, okWith := Fit(Power, points)
	without, okWithout := Fit(Power, rest)
	if okWith && okWithout {
		a, b := with.Param("exponent"), without.Param("exponent")
		change := math.Abs(a.Value - b.Value)
		s.Moves = change > stats.HalfWidth(a.Sizes) || change > stats.HalfWidth(b.Sizes)
	}
	all, _ := FindBend(points)
	left, _ := FindBend(rest)
	s.Alone = !(all.Shown() && left.Shown())
	return s, true
}

// Without is a copy without a point.
func Without(points []Point, i int) []Point { return slices.Delete(slices.Clone(points), i, i+1) }
