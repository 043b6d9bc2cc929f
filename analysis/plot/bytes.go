package plot

import (
	"fmt"
	"image/color"
	"math"
	"strings"

	gplot "gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis/cells"
	"llmscale/runner/record"
)

// bytesFigure puts decode time per token against the weight bytes that a token
// must read. A model bound by memory bandwidth lies on a line of constant GB/s.
func (b *book) bytesFigure() []*sheet {
	p := newPlot()
	sh := &sheet{kind: KindBytes, name: "decode_bytes",
		xLabel: "weights read per decoded token (MB)", yLabel: "decode time per token (ms)", plot: p}
	names := &labels{}
	var x, y, rates span
	var plain []string
	var points []marks
	models := map[string]bool{}
	for _, s := range b.series {
		m := marks{look: b.look(s)}
		for _, model := range b.r.Models {
			if model.Backend != s.backend || model.BytesPerToken <= 0 {
				continue
			}
			ms, n := b.msPerToken(s, model.Name)
			if n == 0 {
				continue
			}
			pt := mark{name: model.Name, x: float64(model.BytesPerToken) * 1e-6, y: ms, lo: ms, hi: ms, annotated: !models[model.Name]}
			models[model.Name] = true
			x.add(pt.x)
			y.add(pt.y)
			rates.add(pt.x / pt.y)
			m.points = append(m.points, pt)
		}
		if len(m.points) == 0 {
			continue
		}
		plain = append(plain, s.String())
		points = append(points, m)
		names.points = append(names.points, m.points...)
		sh.legend = append(sh.legend, legendEntry{fmt.Sprintf("%s (%s)", s, count(len(m.points), "model", "models")), m.sample(false)})
	}
	if len(points) == 0 {
		return nil
	}
	guides := &bandwidths{}
	p.Add(guides)
	for _, m := range points {
		p.Add(m)
	}
	p.Add(names)
	logAxis(&p.X, x)
	logAxis(&p.Y, y)
	guides.choose(p, rates)
	guides.points = names.points
	names.lines, names.avoid = guides.lines, guides
	sh.legend = append(sh.legend, legendEntry{"constant rate of reading weights", curve{style: guideStyle}.sample})
	sh.title = "Decode time against weight bytes: " + backendsTitle(plain) + ", all scenarios"
	sh.subtitle = "mode kv_decode · geometric mean over scenarios of the median time per token"
	sh.caption = func() string {
		return "Decode time per token against the weight bytes that one token reads, for " + strings.Join(plain, ", ") +
			". Dashed lines are constant rates of reading weights: models that run along one of them are bound by that bandwidth, models above it spend time on something else. " +
			"Reads of the KV cache are not counted, and a rate above the memory's bandwidth means that weights stayed in a cache." + droppedText(names.dropped)
	}
	return []*sheet{sh}
}

// msPerToken is the geometric mean over n scenarios of a model's decode time per
// token.
func (b *book) msPerToken(s series, model string) (ms float64, n int) {
	sum := 0.0
	for _, c := range b.r.CellsOf(cells.AllScenarios) {
		if c.Mode == record.ModeDecode && c.Backend == s.backend && c.BatchSize == s.batch && c.Model == model &&
			c.MSPerToken != nil && *c.MSPerToken > 0 {
			sum += math.Log(*c.MSPerToken)
			n++
		}
	}
	if n == 0 {
		return 0, 0
	}
	return math.Exp(sum / float64(n)), n
}

var guideStyle = draw.LineStyle{Color: grey, Width: 0.7, Dashes: []vg.Length{4, 3}}

// bandwidths draws lines of constant GB/s with their names on them.
type bandwidths struct {
	lines  []curve
	rates  []float64      // GB/s, one for each line
	points []mark         // not to be covered by the names
	taken  []vg.Rectangle // by the names
}

// choose takes round rates around those of the data whose lines cross the frame
// of p: x is in MB and y in ms, so x/y is in GB/s.
func (g *bandwidths) choose(p *gplot.Plot, data span) {
	lo, hi := data.lo/2.5, data.hi*2.5
	set := mantissas[2]
	if math.Log10(hi/lo) > 2.5 {
		set = mantissas[0]
	}
	for e := int(math.Floor(math.Log10(lo))); e <= int(math.Ceil(math.Log10(hi))); e++ {
		for _, m := range set {
			rate := pow10(m, e)
			x0, x1 := max(p.X.Min, rate*p.Y.Min), min(p.X.Max, rate*p.Y.Max)
			if rate < lo || rate > hi || x1/x0 < 1.5 {
				continue
			}
			g.rates = append(g.rates, rate)
			g.lines = append(g.lines, curve{xs: []float64{x0, x1}, ys: []float64{x0 / rate, x1 / rate}, style: guideStyle})
		}
	}
}

// Plot implements plot.Plotter.
func (g *bandwidths) Plot(c draw.Canvas, p *gplot.Plot) {
	trX, trY := p.Transforms(&c)
	sty := textStyle(8.5, false, muted)
	sty.XAlign, sty.YAlign = text.XCenter, text.YCenter
	var points []vg.Rectangle
	for _, pt := range g.points {
		at := vg.Point{X: trX(pt.x), Y: trY(pt.y)}
		points = append(points, grow(vg.Rectangle{Min: at, Max: at}, glyphRadius+2))
	}
	g.taken = nil
	for i, line := range g.lines {
		line.Plot(c, p)
		start := vg.Point{X: trX(line.xs[0]), Y: trY(line.ys[0])}
		end := vg.Point{X: trX(line.xs[1]), Y: trY(line.ys[1])}
		label := tickLabel(g.rates[i]) + " GB/s"
		w, h := sty.Width(label)+6, vg.Length(11)
		// As near to the line's start as the frame and the points allow.
		for f := max((w/2+2)/(end.X-start.X), (h/2+2)/(end.Y-start.Y)); f < 0.9; f += 0.04 {
			at := vg.Point{X: start.X + f*(end.X-start.X), Y: start.Y + f*(end.Y-start.Y)}
			box := vg.Rectangle{Min: vg.Point{X: at.X - w/2, Y: at.Y - h/2}, Max: vg.Point{X: at.X + w/2, Y: at.Y + h/2}}
			if overlapsAny(box, g.taken) || overlapsAny(box, points) {
				continue
			}
			c.SetColor(color.White)
			c.Fill(box.Path())
			c.FillText(sty, at, label)
			g.taken = append(g.taken, box)
			break
		}
	}
}
