package weights

import (
	"math"
	"slices"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
)

func ask(t *testing.T, rows []runs.Row) *Answer { return Ask(celltest.Set(t, rows)) }

// TestWeightTypesThatFollowTheirBytes: 0.01 ms for each MB and 2 ms beside, in
// four types.
func TestWeightTypesThatFollowTheirBytes(t *testing.T) {
	types, mb := []string{"f32", "f16", "q8_0", "q4_0"}, []float64{4000, 2000, 1000, 500}
	law := func(mb float64) float64 { return 2 + 0.01*mb }
	r := ask(t, celltest.TypeRun(types, mb, law))
	if len(r.WeightTypes) != 1 || len(r.Answers.WeightTypes) != 1 {
		t.Fatalf("%d comparisons, %d answers", len(r.WeightTypes), len(r.Answers.WeightTypes))
	}
	w, answer := r.WeightTypes[0], r.Answers.WeightTypes[0]
	if w.Base != "f32" || len(w.Types) != 4 || !w.Fit.OK || w.Fit.NTypes != 4 {
		t.Fatalf("%+v", w)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6*math.Abs(want) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("fixed cost", *w.Fit.FixedMS, 2)
	near("ms per MB", *w.Fit.MSPerMB, 0.01)
	near("rate", *w.Fit.GBPerS, 100)
	for i, x := range w.Types {
		if x.WeightType != types[i] || x.All().N != 4 {
			t.Errorf("%+v", x)
		}
		near("ms per token of "+types[i], x.All().DecodeMS, law(mb[i]))
		near("ratio of "+types[i], x.All().DecodeRatio, law(mb[i])/42)
		near("rate of "+types[i], x.All().GBPerS, mb[i]/law(mb[i]))
		if i > 0 {
			if ci := x.All().DecodeRatioCI; ci == nil || ci.Low >= x.All().DecodeRatio || ci.High <= x.All().DecodeRatio || ci.High/ci.Low > 1.01 {
				t.Errorf("%s: interval %+v of %v", types[i], ci, x.All().DecodeRatio)
			}
		}
	}
	if answer.Decode.Type != "q4_0" || answer.Decode.Next != "q8_0" || len(answer.Slower) != 0 || answer.Verdict != "follows" {
		t.Errorf("%+v", answer)
	}
	near("times as fast as f32", answer.Decode.BaseRatio, 42.0/7)
	near("times as fast as the next", answer.Decode.NextRatio, 12.0/7)
}

// TestWeightTypeThatIsSlowerThanItsBytes: of five types in proportion to their
// bytes one takes half as long again.
func TestWeightTypeThatIsSlowerThanItsBytes(t *testing.T) {
	types := []string{"f32", "f16", "q8_0", "q6_K", "q4_0"}
	r := ask(t, celltest.TypeRun(types, []float64{4000, 2000, 1000, 800, 500}, func(mb float64) float64 {
		if mb == 800 {
			return 12
		}
		return mb / 100
	}))
	a := r.Answers.WeightTypes[0]
	if !slices.Equal(a.Slower, []string{"q6_K"}) || a.Verdict != "slower" {
		t.Errorf("%+v", a)
	}
	for _, x := range r.WeightTypes[0].Types {
		if x.WeightType == "q6_K" && (x.OverBytes == nil || math.Abs(*x.OverBytes-1.5) > 5e-3) {
			t.Errorf("q6_K takes %v times what its bytes take", *x.OverBytes)
		}
	}
}

// One type is no comparison, and three are too few for a line.
func TestFewWeightTypes(t *testing.T) {
	law := func(mb float64) float64 { return mb / 100 }
	if r := ask(t, celltest.TypeRun([]string{"f16"}, []float64{2000}, law)); len(r.WeightTypes) != 0 || len(r.Answers.WeightTypes) != 0 {
		t.Errorf("%+v", r.WeightTypes)
	}
	r := ask(t, celltest.TypeRun([]string{"f32", "f16", "q8_0"}, []float64{4000, 2000, 1000}, law))
	if len(r.WeightTypes) != 1 || r.WeightTypes[0].Fit.OK || r.WeightTypes[0].Fit.Reason == "" {
		t.Errorf("%+v", r.WeightTypes)
	}
}
