package lengths

import (
	"fmt"

	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// KindLengths is the kind of the figures.
const KindLengths = "lengths"

// Figures show time against the length with the fitted laws, one for each series and
// mode, and where attention takes half of it.
func (a *Answer) Figures(known *intervals.Answer) (out []figure.Figure) {
	for _, k := range a.groups() {
		f := figure.Figure{Kind: KindLengths, Name: "lengths_" + k.mode + "_" + k.Backend + k.FileSuffix(),
			Title: fmt.Sprintf("%s against its length: %s", doc.Upper(prose.Mode(k.mode)), k.Series.Title())}
		shown, left := figure.Spread(k.laws, "models")
		var layers []figure.Layer
		half := figure.Layer{Look: figure.Ink()}
		for i, l := range shown {
			points := figure.Layer{Look: figure.Ramp(i, len(shown)).Stroke(1.2), End: l.Model}
			for _, n := range a.Lengths {
				if n.Series() == k.Series.Series && n.Model == l.Model && n.Mode == k.mode {
					pt := figure.Point{Name: l.Model, X: n.Length, Y: n.MS, N: n.N, Of: "calls"}
					if n.CI != nil {
						pt.Low, pt.High = n.CI.Low, n.CI.High
					}
					for _, sc := range n.scenarios {
						known.Mark(&pt, k.Key(l.Model, sc, k.mode))
					}
					points.Points = append(points.Points, pt)
				}
			}
			g, lawful := l.growth()
			if lawful {
				for _, pt := range points.Points {
					points.Line = append(points.Line, figure.XY{X: pt.X, Y: g.at(pt.X, l.Mode)})
				}
			} else {
				points.Join()
			}
			layers = append(layers, points)
			if l.Verdict == Within && *l.TakesOver >= l.Shortest {
				pt := figure.Point{Name: l.Model, X: *l.TakesOver, Y: g.at(*l.TakesOver, l.Mode), Hollow: true, Of: fmt.Sprintf("the law of %d lengths", l.NLengths)}
				if l.TakesOverLow != nil && l.TakesOverHigh != nil {
					pt.Note = fmt.Sprintf("95 %% interval of the length: %s to %s", doc.Number(*l.TakesOverLow), doc.Number(*l.TakesOverHigh))
				}
				half.Points = append(half.Points, pt)
			}
		}
		x, y := figure.Spans(layers...)
		over, time := "length of the prompt (tokens)", "prefill (ms)"
		if k.mode == record.ModeDecode {
			over, time = "position in the KV cache (tokens)", "decode step (ms)"
		}
		f.X, f.Panels = figure.LogAxis(over, x), []figure.Panel{{Y: figure.LogAxis(time, y), Layers: layers}}
		if len(half.Points) > 0 {
			f.Legend = []figure.Key{half.Key("attention takes half of the time")}
			f.Panels[0].Layers = append(f.Panels[0].Layers, half)
		}
		f.Subtitle = fmt.Sprintf("mode %s · %s · medians, lines: the fitted law%s", k.mode, doc.Count(len(k.laws), "model", "models"), left)
		f.Caption = fmt.Sprintf("Time of %s on %s against its length, with each model's law.", modeName(k.mode), k.Series.Title())
		if len(half.Points) > 0 {
			f.Caption += " Hollow: attention takes half."
		}
		out = append(out, f)
	}
	return out
}

// growth is the law as fitted over all blocks.
func (l *Law) growth() (g growth, ok bool) {
	if l.FixedMS == nil || l.AttentionNS == nil {
		return g, false
	}
	g.fixed, g.attention = *l.FixedMS, *l.AttentionNS/1e6
	if l.TokenMS != nil {
		g.token = *l.TokenMS
	}
	return g, true
}
