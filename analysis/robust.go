package analysis

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// An estimate is a number with its variance, and the degrees of freedom of that
// variance: +Inf where it is taken as known.
type estimate struct{ value, variance, df float64 }

// sum is the sum of weights[i] * parts[i], parts being independent. The degrees
// of freedom are Satterthwaite's (1946).
func sum(weights []float64, parts []estimate) (e estimate) {
	spread := 0.0
	for i, p := range parts {
		v := weights[i] * weights[i] * p.variance
		e.value += float64(weights[i] * p.value)
		e.variance += v
		spread += v * v / p.df
	}
	if e.df = math.Inf(1); spread > 0 {
		e.df = e.variance * e.variance / spread
	}
	return e
}

// meanOf weighs all parts the same.
func meanOf(parts []estimate) estimate {
	weights := make([]float64, len(parts))
	for i := range weights {
		weights[i] = 1 / float64(len(parts))
	}
	return sum(weights, parts)
}

func (e estimate) minus(o estimate) estimate { return sum([]float64{1, -1}, []estimate{e, o}) }

// half is how far e's two-sided interval of error p reaches to either side, by
// Student's t; a one-sided bound of error p/2 lies there too.
func (e estimate) half(p float64) float64 {
	if !(e.variance > 0) {
		return 0
	}
	q := distuv.UnitNormal.Quantile(1 - p/2)
	if !math.IsInf(e.df, 1) {
		q = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: e.df}.Quantile(1 - p/2)
	}
	return q * math.Sqrt(e.variance)
}

// below is a one-sided lower bound: e lies under it with probability p at most.
func (e estimate) below(p float64) float64 { return e.value - e.half(2*p) }

// smallMAD makes the median absolute deviation of few normal values unbiased for
// their standard deviation: Croux and Rousseeuw (1992), for 2 to 9 values. Beyond
// it is n/(n-0.8).
var smallMAD = []float64{2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}

// madEfficiency is how much of a standard deviation's degrees of freedom the
// median absolute deviation has, for normal values (Rousseeuw and Croux 1993).
const madEfficiency = 0.3675

// scaledMAD is the median absolute deviation from the median, scaled so that it
// estimates the standard deviation of normal values. Up to half of the values may
// be anything. It is 0 for one value, and where more than half are equal.
func scaledMAD(xs []float64) float64 {
	n := len(xs)
	if n < 2 {
		return 0
	}
	mid := median(xs)
	s := median(mapOf(xs, func(x float64) float64 { return math.Abs(x - mid) })) / distuv.UnitNormal.Quantile(0.75)
	if n < len(smallMAD) {
		return s * smallMAD[n]
	}
	return s * float64(n) / (float64(n) - 0.8)
}

// robustLog is the logarithm of the median of positive values, with a variance
// that single slow values do not move: that of a median of normal values,
// pi/2 sigma^2/n, sigma by scaledMAD of the logarithms. It takes two values.
func robustLog(xs []float64) estimate {
	n := float64(len(xs))
	s := scaledMAD(mapOf(xs, math.Log))
	return estimate{math.Log(median(xs)), math.Pi / 2 * s * s / n, madEfficiency * (n - 1)}
}

// orderedLog is the logarithm of the median of positive values, with Bonett and
// Price's (2002) variance: two order statistics about the median are as far apart
// as the binomial distribution says. It assumes nothing of the values' distribution.
// One value has no variance.
func orderedLog(xs []float64) estimate {
	s := sorted(xs)
	n := len(s)
	if n < 2 {
		return estimate{math.Log(s[0]), math.NaN(), math.Inf(1)}
	}
	c := max(1, int(math.Round(float64(n+1)/2-math.Sqrt(float64(n)))))
	z := distuv.UnitNormal.Quantile(1 - distuv.Binomial{N: float64(n), P: 0.5}.CDF(float64(c-1)))
	d := math.Log(s[n-c]/s[c-1]) / (2 * z)
	return estimate{math.Log(quantileSorted(s, 0.5)), d * d, math.Inf(1)}
}

// ratioOfMedians is the ratio of median(y[i]) to median(x[i]), as the geometric
// mean over the strata i, with its 95 % interval (Price and Bonett 2002, and Bonett
// and Price 2002 for several strata); x and y are independent samples of positive
// values. No interval where a sample has fewer than MinRatioCalls.
func ratioOfMedians(x, y [][]float64) (ratio float64, ci *Interval) {
	var ratios []float64
	var logs []estimate
	fewest := math.MaxInt
	for i := range x {
		ratios = append(ratios, median(y[i])/median(x[i]))
		logs = append(logs, orderedLog(y[i]).minus(orderedLog(x[i])))
		fewest = min(fewest, len(x[i]), len(y[i]))
	}
	if ratio = geomean(ratios); len(ratios) == 1 {
		ratio = ratios[0] // to the last digit
	}
	if fewest < MinRatioCalls {
		return ratio, nil
	}
	half := meanOf(logs).half(1 - confidence)
	return ratio, interval(ratio*math.Exp(-half), ratio*math.Exp(half))
}

// pooledTail is the logarithm of p95/p50 of all values together. Values of one
// group are not independent, groups are: the variance is the jackknife's (Tukey
// 1958) over the groups, each left out once. ok is false where fewer than need
// values would remain, or there are fewer than two groups.
func pooledTail(groups [][]float64, need int) (e estimate, ok bool) {
	type item struct {
		v     float64
		group int
	}
	var all []item
	longest := 0
	for i, g := range groups {
		longest = max(longest, len(g))
		for _, v := range g {
			all = append(all, item{v, i})
		}
	}
	if len(groups) < 2 || len(all)-longest < need {
		return e, false
	}
	slices.SortFunc(all, func(x, y item) int { return cmp.Compare(x.v, y.v) })
	places := make([][]int, len(groups)) // of each group's values in all
	for i, x := range all {
		places[x.group] = append(places[x.group], i)
	}
	// tail is taken without the values at places.
	tail := func(places []int) float64 {
		rest := len(all) - len(places)
		at := func(i int) float64 { // the i-th of the rest
			for _, p := range places {
				if p > i {
					break
				}
				i++
			}
			return all[i].v
		}
		q := func(p float64) float64 {
			i, part := math.Modf(p * float64(rest-1))
			low := at(int(i))
			return low + float64(part*(at(min(int(i)+1, rest-1))-low))
		}
		return math.Log(q(0.95) / q(0.5))
	}
	e.value = tail(nil)
	n := float64(len(groups))
	left := make([]float64, len(groups))
	for i := range left {
		left[i] = tail(places[i])
	}
	mean := stat.Mean(left, nil)
	floats.AddConst(-mean, left)
	e.variance, e.df = (n-1)/n*floats.Dot(left, left), n-1
	return e, finite(e.value) != nil && finite(e.variance) != nil
}
