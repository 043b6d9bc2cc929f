package law

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/stats"
)

// specOf is a form's; the points set the scale of its inner parameters alone.
func specOf(form Form, points []Point) spec {
	switch form {
	case Constant:
		return level("a", 0)
	case Straight:
		return level("b", 1)
	case Power:
		return power()
	case Line:
		return offset(points, []float64{1})
	case Offset:
		return offset(points, nil)
	case Reading:
		return reading()
	case Roof:
		return roof()
	case OneBreak:
		return broken(1)
	}
	return broken(2)
}

func logs(points []Point) (u, y []float64) {
	return stats.Map(points, func(p Point) float64 { return math.Log(p.X) }), stats.Map(points, func(p Point) float64 { return math.Log(p.T) })
}

// level is a law of given exponent.
func level(name string, exponent float64) spec {
	return spec{
		names: []string{name},
		predict: func(theta []float64, p Point, grad []float64) float64 {
			if grad != nil {
				grad[0] = 1
			}
			return theta[0] + exponent*math.Log(p.X)
		},
		solve: func(points []Point, _ []float64) ([]float64, bool) {
			u, y := logs(points)
			return []float64{stat.Mean(y, nil) - exponent*stat.Mean(u, nil)}, true
		},
		natural: func(theta []float64) []float64 { return []float64{math.Exp(theta[0])} },
	}
}

func power() spec {
	return spec{
		names: []string{"a", "exponent"},
		predict: func(theta []float64, p Point, grad []float64) float64 {
			u := math.Log(p.X)
			if grad != nil {
				grad[0], grad[1] = 1, u
			}
			return theta[0] + theta[1]*u
		},
		solve: func(points []Point, _ []float64) ([]float64, bool) {
			l, ok := stats.OLS(logs(points))
			return []float64{l.A, l.B}, ok
		},
		natural: func(theta []float64) []float64 { return []float64{math.Exp(theta[0]), theta[1]} },
	}
}

// Bounds of what is searched.
const (
	leastExponent, mostExponent = 0.02, 4.0
	mostSharp                   = 50.0  // p of the smooth maximum: beyond, it is the maximum
	noShare                     = -16.0 // ln of the share of a part that is nothing
)

// plus is ln(exp(a)+exp(b)), with the share of a in the sum.
func plus(a, b float64) (sum, share float64) {
	if a < b {
		s, of := plus(b, a)
		return s, 1 - of
	}
	e := math.Exp(b - a)
	return a + math.Log1p(e), 1 / (1 + e)
}

// offset is T0 + A x^alpha by ln T0, ln of A x^alpha at the middle size, and alpha, of
// which the first two are on the time's own scale and not torn by their correlation.
// Given alphas are tried alone, and are no parameter.
func offset(points []Point, given []float64) spec {
	u, _ := logs(points)
	middle := 0.0
	if len(u) > 0 {
		middle = stat.Mean(u, nil)
	}
	exponent := func(theta []float64) float64 {
		if given != nil {
			return given[0]
		}
		return theta[2]
	}
	s := spec{
		names: []string{"t0_ms", "a", "exponent"},
		predict: func(theta []float64, p Point, grad []float64) float64 {
			v := math.Log(p.X) - middle
			sum, fixed := plus(theta[0], theta[1]+exponent(theta)*v)
			if grad != nil {
				grad[0], grad[1] = fixed, 1-fixed
				if given == nil {
					grad[2] = (1 - fixed) * v
				}
			}
			return sum
		},
		natural: func(theta []float64) []float64 {
			out := []float64{math.Exp(theta[0]), math.Exp(theta[1] - exponent(theta)*middle)}
			if given == nil {
				out = append(out, theta[2])
			}
			return out
		},
	}
	if given != nil {
		s.names = []string{"t0_ms", "b"}
	}
	s.solve = func(points []Point, start []float64) ([]float64, bool) {
		alphas := given
		if alphas == nil {
			alphas = []float64{.1, .2, .35, .5, .65, .8, 1, 1.2, 1.5, 2}
		}
		var starts [][]float64
		if start != nil {
			starts = [][]float64{start}
		} else {
			starts = offsetStarts(points, alphas, middle, given == nil)
		}
		return minimise(s.predict, points, squares, starts, func(theta []float64) {
			low, _ := bounds(points)
			theta[0] = max(theta[0], low+noShare)
			if given == nil {
				theta[2] = min(max(theta[2], leastExponent), mostExponent)
			}
		})
	}
	return s
}

// bounds are the least and the greatest ln time.
func bounds(points []Point) (low, high float64) {
	_, y := logs(points)
	return slices.Min(y), slices.Max(y)
}

// offsetStarts are for each alpha the best of some shares of the fixed part in the
// smallest model's time. The level then has a closed form.
func offsetStarts(points []Point, alphas []float64, middle float64, free bool) [][]float64 {
	u, y := logs(points)
	smallest := slices.Min(u)
	var starts [][]float64
	for _, alpha := range alphas {
		best, least := []float64(nil), math.Inf(1)
		for _, odds := range []float64{-12, -4, -2, -1, 0, 1, 2, 3, 5} { // ln of fixed over growing part there
			fixed := odds + alpha*(smallest-middle)
			shape := stats.Map(u, func(u float64) float64 { s, _ := plus(fixed, alpha*(u-middle)); return s })
			level := stat.Mean(y, nil) - stat.Mean(shape, nil)
			sse := 0.0
			for i := range y {
				sse += math.Pow(y[i]-level-shape[i], 2)
			}
			if sse < least {
				least, best = sse, []float64{level + fixed, level}
			}
		}
		if free {
			best = append(best, alpha)
		}
		starts = append(starts, best)
	}
	return starts
}

func reading() spec {
	s := spec{
		names: []string{"t0_ms"},
		predict: func(theta []float64, p Point, grad []float64) float64 {
			sum, fixed := plus(theta[0], math.Log(p.Reads))
			if grad != nil {
				grad[0] = fixed
			}
			return sum
		},
		natural: func(theta []float64) []float64 { return []float64{math.Exp(theta[0])} },
	}
	s.solve = func(points []Point, start []float64) ([]float64, bool) {
		low, high := bounds(points)
		starts := [][]float64{start}
		if start == nil {
			starts = [][]float64{{low - 4}, {low - 1}, {low}, {(low + high) / 2}}
		}
		return minimise(s.predict, points, squares, starts, func(theta []float64) { theta[0] = max(theta[0], low+noShare) })
	}
	return s
}

func roof() spec {
	s := spec{
		names: []string{"t0_ms", "p"},
		predict: func(theta []float64, p Point, grad []float64) float64 {
			sharp := 1 + math.Exp(theta[1])
			r, c := math.Log(p.Reads), math.Log(p.Computes)
			norm, share := plus(sharp*r, sharp*c)
			sum, fixed := plus(theta[0], norm/sharp)
			if grad != nil {
				grad[0] = fixed
				grad[1] = (1 - fixed) * (sharp - 1) * (share*r + (1-share)*c - norm/sharp) / sharp
			}
			return sum
		},
		natural: func(theta []float64) []float64 { return []float64{math.Exp(theta[0]), 1 + math.Exp(theta[1])} },
	}
	s.solve = func(points []Point, start []float64) ([]float64, bool) {
		low, high := bounds(points)
		starts := [][]float64{start}
		if start == nil {
			starts = nil
			for _, t := range []float64{low - 4, low - 1, low, (low + high) / 2} {
				starts = append(starts, []float64{t, -1}, []float64{t, 1.5})
			}
		}
		return minimise(s.predict, points, squares, starts, func(theta []float64) {
			theta[0] = max(theta[0], low+noShare)
			theta[1] = min(max(theta[1], noShare), math.Log(mostSharp-1))
		})
	}
	return s
}

// loss is what a residual costs, and the derivative of that.
type loss func(residual float64) (cost, slope float64)

func squares(r float64) (cost, slope float64) { return r * r, 2 * r }

// minimise is the theta of the least total loss, by BFGS from the best starts. clamp
// puts a theta inside its bounds; beyond them the loss stays what it is there.
func minimise(predict func([]float64, Point, []float64) float64, points []Point, cost loss, starts [][]float64, clamp func([]float64)) ([]float64, bool) {
	_, y := logs(points)
	inside := func(theta []float64) []float64 {
		t := slices.Clone(theta)
		clamp(t)
		return t
	}
	total := func(theta []float64) (sum float64) {
		t := inside(theta)
		for i, p := range points {
			c, _ := cost(y[i] - predict(t, p, nil))
			sum += c
		}
		return sum
	}
	problem := optimize.Problem{
		Func: total,
		Grad: func(grad, theta []float64) {
			t := inside(theta)
			clear(grad)
			g := make([]float64, len(theta))
			for i, p := range points {
				_, slope := cost(y[i] - predict(t, p, g))
				for j := range g {
					if t[j] == theta[j] { // beyond a bound nothing changes
						grad[j] -= slope * g[j]
					}
				}
			}
		},
	}
	starts = slices.Clone(starts)
	slices.SortStableFunc(starts, func(a, b []float64) int { return cmp.Compare(total(a), total(b)) })
	const tried = 3
	var best []float64
	least := math.Inf(1)
	for _, start := range starts[:min(tried, len(starts))] {
		// A line search that ends in the last digits is no failure: what counts is the
		// least loss that was found.
		r, _ := optimize.Minimize(problem, inside(start), &optimize.Settings{
			GradientThreshold: 1e-12, MajorIterations: 300,
			Converger: &optimize.FunctionConverge{Relative: 1e-13, Absolute: 1e-18, Iterations: 8},
		}, &optimize.BFGS{})
		if r != nil && r.F < least {
			least, best = r.F, inside(r.X)
		}
	}
	return best, best != nil && !math.IsInf(least, 0) && !math.IsNaN(least)
}
