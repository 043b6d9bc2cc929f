package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Estimate is a number with its variance, and the degrees of freedom of that
// variance: +Inf where it is taken as known.
type Estimate struct{ Value, Variance, DF float64 }

// Sum is that of independent estimates. Its degrees of freedom are Satterthwaite's
// (1946).
func Sum(parts ...Estimate) (e Estimate) {
	spread := 0.0
	for _, p := range parts {
		e.Value += p.Value
		e.Variance += p.Variance
		if p.Variance > 0 {
			spread += p.Variance * p.Variance / p.DF
		}
	}
	if e.DF = math.Inf(1); spread > 0 {
		e.DF = e.Variance * e.Variance / spread
	}
	return e
}

// Times is e multiplied by a constant.
func (e Estimate) Times(c float64) Estimate { return Estimate{c * e.Value, c * c * e.Variance, e.DF} }

// Minus is the difference of two independent estimates.
func (e Estimate) Minus(o Estimate) Estimate { return Sum(e, o.Times(-1)) }

// Half is how far e's two-sided interval of error p reaches to either side, by
// Student's t; without a degree of freedom endlessly.
func (e Estimate) Half(p float64) float64 {
	switch {
	case !(e.Variance > 0):
		return 0
	case !(e.DF > 0):
		return math.Inf(1)
	}
	q := distuv.UnitNormal.Quantile(1 - p/2)
	if !math.IsInf(e.DF, 1) {
		q = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: e.DF}.Quantile(1 - p/2)
	}
	return q * math.Sqrt(e.Variance)
}

// Interval is e's 95 % interval; nil where there is none.
func (e Estimate) Interval() *Interval {
	half := e.Half(1 - Confidence)
	return NewInterval(e.Value-half, e.Value+half)
}

// ExpInterval is the 95 % interval of what e estimates the logarithm of; nil where there is none.
func (e Estimate) ExpInterval() *Interval {
	half := e.Half(1 - Confidence)
	return NewInterval(math.Exp(e.Value-half), math.Exp(e.Value+half))
}

// RobustLog is the logarithm of the median of positive values, with a variance that
// single slow values do not move (MedianScatter).
func RobustLog(xs []float64) Estimate {
	s := MedianScatter(xs)
	return Estimate{math.Log(Median(xs)), s.Var, s.DF}
}

// OrderedLog is the logarithm of the median of positive values, with Bonett and
// Price's (2002) variance: two order statistics about the median are as far apart
// as the binomial distribution says. It assumes nothing of the values' distribution.
// One value has no variance.
func OrderedLog(xs []float64) Estimate {
	s := slices.Clone(xs)
	mid, n := math.Log(middle(s)), len(s) // s is sorted now
	if n < 2 {
		return Estimate{mid, math.NaN(), math.Inf(1)}
	}
	c := max(1, int(math.Round(float64(n+1)/2-math.Sqrt(float64(n)))))
	z := distuv.UnitNormal.Quantile(1 - distuv.Binomial{N: float64(n), P: 0.5}.CDF(float64(c-1)))
	d := math.Log(s[n-c]/s[c-1]) / (2 * z)
	return Estimate{mid, d * d, math.Inf(1)}
}

// Interval is a confidence interval; nil where there is none.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// ProcessSD is by how much processes of one model differ on one machine, relative
// (docs/twins.md).
const ProcessSD = 0.02
