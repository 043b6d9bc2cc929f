package scaling

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
)

// minLeft is the fewest models of different size that a leave-one-out fit keeps.
const minLeft = stats.MinPoints

// manyModels is up to how many models a fit has what takes time or memory in the
// square of them: Theil and Sen's slope of all pairs, and a fit without each.
const manyModels = 500

// sizesOf counts different sizes, for a reason why there are too few.
func sizesOf(n int) string { return words.Counted(n, "model size", "models of different size") }

// logPoints gives log10 of x and y.
func logPoints(points []Point) (x, y []float64) {
	x = stats.Map(points, func(p Point) float64 { return math.Log10(p.X) })
	y = stats.Map(points, func(p Point) float64 { return math.Log10(p.Y) })
	return x, y
}

// FitLogLog fills in f's figures from its points, which it puts in order of size.
func FitLogLog(f *Fit, points []Point, opt cells.Options) {
	f.Points = slices.Clone(points)
	slices.SortStableFunc(f.Points, func(a, b Point) int { return cmp.Or(cmp.Compare(a.X, b.X), strings.Compare(a.Model, b.Model)) })
	f.NModels = len(f.Points)
	x, y := logPoints(f.Points)
	if n := stats.Distinct(x); n < stats.MinPoints {
		f.Reason = fmt.Sprintf("%s; a slope takes %d", sizesOf(n), stats.MinPoints)
		return
	}
	l, ok := stats.OLS(x, y)
	if !ok {
		f.Reason = "no line can be fitted to these points"
		return
	}
	f.OK = true
	f.Log10Intercept, f.Slope, f.R2 = stats.Finite(l.A), stats.Finite(l.B), stats.Finite(l.R2)
	f.SlopeSE, f.InterceptSE, f.ResidualSD = stats.Finite(l.SEB), stats.Finite(l.SEA), stats.Finite(l.SD)
	t := stats.TQuantile(l.N - 2)
	f.SlopeT = stats.NewInterval(l.B-t*l.SEB, l.B+t*l.SEB)
	f.InterceptT = stats.NewInterval(l.A-t*l.SEA, l.A+t*l.SEA)
	f.SlopeHC3 = hc3(x, y, l.B, t)
	f.blocks(x)
	if f.NModels <= manyModels {
		if s, i, ci, ok := stats.TheilSen(x, y); ok {
			f.TheilSenSlope, f.TheilSenIntercept, f.TheilSen = stats.Finite(s), stats.Finite(i), ci
		}
	}
	if rho, p, ok := stats.Spearman(x, y); ok {
		f.SpearmanRho, f.SpearmanP = stats.Finite(rho), stats.Finite(p)
	}
	if p, ok := stats.SpearmanExact(x, y); ok {
		f.SpearmanPExact = &p
	}
	bootstrapLine(f, x, y, opt)
	leaveOneOut(f, x, y)
}

// hc3 is the slope's interval with HC3 standard errors; nil where a point alone
// decides its line.
func hc3(x, y []float64, slope, t float64) *stats.Interval {
	r, ok := stats.Regress(y, slices.Repeat([]float64{1}, len(x)), x)
	if !ok {
		return nil
	}
	half := t * r.HC3(1)
	return stats.NewInterval(slope-half, slope+half)
}

// blocks fits a line to each block that has all models. What differs from block to
// block is all that its error is made of, however much single sizes scatter.
func (f *Fit) blocks(x []float64) {
	var slopes []float64
	for b := range f.Points[0].Blocks {
		y := make([]float64, 0, len(x))
		for _, p := range f.Points {
			if v, ok := p.Blocks[b]; ok {
				y = append(y, v)
			}
		}
		if len(y) < len(x) {
			continue
		}
		if l, ok := stats.OLS(x, y); ok {
			slopes = append(slopes, l.B)
		}
	}
	slices.Sort(slopes) // a map has no order, and sums depend on it
	if e, ok := stats.MeanT(slopes); ok {
		half := e.Half(1 - stats.Confidence)
		f.Blocks, f.SlopeBlocks = len(slopes), stats.NewInterval(*f.Slope-half, *f.Slope+half)
	}
}

// bootstrapLine resamples the models (pairs) and takes percentiles of the slope
// and the intercept, as TR121 did. Resamples of a single size have no slope and
// are left out; BootUsed says how many remained.
func bootstrapLine(f *Fit, x, y []float64, opt cells.Options) {
	if opt.Bootstrap <= 0 {
		return
	}
	f.BootRequested = opt.Bootstrap
	rng := stats.Resampler(opt.Seed, "loglog", f.Backend, fmt.Sprint(f.BatchSize), f.Mode, f.Scenario, f.Filter, f.Axis)
	n := len(x)
	index := make([]int, n)
	slopes := make([]float64, 0, opt.Bootstrap)
	intercepts := make([]float64, 0, opt.Bootstrap)
	for range opt.Bootstrap {
		for i := range index {
			index[i] = rng.IntN(n)
		}
		a, b, sizes := stats.ResampledLine(x, y, index)
		if sizes < 2 {
			continue
		}
		if sizes == 2 {
			f.BootTwoModels++
		}
		intercepts, slopes = append(intercepts, a), append(slopes, b)
	}
	f.BootUsed = len(slopes)
	f.SlopeBoot = stats.PercentileInterval(slopes, opt.Bootstrap, f.Slope)
	f.InterceptBoot = stats.PercentileInterval(intercepts, opt.Bootstrap, f.Log10Intercept)
}

// leastChange of a slope is more than the rounding of its points.
const leastChange = 1e-9

func leaveOneOut(f *Fit, x, y []float64) {
	if len(x) <= minLeft || len(x) > manyModels {
		return
	}
	worst := leastChange
	for drop := range x {
		row := f.without(x, y, drop)
		if row.SlopeChange != nil && math.Abs(*row.SlopeChange) > worst {
			worst, f.MostInfluential = math.Abs(*row.SlopeChange), row.Dropped
		}
		f.LeaveOneOut = append(f.LeaveOneOut, row)
	}
}

// without fits a line to log10 of all points but one.
func (f *Fit) without(x, y []float64, drop int) LeaveOneOut {
	lx := slices.Delete(slices.Clone(x), drop, drop+1)
	ly := slices.Delete(slices.Clone(y), drop, drop+1)
	row := LeaveOneOut{Dropped: f.Points[drop].Model, N: len(lx)}
	if l, ok := stats.OLS(lx, ly); ok && stats.Distinct(lx) >= minLeft {
		row.Slope, row.Log10Intercept, row.R2 = stats.Finite(l.B), stats.Finite(l.A), stats.Finite(l.R2)
		row.SlopeChange = stats.Finite(l.B - *f.Slope)
		t := stats.TQuantile(l.N - 2)
		row.SlopeT = stats.NewInterval(l.B-t*l.SEB, l.B+t*l.SEB)
	}
	return row
}

// Influential is the leave-one-out row of the model that moves the slope most.
func (f *Fit) Influential() *LeaveOneOut {
	for i := range f.LeaveOneOut {
		if f.LeaveOneOut[i].Dropped == f.MostInfluential && f.MostInfluential != "" {
			return &f.LeaveOneOut[i]
		}
	}
	return nil
}

// Aggregations of a fit's latencies.
const (
	AggScenario = "scenario"                 // the cell medians of one scenario
	AggGeomean  = "geomean_across_scenarios" // per model, the geometric mean of its scenario medians
)

// Point is one model in a fit.
type Point struct {
	Model string  `json:"model"`
	X     float64 `json:"x"`    // in the axis's unit
	Y     float64 `json:"y_ms"` // latency

	Scatter stats.Scatter   `json:"-"` // of ln(Y), as far as what was measured tells
	Blocks  map[int]float64 `json:"-"` // log10 of what each block measured; nil of one process
}

// Subject is what a fit is of: the models of a series, in one mode and scenario.
type Subject struct {
	cells.Series
	BackendKind string `json:"backend_kind" doc:"runtime"`
	Mode        string `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	Scenario    string `json:"scenario" doc:"scenario, or \x60__all__\x60"`
}

// Fit is log10(latency_ms) = Log10Intercept + Slope * log10(x) over the models of
// one backend, mode and scenario.
type Fit struct {
	Subject
	Aggregation string `json:"aggregation" doc:"scenario or geomean_across_scenarios"`
	Filter      string `json:"filter" doc:"which rows were kept"` // "" or length_limited_decode_only

	Axis    string  `json:"x_axis" doc:"what the fit has on x"`
	Points  []Point `json:"points"` // by rising x
	NModels int     `json:"n_models" doc:"models in the fit"`
	OK      bool    `json:"ok" doc:"whether there is a fit"`
	Reason  string  `json:"reason" doc:"why there is no fit"`

	Log10Intercept *float64        `json:"log10_intercept" unit:"log10 ms" doc:"intercept"`
	Slope          *float64        `json:"slope" doc:"exponent of size"`
	R2             *float64        `json:"r2" doc:"R2 in log space"`
	SlopeSE        *float64        `json:"slope_se" doc:"standard error of the slope"`
	InterceptSE    *float64        `json:"log10_intercept_se" unit:"log10 ms" doc:"standard error of the intercept"`
	ResidualSD     *float64        `json:"residual_sd" unit:"log10 ms" doc:"standard deviation of the residuals, n - 2 degrees of freedom"`
	SlopeT         *stats.Interval `json:"slope_t_ci" doc:"95 % t-interval of the slope"`
	InterceptT     *stats.Interval `json:"log10_intercept_t_ci" unit:"log10 ms" doc:"95 % t-interval of the intercept"`

	Blocks      int             `json:"blocks" zero:"unknown" doc:"blocks that measured all of the models"`
	SlopeBlocks *stats.Interval `json:"slope_blocks_ci" doc:"95 % interval of the slope of these models: one line for each block, t over the blocks"`
	SlopeHC3    *stats.Interval `json:"slope_hc3_ci" doc:"95 % interval of the slope with HC3 standard errors, which let sizes scatter differently"`

	SlopeBoot     *stats.Interval `json:"slope_boot_ci" csv:"slope_ci" doc:"95 % percentile bootstrap over models"`
	InterceptBoot *stats.Interval `json:"log10_intercept_boot_ci" csv:"log10_intercept_ci" unit:"log10 ms" doc:"95 % percentile bootstrap over models"`
	BootRequested int             `json:"boot_n_requested" doc:"resamples drawn"`
	BootUsed      int             `json:"boot_n_used" doc:"resamples that gave a slope"`
	BootTwoModels int             `json:"boot_n_two_models" doc:"resamples used that hold two sizes only"`

	SpearmanRho       *float64        `json:"spearman_rho" csv:"spearman_rho_loglog" doc:"Spearman's rho"`
	SpearmanP         *float64        `json:"spearman_p" csv:"spearman_p_loglog" doc:"its two-sided p, t approximation"`
	SpearmanPExact    *float64        `json:"spearman_p_exact" doc:"p of rho over all orders, up to 9 models"`
	TheilSenSlope     *float64        `json:"theilsen_slope" doc:"Theil-Sen slope, up to 500 models"`
	TheilSenIntercept *float64        `json:"theilsen_log10_intercept" unit:"log10 ms" doc:"its intercept, median(y) - slope * median(x)"`
	TheilSen          *stats.Interval `json:"theilsen_slope_ci" doc:"95 % interval of the Theil-Sen slope"`

	LeaveOneOut     []LeaveOneOut     `json:"leave_one_out"` // in the order of Points; empty below 4 models and above 500
	MostInfluential string            `json:"most_influential" doc:"model whose absence moves the slope most"`
	Warnings        []finding.Warning `json:"warnings" doc:"codes of the fit's warnings"`
}

// LeaveOneOut is a fit without one of its models.
type LeaveOneOut struct {
	Dropped        string          `json:"dropped" doc:"the model left out"`
	N              int             `json:"n_models" doc:"models left"`
	Slope          *float64        `json:"slope" doc:"slope without it"`
	Log10Intercept *float64        `json:"log10_intercept" unit:"log10 ms" doc:"intercept without it"`
	R2             *float64        `json:"r2" doc:"R2 without it"`
	SlopeChange    *float64        `json:"slope_change" doc:"this slope less the whole fit's"`
	SlopeT         *stats.Interval `json:"slope_t_ci" doc:"95 % t-interval of this slope"`
}
