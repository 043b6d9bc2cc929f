package law

import (
	"math"
	"math/rand/v2"
	"slices"

	"llmscale/analysis/stats"
)

// Break says whether the exponent changes at a size, and where.
type Break struct {
	Breaks int               // how many the points show: 0 to 2
	P      [2]float64        // of one break against none, and of two against one; NaN unknown
	At     []float64         // sizes of the breaks, of one where none is shown
	CI     []*stats.Interval // their 95 % intervals
}

// Draws of a test or an interval: about one break, and about two, where each draw
// looks at all pairs of places.
const (
	drawsOfOne = 999
	drawsOfTwo = 199
	mostDrawn  = 500 // points: more take a second
)

// FindBreaks asks whether a series has breaks. ok is false where the sizes are too few
// for one, or the points more than such a search is made for.
//
// The statistic is the greatest F over all places (Andrews 1993), and its distribution
// that in drawn series without the break. For one break these are normal errors alone:
// the F does not depend on the line, so the test errs as often as it says on few sizes
// too.
func FindBreaks(points []Point, rng *rand.Rand) (b Break, ok bool) {
	b.P = [2]float64{math.NaN(), math.NaN()}
	one, ok := Fit(OneBreak, points)
	if !ok || len(points) > mostDrawn {
		return b, false
	}
	u, y := logs(points)
	d := &drawn{c: chain(u), rng: rng, y: make([]float64, len(y))}
	b.P[0] = d.test(y, 0, nil, 1, drawsOfOne)
	if !(b.P[0] < stats.Alpha) {
		b.at(one, points, d)
		return b, true
	}
	b.Breaks = 1
	if two, ok := Fit(TwoBreak, points); ok {
		if b.P[1] = d.test(y, 1, one.values(points), math.Sqrt(one.variance()), drawsOfTwo); b.P[1] < stats.Alpha {
			b.Breaks = 2
			b.at(two, points, d)
			return b, true
		}
	}
	b.at(one, points, d)
	return b, true
}

// drawn makes series by chance.
type drawn struct {
	c   *chained
	rng *rand.Rand
	y   []float64
}

// draw is a series about fitted values, nil for 0. It holds until the next.
func (d *drawn) draw(fitted []float64, sd float64) sums {
	for i := range d.y {
		d.y[i] = sd * d.rng.NormFloat64()
		if fitted != nil {
			d.y[i] += fitted[i]
		}
	}
	return d.c.of(d.y)
}

// test is the p of one break more than so many.
func (d *drawn) test(y []float64, breaks int, fitted []float64, sd float64, draws int) float64 {
	f, more := d.gain(d.c.of(y), breaks), 0
	for range draws {
		if d.gain(d.draw(fitted, sd), breaks) >= f {
			more++
		}
	}
	return float64(1+more) / float64(1+draws)
}

// gain is the F of one break more than so many, without its degrees of freedom.
func (d *drawn) gain(s sums, breaks int) float64 {
	_, before := d.c.place(s, breaks)
	_, after := d.c.place(s, breaks+1)
	return (before - after) / max(after, exact*exact*float64(len(d.y)))
}

// values are ln times by the law.
func (l *Law) values(points []Point) []float64 {
	return stats.Map(points, func(p Point) float64 { return l.spec.predict(l.theta, p, nil) })
}

// at gives the breaks of a law, with intervals: the places at which a break leaves no
// greater error, beside the best place's, than in 95 % of series drawn about the law
// its true place does (a bootstrap of the likelihood ratio). Percentiles of the drawn
// places cover too little: the error has several minima.
func (b *Break) at(l *Law, points []Point, d *drawn) {
	c := d.c
	_, y := logs(points)
	s := c.of(y)
	breaks, draws := 1, drawsOfOne
	if l.Form == TwoBreak {
		breaks, draws = 2, drawsOfTwo
	}
	places := stats.Map(l.theta[len(l.theta)-breaks:], func(v float64) float64 { return v - c.mean })
	floor := exact * exact * float64(len(y))
	fitted, sd := l.values(points), math.Sqrt(l.variance())
	beyond := make([][]float64, breaks)
	for range draws {
		s := d.draw(fitted, sd)
		_, least := c.place(s, breaks)
		for j, at := range places {
			beyond[j] = append(beyond[j], c.pinned(s, breaks, j, at)/max(least, floor)-1)
		}
	}
	for j, at := range places {
		most := stats.QuantileSorted(stats.Sorted(beyond[j]), stats.Confidence)
		limit := (1 + most) * max(l.SSE, floor)
		low, high := c.within(at, func(k float64) bool { return c.pinned(s, breaks, j, k) <= limit })
		b.At = append(b.At, math.Exp(at+c.mean))
		b.CI = append(b.CI, stats.NewInterval(math.Exp(low+c.mean), math.Exp(high+c.mean)))
	}
}

// within is from the least to the greatest place at which a condition holds; at at it
// does.
func (c *chained) within(at float64, holds func(float64) bool) (low, high float64) {
	const steps, halvings = 60, 12
	first, last := c.sizes[0], c.sizes[len(c.sizes)-1]
	places := []float64{at}
	for i := range steps + 1 {
		places = append(places, first+(last-first)*float64(i)/steps)
	}
	slices.Sort(places)
	inside := stats.Map(places, func(k float64) bool { return k == at || holds(k) })
	from, to := slices.Index(inside, true), len(inside)-1
	for !inside[to] {
		to--
	}
	edge := func(in, out float64) float64 {
		for range halvings {
			if m := (in + out) / 2; holds(m) {
				in = m
			} else {
				out = m
			}
		}
		return in
	}
	low, high = places[from], places[to]
	if from > 0 {
		low = edge(low, places[from-1])
	}
	if to < len(places)-1 {
		high = edge(high, places[to+1])
	}
	return low, high
}
