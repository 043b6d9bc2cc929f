package draw

import (
	"slices"
	"strings"
	"testing"

	gplot "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"llmscale/analysis/figure"
)

func tickText(ticks []gplot.Tick) string {
	var out []string
	for _, t := range ticks {
		if !t.IsMinor() {
			out = append(out, t.Label)
		}
	}
	return strings.Join(out, " ")
}

func TestLogTicks(t *testing.T) {
	for _, tc := range []struct {
		lo, hi float64
		want   string
	}{
		{0.08, 150, "0.1 1 10 100"},
		{0.5, 20000, "1 10 100 1000 10,000"},
		{2, 90, "2 5 10 20 50"},
		{3, 80, "5 10 20 50"},
		{11, 45, "15 20 30"},
		{1e-9, 1e9, "0.000000001 0.000001 0.001 1 1000 1,000,000 1,000,000,000"},
	} {
		if got := tickText(logTicks{}.Ticks(tc.lo, tc.hi)); got != tc.want {
			t.Errorf("%g to %g: %s, want %s", tc.lo, tc.hi, got, tc.want)
		}
		if n := strings.Count(tickText(logTicks{}.Ticks(tc.lo, tc.hi)), " ") + 1; n < 3 || n > 10 {
			t.Errorf("%g to %g: %d labels", tc.lo, tc.hi, n)
		}
	}
}

func TestLinearTicks(t *testing.T) {
	for _, tc := range []struct {
		lo, hi float64
		want   string
	}{
		{-0.1, 64, "0 10 20 30 40 50 60"},
		{90.6, 99.1, "92 94 96 98"},
		{1, 1.062, "1.00 1.01 1.02 1.03 1.04 1.05 1.06"},
	} {
		if got := tickText(linearTicks{}.Ticks(tc.lo, tc.hi)); got != tc.want {
			t.Errorf("%g to %g: %s, want %s", tc.lo, tc.hi, got, tc.want)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, tc := range []struct{ want, at []vg.Length }{
		{[]vg.Length{90, 50, 10}, []vg.Length{90, 50, 10}}, // far apart: nothing moves
		{[]vg.Length{50, 50}, []vg.Length{55, 45}},         // together: symmetric
		{[]vg.Length{100, 99}, []vg.Length{100, 90}},       // at the top
		{[]vg.Length{2, 1, 0}, []vg.Length{20, 10, 0}},     // at the bottom
	} {
		if at := spread(tc.want, 10, 0, 100); !slices.Equal(at, tc.at) {
			t.Errorf("spread %v: %v, want %v", tc.want, at, tc.at)
		}
	}
}

func TestWrap(t *testing.T) {
	sty := textStyle(10, false, ink)
	long := "a title that does not fit into one line of this width and not into two either"
	lines := wrap(sty, long, 150, 2)
	if len(lines) != 2 || !strings.HasSuffix(lines[1], "…") {
		t.Errorf("%q", lines)
	}
	for _, l := range lines {
		if sty.Width(l) > 150 {
			t.Errorf("%q is %v wide", l, sty.Width(l))
		}
	}
	if got := wrap(sty, "short", 150, 2); !slices.Equal(got, []string{"short"}) {
		t.Errorf("%q", got)
	}
	if got := wrap(sty, strings.Repeat("x", 100), 150, 2); len(got) != 1 || sty.Width(got[0]) > 150 {
		t.Errorf("a word without spaces: %q", got)
	}
}

func TestColours(t *testing.T) {
	seen := map[any]bool{}
	for i := range 9 {
		seen[rampColor(i, 9)] = true
	}
	if len(seen) != 9 {
		t.Errorf("9 models have %d colours", len(seen))
	}
	looks := map[any]bool{}
	for i := range 35 {
		sty := glyphOf(figure.Series(i))
		looks[[2]any{sty.Color, sty.Shape}] = true
	}
	if len(looks) != 35 {
		t.Errorf("35 series have %d looks", len(looks))
	}
}
