package firstchange

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/law"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// KindFirst is the kind of the figures.
const KindFirst = "first_change"

// Figures show for each series all aspects over size, against the smallest model's; that
// of the one that leads comes first.
func (a *Answer) Figures(known *intervals.Answer) (out []figure.Figure) {
	lead, _ := prose.Lead(a.set)
	firsts := slices.Clone(a.Answers.First)
	slices.SortStableFunc(firsts, func(x, y *First) int {
		return map[bool]int{true: 1}[x.Series != lead.Series] - map[bool]int{true: 1}[y.Series != lead.Series]
	})
	for _, f := range firsts {
		if fig := f.figure(known); len(fig.Legend) > 0 {
			out = append(out, fig)
		}
	}
	out, _ = figure.First(out, "")
	return out
}

func (f *First) figure(known *intervals.Answer) figure.Figure {
	layers := []figure.Layer{{Look: figure.Muted().Stroke(1, 3, 2), Level: new(Twice)}}
	fig := figure.Figure{Kind: KindFirst, Name: KindFirst + "_" + f.Backend + f.FileSuffix()}
	for i, c := range f.Changes {
		l := figure.Layer{Name: c.title(), Look: figure.Series(i)}
		for _, z := range c.levels {
			value, low, high, ok := over(c.levels[0], z, (1-stats.Confidence)/2)
			p := figure.Point{Name: z.Name, X: *z.ParamsMillions, Y: math.Exp(value)}
			if c.Mode != "" {
				known.Mark(&p, c.Key(z.Name, cells.AllScenarios, c.Mode))
			}
			p.N, p.Of = z.made(c.levels[0])
			if ok && z.Model != c.levels[0].Model {
				if p.Low, p.High = math.Exp(low), math.Exp(high); math.IsInf(p.High, 1) {
					p.Low, p.High, p.Note = 0, 0, "95 % interval: without an end"
				}
			}
			l.Points = append(l.Points, p)
		}
		l.Beyond = c.failed
		if l.Join(); len(l.Points) < 2 && (len(l.Beyond) == 0 || len(layers) == 1) {
			continue
		}
		layers = append(layers, l)
		fig.Legend = append(fig.Legend, l.Key(c.title()))
		if c.Between != nil && c.SizeM != nil && c.Factor > 0 { // the size of the change, with its interval, on the factor
			layers = append(layers, figure.Layer{Name: c.title(), Look: figure.Series(i).Stroke(3), Line: []figure.XY{{X: c.Between.Low, Y: c.Factor}, {X: c.Between.High, Y: c.Factor}},
				Points: []figure.Point{{Name: "size of the change", X: *c.SizeM, Y: c.Factor, Hollow: true, Of: fmt.Sprintf("the law of %d models: %s", c.Models, spoken(law.Form(c.Law))),
					Note: fmt.Sprintf("95 %% interval of the size: %s to %s", doc.Millions(c.Between.Low), doc.Millions(c.Between.High))}}})
		}
	}
	x, y := figure.Spans(layers...)
	fig.X, fig.Panels = figure.LogAxis(cells.ParamsLabel, x), []figure.Panel{{Y: figure.LogAxis("times the smallest model's", y), Layers: layers}}
	fig.Title = "What changes first as models grow: " + f.Title()
	fig.Subtitle = "each aspect over its level on the smallest model · whiskers: 95 % · ring and bar: the size of the change and its 95 % interval, at the factor that counts"
	fig.Caption = fmt.Sprintf("Each aspect of %s over its level on the smallest model. Ring and bar: the size of the change and its 95 %% interval.", f.Title())
	return fig
}

// made says what a level over the smallest model's is made of.
func (l *level) made(base level) (n int, of string) {
	switch {
	case l.df > 0:
		return int(l.df) + 1, "processes"
	case l.alone != nil:
		return 1, "processes"
	}
	for b := range l.byBlock {
		if _, both := base.byBlock[b]; both {
			n++
		}
	}
	if n == 0 {
		return 0, "no block that has the smallest model too"
	}
	return n, "blocks"
}

// title names the aspect in a legend.
func (c *Change) title() string {
	if c.Factor == 0 {
		return "failed"
	}
	return fmt.Sprintf("%s (%g)", c.of.says, c.Factor)
}
