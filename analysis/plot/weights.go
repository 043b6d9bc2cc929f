package plot

import (
	"fmt"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis"
)

// weightFigures show decode time per token against the bytes that a token reads,
// a point for each weight type of one model, where the types are enough for a
// line.
func (b *book) weightFigures() []*sheet {
	var out []*sheet
	for i := range b.r.WeightTypes {
		if w := &b.r.WeightTypes[i]; w.Fit.OK {
			out = append(out, b.weightSheet(w))
		}
	}
	return out
}

func (b *book) weightSheet(w *analysis.WeightTypes) *sheet {
	p := newPlot()
	sh := &sheet{
		kind:   KindWeights,
		name:   "weight_types_" + w.Model + series{w.Types[0].Backend, w.BatchSize}.suffix(),
		title:  "Decode time against weight bytes, by weight type: " + clean(w.Model),
		xLabel: "weights read per decoded token (MB)",
		yLabel: "decode time per token (ms)",
		plot:   p,
	}
	if w.At != "" { // other settings of the model have a figure each
		sh.title += ", " + clean(w.At)
	}
	look := look{okabeIto[0], glyphs[0]}
	m := marks{look: look}
	var highX, highY float64
	for i := range w.Types {
		t := &w.Types[i]
		pt := mark{name: w.Name(t), x: t.MB(), y: t.All().DecodeMS, annotated: true}
		pt.lo, pt.hi = pt.y, pt.y
		m.points = append(m.points, pt)
		highX, highY = max(highX, pt.x), max(highY, pt.y)
	}
	// From 0, so that the fixed part of the line is seen.
	linearAxis(&p.X, span{0, highX}, 0, 0, highX*1.1)
	linearAxis(&p.Y, span{0, highY}, 0, 0, highY*1.1)
	line := curve{style: draw.LineStyle{Color: look.color, Width: 1.2}}
	for _, x := range []float64{0, p.X.Max} {
		if y, ok := w.Fit.Line(x); ok {
			line.xs, line.ys = append(line.xs, x), append(line.ys, y)
		}
	}
	base := w.Types[0]
	rate := curve{xs: []float64{0, p.X.Max}, ys: []float64{0, p.X.Max / base.All().GBPerS}, style: draw.LineStyle{Color: grey, Width: 0.9, Dashes: []vg.Length{4, 3}}}
	names := &labels{points: m.points, lines: []curve{line, rate}}
	p.Add(rate, line, m, names)
	var text strings.Builder
	f := w.Fit
	fmt.Fprintf(&text, "%.3g ms + %.3g ms for each 100 MB", *f.FixedMS, 100**f.MSPerMB)
	if f.R2 != nil {
		fmt.Fprintf(&text, ", R² %.3f", *f.R2)
	}
	sh.legend = []legendEntry{
		{"weight type", m.sample(false)},
		{"least squares", line.sample},
		{fmt.Sprintf("bytes alone, at the %.3g GB/s of %s", base.All().GBPerS, clean(w.Base)), rate.sample},
	}
	sh.subtitle = fmt.Sprintf("mode kv_decode · %s · geometric mean over scenarios of the median time per token · %s", count(f.NTypes, "weight type", "weight types"), text.String())
	sh.caption = func() string {
		return fmt.Sprintf("Decode time per token of %s against the weight bytes that one token reads, a point for each weight type. The line is least squares over the types: %s. "+
			"The dashed line is what the bytes alone take at the rate of %s, the type that reads most: types near it are bound by reading weights, types above it spend time on dequantising or on a cost that does not depend on the type.",
			clean(w.Model), text.String(), clean(w.Base)) + droppedText(names.dropped)
	}
	return sh
}
