package law

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"llmscale/analysis/stats"
)

// evenly are n sizes from low to high, evenly in logs.
func evenly(n int, low, high float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = low * math.Pow(high/low, float64(i)/float64(n-1))
	}
	return out
}

// gpt2 are the sizes of the GPT-2 set, in millions.
var gpt2 = []float64{.103, 5.037, 25.016, 45.171, 51.476, 74.825, 96.088}

// series has times by a law with normal errors in logs.
func series(x []float64, f func(float64) float64, sd float64, rng *rand.Rand) []Point {
	var out []Point
	for _, v := range x {
		p := Point{X: v, T: f(v)}
		if sd > 0 {
			p.T *= math.Exp(sd * rng.NormFloat64())
		}
		out = append(out, p)
	}
	return out
}

func powerOf(b float64) func(float64) float64 {
	return func(x float64) float64 { return 3 * math.Pow(x, b) }
}

// chainOf changes its exponent at each break.
func chainOf(breaks, exponents []float64) func(float64) float64 {
	return func(x float64) float64 {
		v := exponents[0] * math.Log(x)
		for i, at := range breaks {
			v += (exponents[i+1] - exponents[i]) * max(0, math.Log(x/at))
		}
		return math.Exp(v)
	}
}

// trials are how often a case is drawn: all with LLMSCALE_TRIALS=all, as docs/statistics.md
// says.
func trials(n int) int {
	if os.Getenv("LLMSCALE_TRIALS") == "all" {
		return n
	}
	return n / 20
}

// between fails where a count is outside of these rates by more than three standard
// deviations.
func between(t *testing.T, what string, count, of int, low, high float64) {
	t.Helper()
	n := float64(of)
	t.Logf("%s: %d of %d (%.1f %%)", what, count, of, 100*float64(count)/n)
	sd := func(p float64) float64 { return 3 * math.Sqrt(p*(1-p)*n) }
	if c := float64(count); c < low*n-sd(low) || c > high*n+sd(high) {
		t.Errorf("%s in %d of %d, want %.3g to %.3g %%", what, count, of, 100*low, 100*high)
	}
}

func holds(i *stats.Interval, v float64) bool { return i != nil && i.Low <= v && v <= i.High }

// TestForms: times on a law to the last digit give its parameters, and the law leads.
func TestForms(t *testing.T) {
	x := evenly(13, 5, 5000)
	physical := func(t0, p float64) []Point {
		var out []Point
		for _, v := range x {
			reads, computes := v/20, 1e-4*v*math.Sqrt(v)*math.Log(v)
			out = append(out, Point{X: v, T: t0 + math.Pow(math.Pow(reads, p)+math.Pow(computes, p), 1/p), Reads: reads, Computes: computes})
		}
		return out
	}
	reading := physical(3, 2)
	for i := range reading {
		reading[i].T = 3 + reading[i].Reads
	}
	for _, c := range []struct {
		form   Form
		points []Point
		want   []float64
	}{
		{Constant, series(x, powerOf(0), 0, nil), []float64{3}},
		{Straight, series(x, powerOf(1), 0, nil), []float64{3}},
		{Power, series(x, powerOf(.7), 0, nil), []float64{3, .7}},
		{Line, series(x, func(x float64) float64 { return 6 + .2*x }, 0, nil), []float64{6, .2}},
		{Offset, series(x, func(x float64) float64 { return 6 + .8*math.Pow(x, .7) }, 0, nil), []float64{6, .8, .7}},
		{Reading, reading, []float64{3}},
		{Roof, physical(3, 2), []float64{3, 2}},
		{OneBreak, series(x, chainOf([]float64{123}, []float64{.3, 1.1}), 0, nil), []float64{1, .3, 1.1, 123}},
		{TwoBreak, series(x, chainOf([]float64{60, 700}, []float64{.2, 1.1, .6}), 0, nil), []float64{1, .2, 1.1, .6, 60, 700}},
	} {
		tt := Compete(c.points)
		l := tt.Leader()
		if l.Form != c.form || tt.Verdict != Leads {
			t.Errorf("%s: %s %s, rivals %v", c.form, l.Form, tt.Verdict, tt.Rivals)
			continue
		}
		for j, want := range c.want {
			if p := l.Params[j]; math.Abs(p.Value/want-1) > 2e-4 {
				t.Errorf("%s: %s is %v, want %v", c.form, p.Name, p.Value, want)
			}
		}
		if v := l.At(c.points[3]).Value; math.Abs(v-math.Log(c.points[3].T)) > 1e-4 || l.LOO > .01 {
			t.Errorf("%s: at a point ln %v, want %v; leave-one-out %v", c.form, v, math.Log(c.points[3].T), l.LOO)
		}
	}
}

// TestDerivatives of each form are those that differences give.
func TestDerivatives(t *testing.T) {
	points := []Point{{X: 7, T: 1, Reads: 2, Computes: .7}, {X: 200, T: 1, Reads: 20, Computes: 40}}
	for form, theta := range map[Form][]float64{Constant: {1}, Straight: {1}, Power: {1, .7}, Line: {1, 2}, Offset: {1, 2, .7}, Reading: {1}, Roof: {1, .3},
		OneBreak: {1, .5, .4, 3}, TwoBreak: {1, .5, .4, -.3, 3, 4}} {
		s := specOf(form, points)
		if len(theta) != len(s.names) || len(s.natural(theta)) != len(theta) {
			t.Errorf("%s: %d parameters, %d names", form, len(theta), len(s.names))
		}
		for _, p := range points {
			grad := make([]float64, len(theta))
			s.predict(theta, p, grad)
			for j := range theta {
				up, down := slices.Clone(theta), slices.Clone(theta)
				up[j], down[j] = up[j]+1e-5, down[j]-1e-5
				if d := (s.predict(up, p, nil) - s.predict(down, p, nil)) / 2e-5; math.Abs(d-grad[j]) > 1e-6 {
					t.Errorf("%s: derivative %d is %v, want %v", form, j, grad[j], d)
				}
			}
		}
	}
}

// TestPowerAgainstOLS: exponent, interval and leave-one-out error are those of the line.
func TestPowerAgainstOLS(t *testing.T) {
	points := series(evenly(7, 5, 900), powerOf(.6), .2, rand.New(rand.NewPCG(1, 1)))
	l := Compete(points).Law(Power)
	u, y := logs(points)
	line, _ := stats.OLS(u, y)
	half := stats.TQuantile(5) * line.SEB
	p := l.Param("exponent")
	if math.Abs(p.Value-line.B) > 1e-9 || math.Abs(p.Sizes.High-line.B-half) > 1e-6 {
		t.Errorf("%+v, want %v and half %v", p, line.B, half)
	}
	// Of a linear law a point left out lies its residual over 1 - leverage off.
	r, _ := stats.Regress(y, ones(u), u)
	s := 0.0
	for i, e := range r.Residuals {
		s += math.Pow(e/(1-r.Leverage[i]), 2)
	}
	if want := math.Sqrt(s / 7); math.Abs(l.LOO-want) > 1e-9 {
		t.Errorf("leave-one-out %v, want %v", l.LOO, want)
	}
	// The prediction interval of a line (Draper and Smith 1998, section 1.4).
	at := Point{X: 3000}
	mean, sxx := 0.0, 0.0
	for _, v := range u {
		mean += v / 7
	}
	for _, v := range u {
		sxx += (v - mean) * (v - mean)
	}
	want := line.SD * line.SD * (1 + 1./7 + math.Pow(math.Log(at.X)-mean, 2)/sxx)
	if e := l.Predict(at); math.Abs(e.Variance/want-1) > 1e-9 || e.DF != 5 {
		t.Errorf("%+v, want variance %v", e, want)
	}
	// Proportional to size lies inside of offset: the sum of squares is no greater.
	if o, line := Compete(points).Law(Offset), Compete(points).Law(Line); o.SSE > l.SSE+1e-9 || o.SSE > line.SSE+1e-9 {
		t.Errorf("offset leaves %v, power %v, line %v", o.SSE, l.SSE, line.SSE)
	}
}

// TestByBlocks: three blocks give intervals over the blocks, two none.
func TestByBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	x := evenly(9, 5, 900)
	whole := series(x, powerOf(.6), 0, rng)
	var blocks [][]Point
	var slopes []float64
	for range 3 {
		b := series(x, powerOf(.6), .02, rng)
		l, _ := Fit(Power, b)
		blocks, slopes = append(blocks, b), append(slopes, l.Param("exponent").Value)
	}
	l, _ := Fit(Power, whole)
	l.ByBlocks(blocks[:2])
	if l.Params[1].Blocks != nil {
		t.Errorf("two blocks give %v", l.Params[1].Blocks)
	}
	l.ByBlocks(blocks)
	e, _ := stats.MeanT(slopes)
	if got, want := stats.HalfWidth(l.Params[1].Blocks), e.Half(.05); math.Abs(got-want) > 1e-9 {
		t.Errorf("half width %v, want %v", got, want)
	}
}

// TestTooFew: nothing is told of few sizes, and nothing fails.
func TestTooFew(t *testing.T) {
	for n := range 5 {
		tt := Compete(series(evenly(max(n, 2), 5, 50)[:n], powerOf(.7), 0, nil))
		if tt.Verdict != TooFew {
			t.Errorf("%d sizes: %s", n, tt.Verdict)
		}
		if _, ok := FindBreaks(series(evenly(max(n, 2), 5, 50)[:n], powerOf(.7), 0, nil), rand.New(rand.NewPCG(1, 1))); ok {
			t.Errorf("%d sizes may have a break", n)
		}
	}
	same := series([]float64{5, 5, 5, 5, 5, 5}, powerOf(.7), .1, rand.New(rand.NewPCG(1, 1)))
	if tt := Compete(same); tt.Verdict != TooFew {
		t.Errorf("one size: %s", tt.Verdict)
	}
}
