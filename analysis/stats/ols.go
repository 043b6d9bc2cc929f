package stats

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// Line is an ordinary least-squares fit y = a + b*x.
type Line struct {
	N          int
	A, B, R2   float64
	SEA, SEB   float64 // standard errors; NaN for two points
	SD         float64 // of the residuals, n-2 degrees of freedom
	xMean, sxx float64
}

// MinPoints is the fewest different x that a line is fitted to where its error
// counts: two points always lie on one.
const MinPoints = 3

// OLS fits y = a + b*x. ok is false where no slope is defined: fewer than two
// points or a single x.
func OLS(x, y []float64) (l Line, ok bool) {
	l.N = len(x)
	if l.N < 2 || len(y) != l.N {
		return l, false
	}
	l.xMean = stat.Mean(x, nil)
	for _, v := range x {
		d := v - l.xMean
		l.sxx += float64(d * d)
	}
	if !(l.sxx > 0) || Distinct(x) < 2 {
		return l, false
	}
	l.A, l.B = stat.LinearRegression(x, y, nil, false)
	var sse, sst float64
	yMean := stat.Mean(y, nil)
	for i := range x {
		e := y[i] - (l.A + float64(l.B*x[i]))
		d := y[i] - yMean
		sse += float64(e * e)
		sst += float64(d * d)
	}
	if l.R2 = math.NaN(); differs(sst, y) {
		l.R2 = 1 - sse/sst
	}
	l.SEA, l.SEB, l.SD = math.NaN(), math.NaN(), math.NaN()
	if l.N > 2 {
		l.SD = math.Sqrt(sse / float64(l.N-2))
		l.SEB = l.SD / math.Sqrt(l.sxx)
		l.SEA = l.SD * math.Sqrt(1/float64(l.N)+float64(l.xMean*l.xMean)/l.sxx)
	}
	return l, !math.IsNaN(l.B) && !math.IsInf(l.B, 0)
}

// Next is one more point at x (Draper and Smith 1998, section 1.4).
func (l *Line) Next(x float64) Estimate {
	d := x - l.xMean
	return Estimate{l.A + l.B*x, l.SD * l.SD * (1 + 1/float64(l.N) + d*d/l.sxx), float64(l.N - 2)}
}

// differs reports whether a sum of squares about the mean of y is more than the
// rounding of equal values.
func differs(sst float64, y []float64) bool {
	largest := 0.0
	for _, v := range y {
		largest = max(largest, math.Abs(v))
	}
	return sst > float64(len(y))*math.Pow(1e-13*largest, 2)
}
