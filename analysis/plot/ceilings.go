package plot

import (
	"fmt"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis"
)

// ceilingFigures show for each device what it can read at each working set, and
// where decode lies below that.
func (b *book) ceilingFigures() []*sheet {
	var out []*sheet
	for i := range b.r.Ceilings {
		if d := &b.r.Ceilings[i]; len(d.Read) > 1 {
			out = append(out, b.ceilingSheet(d))
		}
	}
	return out
}

func (b *book) ceilingSheet(d *analysis.DeviceCeiling) *sheet {
	p := newPlot()
	sh := &sheet{
		kind: KindCeilings, name: "ceilings_" + d.Kind,
		title:  "What decode reads against what can be read: " + clean(d.Device()),
		xLabel: "bytes that a step, or a pass of the probe, reads (MB)",
		yLabel: "reading (GB/s)",
		plot:   p,
	}
	if d.Threads > 0 {
		sh.name += fmt.Sprintf("_%d_threads", d.Threads)
	}
	var x, y span
	measured := marks{look: look{grey, glyphs[0]}}
	for _, r := range d.Read {
		pt := mark{x: float64(r.WorkingSetB) / 1e6, y: r.BytesPerS / 1e9}
		pt.lo, pt.hi = pt.y, pt.y
		measured.points = append(measured.points, pt)
		x.add(pt.x)
		y.add(pt.y)
	}
	names := &labels{points: measured.points}
	var series []marks
	var plain []string
	scenarios := 0
	for _, s := range b.series {
		m := marks{look: b.look(s)}
		at := map[string]int{} // the point of each model: its best scenario
		all := map[string]bool{}
		for i := range b.r.CeilingShares {
			c := &b.r.CeilingShares[i]
			if c.Backend != s.backend || c.BatchSize != s.batch || !d.Is(c.Device, c.Threads) || c.Share == nil || c.GBPerS == nil {
				continue
			}
			all[c.Scenario] = true
			pt := mark{name: c.Model, x: float64(c.Bytes()) / 1e6, y: *c.GBPerS, annotated: true}
			pt.lo, pt.hi = pt.y, pt.y
			k, seen := at[c.Model]
			if !seen {
				at[c.Model] = len(m.points)
				m.points = append(m.points, pt)
				continue
			}
			pt.lo, pt.hi = min(pt.lo, m.points[k].lo), max(pt.hi, m.points[k].hi)
			if pt.y < m.points[k].y {
				pt.x, pt.y = m.points[k].x, m.points[k].y
			}
			m.points[k] = pt
		}
		if len(m.points) == 0 {
			continue
		}
		scenarios = max(scenarios, len(all))
		for _, pt := range m.points {
			x.add(pt.x)
			y.add(pt.lo, pt.hi)
		}
		series, plain = append(series, m), append(plain, s.String())
		names.points = append(names.points, m.points...)
		sh.legend = append(sh.legend, legendEntry{fmt.Sprintf("decode, %s (%s)", s, count(len(m.points), "model", "models")), m.sample(scenarios > 1)})
	}
	logAxis(&p.X, x)
	logAxis(&p.Y, y)

	// The envelope in steps, to the frame on both sides.
	steps := curve{style: draw.LineStyle{Color: ink, Width: 1.1}}
	last := p.X.Min
	for i, r := range d.Envelope {
		to := p.X.Max
		if i+1 < len(d.Envelope) {
			to = float64(d.Envelope[i+1].WorkingSetB) / 1e6
		}
		steps.xs = append(steps.xs, last, to)
		steps.ys = append(steps.ys, r.BytesPerS/1e9, r.BytesPerS/1e9)
		last = to
	}
	half := curve{style: draw.LineStyle{Color: grey, Width: 0.8, Dashes: []vg.Length{4, 3}}}
	for i := range steps.xs {
		half.xs, half.ys = append(half.xs, steps.xs[i]), append(half.ys, steps.ys[i]/2)
	}
	names.lines = []curve{steps, half}
	p.Add(half, steps, measured)
	for _, m := range series {
		p.Add(m)
	}
	p.Add(names)
	sh.legend = append(sh.legend, legendEntry{"best rate measured", measured.sample(false)}, legendEntry{"ceiling", steps.sample}, legendEntry{"half of it", half.sample})
	what := "best of all passes"
	if d.Sessions > 1 {
		what += fmt.Sprintf(" of %d sessions", d.Sessions)
	}
	sh.subtitle = fmt.Sprintf("%s · probe: %s · decode: weights and KV cache of a step over its median time", clean(d.Name), what)
	if scenarios > 1 {
		sh.subtitle += fmt.Sprintf(", fastest of %d scenarios, whisker over all", scenarios)
	}
	sh.caption = func() string {
		text := fmt.Sprintf("Rate of reading against the bytes that are read again and again, on %s. Grey points are the probe's best rates at each working set; the line is the ceiling that shares are taken of, which never rises and between two working sets is that of the smaller one. ", clean(d.Device()))
		if len(plain) > 0 {
			text += fmt.Sprintf("Coloured points are decode on %s: what a step reads over its time. Near the line, decode is bound by reading; far below it, by something else.", strings.Join(plain, ", "))
		} else {
			text += "No decode of the run could be compared with it."
		}
		return text + droppedText(names.dropped)
	}
	return sh
}
