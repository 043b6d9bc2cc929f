package scaling

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
)

// What grows with the square of the models ends at a bound, and the fit says so.
func TestManyModels(t *testing.T) {
	fit := func(n int) *Fit {
		var points []Point
		for i := range n {
			x := math.Pow(1.01, float64(i))
			points = append(points, Point{Model: fmt.Sprintf("m%04d", i), X: x, Y: math.Sqrt(x) * (1 + 0.01*math.Sin(float64(7*i)))})
		}
		points[n/2].Y *= 2
		f := &Fit{}
		FitLogLog(f, points, cells.Options{})
		f.Doubt(&cells.Set{}, nil, nil, nil)
		return f
	}
	few, many := fit(manyModels), fit(manyModels+1)
	said := func(f *Fit) bool {
		return slices.ContainsFunc(f.Warnings, func(w finding.Warning) bool { return w.Code == "many_models" })
	}
	if few.TheilSen == nil || len(few.LeaveOneOut) != manyModels || said(few) {
		t.Errorf("%d models: Theil-Sen %v, %d left out, warned %v", few.NModels, few.TheilSen, len(few.LeaveOneOut), said(few))
	}
	if many.TheilSenSlope != nil || many.LeaveOneOut != nil || !said(many) {
		t.Errorf("%d models: Theil-Sen %v, %d left out, warned %v", many.NModels, many.TheilSenSlope, len(many.LeaveOneOut), said(many))
	}
}
