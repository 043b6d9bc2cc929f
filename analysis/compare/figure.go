package compare

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/stats"
)

// figureKind is the kind of the figure.
const figureKind = "compare"

// verdictsOf are the verdicts on a model's cells in a mode, with how many have each where
// they are several.
func (c *Comparison) verdictsOf(s *Size) string {
	mine := slices.DeleteFunc(slices.Clone(c.Cells), func(x Cell) bool { return x.Mode != s.Mode || x.Model != s.Model })
	verdicts, of := stats.GroupBy(mine, func(x Cell) string { return x.Verdict })
	if len(mine) == 1 {
		return verdicts[0]
	}
	return strings.Join(stats.Map(verdicts, func(v string) string {
		return fmt.Sprintf("%s in %s", v, doc.Count(len(of[v]), "cell", "cells"))
	}), ", ")
}

// Figure shows the effect over size: whether a change helps all sizes, or small ones
// alone. ok is false where no model's size is known.
func (c *Comparison) Figure() (f figure.Figure, ok bool) {
	f = figure.Figure{Kind: figureKind, Name: figureKind,
		Title: fmt.Sprintf("Time of %s over that of %s against model size", c.Other.name(c), c.Base.name(c))}
	dashed, off := figure.Muted().Stroke(0.8, 4, 3), percent(c.Threshold)+" off"
	levels := []figure.Layer{
		{Look: figure.Ink().Stroke(0.9), Level: new(1.0)},
		{Name: off, Look: dashed, Level: new(1 / (1 + c.Threshold))},
		{Name: off, Look: dashed, Level: new(1 + c.Threshold)},
	}
	var sizes []figure.Layer
	verdicts := ""
	for i := range c.Phases {
		p := &c.Phases[i]
		l := figure.Layer{Name: PhaseName(p.Mode), Look: figure.Series(i)}
		for j := range c.Sizes {
			s := &c.Sizes[j]
			if s.Mode != p.Mode || s.ParamsM == nil || !(*s.ParamsM > 0) {
				continue
			}
			pt := figure.Point{Name: s.Model, X: *s.ParamsM, Y: s.Ratio, Named: true, N: s.N, Of: "runs of the side with fewer", Verdict: c.verdictsOf(s)}
			if c.Design == DesignBlocks {
				pt.Of = "blocks"
			}
			if s.RatioCI != nil {
				pt.Low, pt.High = s.RatioCI.Low, s.RatioCI.High
			}
			l.Points = append(l.Points, pt)
		}
		_, y := figure.Spans(l)
		y.Add(1-2*c.Threshold, 1+2*c.Threshold)
		all := figure.Layer{Look: figure.Series(i).Stroke(1.2, 1.5, 2), Level: new(p.Ratio), End: "all sizes"}
		f.Panels = append(f.Panels, figure.Panel{Y: figure.RatioAxis(PhaseName(p.Mode)+": ratio of times", y, 0.02, 0), Layers: []figure.Layer{levels[0], levels[1], levels[2], all, l}})
		f.Legend, sizes = append(f.Legend, l.Key(PhaseName(p.Mode))), append(sizes, l)
		verdicts += fmt.Sprintf(" · %s %s (%s)", PhaseName(p.Mode), p.Verdict, doc.Interval(p.RatioCI, 3))
	}
	x, _ := figure.Spans(sizes...)
	f.X, f.Legend = figure.LogAxis(cells.ParamsLabel, x), append(f.Legend, levels[1].Key(off))
	f.Subtitle = c.basis() + verdicts
	f.Caption = fmt.Sprintf("Ratio of the times on each model; below 1 %s is faster. Dotted: all models together. Dashed: the smallest effect that matters.", c.Other.name(c))
	return f, x.High > 0
}
