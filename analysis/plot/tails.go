package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// tailFigure shows how much slower than the middle token the slow ones are,
// against size, for all backends. A quantile with too few tokens is not drawn.
func (b *book) tailFigure() []*sheet {
	p := newPlot()
	sh := &sheet{kind: KindTails, name: "tails", xLabel: paramsLabel, yLabel: "token time relative to the median token", plot: p}
	names := &labels{}
	var x, y span
	var plain, missing []string
	var all []marks
	named := map[string]bool{}
	tokens := span{}
	for _, s := range b.series {
		for _, q := range []struct {
			name   string
			ratio  func(t *analysis.Tail) stats.Percentile
			hollow bool
			dashes []vg.Length
		}{
			{"p99", func(t *analysis.Tail) stats.Percentile { return t.P99Ratio }, true, []vg.Length{3, 2}},
			{"p95", func(t *analysis.Tail) stats.Percentile { return t.P95Ratio }, false, nil},
		} {
			m := marks{look: b.look(s), hollow: q.hollow}
			short := 0
			need, had := 0, 0
			for i := range b.r.Tails {
				t := &b.r.Tails[i]
				if t.Backend != s.backend || t.BatchSize != s.batch || t.Scenario != cells.AllScenarios || t.ParamsM == nil || *t.ParamsM <= 0 {
					continue
				}
				r := q.ratio(t)
				if r.Value == nil {
					short++
					need, had = r.Need, max(had, r.N)
					continue
				}
				tokens.add(float64(t.N))
				m.points = append(m.points, mark{name: t.Model, x: *t.ParamsM, y: *r.Value, lo: *r.Value, hi: *r.Value})
			}
			if short > 0 {
				missing = append(missing, fmt.Sprintf("%s of %s for %s (at most %d tokens, %d needed)", q.name, s, count(short, "model", "models"), had, need))
			}
			if len(m.points) == 0 {
				continue
			}
			slices.SortStableFunc(m.points, func(a, c mark) int { return compareFloat(a.x, c.x) })
			line := curve{style: draw.LineStyle{Color: m.look.color, Width: 1.1, Dashes: q.dashes}}
			for k := range m.points {
				pt := &m.points[k]
				pt.annotated = !named[pt.name]
				named[pt.name] = true
				x.add(pt.x)
				y.add(pt.y)
				line.xs, line.ys = append(line.xs, pt.x), append(line.ys, pt.y)
			}
			p.Add(line)
			all = append(all, m)
			names.points = append(names.points, m.points...)
			names.lines = append(names.lines, line)
			sh.legend = append(sh.legend, legendEntry{fmt.Sprintf("%s / p50, %s", q.name, s), line.sampleWith(m)})
			if !slices.Contains(plain, s.String()) {
				plain = append(plain, s.String())
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	for _, m := range all {
		p.Add(m)
	}
	p.Add(names)
	logAxis(&p.X, x)
	y.add(1)
	if y.hi/y.lo > 6 {
		logAxis(&p.Y, y)
	} else {
		linearAxis(&p.Y, y, 0.05, 1, math.NaN())
	}
	sh.title = "Tail of the decode time per token against model size: " + backendsTitle(plain) + ", all scenarios"
	n := fmt.Sprintf("%.0f", tokens.lo)
	if tokens.hi > tokens.lo {
		n += fmt.Sprintf(" to %.0f", tokens.hi)
	}
	sh.subtitle = fmt.Sprintf("mode kv_decode · quantiles over %s tokens for each model, each taken relative to its scenario's median · 1 = no tail", n)
	sh.caption = func() string {
		s := "How much slower than the median token the slow ones are, against model size, for " + strings.Join(plain, ", ") + ". 1 is no tail at all. " +
			"p95 takes 130 tokens, p99 takes 662."
		if len(missing) > 0 {
			s += " Not drawn: " + strings.Join(missing, "; ") + "."
		}
		return s + droppedText(names.dropped)
	}
	return []*sheet{sh}
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
