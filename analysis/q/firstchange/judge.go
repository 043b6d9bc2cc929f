package firstchange

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
)

const (
	// changeError is how often a change may be told that is none.
	changeError = 0.01
	// sizeStep is by how much sizes must differ to count as two.
	sizeStep = 1.1
)

// over is the logarithm of z's level over base's, with its bounds, either of which is
// wrong with probability p; ok is false where nothing tells its error.
func over(base, z level, p float64) (value, low, high float64, ok bool) {
	value = math.Log(z.value / base.value)
	if z.df > 0 {
		// The scatter of processes: bounds of the difference from those of either (MOVER: Zou
		// and Donner 2008, Stat. Med. 27, 1693), which are by chi-squared.
		bounds := func(l level) (low, at, high float64) {
			chi := distuv.ChiSquared{K: l.df}
			at = z99 * l.sd
			return at * math.Sqrt(l.df/chi.Quantile(1-p)), at, at * math.Sqrt(l.df/chi.Quantile(p))
		}
		zl, zs, zh := bounds(z)
		bl, bs, bh := bounds(base)
		return value, value - math.Hypot(zs-zl, bh-bs), value + math.Hypot(zh-zs, bs-bl), true
	}
	var e stats.Estimate
	if z.alone != nil && base.alone != nil {
		e = z.alone.Minus(*base.alone)
	} else {
		var apart []float64
		for b, v := range z.byBlock {
			if w, both := base.byBlock[b]; both {
				apart = append(apart, v-w)
			}
		}
		slices.Sort(apart) // the sum must not depend on the order of a map
		if e, ok = stats.MeanT(apart); !ok {
			return value, 0, 0, false
		}
	}
	half := e.Half(2 * p)
	return e.Value, e.Value - half, e.Value + half, true
}

// change is what an aspect does on a series; nil where nothing of it was recorded.
func (a *asker) change(s cells.Series, x *aspect) *Change {
	c := &Change{Series: s, Mode: x.mode, Aspect: x.name, Quantity: x.quantity, Unit: x.unit, Factor: x.factor, Verdict: Unknown, of: x}
	if x.learn == nil {
		a.feasible(c)
		return c
	}
	x.learn(a, c)
	if c.Models = len(c.levels); c.Models == 0 && x.topic == "" {
		return nil
	}
	c.judge()
	return c
}

// judge tests the levels.
func (c *Change) judge() {
	if c.Models == 0 {
		c.Reason = map[string]string{"latency": "no model of known size has a time over all scenarios", "tails_in_calls": "no model of known size has enough token times"}[c.Aspect]
		if c.Reason == "" {
			c.Reason = "the scatter of processes takes three blocks at least"
		}
		return
	}
	base, last := c.levels[0], c.levels[len(c.levels)-1]
	c.Smallest, c.SmallM, c.Level, c.LargestM = base.Name, base.ParamsMillions, stats.Finite(base.value), last.ParamsMillions
	larger := slices.DeleteFunc(slices.Clone(c.levels), func(l level) bool { return *l.ParamsMillions < sizeStep**base.ParamsMillions })
	if len(larger) == 0 && c.without > 0 {
		c.Reason = fmt.Sprintf("%d of %s VALID in all scenarios; a change takes sizes that are %g times apart", c.Models, words.Counted(c.Models+c.without, "model", "models"), sizeStep)
		return
	}
	if len(larger) == 0 {
		c.Reason = fmt.Sprintf("%s of one size measured; a change takes sizes that are %g times apart", words.Counted(c.Models, "model", "models"), sizeStep)
		return
	}
	c.Basis = cells.BasisProcesses
	if last.alone != nil {
		c.Basis = cells.BasisOne
	}
	c.Times = stats.Finite(last.value / base.value)
	value, low, high, ok := over(base, last, (1-stats.Confidence)/2)
	if !ok {
		c.Basis, c.Reason = cells.BasisOne, "of one process in one block nothing tells how far another would differ"
		return
	}
	c.Times, c.TimesCI = stats.Finite(math.Exp(value)), stats.NewInterval(math.Exp(low), math.Exp(high))

	// From the largest down, each at the full error: a false one is told only where those
	// above it were true or false before it (a fixed sequence: Maurer, Hothorn and Lehmacher 1995).
	factor, from := math.Log(c.Factor), len(larger)
	for from > 0 {
		if _, low, _, ok := over(base, larger[from-1], changeError); !ok || !(low > factor) {
			break
		}
		from--
	}
	if from < len(larger) {
		c.Verdict = Changes
		c.locate(base, larger[:from], larger[from])
		return
	}
	// Never: each of them is shown to be below; no correction, since all must be.
	var doubt *level
	for i := range larger {
		if _, _, high, ok := over(base, larger[i], 1-stats.Confidence); !ok || !(high < factor) {
			doubt = &larger[i]
		}
	}
	at := fmt.Sprintf("on %s it is %s times that on %s (95 %% %s)", name(last), doc.Fixed(c.Times, 2), name(base), doc.Interval(c.TimesCI, 2))
	switch {
	case doubt == nil:
		c.Verdict, c.Reason = Never, at+fmt.Sprintf("; all models are shown to be below %g times", c.Factor)
	case doubt.Model == last.Model:
		c.Reason = at + fmt.Sprintf(": neither more nor less than %g times is shown", c.Factor)
	default:
		value, _, high, _ := over(base, *doubt, (1-stats.Confidence)/2)
		c.Reason = at + fmt.Sprintf(", and on %s %.2f times (up to %.2f): no order of size", name(*doubt), math.Exp(value), math.Exp(high))
	}
}

func name(l level) string { return fmt.Sprintf("%s (%s)", l.Name, doc.Params(l.ParamsMillions)) }

// soonest is the least size from which on it may have changed, latest the greatest.
func (c *Change) soonest() float64 {
	if c.Between == nil {
		return cells.OrInf(c.SizeM)
	}
	return c.Between.Low
}

func (c *Change) latest() float64 {
	if c.Between == nil {
		return cells.OrInf(c.SizeM)
	}
	return c.Between.High
}
