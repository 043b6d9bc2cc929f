package plot

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis"
	"llmscale/runner/record"
)

// crosscheckFigures show for each native and Ollama backend the ratio of their
// times against size: decode above, prefill below.
func (b *book) crosscheckFigures() []*sheet {
	type pair struct {
		native, ollama string
		batch          int
	}
	var order []pair
	rows := map[pair][]*analysis.Crosscheck{}
	for i := range b.r.Crosscheck {
		c := &b.r.Crosscheck[i]
		if c.Counters.Ratio == nil || c.ParamsM == nil || !(*c.ParamsM > 0) {
			continue
		}
		p := pair{c.Native, c.Ollama, c.BatchSize}
		if rows[p] == nil {
			order = append(order, p)
		}
		rows[p] = append(rows[p], c)
	}
	var out []*sheet
	for _, p := range order {
		sh := crosscheckSheet(rows[p])
		sh.name = "crosscheck_" + p.native + "_" + p.ollama + series{p.native, p.batch}.suffix()
		sh.title = fmt.Sprintf("Ollama's time over native's against model size: %s, %s", series{p.ollama, p.batch}, clean(p.native))
		out = append(out, sh)
	}
	return out
}

func crosscheckSheet(rows []*analysis.Crosscheck) *sheet {
	var scenarios []string
	var x span
	for _, c := range rows {
		if !slices.Contains(scenarios, c.Scenario) {
			scenarios = append(scenarios, c.Scenario)
		}
		x.add(*c.ParamsM)
	}
	sh := &sheet{kind: KindCrosscheck, xLabel: paramsLabel, height: 7 * vg.Inch}
	var labelled []*labels
	models := map[string]bool{}
	var calls span
	for _, phase := range []string{record.ModeDecode, record.ModePrefill} {
		p := newPlot()
		logAxis(&p.X, x)
		var y span
		y.add(1)
		var points []marks
		names := &labels{}
		named := map[string]bool{}
		for i, sc := range scenarios {
			look := backendLook(i)
			m := marks{look: look}
			for _, c := range rows {
				if c.Phase != phase || c.Scenario != sc {
					continue
				}
				b := c.Counters
				// Scenarios stand a little beside each other, so that no interval covers another.
				shift := math.Pow(p.X.Max/p.X.Min, 0.011*(float64(i)-float64(len(scenarios)-1)/2))
				pt := mark{name: c.Model, x: *c.ParamsM * shift, y: *b.Ratio, lo: *b.Ratio, hi: *b.Ratio, annotated: !named[c.Model]}
				named[c.Model] = true
				if b.RatioCI != nil {
					pt.lo, pt.hi = b.RatioCI.Low, b.RatioCI.High
				}
				m.points = append(m.points, pt)
				names.points = append(names.points, pt)
				y.add(pt.lo, pt.y, pt.hi)
				models[c.Model] = true
				calls.add(float64(min(c.NativeN, b.N)))
			}
			if len(m.points) > 0 {
				points = append(points, m)
				if !slices.ContainsFunc(sh.legend, func(e legendEntry) bool { return e.text == clean(sc) }) {
					sh.legend = append(sh.legend, legendEntry{clean(sc), m.sample(true)})
				}
			}
		}
		if len(points) == 0 {
			continue
		}
		if y.hi/y.lo > 6 {
			logAxis(&p.Y, y)
		} else {
			linearAxis(&p.Y, y, 0.3, 0, math.NaN())
		}
		one := curve{xs: []float64{p.X.Min, p.X.Max}, ys: []float64{1, 1}, style: draw.LineStyle{Color: ink, Width: 0.9}}
		p.Add(one)
		for _, off := range []float64{1 - analysis.CrosscheckTolerance, 1 + analysis.CrosscheckTolerance} {
			p.Add(curve{xs: one.xs, ys: []float64{off, off}, style: draw.LineStyle{Color: grey, Width: 0.8, Dashes: []vg.Length{4, 3}}})
		}
		for _, m := range points {
			p.Add(m)
		}
		p.Add(names)
		labelled = append(labelled, names)
		label := map[string]string{record.ModeDecode: "decode: Ollama / native", record.ModePrefill: "prefill: Ollama / native"}[phase]
		if sh.plot == nil {
			sh.plot, sh.yLabel = p, label
		} else {
			sh.lower = &panel{plot: p, yLabel: label}
		}
	}
	if sh.lower == nil {
		sh.height = 0
	}
	sh.legend = append(sh.legend, legendEntry{fmt.Sprintf("%.0f %% off", 100*analysis.CrosscheckTolerance), curve{style: draw.LineStyle{Color: grey, Width: 0.8, Dashes: []vg.Length{4, 3}}}.sample})
	n := fmt.Sprintf("%.0f", calls.lo)
	if calls.hi > calls.lo {
		n = fmt.Sprintf("%.0f to %.0f", calls.lo, calls.hi)
	}
	sh.subtitle = fmt.Sprintf("Ollama's own counters against native without sampling · %s · ratio of medians over %s calls or more, 95 %% interval within one process", count(len(models), "model", "models"), n)
	sh.caption = func() string {
		var dropped []string // that found no room in one of the panels
		for _, l := range labelled {
			for _, name := range l.dropped {
				if !slices.Contains(dropped, name) {
					dropped = append(dropped, name)
				}
			}
		}
		return fmt.Sprintf("Ratio of Ollama's times (its own counters, without sampling) to native ones against model size, for each scenario; above 1 Ollama is slower. Points are ratios of medians over %s calls of the side that has fewer, whiskers their 95 %% intervals, which hold within one process; points of one size stand a little beside each other. Dashed lines are %.0f %% off. "+
			"A ratio that falls towards 1 as models grow is a fixed cost of each token or call; one that stays is a cost in proportion to the work.", n, 100*analysis.CrosscheckTolerance) + droppedText(dropped)
	}
	return sh
}
