package analysis

import (
	"math"
	"testing"
)

// A fixed cost is told only where the data can tell it. For (1, 3.1), (2, 5), (3, 7.1), (4, 8.9) the line is
// 1.15 + 1.95x, its residuals' sum of squares 0.015, so that the intercept's standard error is
// sqrt(0.0075*(1/4 + 2.5²/5)) = 0.10607 and the interval 1.15 ± 4.30265*0.10607.
func TestFixedCostInterval(t *testing.T) {
	f := &OffsetFit{Form: FormLinear}
	fitOffset(f, []Point{{X: 1, Y: 3.1}, {X: 2, Y: 5}, {X: 3, Y: 7.1}, {X: 4, Y: 8.9}})
	if f.ACI == nil || math.Abs(f.ACI.Low-0.69363) > 5e-4 || math.Abs(f.ACI.High-1.60637) > 5e-4 || len(f.Warnings) != 0 {
		t.Errorf("%+v, %v", f.ACI, f.Warnings)
	}
	// Four decades in proportion, the largest off by 3 %: in ms that is far more than all small models together.
	f = &OffsetFit{Form: FormLinear}
	fitOffset(f, []Point{{X: 5, Y: 1}, {X: 50, Y: 10}, {X: 500, Y: 100}, {X: 5000, Y: 1000}, {X: 20_000, Y: 3880}})
	if len(f.Warnings) != 1 || f.Warnings[0].Code != "offset_not_identified" {
		t.Errorf("a = %v, %+v: %v", *f.A, f.ACI, f.Warnings)
	}
}
