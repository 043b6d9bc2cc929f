package scaling

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/stats"
)

// What the points of a fit say about a power law; see docs/statistics.md.
const (
	LawPower    = "power_law"      // one exponent describes them
	LawFlat     = "flat"           // they do not grow
	LawBent     = "bent"           // the local exponent changes with size
	LawOnePoint = "one_point"      // one model does not fit the others' line and moves the exponent
	LawUnclear  = "not_identified" // the exponent's interval holds 0 and more than nearly 0
)

const (
	flatExponent   = 0.05 // exponents this near 0 count as no growth: doubling the size adds 3.5 % at most
	leastDeparture = 0.04 // of a curve or a model from the line: what is nearer is a good law, whatever the test says
)

// Curvature is the test of a quadratic term in log-log.
type Curvature struct {
	P       *float64 `json:"p"`         // two-sided
	Against string   `json:"against"`   // the yardstick: "sizes", the models' scatter about the curve, or "calls"
	Departs float64  `json:"departs"`   // by how much the curve leaves the line at a model, at most, as a share of the line
	Local   *Hinge   `json:"exponents"` // where the term is significant
}

// Hinge is two straight lines in log-log that meet at one of the models.
type Hinge struct {
	From  string  `json:"from"` // the smallest model
	Knot  string  `json:"knot"`
	To    string  `json:"to"`
	Below float64 `json:"exponent_below"` // from From to Knot
	Above float64 `json:"exponent_above"` // from Knot to To
}

// Misfit is the model that the line through the others fits least.
type Misfit struct {
	Model        string          `json:"model"`
	Times        float64         `json:"times_the_line"` // its time over that of the others' line
	P            float64         `json:"p"`              // of the worst of all models, by Bonferroni
	SlopeWithout *float64        `json:"slope_without"`
	Without      *stats.Interval `json:"slope_without_t_ci"`
	End          string          `json:"end"`         // smallest or largest where it is that of all
	Moves        bool            `json:"moves_slope"` // by more than the slope's interval with or without it allows
}

func (m *Misfit) significant() bool {
	return m != nil && m.P < stats.Alpha && math.Abs(m.Times-1) >= leastDeparture
}

// law judges whether f's line may be called a power law.
func (f *Fit) law() {
	x := stats.Map(f.Points, func(p Point) float64 { return math.Log(p.X) })
	y := stats.Map(f.Points, func(p Point) float64 { return math.Log(p.Y) })
	models := stats.Map(f.Points, func(p Point) string { return p.Model })
	scatter := f.scatter()
	f.misfit(x, y)
	f.Curvature = curvature(x, y, scatter)
	all, rest := f.Curvature, f.Curvature
	if i := f.stray(x, y); i >= 0 { // one model must neither make a bend nor hide one
		lx, ly := slices.Delete(slices.Clone(x), i, i+1), slices.Delete(slices.Clone(y), i, i+1)
		if c := curvature(lx, ly, slices.Delete(scatter, i, i+1)); c != nil && c.P != nil {
			rest = c
			if !all.significant() {
				x, y, models = lx, ly, slices.Delete(models, i, i+1)
			}
		}
	}
	switch {
	case f.SlopeT != nil && f.SlopeT.Low >= -flatExponent && f.SlopeT.High <= flatExponent:
		f.Law = LawFlat
	case f.Misfit.significant() && f.Misfit.Moves && !(all.significant() && rest.significant()):
		f.Law = LawOnePoint
	case rest.significant():
		f.Law = LawBent
		if !all.significant() {
			f.Curvature = rest
		}
		if h, ok := stats.FitHinge(x, y); ok {
			f.Curvature.Local = &Hinge{models[0], models[h.Knot], models[len(models)-1], h.Below, h.Above}
		}
	case f.SlopeT == nil || stats.CrossesZero(f.SlopeT):
		f.Law = LawUnclear
	default:
		f.Law = LawPower
	}
}

// scatter is that of each point by its processes; of one process by its calls, and by
// what processes are taken to differ by.
func (f *Fit) scatter() []stats.Scatter {
	out := make([]stats.Scatter, len(f.Points))
	for i, p := range f.Points {
		out[i] = p.scatter
		if p.blocks == nil {
			out[i].Floor = stats.ProcessSD * stats.ProcessSD
		}
	}
	return out
}

func (c *Curvature) significant() bool {
	return c != nil && c.P != nil && *c.P < stats.Alpha && c.Departs >= leastDeparture
}

func ones(x []float64) []float64 { return slices.Repeat([]float64{1}, len(x)) }

// parabola is the regression of y on a constant, x and its centred square.
func parabola(x, y []float64) (stats.Regression, bool) {
	mean := stat.Mean(x, nil)
	return stats.Regress(y, ones(x), x, stats.Map(x, func(v float64) float64 { return (v - mean) * (v - mean) }))
}

// stray is the index of a model that does not fit the others' line or, where the
// two hide each other and nothing bends, their curve; -1 without one. What is left
// must be enough for a yardstick of its own.
func (f *Fit) stray(x, y []float64) int {
	if f.Misfit.significant() {
		return slices.IndexFunc(f.Points, func(p Point) bool { return p.Model == f.Misfit.Model })
	}
	if curve, ok := parabola(x, y); ok && curve.DF > stats.OwnDF && !f.Curvature.significant() {
		if o, ok := curve.Outlier(); ok && o.P < stats.Alpha {
			return o.Index
		}
	}
	return -1
}

// curvature tests the quadratic term; nil where the points cannot have one.
func curvature(x, y []float64, scatter []stats.Scatter) *Curvature {
	straight, ok := stats.Regress(y, ones(x), x)
	curve, bends := parabola(x, y)
	if !ok || !bends {
		return nil
	}
	t := curve.Term(2, scatter)
	c := &Curvature{P: stats.Finite(t.P), Against: map[string]string{stats.ByResiduals: "sizes", stats.ByRepetitions: "calls"}[t.By]}
	for i := range x {
		c.Departs = max(c.Departs, math.Abs(math.Expm1(straight.Residuals[i]-curve.Residuals[i])))
	}
	return c
}

// misfit finds the model that fits the others' line least. Whether its absence
// moves the slope further than chance lets it is the same question: the change is
// the point's residual times a constant of the design, over the same error.
func (f *Fit) misfit(x, y []float64) {
	r, ok := stats.Regress(y, ones(x), x)
	if !ok {
		return
	}
	o, ok := r.Outlier()
	if !ok || len(x) <= minLeft {
		return
	}
	lx, ly := logPoints(f.Points)
	row := f.without(lx, ly, o.Index)
	f.Misfit = &Misfit{Model: row.Dropped, Times: math.Exp(o.Gap), P: o.P, SlopeWithout: row.Slope, Without: row.SlopeT, Moves: true}
	switch o.Index {
	case 0:
		f.Misfit.End = "smallest"
	case len(f.Points) - 1:
		f.Misfit.End = "largest"
	}
	if row.SlopeChange != nil {
		change := math.Abs(*row.SlopeChange)
		f.Misfit.Moves = change > stats.HalfWidth(f.SlopeT) || change > stats.HalfWidth(row.SlopeT)
	}
}

// pText says how likely something was by chance.
func pText(p float64) string {
	if p < 0.001 {
		return "p < 0.001"
	}
	return fmt.Sprintf("p %.2g", p)
}

// lawWarnings says in the fit's list why it is no power law.
func (f *Fit) lawWarnings() {
	switch {
	case f.Law == LawBent && f.Curvature.Local != nil:
		h := f.Curvature.Local
		f.warn("no_power_law", fmt.Sprintf("the local exponent is %.3f from %s to %s and %.3f from there to %s (quadratic term in log-log: %s, against the scatter of the %s)", h.Below, h.From, h.Knot, h.Above, h.To, pText(*f.Curvature.P), f.Curvature.Against),
			"quote the local exponents; one exponent is that of none of these sizes, and extending its line misleads")
	case f.Law == LawOnePoint:
		f.warn("one_point_moves", fmt.Sprintf("%s takes %.3g times what the line through the others says, and moves the slope from %s to %.3f (%s)", f.Misfit.Model, f.Misfit.Times, show(f.Misfit.SlopeWithout), *f.Slope, pText(f.Misfit.P)),
			"quote no exponent over all sizes; find out what is different about this model (architecture, memory, a fixed cost), or measure sizes near it")
	case f.Misfit.significant() && f.Law != LawBent:
		f.warn("outlier", fmt.Sprintf("%s takes %.3g times what the line through the others says (%s), which hardly moves the slope", f.Misfit.Model, f.Misfit.Times, pText(f.Misfit.P)),
			"find out what is different about this model")
	}
}
