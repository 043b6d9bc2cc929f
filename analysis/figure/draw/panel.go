package draw

import (
	gplot "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis/figure"
)

const (
	beyondRow  = 9   // points between two rows of crosses along the upper edge
	leastPanel = 200 // height of a panel, in points, at least
)

// panel draws layers.
type panel struct {
	layers  []figure.Layer
	dropped []string // names without room, of the last drawing
}

// beyondRows is how many rows of crosses stand along the upper edge.
func (p *panel) beyondRows() int {
	n := 0
	for _, l := range p.layers {
		if len(l.Beyond) > 0 {
			n++
		}
	}
	return n
}

// place turns the axes' units into points of a canvas.
type place struct{ x, y func(float64) vg.Length }

func (at place) xy(x, y float64) vg.Point { return vg.Point{X: at.x(x), Y: at.y(y)} }

func (at place) line(xys []figure.XY) []vg.Point {
	out := make([]vg.Point, len(xys))
	for i, p := range xys {
		out[i] = at.xy(p.X, p.Y)
	}
	return out
}

// Plot implements plot.Plotter.
func (p *panel) Plot(c draw.Canvas, axes *gplot.Plot) {
	var at place
	at.x, at.y = axes.Transforms(&c)
	l := newLabels(at, p.layers)
	for i := range p.layers {
		drawLines(&c, at, &p.layers[i])
	}
	row := 0
	for _, layer := range p.layers {
		sty := glyphOf(layer.Look)
		for _, pt := range layer.Points {
			if pt.Whisker() {
				drawWhisker(&c, layer.Look, at.x(pt.X), at.y(pt.Low), at.y(pt.High))
			}
			drawGlyph(&c, sty, at.xy(pt.X, pt.Y), pt.Hollow)
		}
		if len(layer.Beyond) > 0 {
			sty.Shape, sty.Radius = draw.CrossGlyph{}, glyphRadius+1
			for _, x := range layer.Beyond {
				c.DrawGlyph(sty, vg.Point{X: at.x(x), Y: c.Max.Y - 6 - vg.Length(row*beyondRow)})
			}
			row++
		}
	}
	p.dropped = l.draw(&c)
	drawEnds(&c, at, ends(p.layers))
}

// drawLines draws what lies under the points.
func drawLines(c *draw.Canvas, at place, layer *figure.Layer) {
	if len(layer.Band) > 1 {
		var around []vg.Point
		for _, r := range layer.Band {
			around = append(around, at.xy(r.X, r.High))
		}
		for i := len(layer.Band) - 1; i >= 0; i-- {
			around = append(around, at.xy(layer.Band[i].X, layer.Band[i].Low))
		}
		c.FillPolygon(veil(layer.Look.Color), c.ClipPolygonXY(around))
	}
	if layer.Level != nil {
		y := at.y(*layer.Level)
		c.StrokeLines(strokeOf(layer.Look), c.ClipLinesXY([]vg.Point{{X: c.Min.X, Y: y}, {X: c.Max.X, Y: y}})...)
	}
	if len(layer.Line) > 0 {
		c.StrokeLines(strokeOf(layer.Look), c.ClipLinesXY(at.line(layer.Line))...)
	}
}
