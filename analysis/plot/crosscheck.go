package plot

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/runner/record"
)

// crosscheckFigures show for each native and Ollama backend the ratio of their
// times against size: decode above, prefill below.
func (b *book) crosscheckFigures() []figure.Figure {
	type pair struct {
		native, ollama string
		batch          int
	}
	var order []pair
	rows := map[pair][]*analysis.Crosscheck{}
	for i := range b.r.Crosscheck {
		c := &b.r.Crosscheck[i]
		if c.Counters.Ratio == nil || c.ParamsM == nil || !(*c.ParamsM > 0) {
			continue
		}
		p := pair{c.Native, c.Ollama, c.BatchSize}
		if rows[p] == nil {
			order = append(order, p)
		}
		rows[p] = append(rows[p], c)
	}
	var out []figure.Figure
	for _, p := range order {
		f := crosscheckFigure(rows[p])
		s := cells.Series{Backend: p.ollama, BatchSize: p.batch}
		f.Name = "crosscheck_" + p.native + "_" + p.ollama + s.FileSuffix()
		f.Title = fmt.Sprintf("Ollama's time over native's against model size: %s, %s", s.Title(), p.native)
		out = append(out, f)
	}
	return out
}

func crosscheckFigure(rows []*analysis.Crosscheck) figure.Figure {
	var scenarios []string
	var x, calls figure.Span
	models := map[string]bool{}
	for _, c := range rows {
		if !slices.Contains(scenarios, c.Scenario) {
			scenarios = append(scenarios, c.Scenario)
		}
		x.Add(*c.ParamsM)
		calls.Add(float64(min(c.NativeN, c.Counters.N)))
		models[c.Model] = true
	}
	scenarios, left := figure.First(scenarios, "scenarios")
	f := figure.Figure{Kind: KindCrosscheck, X: figure.LogAxis(cells.ParamsLabel, x)}
	dashed := figure.Muted().Stroke(0.8, 4, 3)
	levels := []figure.Layer{
		{Look: figure.Ink().Stroke(0.9), Level: new(1.0)},
		{Look: dashed, Level: new(1 - analysis.CrosscheckTolerance)},
		{Look: dashed, Level: new(1 + analysis.CrosscheckTolerance)},
	}
	for _, phase := range []string{record.ModeDecode, record.ModePrefill} {
		var y figure.Span
		var layers []figure.Layer
		named := map[string]bool{}
		for i, sc := range scenarios {
			l := figure.Layer{Look: figure.Series(i)}
			// Scenarios stand a little beside each other, so that no interval covers another.
			shift := math.Pow(f.X.Max/f.X.Min, 0.011*(float64(i)-float64(len(scenarios)-1)/2))
			for _, c := range rows {
				if c.Phase != phase || c.Scenario != sc {
					continue
				}
				pt := figure.Point{Name: c.Model, X: *c.ParamsM * shift, Y: *c.Counters.Ratio, Named: !named[c.Model]}
				named[c.Model] = true
				if ci := c.Counters.RatioCI; ci != nil {
					pt.Low, pt.High = ci.Low, ci.High
					y.Add(pt.Low, pt.High)
				}
				y.Add(pt.Y)
				l.Points = append(l.Points, pt)
			}
			if len(l.Points) == 0 {
				continue
			}
			layers = append(layers, l)
			if !slices.ContainsFunc(f.Legend, func(k figure.Key) bool { return k.Text == sc }) {
				f.Legend = append(f.Legend, l.Key(sc))
			}
		}
		if len(layers) > 0 {
			label := map[string]string{record.ModeDecode: "decode: Ollama / native", record.ModePrefill: "prefill: Ollama / native"}[phase]
			f.Panels = append(f.Panels, figure.Panel{Y: ratioAxis(label, y, 0.3, 0), Layers: append(slices.Clone(levels), layers...)})
		}
	}
	f.Legend = append(f.Legend, levels[1].Key(fmt.Sprintf("%.0f %% off", 100*analysis.CrosscheckTolerance)))
	f.Subtitle = fmt.Sprintf("Ollama's own counters against native without sampling · %s · ratio of medians over %s calls or more, 95 %% interval within one process%s", count(len(models), "model", "models"), calls, left)
	f.Caption = fmt.Sprintf("Ratio of Ollama's times (its own counters, without sampling) to native ones against model size, for each scenario; above 1 Ollama is slower. Points are ratios of medians over %s calls of the side that has fewer, whiskers their 95 %% intervals, which hold within one process; points of one size stand a little beside each other. Dashed lines are %.0f %% off. "+
		"A ratio that falls towards 1 as models grow is a fixed cost of each token or call; one that stays is a cost in proportion to the work.", calls, 100*analysis.CrosscheckTolerance)
	return f
}
