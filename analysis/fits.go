package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
)

// fits runs every fit over every series, mode and scenario.
func (a *analyzer) fits() {
	for _, s := range a.Series {
		for _, mode := range a.Modes {
			first := len(a.res.Fits)
			for _, sc := range append(slices.Clone(a.Scenarios), cells.AllScenarios) {
				a.fitSeries(s, mode, sc)
			}
			a.raise(a.res.Fits[first:])
		}
	}
}

// raise puts the warnings of one mode's fits among the run's: all those of the
// fit over all scenarios, and of the single scenarios what that one does not say.
// Each fit keeps its own list whole.
func (a *analyzer) raise(fits []Fit) {
	said := map[string]bool{}
	for _, whole := range []bool{true, false} {
		for i := range fits {
			if f := &fits[i]; (f.Scenario == cells.AllScenarios) == whole {
				for _, w := range f.Warnings {
					if whole || !said[w.Code] {
						a.Warnings = append(a.Warnings, w)
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
func (a *analyzer) points(s cells.Series, mode, scenario string) (points []Point, models []*cells.Model, leftOut, unequal []string) {
	whole := a.WholeSet(s, mode)
	for _, m := range a.ModelsOf(s.Backend) {
		ms, of := math.NaN(), []string{scenario}
		if scenario == cells.AllScenarios {
			of = whole
			for _, g := range a.Aggregates {
				if g.Backend == s.Backend && g.BatchSize == s.BatchSize && g.Model == m.Name && g.Mode == mode {
					if ms = g.GeomeanMS; !slices.Equal(g.Scenarios, whole) {
						unequal = append(unequal, m.Name)
						ms = math.NaN()
					}
				}
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
func (a *analyzer) callScatter(s cells.Series, model, mode string, scenarios []string) stats.Scatter {
	var calls [][]float64
	for _, sc := range scenarios {
		if g := a.Group(s.Key(model, sc, mode)); g != nil {
			calls = append(calls, cells.Latencies(g.Rows))
		}
	}
	return stats.MedianScatter(calls...)
}

func (a *analyzer) fitSeries(s cells.Series, mode, scenario string) {
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
	f := Fit{Backend: s.Backend, BackendKind: kind, BatchSize: s.BatchSize, Mode: mode, Scenario: scenario,
		Aggregation: agg, Axis: a.Axis.Name}
	fitLogLog(&f, points, a.Opt)
	a.fitWarnings(&f, models, leftOut, unequal)
	a.res.Fits = append(a.res.Fits, f)

	for _, form := range []string{FormLinear, FormPower} {
		o := OffsetFit{Backend: s.Backend, BackendKind: kind, BatchSize: s.BatchSize, Mode: mode, Scenario: scenario,
			Aggregation: agg, Form: form, Axis: a.Axis.Name}
		fitOffset(&o, &f)
		raised := o.Warnings
		if w, mixed := a.MixedLengths(s, mode, strings.Join([]string{s.Backend, mode, scenario, form}, " ")); mixed && o.OK && scenario == cells.AllScenarios {
			o.Warnings = append(slices.Clone(raised), w) // of the run's warnings the log-log fit says it once
		}
		a.res.OffsetFits = append(a.res.OffsetFits, o)
		if scenario == cells.AllScenarios {
			a.Warnings = append(a.Warnings, raised...)
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
	c := Correlation{Backend: s.Backend, BackendKind: kind, BatchSize: s.BatchSize, Mode: mode, Scenario: scenario, NModels: len(shaped)}
	c.RhoParams, c.PParams = rankCorrelation(stats.Map(shaped, func(p Point) float64 { return p.X }), y)
	c.RhoLayers, c.PLayers = rankCorrelation(layers, y)
	c.RhoWidth, c.PWidth = rankCorrelation(widths, y)
	a.res.Correlations = append(a.res.Correlations, c)

	t := TwoPredictorFit{Backend: s.Backend, BackendKind: kind, BatchSize: s.BatchSize, Mode: mode, Scenario: scenario, Axis: a.Axis.Name}
	fitPlane(&t, shaped, layers, a.Opt)
	a.res.TwoPredictors = append(a.res.TwoPredictors, t)
	a.Warnings = append(a.Warnings, t.Warnings...)
}

func rankCorrelation(x, y []float64) (rho, p *float64) {
	if r, q, ok := stats.Spearman(x, y); ok {
		return stats.Finite(r), stats.Finite(q)
	}
	return nil, nil
}

func (f *Fit) where() string {
	w := fmt.Sprintf("%s %s %s", f.Backend, f.Mode, f.Scenario)
	if f.BatchSize > 1 {
		w += fmt.Sprintf(" batch %d", f.BatchSize)
	}
	if f.Filter != "" {
		w += " " + f.Filter
	}
	return w
}

// Thresholds of the warnings. docs/statistics.md says why.
const (
	fewSizes       = 8    // models of different size below which a slope is a sketch
	lowR2          = 0.5  // size explains less than half of the variance of log latency
	narrowRange    = 10.0 // largest over smallest size
	embeddingShare = 0.5
	twoModelShare  = 0.05 // resamples that hold two models only
)

func (a *analyzer) fitWarnings(f *Fit, models []*cells.Model, leftOut, unequal []string) {
	warn := func(code, text, advice string) {
		f.Warnings = append(f.Warnings, finding.Doubt(code, f.where(), text, advice))
	}
	if len(leftOut) > 0 {
		warn("axis_missing", fmt.Sprintf("no %s known for %s: left out of the fit", a.Axis.Name, strings.Join(leftOut, ", ")),
			"take another x axis, or give the model's size in the config")
	}
	if len(unequal) > 0 {
		which := "fewer"
		whole := a.WholeSet(f.series(), f.Mode)
		for _, g := range a.Aggregates {
			if f.Filter == "" && g.Backend == f.Backend && g.BatchSize == f.BatchSize && g.Mode == f.Mode && slices.Contains(unequal, g.Model) && len(g.Scenarios) == len(whole) {
				which = "other"
			}
		}
		warn("unequal_scenarios", fmt.Sprintf("%s ran in %s scenarios than the others: left out of the fit over all scenarios", strings.Join(unequal, ", "), which),
			"read the fits of single scenarios, or resume the run")
	}
	if w, mixed := a.MixedLengths(f.series(), f.Mode, f.where()); mixed && f.Scenario == cells.AllScenarios {
		f.Warnings = append(f.Warnings, w)
	}
	a.mixWarnings(warn, models)
	if !f.OK {
		warn("too_few_points", f.Reason, "measure more models of different size in this backend")
		return
	}
	if n := stats.Distinct(stats.Map(f.Points, func(p Point) float64 { return p.X })); n < fewSizes {
		warn("few_sizes", fmt.Sprintf("%d sizes; the interval leans on very few points", n),
			fmt.Sprintf("measure at least %d sizes", fewSizes))
	}
	if lo, hi := f.Points[0].X, f.Points[len(f.Points)-1].X; hi/lo < narrowRange {
		warn("narrow_range", fmt.Sprintf("the sizes span a factor of %.3g only", hi/lo),
			"measure sizes over at least a factor of ten, and do not extend the line beyond them")
	}
	var crossing []string
	if stats.CrossesZero(f.SlopeT) {
		crossing = append(crossing, fmt.Sprintf("t-interval [%.3f, %.3f]", f.SlopeT.Low, f.SlopeT.High))
	}
	if stats.CrossesZero(f.SlopeBoot) {
		crossing = append(crossing, fmt.Sprintf("bootstrap interval [%.3f, %.3f]", f.SlopeBoot.Low, f.SlopeBoot.High))
	}
	if len(crossing) > 0 {
		warn("ci_crosses_zero", "0 lies in the slope's "+strings.Join(crossing, " and in its ")+": these models do not show that size matters",
			"do not quote the slope; look at depth (two-predictor fit), or measure more and larger sizes")
	}
	if f.R2 != nil && *f.R2 < lowR2 {
		warn("low_r2", fmt.Sprintf("R2 is %.3f: size explains less than half of the variation", *f.R2),
			"something else decides here: look at depth, at the axis, at fixed cost per token")
	}
	f.lawWarnings(warn)
	f.oneDecides(warn)
	if f.BootRequested > 0 {
		if bad := f.BootRequested - f.BootUsed; bad > 0 || float64(f.BootTwoModels) > twoModelShare*float64(f.BootRequested) {
			warn("bootstrap_degenerate",
				fmt.Sprintf("resamples that drew one size and gave no slope: %d of %d; that drew two, through which a line always goes: %d", bad, f.BootRequested, f.BootTwoModels),
				"with so few models prefer the t-interval and the leave-one-out table to the bootstrap interval")
		}
	}
	a.shapeWarnings(f, models, warn)
}

// oneDecides warns where growth is shown by one model alone.
func (f *Fit) oneDecides(warn func(code, text, advice string)) {
	w := f.influential()
	if w != nil && f.SlopeT != nil && !stats.CrossesZero(f.SlopeT) && stats.CrossesZero(w.SlopeT) {
		warn("one_point_decides", fmt.Sprintf("without %s the slope's t-interval [%.3f, %.3f] holds 0", w.Dropped, w.SlopeT.Low, w.SlopeT.High),
			"the claim that size matters here rests on this one model: measure more sizes near it")
	}
}

func show(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return fmt.Sprintf("%.3f", *v)
}

func (a *analyzer) mixWarnings(warn func(code, text, advice string), models []*cells.Model) {
	list := func(f func(*cells.Model) string) []string {
		var out []string
		for _, m := range models {
			if v := f(m); v != "" && !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
		return out
	}
	for _, c := range []struct {
		code, what, advice string
		of                 func(*cells.Model) string
	}{
		{"mixed_offload", "shares of layers on the GPU", "the slope mixes size with what the CPU has to compute: fit the models that are whole on the GPU alone (--models), and see the memory wall",
			func(m *cells.Model) string {
				switch {
				case m.GPULayers == nil || m.NLayer == 0:
					return ""
				case m.WholeOnGPU(*m.GPULayers):
					return "all"
				}
				return "not all"
			}},
		{"mixed_weight_types", "weight types", "fit each type alone, or take bytes_per_token as the x axis",
			func(m *cells.Model) string { return m.WeightType }},
		{"mixed_architectures", "architectures", "the slope mixes size with architecture: fit one family alone",
			func(m *cells.Model) string { return m.Architecture }},
		{"mixed_runtimes", "runtimes", "the slope mixes size with the runtime: measure all sizes with one build and one setting",
			func(m *cells.Model) string {
				return strings.Trim(strings.Join([]string{m.BackendKind, m.Device, m.LlamaCommit}, " "), " ")
			}},
		{"mixed_threads", "thread counts", "measure all sizes with one number of threads",
			func(m *cells.Model) string {
				if m.Threads == 0 {
					return ""
				}
				return fmt.Sprint(m.Threads)
			}},
	} {
		if values := list(c.of); len(values) > 1 {
			warn(c.code, fmt.Sprintf("%d %s in one fit: %s", len(values), c.what, strings.Join(values, ", ")), c.advice)
		}
	}
}

// shapeWarnings looks at what hides behind the size: embeddings that no token
// reads, and depth that does not follow size.
func (a *analyzer) shapeWarnings(f *Fit, models []*cells.Model, warn func(code, text, advice string)) {
	if a.Axis.Name == "params_total" {
		var names []string
		for _, m := range models {
			if m.ParamsTotal > 0 && m.ParamsNonEmbedding > 0 {
				if share := 1 - float64(m.ParamsNonEmbedding)/float64(m.ParamsTotal); share > embeddingShare {
					names = append(names, fmt.Sprintf("%s %.0f %%", m.Name, 100*share))
				}
			}
		}
		if len(names) > 0 {
			warn("embedding_share", "more than half of the parameters are embeddings in "+strings.Join(names, ", "),
				"compare with the fit on params_non_embedding or bytes_per_token: the exponent changes")
		}
	}
	if len(models) < minPoints {
		return
	}
	bySize := slices.Clone(models)
	slices.SortStableFunc(bySize, func(p, q *cells.Model) int {
		px, _ := a.X(p)
		qx, _ := a.X(q)
		switch {
		case px < qx:
			return -1
		case px > qx:
			return 1
		}
		return 0
	})
	for i := 1; i < len(bySize); i++ {
		p, q := bySize[i-1], bySize[i]
		if p.NLayer > 0 && q.NLayer > 0 && q.NLayer < p.NLayer {
			warn("uneven_shapes", fmt.Sprintf("depth does not follow size: %s has %d layers, the larger %s has %d", p.Name, p.NLayer, q.Name, q.NLayer),
				"the slope mixes depth with width: read the two-predictor fit, or measure a ladder of fixed proportions")
			return
		}
	}
}
