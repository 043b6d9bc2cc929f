package crosscheck

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// figureKind is the kind of the figures.
const figureKind = "crosscheck"

// Figures show for each native and Ollama backend the ratio of their times against
// size: decode above, prefill below.
func (a *Answer) Figures(known *intervals.Answer) []figure.Figure {
	var drawn []*Comparison
	for i := range a.Comparisons {
		if c := &a.Comparisons[i]; c.Counters.Ratio != nil && c.ParamsM != nil && *c.ParamsM > 0 {
			drawn = append(drawn, c)
		}
	}
	pairs, rows := stats.GroupBy(drawn, func(c *Comparison) Pair { return c.Pair })
	var out []figure.Figure
	for _, p := range pairs {
		f := ratioFigure(rows[p], known)
		s := cells.Series{Backend: p.Ollama, BatchSize: p.BatchSize}
		f.Name = "crosscheck_" + p.Native + "_" + p.Ollama + s.FileSuffix()
		f.Title = fmt.Sprintf("Ollama's time over native's against model size: %s, %s", s.Title(), p.Native)
		out = append(out, f)
	}
	return out
}

// of is the cell of one of the two backends.
func (c *Comparison) of(backend string) cells.Key {
	return cells.Series{Backend: backend, BatchSize: c.BatchSize}.Key(c.Model, c.Scenario, c.Phase)
}

func ratioFigure(rows []*Comparison, known *intervals.Answer) figure.Figure {
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
	f := figure.Figure{Kind: figureKind, X: figure.LogAxis(cells.ParamsLabel, x)}
	dashed, off := figure.Muted().Stroke(0.8, 4, 3), fmt.Sprintf("%.0f %% off", 100*Tolerance)
	levels := []figure.Layer{
		{Look: figure.Ink().Stroke(0.9), Level: new(1.0)},
		{Name: off, Look: dashed, Level: new(1 - Tolerance)},
		{Name: off, Look: dashed, Level: new(1 + Tolerance)},
	}
	for _, phase := range textPhases {
		var layers []figure.Layer
		for i, sc := range scenarios {
			l := figure.Layer{Name: sc, Look: figure.Series(i)}
			// Scenarios stand a little beside each other, so that no interval covers another.
			shift := math.Pow(f.X.Max/f.X.Min, 0.011*(float64(i)-float64(len(scenarios)-1)/2))
			for _, c := range rows {
				if c.Phase != phase || c.Scenario != sc {
					continue
				}
				pt := figure.Point{Name: c.Model, X: *c.ParamsM * shift, Y: *c.Counters.Ratio}
				known.Mark(&pt, c.of(c.Native), c.of(c.Ollama))
				pt.N, pt.Of = min(c.NativeN, c.Counters.N), "calls of the side with fewer"
				if ci := c.Counters.RatioCI; ci != nil {
					pt.Low, pt.High = ci.Low, ci.High
				}
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
			figure.NameOnce(layers)
			_, y := figure.Spans(layers...)
			label := map[string]string{record.ModeDecode: "decode: Ollama / native", record.ModePrefill: "prefill: Ollama / native"}[phase]
			f.Panels = append(f.Panels, figure.Panel{Y: figure.RatioAxis(label, y, 0.3, 0), Layers: append(slices.Clone(levels), layers...)})
		}
	}
	f.Legend = append(f.Legend, levels[1].Key(off))
	within := prose.Within(rows[0].Counters.Basis)
	f.Subtitle = fmt.Sprintf("Ollama's own counters against native without sampling · %s · ratio of medians over %s calls or more, 95 %% interval%s%s", doc.Count(len(models), "model", "models"), calls, within, left)
	f.Caption = fmt.Sprintf("Ollama's time (its counters) over native's, 95 %% intervals%s; dashed: %.0f %% off. What falls towards 1 is a fixed cost.", within, 100*Tolerance)
	return f
}
