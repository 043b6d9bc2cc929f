package law

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// truths of the tournament: the series, and the laws that may be told of it.
var truths = []struct {
	name  string
	forms []Form
	f     func(float64) float64
}{
	{"constant", []Form{Constant}, powerOf(0)},
	{"x", []Form{Straight}, powerOf(1)},
	{"x^.7", []Form{Power}, powerOf(.7)},
	{"6 + .2 x", []Form{Line}, func(x float64) float64 { return 6 + .2*x }},
	{"6 + .8 x^.7", []Form{Offset}, func(x float64) float64 { return 6 + .8*math.Pow(x, .7) }},
	{"x^.2, from 60 on x", []Form{OneBreak}, chainOf([]float64{60}, []float64{.2, 1})},
	{"x, from 60 on x^.5", []Form{OneBreak}, chainOf([]float64{60}, []float64{1, .5})},
}

// TestLeaderRates: how often a false law is told to lead, and how often the right one;
// the table of docs/statistics.md.
func TestLeaderRates(t *testing.T) {
	for _, n := range []int{6, 7, 9, 13} {
		for _, sd := range []float64{.01, .04} {
			for _, k := range truths {
				t.Run(fmt.Sprintf("%d sizes, %g %%, %s", n, 100*sd, k.name), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(1, 1))
					of := trials(300)
					wrong, right := 0, 0
					for range of {
						tt := Compete(series(evenly(n, 5, 2000), k.f, sd, rng))
						switch told := slices.Contains(k.forms, tt.Leader().Form); {
						case tt.Verdict == Leads && told:
							right++
						case tt.Verdict == Leads:
							wrong++
						}
					}
					t.Logf("right %d, cannot tell %d", right, of-right-wrong)
					between(t, "a false law leads", wrong, of, 0, .05)
				})
			}
		}
	}
}

// TestPrediction: the 95 % interval of a size beyond the largest holds it in 90 to 99 %
// of series of known laws.
func TestPrediction(t *testing.T) {
	for _, n := range []int{7, 9, 13} {
		for _, k := range truths {
			t.Run(fmt.Sprintf("%d sizes, %s", n, k.name), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(1, 1))
				of := trials(400)
				held := 0
				for range of {
					const sd = .03
					tt := Compete(series(evenly(n, 5, 2000), k.f, sd, rng))
					e, ok := tt.Predict(Point{X: 4000})
					if v := math.Log(k.f(4000)) + sd*rng.NormFloat64(); ok && math.Abs(v-e.Value) <= e.Half(.05) {
						held++
					}
				}
				between(t, "the interval holds the new size", held, of, .9, .99)
			})
		}
	}
}

// TestGuardRates: of power laws a point is named in 5 % at most; an end point three
// times too high is named.
func TestGuardRates(t *testing.T) {
	for _, d := range []struct {
		name  string
		sizes []float64
		power float64 // of naming the end point
	}{{"GPT-2 set", gpt2, .3}, {"9 sizes", evenly(9, 5, 2000), .95}, {"6 sizes", evenly(6, 5, 2000), .8}} {
		t.Run(d.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			of := trials(1000)
			named, found, right := 0, 0, 0
			for range of {
				points := series(d.sizes, powerOf(.7), .05, rng)
				if s, ok := FindStray(points); ok && s.Withholds() {
					named++
				}
				last := len(points) - 1
				points[last].T *= 3
				if s, ok := FindStray(points); ok && s.Shown() && s.Moves {
					found++
					if s.Index == last {
						right++
					}
				}
			}
			between(t, "a point is named that fits", named, of, 0, .05)
			between(t, "the end point is found", found, of, d.power, 1)
			between(t, "and it is that one", right, found, .95, 1)
		})
	}
}

// TestBendRates: a quadratic term is found in 5 % of power laws, and in all laws that
// bend, on nine sizes.
func TestBendRates(t *testing.T) {
	for _, k := range truths {
		t.Run(k.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			of := trials(1000)
			shown := 0
			for range of {
				if b, ok := FindBend(series(evenly(9, 5, 2000), k.f, .05, rng)); ok && b.Shown() {
					shown++
				}
			}
			if slices.Contains([]Form{Constant, Straight, Power}, k.forms[0]) {
				between(t, "bends", shown, of, 0, .05)
			} else {
				between(t, "bends", shown, of, .95, 1)
			}
		})
	}
}
