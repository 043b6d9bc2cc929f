package scaling

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
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

// Selection are the models of a fit, and why others are not in it.
type Selection struct {
	Points  []Point
	Models  []*cells.Model
	noSize  []string // without a place on the axis
	unequal []string // measured in other scenarios than most, so that their mean is of other work
	invalid []string // INVALID, or AMBIGUOUS where enough are VALID
	doubted []string // AMBIGUOUS and in the fit
}

// Select gives the latencies of a series by size: of the cells, or for AllScenarios
// their geometric means. Those that are VALID, and those that are AMBIGUOUS as well where
// fewer than three sizes, or fewer than half of the models, would be left.
func Select(a *cells.Set, judged *intervals.Answer, axis cells.Axis, s cells.Series, mode, scenario string) (in Selection) {
	whole := a.WholeSet(s, mode)
	var doubtful Selection
	var sizes []float64
	for _, m := range a.ModelsOf(s.Backend) {
		ms, of := math.NaN(), []string{scenario}
		if scenario == cells.AllScenarios {
			of = whole
			switch g := a.Aggregate(s, m.Name, mode); {
			case g == nil:
			case slices.Equal(g.Scenarios, whole):
				ms = g.GeomeanMS
			default:
				in.unequal = append(in.unequal, m.Name)
			}
		} else if c := a.Cell(s, m.Name, scenario, mode); c != nil {
			ms = c.MedianMS
		}
		if math.IsNaN(ms) {
			continue
		}
		x, ok := axis.X(m)
		if !ok {
			in.noSize = append(in.noSize, m.Name)
			continue
		}
		p := Point{Model: m.Name, X: x, Y: ms}
		p.Scatter, p.Blocks = scatterOf(a, s, m.Name, mode, of)
		known := judged.Cell(s.Key(m.Name, scenario, mode))
		switch {
		case known == nil || known.Verdict == record.VerdictValid || a.Opt.AllCells:
			in.Points, in.Models, sizes = append(in.Points, p), append(in.Models, m), append(sizes, x)
		case known.Verdict == record.VerdictInvalid:
			in.invalid = append(in.invalid, doubtText(known))
		default:
			doubtful.Points, doubtful.Models = append(doubtful.Points, p), append(doubtful.Models, m)
			doubtful.doubted = append(doubtful.doubted, doubtText(known))
		}
	}
	if stats.Distinct(sizes) >= stats.MinPoints && len(in.Points) >= len(doubtful.Points) {
		in.invalid = append(in.invalid, doubtful.doubted...)
		return in
	}
	in.Points, in.Models, in.doubted = append(in.Points, doubtful.Points...), append(in.Models, doubtful.Models...), doubtful.doubted
	return in
}

func doubtText(c *intervals.Cell) string {
	return fmt.Sprintf("%s (%s: %s)", c.Model, c.Verdict, strings.Join(c.Reasons, ", "))
}

// scatterOf is what is known of the scatter of a model's mean over the scenarios: by the
// blocks that have all of them, of which it has the log10 too; else by the calls.
func scatterOf(a *cells.Set, s cells.Series, model, mode string, scenarios []string) (stats.Scatter, map[int]float64) {
	var times []cells.Times
	for _, sc := range scenarios {
		if g := a.Group(s.Key(model, sc, mode)); g != nil {
			times = append(times, g.Times())
		}
	}
	if e, basis := cells.Level(times...); basis == cells.BasisProcesses {
		blocks := map[int]float64{}
		for b, v := range cells.LogBlocks(times...) {
			blocks[b] = v / math.Ln10
		}
		return stats.Scatter{Var: e.Variance, DF: e.DF}, blocks
	}
	return stats.MedianScatter(stats.Map(times, func(t cells.Times) []float64 { return t.All })...), nil
}

func (a *asker) fitSeries(s cells.Series, mode, scenario string) {
	in := Select(a.Set, a.known, a.Axis, s, mode, scenario)
	points, models := in.Points, in.Models
	if len(points)+len(in.noSize)+len(in.unequal)+len(in.invalid) == 0 {
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
	f.Doubt(a.Set, models, in.noSize, in.unequal)
	if len(in.invalid) > 0 {
		f.warn("cells_left_out", "left out of the fit: "+strings.Join(in.invalid, ", "),
			"see cell_intervals.csv for what to do about each reason; --all-cells fits them too")
	}
	if len(in.doubted) > 0 {
		f.warn("ambiguous_cells", "too few cells are VALID: in the fit are "+strings.Join(in.doubted, ", "),
			"quote no figure of this fit without its doubts; see cell_intervals.csv for what to do about each reason")
	}
	a.out.Fits = append(a.out.Fits, f)

	for _, form := range []string{FormLinear, FormPower} {
		o := OffsetFit{Subject: of, Aggregation: agg, Form: form, Axis: a.Axis.Name}
		fitOffset(&o, &f)
		a.out.OffsetFits = append(a.out.OffsetFits, o)
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
