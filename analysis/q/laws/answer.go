// Package laws asks which law the time of a call follows as models grow: over which
// measure of size, with a break or without one, and whether one model alone makes it.
package laws

import (
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/law"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/stats"
)

// Answer has the laws of a run.
type Answer struct {
	finding.Notes
	set *cells.Set

	Answers struct {
		Laws []*Finding `json:"laws"` // for each series, mode and scenario, and over all scenarios
	} `json:"answers"`
}

// What is found of a series, beside law.Leads, law.Unsure and law.TooFew.
const (
	Withheld = "withheld" // one model makes the law: Stray; the law is that of the others
	Flat     = "flat"     // the time does not grow
	Unclear  = "unclear"  // whether it grows
)

// flatExponent is how near 0 an exponent counts as no growth: doubling the size adds
// 3.5 % at most.
const flatExponent = 0.05

// Finding is the law of the models of one kind of a series, in one mode and scenario.
type Finding struct {
	scaling.Subject
	Of     string   `json:"of"`    // the kind of the models, where a series has several; "" all of them
	Mixed  []string `json:"mixed"` // what differs between the models beside their size
	Apart  []string `json:"apart"` // models of other kinds, too few for a law of their own
	Models []string `json:"models"`

	Axis        string   `json:"x_axis"`         // that leads: by leave-one-out error, or the run's where that shows no better
	AxisVerdict string   `json:"x_axis_verdict"` // leads, cannot_distinguish, only or too_few
	AxisRivals  []string `json:"x_axis_rivals"`  // axes that explain the times as well

	Verdict  string     `json:"verdict"` // leads, cannot_distinguish, too_few, flat, unclear or withheld
	Law      *law.Law   `json:"-"`       // the leader; of few sizes the power law
	Told     *Row       `json:"law"`     // the same
	Rivals   []law.Form `json:"rivals"`
	Exponent *law.Param `json:"exponent"` // of a power law, whether it leads or not; over the rest of Withheld
	Doubling *float64   `json:"doubling_factor"`
	Stray    *Stray     `json:"stray"` // the model that fits the others' line least, where that is shown
	Breaks   *law.Break `json:"-"`
	Break    string     `json:"break"` // none, shown, bends (a law without a break explains it as well) or unknown
	Why      string     `json:"why"`   // there is no law
	steps    float64    // tokens of an answer, where they are one number; else 0
	axes     []onAxis
	at       int // the axis that leads
}

// Stray is a model that does not fit the others' power law.
type Stray struct {
	Model string   `json:"model"`
	Times float64  `json:"times_the_line"` // its time over that of the others' line
	P     float64  `json:"p"`              // of the worst of all models, by Bonferroni
	Moves bool     `json:"moves_exponent"` // beyond the exponent's interval with it or without it
	With  *float64 `json:"exponent_with"`
}

// onAxis is what a tournament over one axis gave.
type onAxis struct {
	axis     cells.Axis
	models   []*cells.Model
	points   []law.Point
	blocks   [][]law.Point // the same, by blocks that measured all of them
	all      *law.Tournament
	rest     *law.Tournament // without the model that makes the exponent; else all
	stray    *law.Stray
	withheld bool // the exponent: stray makes it
	whole    bool // a law of all models is told all the same: it foretells stray
}

// told are the points of the law that is told.
func (o *onAxis) told() []law.Point {
	if o.withheld && !o.whole {
		return law.Without(o.points, o.stray.Index)
	}
	return o.points
}

// Ask asks the cells of a run, of which judged says what may be used, and bounds what
// the machine can do at most.
func Ask(c *cells.Set, judged *intervals.Answer, bounds *regimes.Answer) *Answer {
	a := &asker{c, judged, limitsOf(c, bounds), &Answer{set: c}}
	for _, s := range a.Series {
		for _, mode := range a.Modes {
			for _, scenario := range append(slices.Clone(a.Scenarios), cells.AllScenarios) {
				a.series(s, mode, scenario)
			}
		}
	}
	return a.out
}

// Of are the findings of a mode over all scenarios, those of the series that leads first.
func (a *Answer) Of(mode string) (out []*Finding) {
	lead, _ := prose.Lead(a.set)
	leads := 0
	for _, f := range a.Answers.Laws {
		switch {
		case f.Mode != mode || f.Scenario != cells.AllScenarios:
		case f.Series == lead.Series:
			out = slices.Insert(out, leads, f)
			leads++
		default:
			out = append(out, f)
		}
	}
	return out
}

// Main is the finding of the most models of a series in a mode; nil without one.
func (a *Answer) Main(s cells.Series, mode string) (main *Finding) {
	for _, f := range a.Of(mode) {
		if f.Series == s && (main == nil || len(f.Models) > len(main.Models)) {
			main = f
		}
	}
	return main
}

// At is ln time of one more model with these facts by the laws that are told, over the
// axis that leads, and its error; ok is false where they have none.
func (f *Finding) At(p law.Point) (e stats.Estimate, ok bool) { return f.axes[f.at].best().Predict(p) }

// best is the tournament of the models that are told of.
func (o *onAxis) best() *law.Tournament {
	if o.whole {
		return o.all
	}
	return o.rest
}
