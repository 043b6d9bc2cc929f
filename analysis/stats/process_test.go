package stats

import (
	"math"
	"testing"
)

func TestDrift(t *testing.T) {
	rise := func(n int, by float64) (out []float64) {
		for i := range n {
			out = append(out, math.Exp(by*float64(i)/float64(n-1)))
		}
		return out
	}
	if e, ok := Drift([][]float64{rise(5, .1), rise(3, .2), {1, 9}}); !ok || math.Abs(e.Value-.15) > 1e-12 || e.DF != 1 {
		t.Errorf("%+v %v", e, ok)
	}
	if _, ok := Drift([][]float64{rise(5, .1)}); ok {
		t.Error("one process has no t")
	}
	if p, shift, ok := RankDrift([]float64{12, 12, 12, 12, 12, 10, 10, 10, 10, 10}); !ok || p > .002 || math.Abs(shift+1.0/6) > 1e-12 {
		t.Errorf("%v %v %v", p, shift, ok)
	}
}

func TestOutlying(t *testing.T) {
	got := Outlying([]float64{10, 10.1, 9.9, 10, 12, 10.05, 9.95}, .05)
	for i, out := range got {
		if out != (i == 4) {
			t.Errorf("%v", got)
		}
	}
	for _, out := range Outlying([]float64{7, 7, 7, 7.1}, .05) {
		if out {
			t.Error("1.4 % off is no outlier")
		}
	}
}
