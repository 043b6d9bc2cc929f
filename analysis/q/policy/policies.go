package policy

import (
	"cmp"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// Matters is from which ratio of times on a choice counts, either way.
const Matters = 1.1

// Verdicts on a choice over the sizes, besides Unknown.
const (
	Always  = "always"  // beyond 10 % at all sizes
	FromOn  = "from"    // from a size on
	UpTo    = "up_to"   // up to a size
	Between = "between" // from a size on, up to another
	Never   = "never"   // within 10 % at all sizes
)

// choice is a value of a setting in the place of the first one.
type choice struct {
	Choice string `json:"choice" doc:"the setting"`
	Base   string `json:"from" doc:"its first value"`
	Value  string `json:"to" doc:"the value in its place"`
	At     string `json:"at" doc:"settings that both have and others of the run have not"`
}

// Policy says at which sizes a choice changes a time by more than 10 %. A choice that makes small models slower and large
// ones faster has a row for each.
type Policy struct {
	choice
	BaseBackend string `json:"base_backend" doc:"backend of the first value"`
	Backend     string `json:"backend" doc:"backend of the other"`
	Mode        string `json:"mode" doc:"prefill or kv_decode"`
	Scenario    string `json:"scenario" doc:"name of the scenario"`

	Effect   string   `json:"effect" doc:"faster or slower, where more than 10 % are shown at some size"`
	Verdict  string   `json:"verdict" doc:"where that is shown: always (at all sizes), from a size on, up_to a size, between two; never: within 10 % at all sizes; else unknown"`
	FromM    *float64 `json:"size_from_millions" unit:"1e6" doc:"parameters from which the effect exceeds 10 %; empty with a size_from_ci_high where it may do so below the smallest size"`
	FromLow  *float64 `json:"size_from_ci_low" unit:"1e6" doc:"its 95 % interval, lower end; empty: below the smallest size"`
	FromHigh *float64 `json:"size_from_ci_high" unit:"1e6" doc:"its 95 % interval, upper end"`
	ToM      *float64 `json:"size_to_millions" unit:"1e6" doc:"parameters up to which the effect exceeds 10 %"`
	ToLow    *float64 `json:"size_to_ci_low" unit:"1e6" doc:"its 95 % interval, lower end"`
	ToHigh   *float64 `json:"size_to_ci_high" unit:"1e6" doc:"its 95 % interval, upper end; empty: above the largest size"`
	Facts
	Reason string `json:"reason" doc:"what the verdict rests on"`
}

// policies judges each value of each setting over the sizes: in each scenario, and where several are joined over these.
func (a *asker) policies(all []Comparison) (out []Policy) {
	choices, by := stats.GroupBy(all, func(c Comparison) choice { return choice{c.Axis, c.Base, c.Value, c.At} })
	for _, k := range choices {
		modes, of := stats.GroupBy(by[k], func(c Comparison) string { return c.Mode })
		slices.Sort(modes) // decode, prefill
		for _, mode := range modes {
			p := Policy{choice: k, Mode: mode, BaseBackend: of[mode][0].BaseBackend, Backend: of[mode][0].Backend}
			scenarios, in := stats.GroupBy(of[mode], func(c Comparison) string { return c.Scenario })
			for _, s := range scenarios {
				p.Scenario = s
				out = append(out, p.judge(over(in[s]))...)
			}
			joined := slices.DeleteFunc(slices.Clone(of[mode]), func(c Comparison) bool { return !a.Joins(c.Scenario) })
			if names, _ := stats.GroupBy(joined, func(c Comparison) string { return c.Scenario }); len(names) > 1 {
				p.Scenario = cells.AllScenarios
				out = append(out, p.judge(over(ofAll(joined, len(names))))...)
			}
		}
	}
	return out
}

// ofAll are the comparisons of the models that have as many scenarios: a mean over others is of other work.
func ofAll(all []Comparison, scenarios int) (out []Comparison) {
	models, of := stats.GroupBy(all, func(c Comparison) string { return c.Model })
	for _, m := range models {
		if len(of[m]) == scenarios {
			out = append(out, of[m]...)
		}
	}
	return out
}

func over(all []Comparison) *Over {
	var sizes []Size
	for _, c := range all {
		if c.ParamsM != nil && *c.ParamsM > 0 {
			sizes = append(sizes, Size{*c.ParamsM, []cells.Times{c.times}, []cells.Times{c.other}, c.share()})
		}
	}
	o := OverSizes(sizes)
	return &o
}

// judge has a row for each stretch of sizes at which more than 10 % are shown, else one that says why there is none.
func (p Policy) judge(o *Over) (out []Policy) {
	if p.Facts = o.Facts(); p.NSizes == 0 {
		p.Verdict, p.Reason = Unknown, o.Reason
		return []Policy{p}
	}
	probes := o.Curve.Probes(1 - stats.Confidence)
	for sign, effect := range effects {
		for _, s := range stats.Beyond(probes, sign, math.Log(Matters)) {
			q := p
			q.Effect, q.Verdict = effect, Always
			if s.From != nil {
				q.Verdict = FromOn
				q.FromM, q.FromLow, q.FromHigh = Exp(s.From.At), Exp(s.From.Low), Exp(s.From.High)
			}
			if s.To != nil {
				q.Verdict = map[string]string{Always: UpTo, FromOn: Between}[q.Verdict]
				q.ToM, q.ToLow, q.ToHigh = Exp(s.To.At), Exp(s.To.Low), Exp(s.To.High)
			}
			if q.Reason = "more than 10 % " + effect + " " + o.everywhere(); q.Verdict != Always {
				q.Reason = "more than 10 % " + effect + " there; elsewhere less, or the interval holds 10 %"
			}
			out = append(out, q)
		}
	}
	if len(out) > 0 {
		slices.SortFunc(out, func(x, y Policy) int { return cmp.Compare(below(x), below(y)) })
		return out
	}
	switch {
	case o.Identical():
		p.Verdict, p.Reason = Never, "identical: the setting does nothing here"
	case stats.Within(probes, math.Log(Matters)):
		p.Verdict, p.Reason = Never, "within 10 % "+o.everywhere()
	default:
		p.Verdict, p.Reason = Unknown, "intervals hold 10 %, and none lies beyond"
		for sign, effect := range effects {
			if s := stats.Beyond(probes, sign, 0); len(s) == 1 && s[0] == (stats.Stretch{}) {
				p.Reason = effect + " " + o.everywhere() + ", but 10 % are neither shown nor excluded"
			}
		}
	}
	return []Policy{p}
}

// effects of times that are longer and shorter.
var effects = map[float64]string{1: Slower, -1: Faster}

// below orders stretches by where they begin.
func below(p Policy) float64 {
	if p.FromHigh == nil {
		return 0
	}
	return *p.FromHigh
}

func Exp(log *float64) *float64 {
	if log == nil {
		return nil
	}
	return new(math.Exp(*log))
}
