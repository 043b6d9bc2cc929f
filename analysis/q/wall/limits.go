package wall

import (
	"math"
	"slices"

	"llmscale/analysis/figure"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/stats"
)

// limitsKind is the kind of the figure of limits.
const limitsKind = "memory_wall_limits"

// limitsFigure shows decode, and what was read from the disk, against the limit over what the model was estimated to need.
func (w *Wall) limitsFigure(known *intervals.Answer) []figure.Figure {
	limited := slices.DeleteFunc(slices.Clone(w.Cells), func(c Cell) bool {
		return !c.host() || c.MemoryMiB == nil || c.NeedMiB == nil || c.OverWhole == nil
	})
	order, by := stats.GroupBy(limited, func(c Cell) string { return c.Model + " " + c.WeightType })
	f := figure.Figure{Kind: limitsKind, Name: limitsKind, Title: "Memory wall: decode against the limit of memory",
		Subtitle: "mode kv_decode · over decode without a limit · 95 % intervals over processes"}
	var times, reads []figure.Layer
	order, left := figure.First(order, "models")
	for i, k := range order {
		look := figure.Series(i)
		time, took := figure.Layer{Name: k, Look: look}, figure.Layer{Name: k, Look: look}
		for _, c := range by[k] {
			p := figure.Point{Name: c.Model, X: 100 * *c.MemoryMiB / *c.NeedMiB, Y: *c.OverWhole, Hollow: c.State != Whole}
			known.Mark(&p, c.decodeKey())
			if c.OverLow != nil {
				p.Low, p.High = *c.OverLow, *c.OverHigh
			}
			time.Points = append(time.Points, p)
			if c.ReadMiB != nil && c.mappedMiB > 0 {
				p.Y, p.Low, p.High = 100**c.ReadMiB/c.mappedMiB, 0, 0
				took.Points = append(took.Points, p)
			}
		}
		time.Join()
		took.Join()
		times, reads = append(times, time), append(reads, took)
		f.Legend = append(f.Legend, figure.Key{Text: k, Look: look, Line: true, Point: true})
	}
	if len(limited) < 2 {
		return nil
	}
	x, y := figure.Spans(times...)
	_, read := figure.Spans(reads...)
	x.Add(100)
	read.Add(0)
	f.X = figure.LogAxis("limit over what the model was estimated to need (%)", x)
	f.Panels = []figure.Panel{
		{Y: figure.LogAxis("decode, times whole", y), Layers: append(times, wallAt(y))},
		{Y: figure.LinearAxis("read in each pass (%)", read, 100, 0, math.NaN()), Layers: append(reads, wallAt(read))},
	}
	f.Legend = append(f.Legend, figure.Key{Text: "read again from the disk", Look: figure.Muted(), Point: true, Hollow: true})
	f.Caption = "Decode under a memory limit over that without" + left + ". The wall should stand at the dashed line; hollow points read weights from disk."
	return []figure.Figure{f}
}

// wallAt is an upright line at 100 %.
func wallAt(y figure.Span) figure.Layer {
	return figure.Layer{Look: figure.Muted().Stroke(0.9, 4, 3), Line: []figure.XY{{X: 100, Y: y.Low}, {X: 100, Y: y.High}}}
}
