package analysis

import (
	"cmp"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/tails"
)

// place is where a kind of figures stands; those that it does not name stand at 0.
var place = map[string]int{firstchange.KindFirst: -4, laws.KindOverview: -3, laws.KindLaw: -2, tails.KindTokens: -1,
	tails.KindTails: 1}

// Figures are those of all answers that draw some, by their kind. What is drawn over
// parameters can be drawn over the bytes that a token reads, and the other way round.
func (r *Result) Figures() []figure.Figure {
	var out []figure.Figure
	known := Get[intervals.Answer](r)
	for _, a := range r.Asked {
		if d, draws := a.(interface {
			Figures(*intervals.Answer) []figure.Figure
		}); draws {
			out = append(out, d.Figures(known)...)
		}
	}
	slices.SortStableFunc(out, func(x, y figure.Figure) int { return cmp.Compare(place[x.Kind], place[y.Kind]) })
	for i := range out {
		r.otherSize(&out[i])
	}
	return out
}

// shown is a point as figures.csv has it.
type shown struct {
	Figure   string   `json:"figure" doc:"name of the figure"`
	XAxis    string   `json:"x_axis" doc:"what x is, with its unit"`
	YAxis    string   `json:"y_axis" doc:"what y is, with its unit"`
	Series   string   `json:"series" doc:"its entry in the legend, or the name at the line's end"`
	Point    string   `json:"point" doc:"its name, mostly a model's"`
	X        float64  `json:"x" doc:"where it stands"`
	Y        float64  `json:"y" doc:"its value"`
	Low      *float64 `json:"low" doc:"lower end of its whisker"`
	High     *float64 `json:"high" doc:"upper end"`
	Interval string   `json:"interval" doc:"what the whisker is"`
	N        int      `json:"n" zero:"unknown" doc:"of how many the value is made"`
	Of       string   `json:"of" doc:"of what; without n, what it is made of instead"`
	Verdict  string   `json:"verdict" doc:"of its cell; of several cells the worst"`
	Note     string   `json:"note" doc:"what else is known of it"`
}

// shown is the table of all points of the figures: what a page tells of a point.
func (r *Result) shown() finding.Table {
	var rows []shown
	for _, f := range r.Figures() {
		for _, p := range f.Panels {
			for _, l := range p.Layers {
				for _, pt := range l.Points {
					row := shown{Figure: f.Name, XAxis: f.X.Label, YAxis: p.Y.Label, Series: cmp.Or(l.Name, l.End), Point: pt.Name,
						X: pt.X, Y: pt.Y, N: pt.N, Of: pt.Of, Verdict: pt.Verdict, Note: pt.Note}
					if pt.Whisker() {
						row.Low, row.High, row.Interval = &pt.Low, &pt.High, cmp.Or(l.Reach, "95 % interval")
					}
					rows = append(rows, row)
				}
			}
		}
	}
	return finding.TableOf("figures.csv", "Every point that the figures show, with its interval and what it is made of.", rows, "")
}

// otherSize gives a figure over one measure of size the other: of parameters the bytes
// that a token reads, of all else the parameters. It takes two sizes.
func (r *Result) otherSize(f *figure.Figure) {
	axes := cells.Axes()
	at := slices.IndexFunc(axes, func(a cells.Axis) bool { return a.Label == f.X.Label })
	if at < 0 {
		return
	}
	other := axes[len(axes)-1] // bytes
	if at == len(axes)-1 {
		other = axes[0]
	}
	var x figure.Span
	for _, p := range f.Panels {
		for _, l := range p.Layers {
			for i := range l.Points {
				pt := &l.Points[i]
				m := slices.IndexFunc(r.Models, func(m cells.Model) bool { return m.Name == pt.Name })
				if m < 0 {
					continue
				}
				if v, ok := other.X(&r.Models[m]); ok {
					pt.Other = v
					x.Add(v)
				}
			}
		}
	}
	if x.High > x.Low {
		axis := figure.LogAxis(other.Label, x)
		f.Other = &axis
	}
}
