package scaling

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// SlopeAnswer says how latency grows with size, and whether the data can tell.
type SlopeAnswer struct {
	cells.Series
	Mode            string          `json:"mode"`
	NModels         int             `json:"n_models"`
	Slope           *float64        `json:"slope"`
	CI              *stats.Interval `json:"ci"`        // the t-interval, over the sizes
	Blocks          int             `json:"blocks"`    // that measured all models; 0: one process each
	BlocksCI        *stats.Interval `json:"blocks_ci"` // of these models' slope, t over the blocks
	R2              *float64        `json:"r2"`
	Doubling        *float64        `json:"doubling_factor"` // 2^slope: latency when the size doubles
	Verdict         string          `json:"verdict"`         // grows, shrinks, flat, bent, one_point, not_identified or unknown
	Why             string          `json:"why"`
	MostInfluential string          `json:"most_influential"`
	SlopeWithout    *float64        `json:"slope_without_most_influential"`
	WithoutWhy      string          `json:"most_influential_reason"` // why there is none; "" with none: no model moves the slope
	Curvature       *Curvature      `json:"curvature"`
	Misfit          *Misfit         `json:"misfit"`
	WarningCodes    []string        `json:"warning_codes"`
}

// slopeAnswer judges a fit over all scenarios.
func slopeAnswer(f *Fit) SlopeAnswer {
	s := SlopeAnswer{Series: f.Series, Mode: f.Mode, NModels: f.NModels,
		Slope: f.Slope, CI: f.SlopeT, Blocks: f.Blocks, BlocksCI: f.SlopeBlocks, R2: f.R2, Verdict: "unknown", Why: f.Reason}
	for _, w := range f.Warnings {
		if !slices.Contains(s.WarningCodes, w.Code) {
			s.WarningCodes = append(s.WarningCodes, w.Code)
		}
	}
	if !f.OK {
		return s
	}
	s.Doubling = stats.Finite(math.Pow(2, *f.Slope))
	s.Curvature, s.Misfit = f.Curvature, f.Misfit
	if w := f.Influential(); w != nil {
		s.MostInfluential, s.SlopeWithout = w.Dropped, w.Slope
	} else if f.NModels > manyModels {
		s.WithoutWhy = fmt.Sprintf("above %d models none is left out", manyModels)
	} else if len(f.LeaveOneOut) == 0 {
		s.WithoutWhy = fmt.Sprintf("leaving one out takes %d models", minLeft+1)
	}
	switch {
	case f.SlopeT == nil:
		s.Why = "the slope has no interval"
	case f.Law == LawPower && *f.Slope > 0:
		s.Verdict, s.Why = "grows", "the slope's 95 % t-interval lies above 0"
	case f.Law == LawPower:
		s.Verdict, s.Why = "shrinks", "the slope's 95 % t-interval lies below 0"
	case f.Law == LawFlat && stats.Distinct(stats.Map(f.Points, func(p Point) float64 { return p.Y })) == 1:
		s.Verdict, s.Why = f.Law, "all models take the same time"
	case f.Law == LawFlat:
		s.Verdict, s.Why = f.Law, fmt.Sprintf("the slope's 95 %% t-interval lies within %.2g of 0", flatExponent)
	case f.Law == LawBent:
		s.Verdict, s.Why = f.Law, "the local exponent changes with size"
	case f.Law == LawOnePoint:
		s.Verdict, s.Why = f.Law, f.Misfit.Model+" does not fit the line through the others, and moves the slope beyond its interval"
	default:
		s.Verdict, s.Why = f.Law, "the slope's 95 % t-interval holds 0"
	}
	return s
}
