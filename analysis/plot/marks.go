package plot

import (
	"image/color"

	gplot "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// look is how a backend's marks are drawn, in every figure.
type look struct {
	color color.RGBA
	glyph draw.GlyphDrawer
}

// The palette of Okabe and Ito (2008), less its yellow, which is too faint on
// white. https://jfly.uni-koeln.de/color/
var okabeIto = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, // blue
	{0xd5, 0x5e, 0x00, 0xff}, // vermilion
	{0x00, 0x9e, 0x73, 0xff}, // green
	{0xcc, 0x79, 0xa7, 0xff}, // purple
	{0xe6, 0x9f, 0x00, 0xff}, // orange
	{0x56, 0xb4, 0xe9, 0xff}, // sky
	{0x00, 0x00, 0x00, 0xff}, // black
}

var glyphs = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, diamond{}, draw.CrossGlyph{},
}

// backendLook is the look of the i-th backend; shapes and colours run in cycles
// of different length, so 35 backends differ.
func backendLook(i int) look {
	i = max(i, 0)
	return look{okabeIto[i%len(okabeIto)], glyphs[i%len(glyphs)]}
}

// viridis, from dark to light, up to where it is still seen well on white.
var viridis = []color.RGBA{
	{0x44, 0x01, 0x54, 0xff}, {0x46, 0x33, 0x7e, 0xff}, {0x36, 0x5c, 0x8d, 0xff},
	{0x27, 0x7f, 0x8e, 0xff}, {0x1f, 0xa1, 0x87, 0xff}, {0x4a, 0xb8, 0x6e, 0xff}, {0x8f, 0xc4, 0x2f, 0xff},
}

// rampColor is the colour of the i-th of n things in order.
func rampColor(i, n int) color.RGBA {
	if n < 2 {
		return viridis[2]
	}
	t := float64(i) / float64(n-1) * float64(len(viridis)-1)
	k := min(int(t), len(viridis)-2)
	f := t - float64(k)
	mix := func(a, b uint8) uint8 { return uint8(float64(a) + f*(float64(b)-float64(a)) + 0.5) }
	a, b := viridis[k], viridis[k+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}

// faint is c as a light veil.
func faint(c color.RGBA, alpha uint8) color.NRGBA {
	return color.NRGBA{c.R, c.G, c.B, alpha}
}

// diamond is a filled square on its corner.
type diamond struct{}

// DrawGlyph implements draw.GlyphDrawer.
func (diamond) DrawGlyph(c *draw.Canvas, sty draw.GlyphStyle, pt vg.Point) {
	r := sty.Radius * 1.2
	c.SetColor(sty.Color)
	var p vg.Path
	p.Move(vg.Point{X: pt.X, Y: pt.Y + r})
	p.Line(vg.Point{X: pt.X + r, Y: pt.Y})
	p.Line(vg.Point{X: pt.X, Y: pt.Y - r})
	p.Line(vg.Point{X: pt.X - r, Y: pt.Y})
	p.Close()
	c.Fill(p)
}

// mark is a point with the range that its samples span; lo = hi draws none.
type mark struct {
	name      string
	x, y      float64
	lo, hi    float64
	annotated bool // wants its name beside it
}

// marks draws points with whiskers.
type marks struct {
	points []mark
	look   look
	hollow bool
}

const glyphRadius = vg.Length(3.6)

func (m marks) style() draw.GlyphStyle {
	return draw.GlyphStyle{Color: m.look.color, Radius: glyphRadius, Shape: m.look.glyph}
}

// Plot implements plot.Plotter.
func (m marks) Plot(c draw.Canvas, p *gplot.Plot) {
	trX, trY := p.Transforms(&c)
	line := draw.LineStyle{Color: m.look.color, Width: 1}
	for _, pt := range m.points {
		x := trX(pt.x)
		if pt.hi > pt.lo {
			lo, hi := trY(pt.lo), trY(pt.hi)
			c.StrokeLine2(line, x, lo, x, hi)
			c.StrokeLine2(line, x-2.5, lo, x+2.5, lo)
			c.StrokeLine2(line, x-2.5, hi, x+2.5, hi)
		}
		m.glyph(c, vg.Point{X: x, Y: trY(pt.y)})
	}
}

func (m marks) glyph(c draw.Canvas, at vg.Point) {
	c.DrawGlyph(m.style(), at)
	if m.hollow {
		inner := m.style()
		inner.Color, inner.Radius = color.White, inner.Radius-1.4
		c.DrawGlyph(inner, at)
	}
}

// sample is the legend's picture of the marks.
func (m marks) sample(whisker bool) func(draw.Canvas) {
	return func(c draw.Canvas) {
		mid := vg.Point{X: (c.Min.X + c.Max.X) / 2, Y: (c.Min.Y + c.Max.Y) / 2}
		if whisker {
			line := draw.LineStyle{Color: m.look.color, Width: 1}
			c.StrokeLine2(line, mid.X, c.Min.Y, mid.X, c.Max.Y)
			c.StrokeLine2(line, mid.X-2.5, c.Min.Y, mid.X+2.5, c.Min.Y)
			c.StrokeLine2(line, mid.X-2.5, c.Max.Y, mid.X+2.5, c.Max.Y)
		}
		m.glyph(c, mid)
	}
}

// curve is a line through points in the axes' units.
type curve struct {
	xs, ys []float64
	style  draw.LineStyle
}

// Plot implements plot.Plotter.
func (l curve) Plot(c draw.Canvas, p *gplot.Plot) {
	trX, trY := p.Transforms(&c)
	pts := make([]vg.Point, len(l.xs))
	for i := range l.xs {
		pts[i] = vg.Point{X: trX(l.xs[i]), Y: trY(l.ys[i])}
	}
	c.StrokeLines(l.style, c.ClipLinesXY(pts)...)
}

func (l curve) sample(c draw.Canvas) {
	y := (c.Min.Y + c.Max.Y) / 2
	c.StrokeLine2(l.style, c.Min.X, y, c.Max.X, y)
}

// sampleWith is the legend's picture of a line with its points.
func (l curve) sampleWith(m marks) func(draw.Canvas) {
	return func(c draw.Canvas) {
		l.sample(c)
		m.sample(false)(c)
	}
}

// band fills what lies between two curves over the same xs.
type band struct {
	xs, lo, hi []float64
	color      color.Color
}

// Plot implements plot.Plotter.
func (b band) Plot(c draw.Canvas, p *gplot.Plot) {
	if len(b.xs) < 2 {
		return
	}
	trX, trY := p.Transforms(&c)
	var pts []vg.Point
	for i := range b.xs {
		pts = append(pts, vg.Point{X: trX(b.xs[i]), Y: trY(b.hi[i])})
	}
	for i := len(b.xs) - 1; i >= 0; i-- {
		pts = append(pts, vg.Point{X: trX(b.xs[i]), Y: trY(b.lo[i])})
	}
	c.FillPolygon(b.color, c.ClipPolygonXY(pts))
}

func (b band) sample(c draw.Canvas) {
	c.SetColor(b.color)
	c.Fill(c.Rectangle.Path())
}
