package weights

import (
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
)

func ask(t *testing.T, rows []runs.Row) *Answer { return Ask(celltest.Set(t, rows)) }

var types, megabytes = []string{"f32", "f16", "q8_0", "q4_0"}, []float64{4000, 2000, 1000, 500}

// TestTypesThatFollowTheirBytes: 0.01 ms for each MB and 2 ms beside, in four types.
func TestTypesThatFollowTheirBytes(t *testing.T) {
	law := func(mb float64) float64 { return 2 + 0.01*mb }
	a := ask(t, celltest.TypeRun(types, megabytes, law))
	if len(a.WeightTypes) != 4 || a.title() != "Decode follows the bytes of every weight type, at all sizes measured" {
		t.Fatalf("%s: %+v", a.title(), a.WeightTypes)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6*math.Abs(want) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	for i, x := range a.WeightTypes {
		if x.WeightType != types[i] || (x.Verdict == Base) != (i == 0) || (x.Verdict == Follows) != (i > 0) {
			t.Errorf("%+v", x)
		}
		near("ms per token of "+types[i], x.MS, law(megabytes[i]))
		near("ratio of "+types[i], x.Ratio, law(megabytes[i])/42)
		near("rate of "+types[i], x.GBPerS, megabytes[i]/law(megabytes[i]))
		if i > 0 && (x.RatioCI == nil || x.RatioCI.Low >= x.Ratio || x.RatioCI.High <= x.Ratio || x.RatioCI.High/x.RatioCI.Low > 1.01) {
			t.Errorf("%s: interval %+v of %v", types[i], x.RatioCI, x.Ratio)
		}
	}
}

// TestTypeThatIsSlowerThanItsBytes: of four types in proportion to their bytes one takes half as long again.
func TestTypeThatIsSlowerThanItsBytes(t *testing.T) {
	a := ask(t, celltest.TypeRun(types, megabytes, func(mb float64) float64 {
		if mb == 1000 {
			return 15
		}
		return mb / 100
	}))
	for _, x := range a.WeightTypes {
		if (x.Verdict == Slower) != (x.WeightType == "q8_0") || x.Verdict == Slower && math.Abs(*x.OverBytes-1.5) > 5e-3 {
			t.Errorf("%+v", x)
		}
	}
	md := celltest.Markdown(t, a.Sections()...)
	for _, want := range []string{"## Decode takes longer than its bytes in q8_0 (", "95 % intervals within one process", "| q8_0 | 1000 | 15.0", "| slower |"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
}

// TestFewTypesOrCalls: two types cannot tell dequantising from a fixed cost, and calls without an interval tell nothing.
func TestFewTypesOrCalls(t *testing.T) {
	law := func(mb float64) float64 { return mb / 100 }
	for n := 1; n < minTypes; n++ {
		if a := ask(t, celltest.TypeRun(types[:n], megabytes, law)); len(a.WeightTypes) != 0 || len(a.Sections()) > 0 {
			t.Errorf("%+v", a.WeightTypes)
		}
	}
	var few []runs.Row
	for _, r := range celltest.TypeRun(types, megabytes, law) {
		if *r.Rep < 2 {
			few = append(few, r)
		}
	}
	a := ask(t, few)
	for _, x := range a.WeightTypes {
		if x.Verdict != Base && x.Verdict != Unknown || x.OverBytes != nil {
			t.Errorf("%+v", x)
		}
	}
	if len(a.WeightTypes) != 4 || !strings.Contains(a.title(), "cannot be told") {
		t.Errorf("%s: %+v", a.title(), a.WeightTypes)
	}
}
