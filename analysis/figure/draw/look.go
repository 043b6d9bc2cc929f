package draw

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis/figure"
)

var (
	ink   = color.RGBA{0x22, 0x22, 0x22, 0xff}
	muted = color.RGBA{0x59, 0x59, 0x59, 0xff}
	rule  = color.RGBA{0xe3, 0xe3, 0xe3, 0xff}
	grey  = color.RGBA{0x8c, 0x8c, 0x8c, 0xff}
)

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

// viridis, from dark to light, up to where it is still seen well on white.
var viridis = []color.RGBA{
	{0x44, 0x01, 0x54, 0xff}, {0x46, 0x33, 0x7e, 0xff}, {0x36, 0x5c, 0x8d, 0xff},
	{0x27, 0x7f, 0x8e, 0xff}, {0x1f, 0xa1, 0x87, 0xff}, {0x4a, 0xb8, 0x6e, 0xff}, {0x8f, 0xc4, 0x2f, 0xff},
}

func colorOf(c figure.Color) color.RGBA {
	switch c.Role {
	case figure.RoleSeries:
		return okabeIto[max(c.Index, 0)%len(okabeIto)]
	case figure.RoleRamp:
		return rampColor(c.Index, c.Of)
	case figure.RoleMuted:
		return grey
	}
	return ink
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

// veil is the colour of a band. Bands along a ramp lie over each other, and are fainter.
func veil(c figure.Color) color.NRGBA {
	solid := colorOf(c)
	alpha := uint8(0x2c)
	if c.Role == figure.RoleRamp {
		alpha = 0x26
	}
	return color.NRGBA{solid.R, solid.G, solid.B, alpha}
}

const lineWidth = 1.1 // in points, where a look has none

func strokeOf(l figure.Look) draw.LineStyle {
	sty := draw.LineStyle{Color: colorOf(l.Color), Width: vg.Length(l.WidthPt)}
	if l.WidthPt == 0 {
		sty.Width = lineWidth
	}
	for _, d := range l.DashesPt {
		sty.Dashes = append(sty.Dashes, vg.Length(d))
	}
	return sty
}

const glyphRadius = vg.Length(3.6)

var glyphs = map[figure.Shape]draw.GlyphDrawer{
	figure.Circle: draw.CircleGlyph{}, figure.Square: draw.BoxGlyph{}, figure.Triangle: draw.PyramidGlyph{},
	figure.Diamond: diamond{}, figure.Cross: draw.CrossGlyph{},
}

func glyphOf(l figure.Look) draw.GlyphStyle {
	sty := draw.GlyphStyle{Color: colorOf(l.Color), Radius: glyphRadius, Shape: glyphs[l.Shape]}
	if sty.Shape == nil {
		sty.Shape = draw.CircleGlyph{}
	}
	return sty
}

func drawGlyph(c *draw.Canvas, sty draw.GlyphStyle, at vg.Point, hollow bool) {
	c.DrawGlyph(sty, at)
	if hollow {
		sty.Color, sty.Radius = color.White, sty.Radius-1.4
		c.DrawGlyph(sty, at)
	}
}

// drawWhisker draws a line from lo to hi with a bar at each end.
func drawWhisker(c *draw.Canvas, l figure.Look, x, lo, hi vg.Length) {
	line := draw.LineStyle{Color: colorOf(l.Color), Width: 1}
	c.StrokeLine2(line, x, lo, x, hi)
	c.StrokeLine2(line, x-2.5, lo, x+2.5, lo)
	c.StrokeLine2(line, x-2.5, hi, x+2.5, hi)
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
