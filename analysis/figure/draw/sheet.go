package draw

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	xfont "golang.org/x/image/font"
	gplot "gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis/figure"
)

const (
	margin        = vg.Length(12)
	panelGap      = vg.Length(10) // between two panels
	lowerShare    = 0.45          // of the height of two panels, for the lower
	axisLabelRoom = vg.Length(19) // what an axis's label takes beside the tick labels
)

// sheet is a figure on its way to paper.
type sheet struct {
	figure.Figure
	panels []*panel
	plots  []*gplot.Plot // one for each panel
	height vg.Length
}

func newSheet(f figure.Figure) (*sheet, error) {
	s := &sheet{Figure: f, height: sheetHeight}
	switch len(f.Panels) {
	case 1:
	case 2:
		s.height = tallHeight
	default:
		return nil, fmt.Errorf("a figure has one panel or two, this one has %d", len(f.Panels))
	}
	rows := len(legendRows(f.Legend, sheetWidth-2*margin))
	s.height += vg.Length(max(0, rows-legendRoom)) * legendRow
	for i := range f.Panels {
		y := f.Panels[i].Y
		p := &panel{layers: clipped(f.Panels[i].Layers, y)}
		if rows := p.beyondRows(); rows > 0 {
			share := (float64(rows)*beyondRow + 14) / leastPanel
			y.Max *= math.Pow(y.Max/y.Min, share/(1-share))
		}
		s.panels, s.plots = append(s.panels, p), append(s.plots, newPlot(f.X, y, p))
	}
	return s, nil
}

// clipped has the whiskers end at the axis's ends.
func clipped(layers []figure.Layer, y figure.Axis) []figure.Layer {
	layers = slices.Clone(layers)
	for i := range layers {
		layers[i].Points = slices.Clone(layers[i].Points)
		for k := range layers[i].Points {
			if pt := &layers[i].Points[k]; pt.Whisker() {
				pt.Low, pt.High = max(pt.Low, y.Min), min(pt.High, y.Max)
			}
		}
	}
	return layers
}

// newPlot has the axes' fonts and colours set, without their labels: gonum leaves wrong
// margins for them on logarithmic axes, so that the sheet draws them.
func newPlot(x, y figure.Axis, data gplot.Plotter) *gplot.Plot {
	p := gplot.New()
	p.BackgroundColor = nil
	setAxis(&p.X, x)
	setAxis(&p.Y, y)
	g := plotter.NewGrid()
	g.Vertical = draw.LineStyle{Color: rule, Width: 0.6}
	g.Horizontal = g.Vertical
	p.Add(g, data)
	return p
}

func setAxis(a *gplot.Axis, as figure.Axis) {
	a.Tick.Label.Font = sans(10, false)
	a.Tick.Label.Color = ink
	a.LineStyle = draw.LineStyle{Color: grey, Width: 0.8}
	a.Tick.LineStyle = draw.LineStyle{Color: grey, Width: 0.6}
	a.Tick.Length = 5
	a.Padding = 0
	a.Min, a.Max = as.Min, as.Max
	a.Tick.Marker = linearTicks{}
	if as.Log {
		a.Scale, a.Tick.Marker = gplot.LogScale{}, logTicks{}
	}
	if as.Falls {
		a.Scale, a.Tick.Marker = gplot.InvertedScale{Normalizer: a.Scale}, linearTicks{whole: true}
	}
}

func sans(points float64, bold bool) font.Font {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(points)}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return f
}

func textStyle(points float64, bold bool, c color.Color) text.Style {
	return text.Style{Color: c, Font: sans(points, bold), Handler: gplot.DefaultTextHandler}
}

// dropped are the names that found no room when the sheet was drawn last.
func (s *sheet) dropped() []string {
	var out []string
	for _, p := range s.panels {
		for _, name := range p.dropped {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// draw lays out, from the top: title, subtitle, panels, legend.
func (s *sheet) draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)

	title, sub := textStyle(13, true, ink), textStyle(9.5, false, muted)
	title.YAlign, sub.YAlign = text.YTop, text.YTop
	width := c.Max.X - c.Min.X
	y := c.Max.Y
	for _, line := range wrap(title, s.Title, width, 2) {
		c.FillText(title, vg.Point{X: c.Min.X, Y: y}, line)
		y -= 16
	}
	for _, line := range wrap(sub, s.Subtitle, width, 3) {
		c.FillText(sub, vg.Point{X: c.Min.X, Y: y}, line)
		y -= 12.5
	}
	c.Max.Y = y - 6

	foot := legendHeight(s.Legend, width)
	drawLegend(draw.Crop(c, 0, 0, 0, -(c.Max.Y-c.Min.Y-foot)), s.Legend)

	right := vg.Length(0) // for names beside the axes
	for _, p := range s.panels {
		right = max(right, p.endRoom())
	}
	for i, frame := range s.frames(draw.Crop(c, axisLabelRoom, -right, foot+axisLabelRoom, 0)) {
		p := s.plots[i]
		p.Draw(frame)
		data := p.DataCanvas(frame)
		label := textStyle(11, false, ink)
		label.XAlign, label.YAlign = text.XCenter, text.YBottom
		if i == len(s.plots)-1 {
			c.FillText(label, vg.Point{X: (data.Min.X + data.Max.X) / 2, Y: c.Min.Y + foot + 2}, s.X.Label)
		}
		label.Rotation, label.YAlign = math.Pi/2, text.YTop
		c.FillText(label, vg.Point{X: c.Min.X, Y: (data.Min.Y + data.Max.Y) / 2}, s.Panels[i].Y.Label)
	}
}

// frames are what each panel has of c.
func (s *sheet) frames(c draw.Canvas) []draw.Canvas {
	if len(s.plots) == 1 {
		return []draw.Canvas{c}
	}
	middle := c.Min.Y + lowerShare*(c.Max.Y-c.Min.Y)
	frames := []draw.Canvas{draw.Crop(c, 0, 0, middle+panelGap/2-c.Min.Y, 0), draw.Crop(c, 0, 0, 0, middle-panelGap/2-c.Max.Y)}
	// Both begin at the same x, however wide their tick labels are.
	starts := []vg.Length{s.plots[0].DataCanvas(frames[0]).Min.X, s.plots[1].DataCanvas(frames[1]).Min.X}
	for i := range frames {
		frames[i] = draw.Crop(frames[i], slices.Max(starts)-starts[i], 0, 0, 0)
	}
	return frames
}

// wrap breaks s at spaces so that each line is at most width wide; what does not
// fit into the last line ends in an ellipsis.
func wrap(sty text.Style, s string, width vg.Length, lines int) []string {
	var out []string
	line := ""
	words := strings.Fields(s)
	for i, w := range words {
		next := strings.TrimSpace(line + " " + w)
		if line == "" || sty.Width(next) <= width {
			line = next
			continue
		}
		if len(out) == lines-1 {
			return append(out, ellipsis(sty, line+" "+strings.Join(words[i:], " "), width))
		}
		out, line = append(out, ellipsis(sty, line, width)), w
	}
	if line != "" {
		out = append(out, ellipsis(sty, line, width))
	}
	return out
}

// ellipsis cuts s to width.
func ellipsis(sty text.Style, s string, width vg.Length) string {
	if sty.Width(s) <= width {
		return s
	}
	r := []rune(s)
	for len(r) > 1 && sty.Width(string(r)+"…") > width {
		r = r[:len(r)-1]
	}
	return strings.TrimRight(string(r), " ") + "…"
}
