package plot

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	gplot "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis"
)

// wallFigures show decode time against size under each limit of device memory, and
// below it what the models took of that memory; a figure for each weight type.
func (b *book) wallFigures() []*sheet {
	if b.r.MemoryWall == nil {
		return nil
	}
	type kind struct {
		weights string
		batch   int
	}
	var order []kind
	cells := map[kind][]analysis.WallCell{}
	for _, c := range b.r.MemoryWall.Cells {
		if c.ParamsM == nil || *c.ParamsM <= 0 {
			continue
		}
		k := kind{c.WeightType, c.BatchSize}
		if cells[k] == nil {
			order = append(order, k)
		}
		cells[k] = append(cells[k], c)
	}
	var out []*sheet
	for _, k := range order {
		if sh := wallSheet(k.weights, cells[k]); sh != nil {
			sh.name += series{batch: k.batch}.suffix()
			out = append(out, sh)
		}
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
	return tickLabel(*l.limit) + " GiB"
}

// wallLines sorts the cells by limit, and keeps of a model that several backends
// tried under one limit the one that shows most: whole before partial before none.
func wallLines(cells []analysis.WallCell) []*wallLine {
	rank := func(c analysis.WallCell) int {
		return slices.Index([]string{analysis.WallWhole, analysis.WallPartial, analysis.WallNone, analysis.WallTooBig}, c.State)
	}
	var lines []*wallLine
	for _, c := range cells {
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

func wallSheet(weights string, cells []analysis.WallCell) *sheet {
	lines := wallLines(cells)
	top, below := newPlot(), newPlot()
	sh := &sheet{kind: KindWall, name: "memory_wall_" + weights, xLabel: paramsLabel, yLabel: "decode (ms/token)", plot: top,
		lower: &panel{plot: below, yLabel: "device memory taken (GiB)"}, height: 7.5 * vg.Inch}
	var x, y, mem span
	memory := false // whether any model's is known
	var names []string
	labelled := &labels{}
	annotated := map[string]bool{}
	ends := &endLabels{} // the limits' names
	partial, none, failed := false, false, false
	type drawn struct {
		line           curve
		whole, not     marks
		memory, hollow marks
		tooBig         []float64
	}
	all := make([]drawn, len(lines))
	for i, l := range lines {
		d := &all[i]
		look := backendLook(i)
		look.glyph = glyphs[0] // the shape tells how the model lay in memory, the colour under which limit
		d.line.style = draw.LineStyle{Color: look.color, Width: 1.1}
		d.whole, d.not, d.memory, d.hollow = marks{look: look}, marks{look: look, hollow: true}, marks{look: look}, marks{look: look, hollow: true}
		for _, c := range l.cells {
			x.add(*c.ParamsM)
			if c.State == analysis.WallTooBig {
				d.tooBig, failed = append(d.tooBig, *c.ParamsM), true
				continue
			}
			if c.DecodeMS == nil {
				continue
			}
			lat, took := &d.whole, &d.memory
			if c.State != analysis.WallWhole {
				lat, took, partial = &d.not, &d.hollow, true
				none = none || c.State == analysis.WallNone
			}
			pt := mark{name: c.Model, x: *c.ParamsM, y: *c.DecodeMS, lo: *c.DecodeMS, hi: *c.DecodeMS, annotated: !annotated[c.Model]}
			annotated[c.Model] = true
			labelled.points = append(labelled.points, pt)
			lat.points = append(lat.points, pt)
			d.line.xs, d.line.ys = append(d.line.xs, pt.x), append(d.line.ys, pt.y)
			y.add(pt.y)
			if c.OwnMiB != nil && *c.OwnMiB > 0 {
				gib := *c.OwnMiB / 1024
				took.points = append(took.points, mark{name: c.Model, x: pt.x, y: gib, lo: gib, hi: gib})
				mem.add(gib)
				memory = true
			}
		}
		if l.limit != nil {
			mem.add(*l.limit)
		}
		names = append(names, l.name())
	}
	if y.hi == 0 {
		return nil // nothing ran
	}
	logAxis(&top.X, x)
	logAxis(&top.Y, y)
	logAxis(&below.X, x)
	if failed {
		// Room above the points for the crosses.
		share := (float64(len(lines))*tooBigRow + 14) / wallPanel
		top.Y.Max *= math.Pow(top.Y.Max/top.Y.Min, share/(1-share))
	}
	if !memory {
		sh.lower = nil
		sh.height = 0
	} else {
		logAxis(&below.Y, mem)
	}
	for i, l := range lines {
		d := &all[i]
		top.Add(d.line, d.whole, d.not, tooBig{xs: d.tooBig, style: draw.GlyphStyle{Color: d.line.style.Color, Radius: glyphRadius + 1, Shape: draw.CrossGlyph{}}, row: i})
		labelled.lines = append(labelled.lines, d.line)
		below.Add(d.memory, d.hollow)
		if l.limit != nil {
			limit := curve{xs: []float64{below.X.Min, below.X.Max}, ys: []float64{*l.limit, *l.limit}, style: draw.LineStyle{Color: d.line.style.Color, Width: 0.9, Dashes: []vg.Length{4, 3}}}
			below.Add(limit)
			ends.add(l.name(), *l.limit, d.line.style.Color)
		}
		sh.legend = append(sh.legend, legendEntry{l.name(), d.line.sampleWith(d.whole)})
	}
	top.Add(labelled)
	if sh.lower != nil && len(ends.entries) > 0 {
		below.Add(ends)
		sh.right = ends.width()
	}
	grey := look{grey, glyphs[0]}
	sh.legend = append(sh.legend, legendEntry{"all layers on the GPU", marks{look: grey}.sample(false)})
	if partial {
		text := "part of the layers"
		if none {
			text = "part or none of the layers"
		}
		sh.legend = append(sh.legend, legendEntry{text, marks{look: grey, hollow: true}.sample(false)})
	}
	if failed {
		cross := marks{look: look{grey.color, draw.CrossGlyph{}}}
		sh.legend = append(sh.legend, legendEntry{"did not fit", cross.sample(false)})
	}
	what := ""
	if weights != "" {
		what = ": " + clean(weights)
	}
	sh.title = "Memory wall: decode time and device memory against size" + what
	sh.subtitle = fmt.Sprintf("mode kv_decode · limits: %s · geometric mean over scenarios of the median time per token", strings.Join(names, ", "))
	sh.caption = func() string {
		text := fmt.Sprintf("Decode time per token against model size, a line for each limit of device memory (%s). Filled points have all layers on the GPU, hollow ones leave layers to the CPU; of a model that several backends tried under one limit, the one with the most on the GPU is drawn. Where lines run together, one covers the others.", strings.Join(names, ", "))
		if failed {
			text += " Crosses at the upper edge are models that did not fit under that limit."
		}
		if sh.lower != nil {
			text += " Below, the peak of what a model took of device memory, less what was in use before it was loaded; dashed lines are the limits. The CUDA context comes on top of each point, so that a model fails, or leaves layers to the CPU, somewhat below its line."
		}
		return text + droppedText(labelled.dropped)
	}
	return sh
}

// tooBig marks sizes that did not fit at the upper edge of the frame, in a row of
// its own for each limit.
type tooBig struct {
	xs    []float64
	style draw.GlyphStyle
	row   int
}

// Plot implements plot.Plotter.
func (t tooBig) Plot(c draw.Canvas, p *gplot.Plot) {
	trX, _ := p.Transforms(&c)
	for _, x := range t.xs {
		c.DrawGlyph(t.style, vg.Point{X: trX(x), Y: c.Max.Y - 6 - vg.Length(t.row*tooBigRow)})
	}
}

const (
	tooBigRow = 9   // points between two rows of crosses
	wallPanel = 215 // height of the upper panel, in points, at least
)
