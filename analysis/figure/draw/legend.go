package draw

import (
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis/figure"
)

const (
	legendRow   = vg.Length(15)
	legendRoom  = 8 // rows; for more, the sheet grows
	legendThumb = vg.Length(22)
	legendGap   = vg.Length(14)
)

func legendStyle() text.Style {
	sty := textStyle(9.5, false, ink)
	sty.YAlign = text.YCenter
	return sty
}

// legendRows distributes entries over rows no wider than width.
func legendRows(entries []figure.Key, width vg.Length) [][]figure.Key {
	var rows [][]figure.Key
	sty := legendStyle()
	used := vg.Length(0)
	for _, e := range entries {
		e.Text = ellipsis(sty, e.Text, width-legendThumb-6)
		w := legendThumb + 6 + sty.Width(e.Text) + legendGap
		if len(rows) == 0 || used+w-legendGap > width {
			rows, used = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
		used += w
	}
	return rows
}

func legendHeight(entries []figure.Key, width vg.Length) vg.Length {
	if len(entries) == 0 {
		return 0
	}
	return vg.Length(len(legendRows(entries, width)))*legendRow + 8
}

func drawLegend(c draw.Canvas, entries []figure.Key) {
	sty := legendStyle()
	y := c.Max.Y - 8
	for _, row := range legendRows(entries, c.Max.X-c.Min.X) {
		x := c.Min.X
		for _, e := range row {
			box := c
			box.Rectangle = vg.Rectangle{Min: vg.Point{X: x, Y: y - legendRow + 2}, Max: vg.Point{X: x + legendThumb, Y: y - 2}}
			drawSample(box, e)
			x += legendThumb + 6
			c.FillText(sty, vg.Point{X: x, Y: y - legendRow/2}, e.Text)
			x += sty.Width(e.Text) + legendGap
		}
		y -= legendRow
	}
}

// drawSample fills c with the legend's picture of a layer.
func drawSample(c draw.Canvas, k figure.Key) {
	mid := vg.Point{X: (c.Min.X + c.Max.X) / 2, Y: (c.Min.Y + c.Max.Y) / 2}
	if k.Band {
		c.SetColor(veil(k.Look.Color))
		c.Fill(c.Rectangle.Path())
	}
	if k.Line {
		c.StrokeLine2(strokeOf(k.Look), c.Min.X, mid.Y, c.Max.X, mid.Y)
	}
	if k.Whisker {
		drawWhisker(&c, k.Look, mid.X, c.Min.Y, c.Max.Y)
	}
	if k.Point {
		drawGlyph(&c, glyphOf(k.Look), mid, k.Hollow)
	}
}
