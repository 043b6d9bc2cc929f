package firstchange

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// KindFirst is the kind of the figures.
const KindFirst = "first_change"

// Figures show for each series all aspects over size, against the smallest model's; that
// of the one that leads comes first.
func (a *Answer) Figures() (out []figure.Figure) {
	lead, _ := prose.Lead(a.set)
	firsts := slices.Clone(a.Answers.First)
	slices.SortStableFunc(firsts, func(x, y First) int {
		return map[bool]int{true: 1}[x.Series != lead.Series] - map[bool]int{true: 1}[y.Series != lead.Series]
	})
	for _, f := range firsts {
		if fig := f.figure(); len(fig.Legend) > 0 {
			out = append(out, fig)
		}
	}
	out, _ = figure.First(out, "")
	return out
}

func (f *First) figure() figure.Figure {
	var x, y figure.Span
	y.Add(Twice)
	layers := []figure.Layer{{Look: figure.Muted().Stroke(1, 3, 2), Level: new(Twice)}}
	fig := figure.Figure{Kind: KindFirst, Name: KindFirst + "_" + f.Backend + f.FileSuffix()}
	for i, c := range f.Changes {
		l := figure.Layer{Name: c.title(), Look: figure.Series(i)}
		for _, z := range c.levels {
			value, low, high, ok := over(c.levels[0], z, (1-stats.Confidence)/2)
			p := figure.Point{Name: z.Name, X: *z.ParamsMillions, Y: math.Exp(value)}
			if ok && z.Model != c.levels[0].Model {
				p.Low, p.High = math.Exp(low), math.Exp(high)
			}
			x.Add(p.X)
			y.Add(p.Y)
			l.Points = append(l.Points, p)
		}
		l.Beyond = c.failed
		for _, v := range c.failed {
			x.Add(v)
		}
		if l.Join(); len(l.Points) < 2 && (len(l.Beyond) == 0 || len(layers) == 1) {
			continue
		}
		layers = append(layers, l)
		fig.Legend = append(fig.Legend, l.Key(c.title()))
		if c.Between != nil && c.SizeM != nil && c.Factor > 0 { // the size of the change, with its interval, on the factor
			layers = append(layers, figure.Layer{Name: c.title(), Look: figure.Series(i).Stroke(3), Line: []figure.XY{{X: c.Between.Low, Y: c.Factor}, {X: c.Between.High, Y: c.Factor}},
				Points: []figure.Point{{Name: "size of the change", X: *c.SizeM, Y: c.Factor, Hollow: true}}})
		}
	}
	axis := figure.LogAxis("times the smallest model's", y)
	for i := range layers { // whiskers may be endless
		for k := range layers[i].Points {
			p := &layers[i].Points[k]
			p.Low, p.High = max(p.Low, axis.Min), min(p.High, axis.Max)
		}
	}
	fig.X, fig.Panels = figure.LogAxis(cells.ParamsLabel, x), []figure.Panel{{Y: axis, Layers: layers}}
	fig.Title = "What changes first as models grow: " + f.Title()
	fig.Subtitle = "each aspect over its level on the smallest model · whiskers: 95 % · ring and bar: the size of the change and its 95 % interval, at the factor that counts"
	fig.Caption = fmt.Sprintf("Each aspect of %s over its level on the smallest model. Ring and bar: the size of the change and its 95 %% interval.", f.Title())
	return fig
}

// title names the aspect in a legend.
func (c *Change) title() string {
	if c.Factor == 0 {
		return "failed"
	}
	return fmt.Sprintf("%s (%g)", c.of.says, c.Factor)
}
