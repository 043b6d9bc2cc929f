package scaling

import (
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// fits runs every fit over every series, mode and scenario.
func (a *asker) fits() {
	for _, s := range a.Series {
		for _, mode := range a.Modes {
			first := len(a.out.Fits)
			for _, sc := range append(slices.Clone(a.Scenarios), cells.AllScenarios) {
				a.fitSeries(s, mode, sc)
			}
			a.raise(a.out.Fits[first:])
			for i := range a.out.Fits[first:] {
				if f := &a.out.Fits[first+i]; f.Scenario == cells.AllScenarios {
					a.out.Answers.Slopes = append(a.out.Answers.Slopes, slopeAnswer(f))
				}
			}
		}
	}
}

// raise puts the warnings of one mode's fits among the run's: all those of the
// fit over all scenarios, and of the single scenarios what that one does not say.
// Each fit keeps its own list whole.
func (a *asker) raise(fits []Fit) {
	said := map[string]bool{}
	for _, whole := range []bool{true, false} {
		for i := range fits {
			if f := &fits[i]; (f.Scenario == cells.AllScenarios) == whole {
				for _, w := range f.Warnings {
					if whole || !said[w.Code] {
						a.out.Add(w)
					}
				}
			}
		}
		for _, f := range fits {
			for _, w := range f.Warnings {
				if f.Scenario == cells.AllScenarios {
					said[w.Code] = true
				}
			}
		}
	}
}

// points are the latencies of a series by size: cell medians, or for
// AllScenarios the geometric means. leftOut names models without a place on the
// axis, unequal those measured in other scenarios than most, whose mean would
// compare different work.
func (a *asker) points(s cells.Series, mode, scenario string) (points []Point, models []*cells.Model, leftOut, unequal []string) {
	whole := a.WholeSet(s, mode)
	for _, m := range a.ModelsOf(s.Backend) {
		ms, of := math.NaN(), []string{scenario}
		if scenario == cells.AllScenarios {
			of = whole
			switch g := a.Aggregate(s, m.Name, mode); {
			case g == nil:
			case slices.Equal(g.Scenarios, whole):
				ms = g.GeomeanMS
			default:
				unequal = append(unequal, m.Name)
			}
		} else if g := a.Group(s.Key(m.Name, scenario, mode)); g != nil {
			ms = stats.Median(cells.Latencies(g.Rows))
		}
		if math.IsNaN(ms) {
			continue
		}
		x, ok := a.X(m)
		if !ok {
			leftOut = append(leftOut, m.Name)
			continue
		}
		points, models = append(points, Point{Model: m.Name, X: x, Y: ms, scatter: a.callScatter(s, m.Name, mode, of)}), append(models, m)
	}
	return points, models, leftOut, unequal
}

// callScatter is what the calls of a model say about the scatter of its medians'
// mean over the scenarios.
func (a *asker) callScatter(s cells.Series, model, mode string, scenarios []string) stats.Scatter {
	var calls [][]float64
	for _, sc := range scenarios {
		if g := a.Group(s.Key(model, sc, mode)); g != nil {
			calls = append(calls, cells.Latencies(g.Rows))
		}
	}
	return stats.MedianScatter(calls...)
}

func (a *asker) fitSeries(s cells.Series, mode, scenario string) {
	points, models, leftOut, unequal := a.points(s, mode, scenario)
	if len(points)+len(leftOut)+len(unequal) == 0 {
		return
	}
	kind := ""
	for _, m := range a.ModelsOf(s.Backend) {
		kind = m.BackendKind
	}
	agg := AggScenario
	if scenario == cells.AllScenarios {
		agg = AggGeomean
	}
	of := Subject{s, kind, mode, scenario}
	f := Fit{Subject: of, Aggregation: agg, Axis: a.Axis.Name}
	FitLogLog(&f, points, a.Opt)
	f.Doubt(a.Set, models, leftOut, unequal)
	a.out.Fits = append(a.out.Fits, f)

	for _, form := range []string{FormLinear, FormPower} {
		o := OffsetFit{Subject: of, Aggregation: agg, Form: form, Axis: a.Axis.Name}
		fitOffset(&o, &f)
		raised := o.Warnings
		if w, mixed := a.MixedLengths(s, mode, strings.Join([]string{s.Backend, mode, scenario, form}, " ")); mixed && o.OK && scenario == cells.AllScenarios {
			o.Warnings = append(slices.Clone(raised), w) // of the run's warnings the log-log fit says it once
		}
		a.out.OffsetFits = append(a.out.OffsetFits, o)
		if scenario == cells.AllScenarios {
			a.out.Add(raised...)
		}
	}
	if scenario != cells.AllScenarios {
		return
	}

	// Shape: only the models whose depth is known.
	var shaped []Point
	var layers, widths []float64
	for i, m := range models {
		if m.NLayer > 0 {
			shaped, layers, widths = append(shaped, points[i]), append(layers, float64(m.NLayer)), append(widths, float64(m.NEmbd))
		}
	}
	if len(shaped) == 0 {
		return
	}
	y := stats.Map(shaped, func(p Point) float64 { return p.Y })
	c := Correlation{Subject: of, NModels: len(shaped)}
	c.RhoParams, c.PParams = rankCorrelation(stats.Map(shaped, func(p Point) float64 { return p.X }), y)
	c.RhoLayers, c.PLayers = rankCorrelation(layers, y)
	c.RhoWidth, c.PWidth = rankCorrelation(widths, y)
	a.out.Correlations = append(a.out.Correlations, c)

	t := TwoPredictorFit{Subject: of, Axis: a.Axis.Name}
	fitPlane(&t, shaped, layers, a.Opt)
	a.out.TwoPredictors = append(a.out.TwoPredictors, t)
	a.out.Add(t.Warnings...)
}

func rankCorrelation(x, y []float64) (rho, p *float64) {
	if r, q, ok := stats.Spearman(x, y); ok {
		return stats.Finite(r), stats.Finite(q)
	}
	return nil, nil
}
