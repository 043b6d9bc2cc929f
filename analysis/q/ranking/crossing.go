package ranking

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/stats"
)

// Verdicts on two backends.
const (
	Crosses   = "crosses"    // each is shown to be faster at some sizes
	OneFaster = "one_faster" // the same one is shown to be at all sizes
	NoneShown = "none_shown"
)

// Crossing is where of two backends the one overtakes the other, if it does.
type Crossing struct {
	Base string `json:"base_backend" doc:"the one that comes first in the plan"`
	cells.Series
	Differ   []string `json:"differ_in" doc:"settings in which they differ"`
	Mode     string   `json:"mode" doc:"prefill or kv_decode"`
	Scenario string   "json:\"scenario\" doc:\"name of the scenario, or `__all__`\""

	Verdict string   `json:"verdict" doc:"crosses (each is shown to be faster at some sizes), one_faster (the same one at all sizes), or none_shown"`
	Below   string   `json:"faster_below" doc:"which one is faster below that size, or at all"`
	Above   string   `json:"faster_above" doc:"which one is faster above it, or at all"`
	SizeM   *float64 `json:"size_millions" unit:"1e6" doc:"parameters at which they cross"`
	Low     *float64 `json:"size_ci_low" unit:"1e6" doc:"its 95 % interval, lower end"`
	High    *float64 `json:"size_ci_high" unit:"1e6" doc:"its 95 % interval, upper end"`
	policy.Facts
	Reason string "json:\"reason\" doc:\"what `verdict` rests on\""
}

// crossings judges each two backends. A crossing is claimed by tests that err, over all pairs of the event, in 5 %
// (Bonferroni); its interval is of 95 %.
func (e *event) crossings() (out []Crossing) {
	order, of := stats.GroupBy(e.entries, func(x entry) cells.Series { return x.Series })
	pairs := float64(len(order) * (len(order) - 1) / 2)
	for i, x := range order {
		for _, y := range order[i+1:] {
			c := Crossing{Base: x.Backend, Series: y, Mode: e.mode, Scenario: e.scenario}
			var sizes []policy.Size
			for _, b := range of[x] {
				for _, o := range of[y] {
					if p := b.model.ParamsMillions; b.model.Name == o.model.Name && p != nil && *p > 0 {
						sizes = append(sizes, policy.Size{Millions: *p, Base: b.times, Other: o.times, Share: 1})
						c.Differ = b.settings.Differing(o.settings)
					}
				}
			}
			if len(sizes) > 0 {
				over := policy.OverSizes(sizes)
				c.judge(&over, (1-stats.Confidence)/pairs)
				out = append(out, c)
			}
		}
	}
	return out
}

func (c *Crossing) judge(o *policy.Over, p float64) {
	c.Facts, c.Verdict = o.Facts(), NoneShown
	switch {
	case c.NSizes == 0:
		c.Reason = o.Reason
		return
	case o.Identical():
		c.Reason = "identical: what they differ in does nothing here"
		return
	}
	strict, probes := o.Curve.Probes(p), o.Curve.Probes(1-stats.Confidence)
	slower, faster := stats.Beyond(probes, 1, 0), stats.Beyond(probes, -1, 0)
	claim := len(stats.Beyond(strict, 1, 0)) > 0 && len(stats.Beyond(strict, -1, 0)) > 0
	switch {
	case claim && len(slower) == 1 && len(faster) == 1:
		c.Verdict, c.Below, c.Above, c.Reason = Crosses, c.Base, c.Backend, "each is shown to be faster on its side"
		edge := slower[0].To
		if edge == nil {
			c.Below, c.Above, edge = c.Backend, c.Base, faster[0].To
		}
		c.SizeM, c.Low, c.High = policy.Exp(edge.At), policy.Exp(edge.Low), policy.Exp(edge.High)
	case claim:
		c.Verdict, c.Reason = Crosses, "more than once: see the ratios of each size"
	case len(slower) == 1 && slower[0] == (stats.Stretch{}):
		c.Verdict, c.Below, c.Above, c.Reason = OneFaster, c.Base, c.Base, "shown at all sizes"
	case len(faster) == 1 && faster[0] == (stats.Stretch{}):
		c.Verdict, c.Below, c.Above, c.Reason = OneFaster, c.Backend, c.Backend, "shown at all sizes"
	case len(slower) > 0 && len(faster) == 0:
		c.Reason = c.Base + " is faster at some sizes, and the other at none that is shown"
	case len(faster) > 0 && len(slower) == 0:
		c.Reason = c.Backend + " is faster at some sizes, and the other at none that is shown"
	case len(slower) > 0:
		c.Reason = "each is faster somewhere, but not beyond what chance gives one of so many pairs"
	default:
		c.Reason = "no interval excludes 1"
	}
}
