package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis/cells"
)

// shareFigures show the share of decode in end-to-end time against size, one
// figure for each backend with a line for each scenario.
func (b *book) shareFigures() []*sheet {
	var out []*sheet
	for _, s := range b.series {
		if sh := b.shareSheet(s); sh != nil {
			out = append(out, sh)
		}
	}
	return out
}

func (b *book) shareSheet(s series) *sheet {
	p := newPlot()
	sh := &sheet{kind: KindShare, name: "decode_share_" + s.backend + s.suffix(),
		xLabel: paramsLabel, yLabel: "decode share of end-to-end time (%)", plot: p}
	var scenarios []string
	models := map[string]bool{}
	for _, d := range b.r.DecodeFractions {
		if d.Backend == s.backend && d.BatchSize == s.batch && d.Scenario != cells.AllScenarios && !slices.Contains(scenarios, d.Scenario) {
			scenarios = append(scenarios, d.Scenario)
		}
	}
	var x, y span
	names := &labels{}
	var all []marks
	for i, scenario := range scenarios {
		m := marks{look: backendLook(i)}
		for _, d := range b.r.DecodeFractions {
			if d.Backend != s.backend || d.BatchSize != s.batch || d.Scenario != scenario || d.ParamsM == nil || *d.ParamsM <= 0 {
				continue
			}
			v := 100 * d.Fraction
			m.points = append(m.points, mark{name: d.Model, x: *d.ParamsM, y: v, lo: v, hi: v, annotated: !models[d.Model]})
			models[d.Model] = true
			x.add(*d.ParamsM)
			y.add(v)
		}
		if len(m.points) == 0 {
			continue
		}
		slices.SortStableFunc(m.points, func(a, c mark) int { return compareFloat(a.x, c.x) })
		line := curve{style: draw.LineStyle{Color: m.look.color, Width: 1.1}}
		for _, pt := range m.points {
			line.xs, line.ys = append(line.xs, pt.x), append(line.ys, pt.y)
		}
		p.Add(line)
		all = append(all, m)
		names.points = append(names.points, m.points...)
		names.lines = append(names.lines, line)
		sh.legend = append(sh.legend, legendEntry{scenarioTitle(scenario), line.sampleWith(m)})
	}
	if len(all) == 0 {
		return nil
	}
	for _, m := range all {
		p.Add(m)
	}
	p.Add(names)
	logAxis(&p.X, x)
	linearAxis(&p.Y, y, 2, math.NaN(), 100)
	answer := ""
	if n := b.genTokens(cells.AllScenarios); n > 0 {
		answer = fmt.Sprintf(" · answers of %d tokens", n)
	}
	sh.title = fmt.Sprintf("Decode share of end-to-end time against model size: %s", s)
	sh.subtitle = fmt.Sprintf("%s · %s%s", count(len(models), "model", "models"), count(len(all), "scenario", "scenarios"), answer)
	sh.caption = func() string {
		return fmt.Sprintf("Share of decode in end-to-end time against model size, for %s%s: median decode divided by median end-to-end time, for each scenario. The rest is prefill. The axis does not start at zero.",
			s, strings.Replace(answer, " · ", ", ", 1)) + droppedText(names.dropped)
	}
	return sh
}
