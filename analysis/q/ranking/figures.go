package ranking

import (
	"fmt"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
)

const leastSizes = 3 // of a bump chart

// kind of the figures.
const kind = "ranking"

// Figures are bump charts: the place of each backend over the sizes, where some change places.
func (a *Answer) Figures(known *intervals.Answer) (out []figure.Figure) {
	for _, g := range a.groups() {
		sizes, _ := stats.GroupBy(g, func(r Rank) float64 { return cells.OrInf(r.ParamsM) })
		if len(sizes) >= leastSizes && moves(g) {
			out = append(out, a.bump(g, known))
		}
	}
	return out
}

func moves(ranks []Rank) bool {
	first := map[cells.Series]int{}
	for _, r := range ranks {
		if at, seen := first[r.Series]; seen && at != r.Rank {
			return true
		}
		first[r.Series] = r.Rank
	}
	return false
}

func (a *Answer) bump(ranks []Rank, known *intervals.Answer) figure.Figure {
	backends, of := stats.GroupBy(ranks, func(r Rank) cells.Series { return r.Series })
	shown, left := figure.First(backends, "backends")
	var layers []figure.Layer
	open := false
	for i, s := range shown {
		l := figure.Layer{Look: figure.Series(i).Stroke(1.6), End: s.Title()}
		for _, r := range of[s] {
			if r.ParamsM == nil || !(*r.ParamsM > 0) {
				continue
			}
			pt := figure.Point{Name: r.Model, X: *r.ParamsM, Y: float64(r.Rank), Hollow: r.Rank > 1 && !r.Previous}
			open = open || pt.Hollow
			known.Mark(&pt, r.Key(r.Model, r.Scenario, r.Mode))
			if pt.Note = "time over the fastest: " + doc.Fixed(&r.Ratio, 3); r.CI != nil {
				pt.Note += " (95 % " + doc.Interval(r.CI, 3) + ")"
			}
			l.Points = append(l.Points, pt)
		}
		l.Join()
		layers = append(layers, l)
	}
	x, y := figure.Spans(layers...)
	first := ranks[0]
	f := figure.Figure{
		Kind:  kind,
		Name:  fmt.Sprintf("ranking_%s_%s%s", first.Mode, first.Scenario, first.FileSuffix()),
		Title: fmt.Sprintf("Places by size: %s, %s", prose.Mode(first.Mode), prose.InScenario(first.Scenario)),
		X:     figure.LogAxis(cells.ParamsLabel, x),
		Panels: []figure.Panel{{
			Y:      figure.Axis{Label: "place (1 is the fastest)", Min: y.Low - 0.4, Max: y.High + 0.4, Falls: true},
			Layers: layers,
		}},
	}
	f.Subtitle = text.Counted(len(backends), "backend", "backends") + left
	f.Caption = doc.Upper(fmt.Sprintf("%s of %s: places by the typical time at each size.", prose.Mode(first.Mode), prose.InScenario(first.Scenario)))
	if open {
		f.Caption += " Hollow: not shown to be slower than the next faster one."
	}
	return f
}
