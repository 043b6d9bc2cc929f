package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// Size is what two sides measured of one size: lists of the same scenarios and models.
type Size struct {
	Millions    float64
	Base, Other []cells.Times
	Share       float64 // that a ratio of times is multiplied by
}

// Over is the ratio of two sides' times over the sizes that both measured.
type Over struct {
	Sizes  []Size // rising
	Curve  stats.Curve
	Basis  string
	Reason string // why there is no curve
}

// OverSizes joins what is of one size, and leaves out sizes without an interval.
func OverSizes(all []Size) Over {
	var o Over
	slices.SortStableFunc(all, func(x, y Size) int { return cmp.Compare(x.Millions, y.Millions) })
	for _, s := range all {
		if n := len(o.Sizes); n > 0 && o.Sizes[n-1].Millions == s.Millions {
			last := &o.Sizes[n-1]
			last.Base, last.Other = slices.Concat(last.Base, s.Base), slices.Concat(last.Other, s.Other)
			continue
		}
		o.Sizes = append(o.Sizes, s)
	}
	if blocks := o.blocks(); len(blocks) >= 2 {
		o.Basis = cells.BasisProcesses
		o.Curve = stats.CurveOfBlocks(o.logs(), blocks)
		return o
	}
	var points []stats.Estimate
	o.Sizes = slices.DeleteFunc(o.Sizes, func(s Size) bool {
		e, basis := s.contrast()
		if basis != "" {
			o.Basis, points = basis, append(points, e)
		}
		return basis == ""
	})
	if len(o.Sizes) == 0 {
		o.Reason = "fewer than 3 calls, or sizes that are unknown"
		return o
	}
	o.Curve = stats.CurveOfPoints(o.logs(), points)
	return o
}

func (o *Over) logs() []float64 {
	return stats.Map(o.Sizes, func(s Size) float64 { return math.Log(s.Millions) })
}

// blocks are the log ratios of each block that measured all sizes.
func (o *Over) blocks() (out [][]float64) {
	var all []cells.Times
	for _, s := range o.Sizes {
		all = append(append(all, s.Base...), s.Other...)
	}
	if len(all) == 0 {
		return nil
	}
	for range cells.Blocks(all...) {
		out = append(out, nil)
	}
	for _, s := range o.Sizes {
		base, other := cells.LogBlocks(s.Base...), cells.LogBlocks(s.Other...)
		for i, b := range cells.Blocks(all...) {
			out[i] = append(out[i], other[b]-base[b]+math.Log(s.Share))
		}
	}
	return out
}

// contrast is the log ratio at one size.
func (s *Size) contrast() (stats.Estimate, string) {
	e, basis := cells.ProcessContrast(s.Base, s.Other)
	e.Value += math.Log(s.Share)
	return e, basis
}

// Facts are what is known of an Over besides where it crosses a level.
type Facts struct {
	NSizes   int       `json:"n_sizes" unit:"sizes" doc:"sizes that both sides measured"`
	SmallM   *float64  `json:"smallest_millions" unit:"1e6" doc:"parameters of the smallest of them"`
	Small    *float64  `json:"ratio_smallest" doc:"ratio of the times there"`
	SmallCI  *Interval `json:"ratio_smallest_ci" doc:"its 95 % interval; on basis 'one process' with what processes are taken to differ by"`
	LargeM   *float64  `json:"largest_millions" unit:"1e6" doc:"parameters of the largest"`
	Large    *float64  `json:"ratio_largest" doc:"ratio of the times there"`
	LargeCI  *Interval `json:"ratio_largest_ci" doc:"its 95 % interval, likewise"`
	Trend    string    `json:"trend" doc:"of the ratio with size: rises, falls, does not grow (by 10 % over all sizes), no line, or unknown"`
	Exponent *float64  `json:"ratio_exponent" doc:"of the ratio over size; empty where there is no line"`
	SlopeCI  *Interval `json:"ratio_exponent_ci" doc:"its 95 % interval"`
	Law      string    `json:"law" doc:"line (of the ratio over size, in logs), interpolated (between sizes: the ratios lie on no line, or there are two), or one size"`
	BendP    *float64  `json:"bend_p" doc:"p of the ratios lying on a line"`
	Basis    string    `json:"basis" doc:"of the intervals: processes, or 'one process' of each"`
}

// Facts tells them; none where there is no curve.
func (o *Over) Facts() (f Facts) {
	n := len(o.Sizes)
	if f.NSizes, f.Basis, f.Trend = n, o.Basis, Unknown; n == 0 {
		return f
	}
	end := func(s *Size) (m, ratio *float64, ci *Interval) {
		e, _ := s.contrast()
		return &s.Millions, stats.Finite(math.Exp(e.Value)), e.ExpInterval()
	}
	f.SmallM, f.Small, f.SmallCI = end(&o.Sizes[0])
	f.LargeM, f.Large, f.LargeCI = end(&o.Sizes[n-1])
	f.BendP = stats.Finite(o.Curve.BendP)
	switch {
	case n == 1:
		f.Law = "one size"
		return f
	case n == 2 || !o.Curve.Straight:
		if f.Law = "interpolated"; n > 2 {
			f.Trend = "no line"
			return f
		}
	default:
		f.Law = "line"
	}
	slope := o.Curve.Slope()
	half := slope.Half(1 - stats.Confidence)
	f.Exponent, f.SlopeCI = &slope.Value, slope.Interval()
	switch reach := (math.Abs(slope.Value) + half) * math.Log(*f.LargeM / *f.SmallM); {
	case reach < math.Log(Matters):
		f.Trend = "does not grow"
	case slope.Value-half > 0:
		f.Trend = "rises"
	case slope.Value+half < 0:
		f.Trend = "falls"
	}
	return f
}

// everywhere is where what holds at all sizes holds.
func (o *Over) everywhere() string {
	if len(o.Sizes) == 1 {
		return "at the one size measured"
	}
	return fmt.Sprintf("at all %d sizes", len(o.Sizes))
}

// Identical reports whether all ratios are 1 but for rounding.
func (o *Over) Identical() bool {
	return !slices.ContainsFunc(o.Sizes, func(s Size) bool { e, _ := s.contrast(); return math.Abs(e.Value) > 1e-9 })
}
