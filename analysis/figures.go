package analysis

import (
	"cmp"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/firstchange"
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
	for _, a := range r.Asked {
		if d, draws := a.(interface{ Figures() []figure.Figure }); draws {
			out = append(out, d.Figures()...)
		}
	}
	slices.SortStableFunc(out, func(x, y figure.Figure) int { return cmp.Compare(place[x.Kind], place[y.Kind]) })
	for i := range out {
		r.otherSize(&out[i])
	}
	return out
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
