package law

import (
	"math"
	"slices"

	"llmscale/analysis/stats"
)

// besides is how many different sizes lie on either side of a break at least, that at
// the break among them: with fewer an outermost model would make a break of its own.
const besides = 3

// broken is a chain of power laws: theta has ln time at size 1, the first exponent, the
// change of the exponent at each break, and ln of the breaks.
func broken(breaks int) spec {
	s := spec{
		names: []string{"a", "exponent_1", "exponent_2", "break_1"},
		predict: func(theta []float64, p Point, grad []float64) float64 {
			u := math.Log(p.X)
			v := theta[0] + theta[1]*u
			if grad != nil {
				clear(grad)
				grad[0], grad[1] = 1, u
			}
			for j := range breaks {
				by, at := theta[2+j], theta[2+breaks+j]
				if u <= at {
					continue
				}
				v += by * (u - at)
				if grad != nil {
					grad[2+j], grad[2+breaks+j] = u-at, -by
				}
			}
			return v
		},
		natural: func(theta []float64) []float64 {
			out := slices.Clone(theta)
			out[0] = math.Exp(theta[0])
			for j := range breaks {
				out[2+j] += out[1+j]
				out[2+breaks+j] = math.Exp(theta[2+breaks+j])
			}
			return out
		},
	}
	if breaks == 2 {
		s.names = []string{"a", "exponent_1", "exponent_2", "exponent_3", "break_1", "break_2"}
	}
	s.solve = func(points []Point, _ []float64) ([]float64, bool) {
		u, y := logs(points)
		c := chain(u)
		sums := c.of(y)
		knots, least := c.place(sums, breaks)
		if math.IsInf(least, 1) {
			return nil, false
		}
		for j := range knots {
			knots[j] += c.mean
		}
		columns := [][]float64{slices.Repeat([]float64{1}, len(u)), u}
		for _, k := range knots {
			columns = append(columns, stats.Map(u, func(v float64) float64 { return max(0, v-k) }))
		}
		r, ok := stats.Regress(y, columns...)
		return append(r.Coef, knots...), ok
	}
	return s
}
