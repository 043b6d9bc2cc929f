package weights

import (
	"fmt"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	words "llmscale/internal/text"
)

// kind of the figures.
const kind = "weights"

// Figures show decode time per token against the bytes that a token reads, a point
// for each weight type of one model, where the types are enough for a line.
func (a *Answer) Figures() []figure.Figure {
	var out []figure.Figure
	for i := range a.WeightTypes {
		if w := &a.WeightTypes[i]; w.Fit.OK {
			out = append(out, w.figure())
		}
	}
	return out
}

func (w *Comparison) figure() figure.Figure {
	look := figure.Series(0).Stroke(1.2)
	points := figure.Layer{Look: look}
	var x, y figure.Span
	for i := range w.Types {
		t := &w.Types[i]
		pt := figure.Point{Name: w.Name(t), X: t.MB(), Y: t.All().DecodeMS, Named: true}
		points.Points = append(points.Points, pt)
		x.High, y.High = max(x.High, pt.X), max(y.High, pt.Y)
	}
	// From 0, so that the fixed part of the line is seen.
	f := figure.Figure{
		Kind:  kind,
		Name:  "weight_types_" + w.Model + cells.Series{BatchSize: w.BatchSize}.FileSuffix(),
		Title: "Decode time against weight bytes, by weight type: " + w.Model,
		X:     figure.LinearAxis("weights read per decoded token (MB)", x, 0, 0, x.High*1.1),
	}
	if w.At != "" { // other settings of the model have a figure each
		f.Title += ", " + w.At
	}
	fit := figure.Layer{Look: look}
	for _, x := range []float64{0, f.X.Max} {
		if y, ok := w.Fit.Line(x); ok {
			fit.Line = append(fit.Line, figure.XY{X: x, Y: y})
		}
	}
	gbPerS := w.Types[0].All().GBPerS
	rate := figure.Layer{Look: figure.Muted().Stroke(0.9, 4, 3), Line: []figure.XY{{}, {X: f.X.Max, Y: f.X.Max / gbPerS}}}
	f.Panels = []figure.Panel{{
		Y:      figure.LinearAxis("decode time per token (ms)", y, 0, 0, y.High*1.1),
		Layers: []figure.Layer{rate, fit, points},
	}}
	f.Legend = []figure.Key{
		points.Key("weight type"),
		fit.Key("least squares"),
		rate.Key(fmt.Sprintf("bytes alone, at the %.3g GB/s of %s", gbPerS, w.Base)),
	}
	law := fmt.Sprintf("%.3g ms + %.3g ms for each 100 MB", *w.Fit.FixedMS, 100**w.Fit.MSPerMB)
	if w.Fit.R2 != nil {
		law += fmt.Sprintf(", R² %.3f", *w.Fit.R2)
	}
	f.Subtitle = fmt.Sprintf("mode kv_decode · %s · geometric mean over scenarios of the median time per token · %s", words.Counted(w.Fit.NTypes, "weight type", "weight types"), law)
	f.Caption = fmt.Sprintf("Decode time per token of %s against the weight bytes that one token reads, a point for each weight type. The line is least squares over the types: %s. "+
		"The dashed line is what the bytes alone take at the rate of %s, the type that reads most: types near it are bound by reading weights, types above it spend time on dequantising or on a cost that does not depend on the type.",
		w.Model, law, w.Base)
	return f
}
