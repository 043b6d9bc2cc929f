package firstchange

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/law"
	"llmscale/analysis/stats"
)

// locate finds the size from which on the law of the levels is Factor times what it is
// on the smallest model. shown is the smallest model from which on all are shown to be
// beyond, below are the others.
func (c *Change) locate(base level, below []level, shown level) {
	least := base // up to where all are shown not to be beyond
	for _, l := range below {
		if _, _, high, ok := over(base, l, 1-stats.Confidence); !ok || !(high < math.Log(c.Factor)) {
			break
		}
		least = l
	}
	measured := stats.NewInterval(*least.ParamsMillions, *shown.ParamsMillions)
	c.Between, c.Reason = measured, fmt.Sprintf("shown from %s on", name(shown))
	if least.Model != base.Model {
		c.Reason += fmt.Sprintf(", and not up to %s", name(least))
	}

	told := law.Compete(stats.Map(c.levels, func(l level) law.Point { return law.Point{X: *l.ParamsMillions, T: l.value} }))
	leader := told.Leader()
	if leader == nil {
		c.Reason += "; too few models for a law"
		return
	}
	from, to := *base.ParamsMillions, *c.LargestM
	size, between := crossing(leader, math.Log(c.Factor), from, to)
	forms := []string{spoken(leader.Form)}
	rivals := told.Rivals
	if told.Verdict == law.TooFew {
		rivals = stats.Map(told.Laws[1:], func(l *law.Law) law.Form { return l.Form })
	}
	if leader.Form == law.Straight && !slices.Contains(rivals, law.Power) {
		rivals = append(rivals, law.Power) // in proportion the growth has no error: its exponent is taken as known
	}
	for _, form := range rivals {
		l := told.Law(form)
		if l == nil {
			continue
		}
		if _, also := crossing(l, math.Log(c.Factor), from, to); also != nil && between != nil {
			between = stats.NewInterval(min(between.Low, also.Low), max(between.High, also.High))
			forms = append(forms, spoken(form))
		}
	}
	if between == nil || between.Low > measured.High || between.High < measured.Low {
		c.Reason += fmt.Sprintf("; no law puts the size there (%s)", forms[0])
		return
	}
	c.Law, c.SizeM = string(leader.Form), &size
	c.Between = stats.NewInterval(min(size, max(between.Low, measured.Low)), max(size, min(between.High, measured.High)))
	if len(forms) > 1 {
		c.Reason += fmt.Sprintf("; the interval holds for %s, between which these sizes do not decide", strings.Join(forms, ", "))
	}
}

// spoken is a form for readers.
func spoken(f law.Form) string { return strings.ReplaceAll(string(f), "_", " ") }

// crossing is where a law is exp(factor) times what it is at the size from, up to the
// size to, with the sizes at which the 95 % interval of that growth holds the factor;
// nil where the law does not get there, or its error is unknown.
func crossing(l *law.Law, factor, from, to float64) (size float64, between *stats.Interval) {
	start := law.Point{X: from}
	grown := func(x, sign float64) float64 {
		e := l.Growth(start, law.Point{X: x})
		if sign == 0 {
			return e.Value - factor
		}
		if math.IsNaN(e.Variance) {
			return math.NaN()
		}
		return e.Value + sign*e.Half(1-stats.Confidence) - factor
	}
	const steps = 200
	// first is the least size from which on a bound is beyond the factor; the greatest at
	// which it is not, for the lower one.
	first := func(sign float64) (x float64, ok bool) {
		at := func(i int) float64 { return from * math.Pow(to/from, float64(i)/steps) }
		i := 0
		if sign < 0 {
			for i = steps; i > 0 && grown(at(i), sign) >= 0; i-- {
			}
			if i == steps {
				return to, !math.IsNaN(grown(to, sign))
			}
			i++
		} else {
			for ; i <= steps && !(grown(at(i), sign) >= 0); i++ {
			}
			if i > steps {
				return 0, false
			}
		}
		low, high := at(i-1), at(i)
		for range 30 {
			if mid := math.Sqrt(low * high); grown(mid, sign) >= 0 {
				high = mid
			} else {
				low = mid
			}
		}
		return high, true
	}
	size, ok := first(0)
	low, okLow := first(1)
	high, okHigh := first(-1)
	if !ok || !okLow || !okHigh {
		return 0, nil
	}
	return size, stats.NewInterval(low, high)
}
