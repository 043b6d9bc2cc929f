package scaling

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
)

// fitOffset fits a fixed cost and one that grows: a + b*x, or a + b*x^s bounded to
// a, b >= 0 and 0 <= s <= 2. Both minimise relative errors, so that the small
// models, in which a fixed cost shows, count as much as the large ones. f.Points
// of the log-log fit are the points.
func fitOffset(o *OffsetFit, f *Fit) {
	o.NModels = len(f.Points)
	x := stats.Map(f.Points, func(p Point) float64 { return p.X })
	y := stats.Map(f.Points, func(p Point) float64 { return p.Y })
	need := stats.MinPoints
	if o.Form == FormPower {
		need = stats.MinPoints + 1 // one parameter more
	} else {
		o.Verdict = OffsetUnknown
	}
	if n := stats.Distinct(x); n < need {
		o.Reason = fmt.Sprintf("%s; %s takes %d", sizesOf(n), o.Form, need)
		return
	}
	if o.Form == FormLinear {
		o.straight(f, x, y)
	} else {
		o.bounded(x, y)
	}
	if o.OK && *o.A >= 0 && *o.A <= y[0] && o.Verdict != OffsetNoLine { // more than the smallest model takes is no part of it
		o.OverheadAtMin, o.OverheadAtMax = stats.Finite(*o.A/y[0]), stats.Finite(*o.A/y[len(y)-1])
	}
}

func (o *OffsetFit) warn(code, text, advice string) {
	where := strings.Join([]string{o.Backend, o.Mode, o.Scenario, o.Form}, " ")
	o.Warnings = append(o.Warnings, finding.Doubt(code, where, text, advice))
}

// straight fits a + b*x and says whether a may be called a fixed cost: only where
// one power law does not describe the points, a straight line does, and a is
// above 0. A power law below 1 alone has a positive intercept too.
func (o *OffsetFit) straight(f *Fit, x, y []float64) {
	l, ok := stats.FitRelativeLine(x, y, f.scatter())
	if !ok {
		o.Reason = "no line can be fitted to these points"
		return
	}
	o.OK = true
	o.A, o.B, o.R2, o.StraightP, o.LackP = stats.Finite(l.A), stats.Finite(l.B), stats.Finite(l.R2), stats.Finite(l.Bend.P), stats.Finite(l.LackP)
	half := stats.TQuantile(l.DF) * l.ASE
	o.ACI = stats.NewInterval(l.A-half, l.A+half)
	switch {
	case f.Law == LawFlat:
		o.Verdict, o.Reason = OffsetFlat, "the times do not grow with size, so that a fixed part and a growing one cannot be told apart"
	case o.StraightP == nil || o.LackP == nil:
		o.Reason = fmt.Sprintf("whether %s lie on a straight line cannot be told without repeated calls of each", words.Counted(len(x), "model", "models"))
	case *o.StraightP < stats.Alpha:
		o.Verdict, o.Reason = OffsetNoLine, fmt.Sprintf("the times do not lie on a straight line (%s)", pText(*o.StraightP))
	case *o.LackP < stats.Alpha:
		o.Verdict, o.Reason = OffsetNoLine, fmt.Sprintf("the times lie up to %.0f %% off a straight line, more than their calls' scatter explains (%s)", 100*worstShare(y, l.Fitted), pText(*o.LackP))
	case l.A > y[0]:
		o.Verdict, o.Reason = OffsetNoLine, fmt.Sprintf("a straight line's fixed part, %.4g ms, is more than the smallest model takes, %.4g ms", l.A, y[0])
	case o.ACI == nil || o.ACI.Low <= 0:
		o.Verdict, o.Reason = OffsetNone, "its interval holds 0"
	case f.Law == LawOnePoint:
		o.Reason = fmt.Sprintf("%s alone does not fit the power law of the others", f.Misfit.Model)
	case f.Law != LawBent:
		o.Verdict, o.Reason = OffsetPowerLaw, "a power law without a fixed cost fits the times as well"
	case f.Curvature.Local != nil && f.Curvature.Local.Above < f.Curvature.Local.Below:
		o.Verdict, o.Reason = OffsetNoLine, "the local exponent falls with size, where a fixed cost would make it rise"
	default:
		o.Verdict = OffsetFixed
	}
	switch {
	case o.Verdict == OffsetNoLine:
		o.warn("not_a_line", o.Reason, "do not quote the fixed part")
	case l.A < 0:
		o.warn("negative_offset", "the fixed cost comes out negative, which no machine has; its shares mean nothing",
			"take the bounded form, or the log-log fit")
	case o.Verdict == OffsetNone:
		o.warn("offset_not_identified", fmt.Sprintf("the fixed cost of %.4g ms could be 0 (95 %% interval %.4g to %.4g ms)", l.A, o.ACI.Low, o.ACI.High),
			"do not quote the fixed cost; measure smaller models")
	}
}

// worstShare is the largest distance of y from what was fitted, as a share of it.
func worstShare(y, fitted []float64) (worst float64) {
	for i := range y {
		worst = max(worst, math.Abs(y[i]/fitted[i]-1))
	}
	return worst
}

func (o *OffsetFit) bounded(x, y []float64) {
	inverse := stats.Map(y, func(v float64) float64 { return 1 / v })
	a, b, s, sse := stats.BoundedPower(x, y, inverse)
	o.OK, o.A, o.B, o.S = true, stats.Finite(a), stats.Finite(b), stats.Finite(s)
	// The best constant of least relative error, and its error.
	sum, squares := 0.0, 0.0
	for _, w := range inverse {
		sum += w
		squares += w * w
	}
	if sst := float64(len(y)) - sum*sum/squares; sst > 1e-12 {
		o.R2 = stats.Finite(1 - sse/sst)
	}
	switch {
	case b == 0:
		o.S = nil
		o.warn("no_growth", "latency does not rise with size: the best bounded fit is a constant, and s means nothing",
			"look at depth and at the single points; size does not explain this series")
	case s >= 2:
		o.warn("at_bound", "the exponent s stands at its bound of 2", "the largest point dominates: see the leave-one-out table")
	}
}

// Forms of an OffsetFit, as TR121 names them.
const (
	FormLinear = "lat = a + b*P"
	FormPower  = "lat = a + b*P^s"
)

// Verdicts of an OffsetFit of FormLinear.
const (
	OffsetFixed    = "fixed_cost"    // a straight line with a fixed cost above 0
	OffsetNone     = "no_fixed_cost" // a straight line; its fixed cost could be 0
	OffsetPowerLaw = "power_law"     // a power law without a fixed cost fits as well
	OffsetNoLine   = "not_a_line"
	OffsetFlat     = "flat" // no growth
	OffsetUnknown  = "unknown"
)

// OffsetFit is latency as a fixed part and one that grows with size, by least
// relative errors.
type OffsetFit struct {
	Subject
	Aggregation string `json:"aggregation" doc:"scenario or geomean_across_scenarios"`
	Form        string `json:"fit" doc:"\x60lat = a + b*P\x60 or \x60lat = a + b*P^s\x60 (a, b >= 0, 0 <= s <= 2), both by least relative errors"`
	Axis        string `json:"x_axis" doc:"what stands for P"`
	NModels     int    `json:"n_models" doc:"models in the fit"`
	OK          bool   `json:"ok" doc:"whether there is a fit"`
	Verdict     string `json:"verdict" doc:"first form: fixed_cost, no_fixed_cost, power_law (fits as well without one), not_a_line, flat or unknown"`
	Reason      string `json:"reason" doc:"why there is no fit, or why a_ms may not be called a fixed cost"`

	A             *float64          `json:"a_ms" unit:"ms" doc:"the fixed part"`
	ACI           *stats.Interval   `json:"a_ci_ms" csv:"a_*_ms" unit:"ms" doc:"95 % t-interval of the fixed part, of the first form"` // 95 % t-interval; FormLinear only
	B             *float64          `json:"b"`                                                                                         // ms per unit of x (to the power s)
	S             *float64          `json:"s" doc:"its exponent"`
	StraightP     *float64          `json:"straight_p" doc:"first form: p of a straight line against another power of x"`
	LackP         *float64          `json:"lack_of_fit_p" doc:"first form: p of the models lying on the line, against the calls' scatter"`
	R2            *float64          `json:"r2" doc:"R2 of the relative times"`
	OverheadAtMin *float64          `json:"overhead_fraction_at_min_model" doc:"the fixed part over the smallest model's measured time"` // nil where the points are no line, or a is below 0 or more than that time
	OverheadAtMax *float64          `json:"overhead_fraction_at_max_model" doc:"the same at the largest model"`
	Warnings      []finding.Warning `json:"warnings" doc:"codes of the fit's warnings"`
}
