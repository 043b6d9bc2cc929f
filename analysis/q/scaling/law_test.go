package scaling

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// judged fits models of these times, each known by its calls to about 1 %.
func judged(x []float64, ms func(i int, x float64) float64) (*Fit, *OffsetFit) {
	f := &Fit{Subject: Subject{Series: cells.Series{Backend: "b"}, Mode: "m", Scenario: cells.AllScenarios}}
	var points []Point
	for i, v := range x {
		points = append(points, Point{Model: fmt.Sprintf("m%d", i), X: v, Y: ms(i, v), scatter: stats.Scatter{Var: 1e-4, DF: 6}})
	}
	slices.Reverse(points) // FitLogLog sorts
	FitLogLog(f, points, cells.Options{Bootstrap: -1})
	o := &OffsetFit{Form: FormLinear}
	fitOffset(o, f)
	return f, o
}

func doubling(n int) (x []float64) {
	for i := range n {
		x = append(x, 5*math.Pow(2, float64(i)))
	}
	return x
}

// TestLaws has each law, and each verdict on a fixed cost, come out of times made for it.
func TestLaws(t *testing.T) {
	jitter := []float64{.01, -.012, .004, -.006, .013, -.01, .002, .007, -.011, .003, -.004, .009, -.008}
	noisy := func(ms func(x float64) float64) func(int, float64) float64 {
		return func(i int, x float64) float64 { return ms(x) * (1 + jitter[i]) }
	}
	but := func(at int, times float64, ms func(x float64) float64) func(int, float64) float64 {
		return func(i int, x float64) float64 {
			if i == at {
				return times * noisy(ms)(i, x)
			}
			return noisy(ms)(i, x)
		}
	}
	power := func(b float64) func(float64) float64 { return func(x float64) float64 { return 2 * math.Pow(x, b) } }
	offset := func(x float64) float64 { return 20 + x }
	for _, c := range []struct {
		name        string
		x           []float64
		ms          func(int, float64) float64
		law, offset string
	}{
		{"in proportion", doubling(9), noisy(power(1)), LawPower, OffsetNone},
		{"P^.9", doubling(9), noisy(power(.9)), LawPower, OffsetNoLine},
		{"P^.97, which a line with an offset fits too", doubling(5), noisy(power(.97)), LawPower, OffsetPowerLaw},
		{"P^1.2", doubling(9), noisy(power(1.2)), LawPower, OffsetNoLine},
		{"P^-.5", doubling(9), noisy(power(-.5)), LawPower, OffsetNoLine},
		{"fixed cost", doubling(9), noisy(offset), LawBent, OffsetFixed},
		{"fixed cost, three sizes", doubling(9)[2:5], noisy(offset), LawBent, OffsetFixed},
		{"level", doubling(9), noisy(power(0)), LawFlat, OffsetFlat},
		{"equal", doubling(9), func(int, float64) float64 { return 7 }, LawFlat, OffsetFlat},
		{"the largest is slow", doubling(9), but(8, 2, power(.8)), LawOnePoint, OffsetNoLine},
		{"the smallest is slow", doubling(9), but(0, 2, power(1)), LawOnePoint, OffsetNoLine},
		{"fixed cost that only one model shows", append([]float64{.1}, doubling(8)...), noisy(func(x float64) float64 { return .5 + 2*x }), LawOnePoint, OffsetUnknown},
		{"a middle one is slow", doubling(9), but(4, 2, power(.8)), LawPower, OffsetNoLine},
		{"fixed cost, a middle one is slow", doubling(13), but(6, 2, offset), LawBent, OffsetNoLine},
		{"two sizes", doubling(2), noisy(power(1)), "", OffsetUnknown},
		{"falls off", doubling(9), noisy(func(x float64) float64 { return x / (1 + x/200) }), LawBent, OffsetNoLine},
		{"up and down", doubling(5), func(i int, _ float64) float64 { return []float64{1, 4, 1.5, 3, 1.2}[i] }, LawBent, OffsetNoLine},
	} {
		f, o := judged(c.x, c.ms)
		if f.Law != c.law || o.Verdict != c.offset {
			t.Errorf("%s: %q, %q (%s), want %q, %q: curvature %+v, misfit %+v, a %+v", c.name, f.Law, o.Verdict, o.Reason, c.law, c.offset, f.Curvature, f.Misfit, o.ACI)
		}
		if o.Verdict != OffsetFixed && o.Reason == "" {
			t.Errorf("%s: %s without a reason", c.name, o.Verdict)
		}
		if (f.Law == LawBent) != (f.Curvature != nil && f.Curvature.Local != nil) {
			t.Errorf("%s: %s, but local exponents %+v", c.name, f.Law, f.Curvature)
		}
		if o.OverheadAtMin != nil && *o.OverheadAtMin != *o.A/f.Points[0].Y {
			t.Errorf("%s: the share %v is not of the measurement", c.name, *o.OverheadAtMin)
		}
	}
}

// TestBendHidden: a slow model in the middle neither hides a bend nor is part of what is said of it.
func TestBendHidden(t *testing.T) {
	f, _ := judged(doubling(13), func(i int, x float64) float64 {
		if i == 6 {
			return 3 * (20 + x)
		}
		return 20 + x
	})
	if f.Law != LawBent {
		t.Fatalf("%s: %+v %+v", f.Law, f.Curvature, f.Misfit)
	}
	if h := f.Curvature.Local; h.From != "m0" || h.To != "m12" || h.Knot == "m6" || !(h.Below < .7 && h.Above > .9) {
		t.Errorf("%+v", h)
	}
}

// TestNearlyALaw: a bend that takes no model 4 % off its line leaves the exponent, however clear it is.
func TestNearlyALaw(t *testing.T) {
	f, _ := judged(doubling(9), func(_ int, x float64) float64 { return math.Pow(x, .8) * (1 + .002*math.Pow(math.Log2(x/80), 2)) })
	if c := f.Curvature; f.Law != LawPower || *c.P > 1e-3 || c.Departs > .04 || c.Departs < .005 {
		t.Errorf("%s: p %v, departs %v", f.Law, *c.P, c.Departs)
	}
}

// TestNearlyFits: of models that nearly lie on a line, one that is 1 % off changes no reader's mind, however clearly it is off.
func TestNearlyFits(t *testing.T) {
	for _, c := range []struct {
		off  float64
		want string
	}{{1.01, LawPower}, {.99, LawPower}, {1.1, LawOnePoint}, {.9, LawOnePoint}} {
		f, _ := judged(doubling(6), func(i int, x float64) float64 {
			if i == 5 {
				return x * c.off
			}
			return x * (1 + 1e-4*float64(i%2))
		})
		if f.Misfit == nil || f.Misfit.P > 1e-3 || !f.Misfit.Moves {
			t.Fatalf("%g: the case shows nothing: %+v", c.off, f.Misfit)
		}
		if f.Law != c.want || f.Misfit.significant() != (c.want == LawOnePoint) {
			t.Errorf("%g times the line: %s, %+v", c.off, f.Law, f.Misfit)
		}
	}
}

// TestShareOfATime: a fixed part is a share of the smallest model's time, or of nothing.
func TestShareOfATime(t *testing.T) {
	for _, first := range []float64{20, 30} {
		f, _ := judged(doubling(6), func(i int, x float64) float64 {
			if i == 0 {
				return first
			}
			return 24 + 24*x*x/6400
		})
		o := &OffsetFit{Form: FormPower}
		fitOffset(o, f)
		if more := *o.A > first; more != (first < 25) || (o.OverheadAtMin == nil) != more || (o.OverheadAtMax == nil) != more {
			t.Errorf("smallest %g, fixed %v: shares %v, %v", first, *o.A, o.OverheadAtMin, o.OverheadAtMax)
		}
	}
}
