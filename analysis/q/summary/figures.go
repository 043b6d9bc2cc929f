package summary

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// KindShare is the kind of the figures.
const KindShare = "share"

// Figures show the share of decode in end-to-end time against size, one
// figure for each backend with a line for each scenario.
func (a *Answer) Figures() []figure.Figure {
	_, of := stats.GroupBy(slices.DeleteFunc(slices.Clone(a.DecodeFractions), func(d DecodeFraction) bool {
		return d.Scenario == cells.AllScenarios || d.ParamsM == nil || *d.ParamsM <= 0
	}), func(d DecodeFraction) cells.Series { return d.Series() })
	var out []figure.Figure
	for _, s := range a.set.Series {
		if len(of[s]) > 0 {
			out = append(out, a.shareFigure(s, of[s]))
		}
	}
	return out
}

func (a *Answer) shareFigure(s cells.Series, shares []DecodeFraction) figure.Figure {
	scenarios, of := stats.GroupBy(shares, func(d DecodeFraction) string { return d.Scenario })
	named := map[string]bool{}
	all := " · " + text.Counted(len(scenarios), "scenario", "scenarios")
	scenarios, left := figure.First(scenarios, "scenarios")
	f := figure.Figure{
		Kind:  KindShare,
		Name:  "decode_share_" + s.Backend + s.FileSuffix(),
		Title: fmt.Sprintf("Decode share of end-to-end time against model size: %s", s.Title()),
	}
	var x, y figure.Span
	var layers []figure.Layer
	for i, scenario := range scenarios {
		l := figure.Layer{Look: figure.Series(i)}
		for _, d := range of[scenario] {
			pt := figure.Point{Name: d.Model, X: *d.ParamsM, Y: 100 * d.Fraction, Named: !named[d.Model]}
			l.Points = append(l.Points, pt)
			named[pt.Name] = true
			x.Add(pt.X)
			y.Add(pt.Y)
		}
		l.Join()
		layers, f.Legend = append(layers, l), append(f.Legend, l.Key(prose.InScenario(scenario)))
	}
	f.X = figure.LogAxis(cells.ParamsLabel, x)
	f.Panels = []figure.Panel{{Y: figure.LinearAxis("decode share of end-to-end time (%)", y, 2, math.NaN(), 100), Layers: layers}}
	answer := ""
	if n := a.set.AnswerLength(cells.AllScenarios, record.ModeDecode); n > 0 {
		answer = fmt.Sprintf("answers of %d tokens", n)
	}
	f.Subtitle = text.Counted(len(named), "model", "models") + cmp.Or(left, all)
	f.Caption = "Share of decode in end-to-end time against model size, for " + s.Title()
	if answer != "" {
		f.Subtitle += " · " + answer
		f.Caption += ", " + answer
	}
	f.Caption += ": median decode divided by median end-to-end time, for each scenario. The rest is prefill. The axis does not start at zero."
	return f
}
