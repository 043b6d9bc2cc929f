package scaling

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/law"
	"llmscale/analysis/stats"
)

// Forms of an OffsetFit, as TR121 names them.
const (
	FormLinear = "lat = a + b*P"
	FormPower  = "lat = a + b*P^s"
)

// OffsetFit is latency as a fixed part and one that grows with size, whether these
// describe it or not: package laws judges.
type OffsetFit struct {
	Subject
	Aggregation string `json:"aggregation" doc:"scenario or geomean_across_scenarios"`
	Form        string `json:"fit" doc:"\x60lat = a + b*P\x60 or \x60lat = a + b*P^s\x60 (a, b >= 0), by least squares of ln latency"`
	Axis        string `json:"x_axis" doc:"what stands for P"`
	NModels     int    `json:"n_models" doc:"models in the fit"`
	OK          bool   `json:"ok" doc:"whether there is a fit"`
	Reason      string `json:"reason" doc:"why there is no fit"`

	A             *float64        `json:"a_ms" unit:"ms" doc:"the fixed part"`
	ACI           *stats.Interval `json:"a_ci_ms" csv:"a_*_ms" unit:"ms" doc:"95 % interval of the fixed part; none where it stands at 0"`
	B             *float64        `json:"b"` // ms per unit of x (to the power s)
	S             *float64        `json:"s" doc:"its exponent"`
	R2            *float64        `json:"r2" doc:"R2 in log space"`
	OverheadAtMin *float64        `json:"overhead_fraction_at_min_model" doc:"the fixed part over the smallest model's measured time; none where it is more"`
	OverheadAtMax *float64        `json:"overhead_fraction_at_max_model" doc:"the same at the largest model"`
}

// fitOffset fits o's form to the points of f.
func fitOffset(o *OffsetFit, f *Fit) {
	o.NModels = len(f.Points)
	points := stats.Map(f.Points, func(p Point) law.Point { return law.Point{X: p.X, T: p.Y, Scatter: p.Scatter} })
	form := map[string]law.Form{FormLinear: law.Line, FormPower: law.Offset}[o.Form]
	l, ok := law.Fit(form, points)
	if !ok {
		o.Reason = fmt.Sprintf("%s are too few for %s", sizesOf(stats.Distinct(stats.Map(f.Points, func(p Point) float64 { return p.X }))), o.Form)
		return
	}
	o.OK = true
	y := stats.Map(points, func(p law.Point) float64 { return math.Log(p.T) })
	if sst := stat.Variance(y, nil) * float64(len(y)-1); sst > 1e-12 {
		o.R2 = stats.Finite(1 - l.SSE/sst)
	}
	fixed := l.Param("t0_ms")
	o.A, o.ACI = stats.Finite(fixed.Value), fixed.Sizes
	if b := l.Param("b"); b != nil {
		o.B = stats.Finite(b.Value)
	} else {
		o.B, o.S = stats.Finite(l.Param("a").Value), stats.Finite(l.Param("exponent").Value)
	}
	if first, last := f.Points[0].Y, f.Points[len(f.Points)-1].Y; fixed.Value <= first {
		o.OverheadAtMin, o.OverheadAtMax = stats.Finite(fixed.Value/first), stats.Finite(fixed.Value/last)
	}
}
