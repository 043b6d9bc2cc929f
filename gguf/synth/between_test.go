package synth

import (
	"math"
	"testing"
)

// TestBetween: a shape between rungs has the parameters that were asked for, and the
// ladder's proportions; at a rung's size it is the rung.
func TestBetween(t *testing.T) {
	for params := 2e6; params < 2e11; params *= 1.07 {
		s, err := Between("llama", int64(params))
		if err != nil {
			t.Fatal(err)
		}
		if off := float64(s.Params())/params - 1; math.Abs(off) > .02 {
			t.Errorf("%.0f parameters: %d, %.1f %% off", params, s.Params(), 100*off)
		}
		if wide := float64(s.NFF) / float64(s.NEmbd); wide < 1 || wide > 7 {
			t.Errorf("%.0f parameters: a feed-forward of %d at a width of %d", params, s.NFF, s.NEmbd)
		}
	}
	ladder, err := Rungs("llama", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range ladder {
		s, err := Between("llama", r.Params())
		if err != nil {
			t.Fatal(err)
		}
		if s.Name = r.Name; s != r {
			t.Errorf("%+v, want the rung %+v", s, r)
		}
	}
	for _, params := range []int64{-1, 0, 1_999_999, 2e11 + 1} {
		if s, err := Between("llama", params); err == nil {
			t.Errorf("%d parameters give %+v", params, s)
		}
	}
}
