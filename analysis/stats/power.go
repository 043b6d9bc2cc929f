package stats

import "math"

// BoundedPower minimises the sum of (w*(y - a - b*x^s))^2 under a, b >= 0 and
// 0 <= s <= 2. For a given s the rest is non-negative least squares in two
// unknowns, which has a closed form, so only s is searched: on a grid, because
// the error can have several minima, and then by golden section around the best
// (variable projection; Golub and Pereyra 1973).
func BoundedPower(x, y, w []float64) (a, b, s, sse float64) {
	const steps = 200
	at := func(s float64) float64 { _, _, e := nonNegative(x, y, w, s); return e }
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
	a, b, sse = nonNegative(x, y, w, s)
	return a, b, s, sse
}

// nonNegative is weighted least squares of y = a + b*x^s with a, b >= 0. With two
// unknowns the optimum is the free one, or lies on one of the two edges.
func nonNegative(x, y, w []float64, s float64) (a, b, sse float64) {
	var n, z, zz, t, zt float64 // weighted sums of 1, x^s, its square, y, and x^s*y
	for i := range x {
		p, q := math.Pow(x[i], s), w[i]*w[i]
		n, z, zz, t, zt = n+q, z+q*p, zz+q*p*p, t+q*y[i], zt+q*p*y[i]
	}
	errorOf := func(a, b float64) float64 {
		var e float64
		for i := range x {
			d := w[i] * (y[i] - a - b*math.Pow(x[i], s))
			e += d * d
		}
		return e
	}
	if det := n*zz - z*z; det > 1e-12*n*zz {
		if a, b := (t*zz-z*zt)/det, (n*zt-z*t)/det; a >= 0 && b >= 0 {
			return a, b, errorOf(a, b)
		}
	}
	a = max(0, t/n) // the edge b = 0
	sse = errorOf(a, 0)
	if zz > 0 && zt > 0 && s > 0 { // the edge a = 0; at s = 0 both edges are the constant
		if e := errorOf(0, zt/zz); e < sse {
			return 0, zt / zz, e
		}
	}
	return a, 0, sse
}
