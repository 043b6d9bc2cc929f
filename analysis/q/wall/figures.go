package wall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// figureKind is the kind of the figures.
const figureKind = "memory_wall"

// Figures show decode time against size under each limit of memory, and on a GPU below
// it what the models took of that memory; a figure for each weight type. One more has
// decode against the limit of the CPU's memory.
func (a *Answer) Figures(known *intervals.Answer) []figure.Figure {
	if a.Wall == nil {
		return nil
	}
	sized := slices.DeleteFunc(slices.Clone(a.Wall.Cells), func(c Cell) bool { return c.ParamsM == nil || *c.ParamsM <= 0 })
	order, cellsOf := stats.GroupBy(sized, workOf)
	var out []figure.Figure
	for _, k := range order {
		out = append(out, figureOf(k, cellsOf[k], known)...)
	}
	return append(out, a.Wall.limitsFigure(known)...)
}

// line is what one limit gave: of each model the call with the most layers on
// the GPU.
type line struct {
	name  string
	limit *float64 // GiB of device memory
	cells []Cell
}

// linesOf sorts the cells by limit, those without one last, and keeps of a model that
// several backends tried under one limit the one that shows most: whole before partial
// before none. Other states say nothing of memory.
func linesOf(rows []Cell) []*line {
	states := []string{Whole, Partial, None, TooBig}
	rank := func(c Cell) int { return slices.Index(states, c.State) }
	rows = slices.DeleteFunc(slices.Clone(rows), func(c Cell) bool { return rank(c) < 0 })
	limits, byLimit := stats.GroupBy(rows, func(c Cell) float64 { return min(cells.OrInf(c.LimitGiB), cells.OrInf(c.MemoryMiB)) })
	slices.Sort(limits)
	var lines []*line
	for _, limit := range limits {
		first := byLimit[limit][0]
		l := &line{name: first.limitText(), limit: first.LimitGiB}
		models, byModel := stats.GroupBy(byLimit[limit], func(c Cell) string { return c.Model })
		for _, m := range models {
			l.cells = append(l.cells, slices.MinFunc(byModel[m], func(x, y Cell) int { return rank(x) - rank(y) }))
		}
		slices.SortStableFunc(l.cells, func(x, y Cell) int { return cmp.Compare(*x.ParamsM, *y.ParamsM) })
		lines = append(lines, l)
	}
	return lines
}

// decodeKey is the cell of the model's decode over all scenarios.
func (c *Cell) decodeKey() cells.Key {
	return c.Key(c.Model, cells.AllScenarios, record.ModeDecode)
}

func figureOf(k work, rows []Cell, known *intervals.Answer) []figure.Figure {
	f := figure.Figure{
		Kind:  figureKind,
		Name:  "memory_wall_" + k.weights + cells.Series{BatchSize: k.batch}.FileSuffix(),
		Title: "Memory wall: decode time and device memory against size",
	}
	whole, part, of := "all layers on the GPU", "layers to the CPU", "device memory"
	if k.host {
		f.Name, f.Title = strings.Replace(f.Name, "wall", "wall_cpu", 1), "Memory wall: decode time against size"
		whole, part, of = "all weights in memory", "weights to the disk", "the CPU's memory"
	}
	if k.weights != "" {
		f.Title += ": " + k.weights
	}
	all := linesOf(rows)
	if k.host { // a limit that one model had says nothing of sizes
		all = slices.DeleteFunc(all, func(l *line) bool { return len(l.cells) < 2 })
	}
	lines, left := figure.First(all, "limits")
	var names []string
	var times, memory []figure.Layer
	partial, none := false, false
	for i, l := range lines {
		look := figure.Series(i)
		look.Shape = figure.Circle // how the model lay in memory is told by points being hollow, the limit by the colour
		time, took := figure.Layer{Name: l.name, Look: look}, figure.Layer{Name: l.name, Look: look}
		for _, c := range l.cells {
			if c.State == TooBig {
				time.Beyond = append(time.Beyond, *c.ParamsM)
				continue
			}
			if c.DecodeMS == nil {
				continue
			}
			pt := figure.Point{Name: c.Model, X: *c.ParamsM, Y: *c.DecodeMS, Hollow: c.State != Whole}
			partial, none = partial || pt.Hollow, none || c.State == None
			known.Mark(&pt, c.decodeKey())
			if len(c.decodes) > 0 {
				if e, basis := cells.Level(c.decodes...); basis != "" {
					pt.Within(e.Half(1 - stats.Confidence))
				}
			}
			time.Points = append(time.Points, pt)
			if c.OwnMiB != nil && *c.OwnMiB > 0 {
				pt.Y, pt.Low, pt.High = *c.OwnMiB/1024, 0, 0
				took.Points = append(took.Points, pt)
			}
		}
		time.Join()
		times, memory = append(times, time), append(memory, took)
		if l.limit != nil {
			memory = append(memory, figure.Layer{Name: l.name, Look: look.Stroke(0.9, 4, 3), Level: l.limit, End: l.name})
		}
		names = append(names, l.name)
		f.Legend = append(f.Legend, figure.Key{Text: l.name, Look: look, Line: true, Point: true})
	}
	x, y := figure.Spans(times...)
	if y.High == 0 {
		return nil // nothing ran
	}
	figure.NameOnce(times)
	f.X = figure.LogAxis(cells.ParamsLabel, x)
	f.Panels = []figure.Panel{{Y: figure.LogAxis("decode (ms/token)", y), Layers: times}}
	f.Legend = append(f.Legend, figure.Key{Text: whole, Look: figure.Muted(), Point: true})
	if partial {
		text := "part of the layers"
		if k.host {
			text = "part of the weights"
		}
		if none {
			text = "part or none of the layers"
		}
		f.Legend = append(f.Legend, figure.Key{Text: text, Look: figure.Muted(), Point: true, Hollow: true})
	}
	limits := strings.Join(names, ", ")
	f.Subtitle = fmt.Sprintf("mode kv_decode · limits: %s%s · geometric mean over scenarios of the median time per token", limits, left)
	f.Caption = fmt.Sprintf("Decode against size, a line for each limit of %s. Hollow points leave %s.", of, part)
	if slices.ContainsFunc(times, func(l figure.Layer) bool { return len(l.Beyond) > 0 }) {
		cross := figure.Muted()
		cross.Shape = figure.Cross
		f.Legend = append(f.Legend, figure.Key{Text: "did not fit", Look: cross, Point: true})
	}
	if slices.ContainsFunc(memory, func(l figure.Layer) bool { return len(l.Points) > 0 }) {
		_, mem := figure.Spans(memory...)
		f.Panels = append(f.Panels, figure.Panel{Y: figure.LogAxis("device memory taken (GiB)", mem), Layers: memory})
		f.Caption += " Below, the model's own peak."
	}
	return []figure.Figure{f}
}
