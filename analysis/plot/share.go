package plot

import (
	"cmp"
	"fmt"
	"math"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/summary"
)

// shareFigures show the share of decode in end-to-end time against size, one
// figure for each backend with a line for each scenario.
func (b *book) shareFigures() []figure.Figure {
	var out []figure.Figure
	for _, s := range b.series {
		out = append(out, b.shareFigure(s)...)
	}
	return out
}

func (b *book) shareFigure(s cells.Series) []figure.Figure {
	var scenarios []string
	points := map[string][]figure.Point{}
	named := map[string]bool{}
	for _, d := range analysis.Get[summary.Answer](b.r).DecodeFractions {
		if d.Backend != s.Backend || d.BatchSize != s.BatchSize || d.Scenario == cells.AllScenarios || d.ParamsM == nil || *d.ParamsM <= 0 {
			continue
		}
		if points[d.Scenario] == nil {
			scenarios = append(scenarios, d.Scenario)
		}
		points[d.Scenario] = append(points[d.Scenario], figure.Point{Name: d.Model, X: *d.ParamsM, Y: 100 * d.Fraction})
	}
	if len(scenarios) == 0 {
		return nil
	}
	all := " · " + count(len(scenarios), "scenario", "scenarios")
	scenarios, left := figure.First(scenarios, "scenarios")
	f := figure.Figure{
		Kind:  KindShare,
		Name:  "decode_share_" + s.Backend + s.FileSuffix(),
		Title: fmt.Sprintf("Decode share of end-to-end time against model size: %s", s.Title()),
	}
	var x, y figure.Span
	var layers []figure.Layer
	for i, scenario := range scenarios {
		l := figure.Layer{Look: figure.Series(i), Points: points[scenario]}
		for k := range l.Points {
			pt := &l.Points[k]
			pt.Named = !named[pt.Name]
			named[pt.Name] = true
			x.Add(pt.X)
			y.Add(pt.Y)
		}
		l.Join()
		layers, f.Legend = append(layers, l), append(f.Legend, l.Key(scenarioTitle(scenario)))
	}
	f.X = figure.LogAxis(cells.ParamsLabel, x)
	f.Panels = []figure.Panel{{Y: figure.LinearAxis("decode share of end-to-end time (%)", y, 2, math.NaN(), 100), Layers: layers}}
	answer := ""
	if n := b.genTokens(cells.AllScenarios); n > 0 {
		answer = fmt.Sprintf("answers of %d tokens", n)
	}
	f.Subtitle = count(len(named), "model", "models") + cmp.Or(left, all)
	f.Caption = "Share of decode in end-to-end time against model size, for " + s.Title()
	if answer != "" {
		f.Subtitle += " · " + answer
		f.Caption += ", " + answer
	}
	f.Caption += ": median decode divided by median end-to-end time, for each scenario. The rest is prefill. The axis does not start at zero."
	return []figure.Figure{f}
}
