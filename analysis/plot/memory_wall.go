package plot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
)

// wallFigures show decode time against size under each limit of device memory, and
// below it what the models took of that memory; a figure for each weight type.
func (b *book) wallFigures() []figure.Figure {
	if b.r.MemoryWall == nil {
		return nil
	}
	type kind struct {
		weights string
		batch   int
	}
	var order []kind
	rows := map[kind][]analysis.WallCell{}
	for _, c := range b.r.MemoryWall.Cells {
		if c.ParamsM == nil || *c.ParamsM <= 0 {
			continue
		}
		k := kind{c.WeightType, c.BatchSize}
		if rows[k] == nil {
			order = append(order, k)
		}
		rows[k] = append(rows[k], c)
	}
	var out []figure.Figure
	for _, k := range order {
		out = append(out, wallFigure(k.weights, k.batch, rows[k])...)
	}
	return out
}

// wallLine is what one limit gave: of each model the call with the most layers on
// the GPU.
type wallLine struct {
	limit *float64
	cells []analysis.WallCell
}

func (l *wallLine) name() string {
	if l.limit == nil {
		return "whole card"
	}
	return figure.Number(*l.limit) + " GiB"
}

// wallLines sorts the cells by limit, and keeps of a model that several backends
// tried under one limit the one that shows most: whole before partial before none.
func wallLines(rows []analysis.WallCell) []*wallLine {
	rank := func(c analysis.WallCell) int {
		return slices.Index([]string{analysis.WallWhole, analysis.WallPartial, analysis.WallNone, analysis.WallTooBig}, c.State)
	}
	var lines []*wallLine
	for _, c := range rows {
		if rank(c) < 0 {
			continue // says nothing of memory
		}
		i := slices.IndexFunc(lines, func(l *wallLine) bool { return value(l.limit) == value(c.LimitGiB) })
		if i < 0 {
			lines, i = append(lines, &wallLine{limit: c.LimitGiB}), len(lines)
		}
		l := lines[i]
		j := slices.IndexFunc(l.cells, func(o analysis.WallCell) bool { return o.Model == c.Model })
		switch {
		case j < 0:
			l.cells = append(l.cells, c)
		case rank(c) < rank(l.cells[j]):
			l.cells[j] = c
		}
	}
	for _, l := range lines {
		slices.SortStableFunc(l.cells, func(x, y analysis.WallCell) int { return cmp.Compare(*x.ParamsM, *y.ParamsM) })
	}
	slices.SortStableFunc(lines, func(x, y *wallLine) int {
		if (x.limit == nil) != (y.limit == nil) { // the whole card last
			return cmp.Compare(value(y.limit), value(x.limit))
		}
		return cmp.Compare(value(x.limit), value(y.limit))
	})
	return lines
}

func wallFigure(weights string, batch int, rows []analysis.WallCell) []figure.Figure {
	f := figure.Figure{
		Kind:  KindWall,
		Name:  "memory_wall_" + weights + cells.Series{BatchSize: batch}.FileSuffix(),
		Title: "Memory wall: decode time and device memory against size",
	}
	if weights != "" {
		f.Title += ": " + weights
	}
	lines, left := figure.First(wallLines(rows), "limits")
	var x, y, mem figure.Span
	var names []string
	var times, memory []figure.Layer
	named := map[string]bool{}
	memoryKnown, partial, none, failed := false, false, false, false
	for i, l := range lines {
		look := figure.Series(i)
		look.Shape = figure.Circle // how the model lay in memory is told by points being hollow, the limit by the colour
		time, took := figure.Layer{Look: look}, figure.Layer{Look: look}
		for _, c := range l.cells {
			x.Add(*c.ParamsM)
			if c.State == analysis.WallTooBig {
				time.Beyond, failed = append(time.Beyond, *c.ParamsM), true
				continue
			}
			if c.DecodeMS == nil {
				continue
			}
			pt := figure.Point{Name: c.Model, X: *c.ParamsM, Y: *c.DecodeMS, Named: !named[c.Model], Hollow: c.State != analysis.WallWhole}
			named[c.Model] = true
			partial, none = partial || pt.Hollow, none || c.State == analysis.WallNone
			time.Points = append(time.Points, pt)
			y.Add(pt.Y)
			if c.OwnMiB != nil && *c.OwnMiB > 0 {
				pt.Y, pt.Named = *c.OwnMiB/1024, false
				took.Points = append(took.Points, pt)
				mem.Add(pt.Y)
				memoryKnown = true
			}
		}
		time.Join()
		times, memory = append(times, time), append(memory, took)
		if l.limit != nil {
			mem.Add(*l.limit)
			memory = append(memory, figure.Layer{Look: look.Stroke(0.9, 4, 3), Level: l.limit, End: l.name()})
		}
		names = append(names, l.name())
		f.Legend = append(f.Legend, figure.Key{Text: l.name(), Look: look, Line: true, Point: true})
	}
	if y.High == 0 {
		return nil // nothing ran
	}
	f.X = figure.LogAxis(cells.ParamsLabel, x)
	f.Panels = []figure.Panel{{Y: figure.LogAxis("decode (ms/token)", y), Layers: times}}
	f.Legend = append(f.Legend, figure.Key{Text: "all layers on the GPU", Look: figure.Muted(), Point: true})
	if partial {
		text := "part of the layers"
		if none {
			text = "part or none of the layers"
		}
		f.Legend = append(f.Legend, figure.Key{Text: text, Look: figure.Muted(), Point: true, Hollow: true})
	}
	all := strings.Join(names, ", ")
	f.Subtitle = fmt.Sprintf("mode kv_decode · limits: %s%s · geometric mean over scenarios of the median time per token", all, left)
	f.Caption = fmt.Sprintf("Decode time per token against model size, a line for each limit of device memory (%s). Filled points have all layers on the GPU, hollow ones leave layers to the CPU; of a model that several backends tried under one limit, the one with the most on the GPU is drawn. Where lines run together, one covers the others.", all)
	if failed {
		cross := figure.Muted()
		cross.Shape = figure.Cross
		f.Legend = append(f.Legend, figure.Key{Text: "did not fit", Look: cross, Point: true})
		f.Caption += " Crosses at the upper edge are models that did not fit under that limit."
	}
	if memoryKnown {
		f.Panels = append(f.Panels, figure.Panel{Y: figure.LogAxis("device memory taken (GiB)", mem), Layers: memory})
		f.Caption += " Below, the peak of what a model took of device memory, less what was in use before it was loaded; dashed lines are the limits. The CUDA context comes on top of each point, so that a model fails, or leaves layers to the CPU, somewhat below its line."
	}
	return []figure.Figure{f}
}
