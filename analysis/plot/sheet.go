package plot

import (
	"bufio"
	"bytes"
	"image/color"
	"math"
	"os"
	"strings"

	xfont "golang.org/x/image/font"
	gplot "gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"llmscale/analysis/figure"
	words "llmscale/internal/text"
)

const (
	sheetWidth  = 8 * vg.Inch
	sheetHeight = 5.5 * vg.Inch
	sheetDPI    = 144
	margin      = vg.Length(12)
)

var (
	ink   = color.RGBA{0x22, 0x22, 0x22, 0xff}
	muted = color.RGBA{0x59, 0x59, 0x59, 0xff}
	rule  = color.RGBA{0xe3, 0xe3, 0xe3, 0xff}
	grey  = color.RGBA{0x8c, 0x8c, 0x8c, 0xff}
)

// sheet is one figure before it is drawn.
type sheet struct {
	kind, name string
	title      string
	subtitle   string
	caption    func() string // called after drawing, when it is known what found no room
	xLabel     string
	yLabel     string
	plot       *gplot.Plot
	legend     []legendEntry
	right      vg.Length // kept free beside the axes, for labels at the lines' ends
	lower      *panel    // a second drawing over the same x axis; nil: none
	height     vg.Length // 0: sheetHeight
}

// panel is a drawing below another one.
type panel struct {
	plot   *gplot.Plot
	yLabel string
}

// newPlot has the axes' fonts and colours set and no data yet. The axes' labels
// belong to the sheet: gonum leaves wrong margins for them on logarithmic axes.
func newPlot() *gplot.Plot {
	p := gplot.New()
	p.BackgroundColor = nil
	for _, a := range []*gplot.Axis{&p.X, &p.Y} {
		a.Tick.Label.Font = sans(10, false)
		a.Tick.Label.Color = ink
		a.LineStyle = draw.LineStyle{Color: grey, Width: 0.8}
		a.Tick.LineStyle = draw.LineStyle{Color: grey, Width: 0.6}
		a.Tick.Length = 5
		a.Padding = 0
	}
	g := plotter.NewGrid()
	g.Vertical = draw.LineStyle{Color: rule, Width: 0.6}
	g.Horizontal = g.Vertical
	p.Add(g)
	return p
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

// save draws the sheet on both kinds of canvas and writes the two files.
func (s *sheet) save(dir string) (figure.Drawn, error) {
	fig := figure.Drawn{Kind: s.kind, Name: s.name, Title: s.title}
	fig.PNGPath, fig.SVGPath = paths(dir, s.name)

	height := s.height
	if height == 0 {
		height = sheetHeight
	}
	img := vgimg.NewWith(vgimg.UseWH(sheetWidth, height), vgimg.UseDPI(sheetDPI), vgimg.UseBackgroundColor(color.White))
	s.draw(draw.New(img))
	var buf bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: img}).WriteTo(&buf); err != nil {
		return fig, err
	}
	if err := os.WriteFile(fig.PNGPath, buf.Bytes(), 0o644); err != nil {
		return fig, err
	}

	svg := vgsvg.New(sheetWidth, height)
	s.draw(draw.New(svg))
	buf.Reset()
	w := bufio.NewWriter(&buf)
	if _, err := svg.WriteTo(w); err != nil {
		return fig, err
	}
	if err := w.Flush(); err != nil {
		return fig, err
	}
	if err := os.WriteFile(fig.SVGPath, []byte(words.SafeLines(string(mendSVG(buf.Bytes())))), 0o644); err != nil {
		return fig, err
	}
	fig.Caption = s.caption()
	return fig, nil
}

// mendSVG names fonts to fall back on: vgsvg names Liberation Sans alone, and a
// reader without it would see a serif font of other widths. Arial and Helvetica
// have the same widths.
func mendSVG(svg []byte) []byte {
	return bytes.ReplaceAll(svg,
		[]byte("font-family:Liberation Sans;"),
		[]byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
}

// draw lays out, from the top: title, subtitle, axes, legend.
func (s *sheet) draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)

	title, sub := textStyle(13, true, ink), textStyle(9.5, false, muted)
	title.YAlign, sub.YAlign = text.YTop, text.YTop
	width := c.Max.X - c.Min.X
	y := c.Max.Y
	for _, line := range wrap(title, s.title, width, 2) {
		c.FillText(title, vg.Point{X: c.Min.X, Y: y}, line)
		y -= 16
	}
	for _, line := range wrap(sub, s.subtitle, width, 3) {
		c.FillText(sub, vg.Point{X: c.Min.X, Y: y}, line)
		y -= 12.5
	}
	c.Max.Y = y - 6

	foot := legendHeight(s.legend, width)
	drawLegend(draw.Crop(c, 0, 0, 0, -(c.Max.Y-c.Min.Y-foot)), s.legend)

	axes := draw.Crop(c, axisLabelRoom, -s.right, foot+axisLabelRoom, 0)
	panels := []panel{{s.plot, s.yLabel}}
	frames := []draw.Canvas{axes}
	if s.lower != nil {
		panels = append(panels, *s.lower)
		middle := axes.Min.Y + 0.45*(axes.Max.Y-axes.Min.Y)
		frames = []draw.Canvas{draw.Crop(axes, 0, 0, middle+panelGap/2-axes.Min.Y, 0), draw.Crop(axes, 0, 0, 0, middle-panelGap/2-axes.Max.Y)}
		// Both begin at the same x, however wide their tick labels are.
		left := max(s.plot.DataCanvas(frames[0]).Min.X, s.lower.plot.DataCanvas(frames[1]).Min.X)
		for i := range frames {
			frames[i] = draw.Crop(frames[i], left-panels[i].plot.DataCanvas(frames[i]).Min.X, 0, 0, 0)
		}
	}
	for i, p := range panels {
		p.plot.Draw(frames[i])
		data := p.plot.DataCanvas(frames[i])
		label := textStyle(11, false, ink)
		label.XAlign, label.YAlign = text.XCenter, text.YBottom
		if i == len(panels)-1 {
			c.FillText(label, vg.Point{X: (data.Min.X + data.Max.X) / 2, Y: c.Min.Y + foot + 2}, s.xLabel)
		}
		label.Rotation, label.YAlign = math.Pi/2, text.YTop
		c.FillText(label, vg.Point{X: c.Min.X, Y: (data.Min.Y + data.Max.Y) / 2}, p.yLabel)
	}
}

// panelGap lies between two panels.
const panelGap = vg.Length(10)

// axisLabelRoom is what an axis's label takes beside the tick labels.
const axisLabelRoom = vg.Length(19)

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

// legendEntry is a name and a sample of what it names.
type legendEntry struct {
	text   string
	sample func(c draw.Canvas) // draws into the whole canvas
}

const (
	legendRow   = vg.Length(15)
	legendThumb = vg.Length(22)
	legendGap   = vg.Length(14)
)

func legendStyle() text.Style {
	sty := textStyle(9.5, false, ink)
	sty.YAlign = text.YCenter
	return sty
}

// legendRows distributes entries over rows no wider than width.
func legendRows(entries []legendEntry, width vg.Length) [][]legendEntry {
	var rows [][]legendEntry
	sty := legendStyle()
	used := vg.Length(0)
	for _, e := range entries {
		e.text = ellipsis(sty, e.text, width-legendThumb-6)
		w := legendThumb + 6 + sty.Width(e.text) + legendGap
		if len(rows) == 0 || used+w-legendGap > width {
			rows, used = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
		used += w
	}
	return rows
}

func legendHeight(entries []legendEntry, width vg.Length) vg.Length {
	if len(entries) == 0 {
		return 0
	}
	return vg.Length(len(legendRows(entries, width)))*legendRow + 8
}

func drawLegend(c draw.Canvas, entries []legendEntry) {
	sty := legendStyle()
	y := c.Max.Y - 8
	for _, row := range legendRows(entries, c.Max.X-c.Min.X) {
		x := c.Min.X
		for _, e := range row {
			box := c
			box.Rectangle = vg.Rectangle{Min: vg.Point{X: x, Y: y - legendRow + 2}, Max: vg.Point{X: x + legendThumb, Y: y - 2}}
			e.sample(box)
			x += legendThumb + 6
			c.FillText(sty, vg.Point{X: x, Y: y - legendRow/2}, e.text)
			x += sty.Width(e.text) + legendGap
		}
		y -= legendRow
	}
}
