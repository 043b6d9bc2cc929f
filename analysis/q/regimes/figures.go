package regimes

import (
	"fmt"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// figureKind is the kind of the figures.
const figureKind = "ceilings"

// Figures show what bounds the cells, and for each device what it can read at each
// working set, and where decode lies below that.
func (a *Answer) Figures(known *intervals.Answer) []figure.Figure {
	out := a.maps(known)
	for i := range a.Devices {
		if d := &a.Devices[i]; len(d.Read) > 1 {
			out = append(out, a.figure(d, known))
		}
	}
	return out
}

func (a *Answer) figure(d *Device, known *intervals.Answer) figure.Figure {
	f := figure.Figure{
		Kind:  figureKind,
		Name:  "ceilings_" + d.Kind,
		Title: "What decode reads against what can be read: " + d.title(),
	}
	if d.Threads > 0 {
		f.Name += fmt.Sprintf("_%d_threads", d.Threads)
	}
	if d.Machine != "" {
		f.Name += "_" + d.Machine
	}
	measured := figure.Layer{Look: figure.Muted(), Points: stats.Map(d.Read, func(r ceilings.Rate) figure.Point {
		return figure.Point{Name: "best of the probe", X: megabytes(r), Y: gbPerS(r), Of: "the fastest of all passes"}
	})}
	var layers []figure.Layer
	var shown []cells.Series
	scenarios := 0
	series, of := stats.GroupBy(a.those(func(b *Budget) bool { return b.Mode == record.ModeDecode && b.Share != nil }), (*Budget).Series)
	for _, s := range series {
		if points, n := points(d, of[s], known); n > 0 {
			layers = append(layers, figure.Layer{Look: prose.Look(a.set, s), Points: points, Reach: "over all scenarios"})
			shown = append(shown, s)
			scenarios = max(scenarios, n)
		}
	}
	layers, left := figure.First(layers, "backends")
	for i := range layers {
		f.Legend = append(f.Legend, layers[i].Key(fmt.Sprintf("decode, %s (%s)", shown[i].Title(), doc.Count(len(layers[i].Points), "model", "models"))))
	}
	x, y := figure.Spans(append([]figure.Layer{measured}, layers...)...)
	f.X = figure.LogAxis("bytes that a step, or a pass of the probe, reads (MB)", x)
	steps, half := lines(d, f.X)
	f.Legend = append(f.Legend, measured.Key("best rate measured"), steps.Key("ceiling"), half.Key("half of it"))
	f.Panels = []figure.Panel{{
		Y:      figure.LogAxis("reading (GB/s)", y),
		Layers: append([]figure.Layer{half, steps, measured}, layers...),
	}}

	what := "best of all passes"
	if d.Sessions > 1 {
		what += fmt.Sprintf(" of %d sessions", d.Sessions)
	}
	f.Subtitle = fmt.Sprintf("%s · probe: %s · decode: weights and KV cache of a step over its median time", d.Name, what)
	if scenarios > 1 {
		f.Subtitle += fmt.Sprintf(", fastest of %d scenarios, whisker over all", scenarios)
	}
	f.Subtitle += left
	f.Caption = fmt.Sprintf("Rate of reading by the bytes that are read again and again, on %s.", d.title())
	if len(layers) > 0 {
		f.Caption += " Decode near the line is bound by reading."
	} else {
		f.Caption += " No decode of the run could be compared with it."
	}
	return f
}

// points are a point for each model of a series that ran on d: its fastest scenario,
// with a whisker over all. scenarios counts those of all models.
func points(d *Device, budgets []*Budget, known *intervals.Answer) (points []figure.Point, scenarios int) {
	at := map[string]int{} // the point of each model
	seen := map[string]bool{}
	for _, c := range budgets {
		if !d.is(c.Machine, c.Device, c.Threads) || c.GBPerS == nil {
			continue
		}
		seen[c.Scenario] = true
		pt := figure.Point{Name: c.Model, X: float64(c.Bytes()) / 1e6, Y: *c.GBPerS, Low: *c.GBPerS, High: *c.GBPerS, Named: true}
		known.Mark(&pt, c.key())
		if c.Share != nil {
			pt.Note = fmt.Sprintf("share of the ceiling: %.0f %%", 100**c.Share)
		}
		k, have := at[c.Model]
		if !have {
			at[c.Model] = len(points)
			points = append(points, pt)
			continue
		}
		best := &points[k]
		low, high := min(best.Low, pt.Low), max(best.High, pt.High)
		if pt.Y > best.Y {
			*best = pt
		}
		best.Low, best.High = low, high
	}
	return points, len(seen)
}

// lines are the ceiling in steps, to the frame on both sides, and half of it.
func lines(d *Device, x figure.Axis) (steps, half figure.Layer) {
	steps.Look, half.Look = figure.Ink().Stroke(1.1), figure.Muted().Stroke(0.8, 4, 3)
	from := x.Min
	for i, r := range d.Envelope {
		to := x.Max
		if i+1 < len(d.Envelope) {
			to = megabytes(d.Envelope[i+1])
		}
		rate := gbPerS(r)
		steps.Line = append(steps.Line, figure.XY{X: from, Y: rate}, figure.XY{X: to, Y: rate})
		half.Line = append(half.Line, figure.XY{X: from, Y: rate / 2}, figure.XY{X: to, Y: rate / 2})
		from = to
	}
	return steps, half
}
