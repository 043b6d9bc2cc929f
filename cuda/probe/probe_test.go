package probe

import (
	"math"
	"slices"
	"testing"

	"llmscale/cuda"
)

func TestDefaults(t *testing.T) {
	o := Options{}.withDefaults(50 << 20)
	want := []int64{4 << 30, 1 << 30, 256 << 20, 64 << 20, 50 << 20, 16 << 20, 4 << 20, 1 << 20, 256 << 10, 64 << 10}
	if !slices.Equal(o.WorkingSets, want) {
		t.Errorf("working sets %v, want %v", o.WorkingSets, want)
	}
	if len(o.Shapes) == 0 || o.Passes < 10 || o.SustainedSeconds <= 0 || o.Progress == nil {
		t.Errorf("defaults with gaps: %+v", o)
	}
	mine := []int64{1 << 20, 4 << 20, 1 << 20}
	o = Options{WorkingSets: mine}.withDefaults(50 << 20)
	if !slices.Equal(o.WorkingSets, []int64{4 << 20, 1 << 20}) {
		t.Errorf("working sets %v", o.WorkingSets)
	}
	if mine[0] != 1<<20 || mine[1] != 4<<20 {
		t.Errorf("the caller's slice was changed: %v", mine)
	}
	if q := (Options{Quick: true}).withDefaults(50 << 20); len(q.WorkingSets) >= 10 || len(q.Shapes) >= 7 {
		t.Errorf("quick is not quicker: %+v", q)
	}
}

func TestSummarize(t *testing.T) {
	times := []float64{5, 1, 2, 4, 3}
	s := summarize(times)
	if s.median != 3 || s.best != 1 || math.Abs(s.spread-2.0/3) > 1e-15 { // quartiles 2 and 4
		t.Errorf("%+v, want median 3, best 1, spread 2/3", s)
	}
	if times[0] != 5 {
		t.Errorf("the caller's slice was sorted: %v", times)
	}
	if s := summarize([]float64{7}); s.median != 7 || s.best != 7 || s.spread != 0 {
		t.Errorf("one pass: %+v", s)
	}
	if m := median([]float64{1, 2}); m != 1.5 {
		t.Errorf("median of 1 and 2: %v", m)
	}
	if m := median(nil); !math.IsNaN(m) {
		t.Errorf("median of nothing: %v", m)
	}
}

func TestArrays(t *testing.T) {
	a := arrays{&cuda.Buffer{}, 100, 3}
	if a.bytes() != 4800 || a.at(0).Offset != 0 || a.at(2).Offset != 3200 {
		t.Errorf("%d bytes, third array at %d; want 4800 and 3200", a.bytes(), a.at(2).Offset)
	}
	for _, op := range operations {
		if op.unroll < smallestUnroll {
			t.Errorf("%s: chunks of %d vectors, fewer than %d", op.name, op.unroll, smallestUnroll)
		}
	}
}

func TestClamp(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want int
	}{{3.6, 4}, {0.1, 2}, {1e30, 10}, {math.Inf(1), 10}} {
		if got := clamp(c.v, 2, 10); got != c.want {
			t.Errorf("clamp(%v) = %d, want %d", c.v, got, c.want)
		}
	}
}
