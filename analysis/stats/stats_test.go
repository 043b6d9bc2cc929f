package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

var designs = map[string][]float64{
	"4 sizes": spaced(4), "6 sizes": spaced(6), "9 sizes": spaced(9),
	"GPT-2 set": logs(.102714, 5.03672, 11.18, 25.016064, 45.1712, 51.475968, 74.824704, 96.08832, 124.439808),
	"ladder":    logs(4.852, 8.738, 14.41, 32.51, 62.03, 133.9, 296.3, 555.6, 1176, 2343, 4734, 9896, 20390),
}

func spaced(n int) (x []float64) {
	for i := range n {
		x = append(x, float64(i))
	}
	return x
}

func logs(v ...float64) (x []float64) {
	for _, s := range v {
		x = append(x, math.Log(s))
	}
	return x
}

func ones(n int) []float64 { return slices.Repeat([]float64{1}, n) }

func without(x []float64, i int) []float64 { return slices.Delete(slices.Clone(x), i, i+1) }

func close(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
		t.Errorf("%s = %.10g, want %.10g", what, got, want)
	}
}

// TestRegress: (1, 3.1), (2, 5), (3, 7.1), (4, 8.9) by hand. The line is 1.15 + 1.95x, its residuals' sum of squares
// 0.015, so that the intercept's standard error is sqrt(0.0075*(1/4 + 2.5²/5)) = 0.10607.
func TestRegress(t *testing.T) {
	x, y := []float64{1, 2, 3, 4}, []float64{3.1, 5, 7.1, 8.9}
	r, ok := Regress(y, ones(4), x)
	if !ok || r.DF != 2 {
		t.Fatalf("%v %+v", ok, r)
	}
	close(t, "intercept", r.Coef[0], 1.15, 1e-12)
	close(t, "slope", r.Coef[1], 1.95, 1e-12)
	close(t, "SSE", r.SSE, 0.015, 1e-12)
	close(t, "SE of the intercept", r.SE(0), math.Sqrt(.0075*(.25+2.5*2.5/5)), 1e-12)
	close(t, "leverage", r.Leverage[0], .25+1.5*1.5/5, 1e-12)
	for name, columns := range map[string][][]float64{
		"collinear": {ones(4), x, {2, 4, 6, 8}}, "one size": {ones(4), {3, 3, 3, 3}}, "too many": {ones(4), x, {1, 4, 9, 16}, {1, 8, 27, 64}, {1, 16, 81, 256}}, "none": {},
	} {
		if _, ok := Regress(y, columns...); ok {
			t.Errorf("%s: fitted", name)
		}
	}
	if exact, ok := Regress(y[:2], ones(2), x[:2]); !ok || !math.IsNaN(exact.SE(1)) {
		t.Errorf("two points: %v, SE %v", ok, exact.SE(1))
	}
}

// TestOutlierIsThatOfTheOthers: T and Gap are those of a line fitted without the point.
func TestOutlierIsThatOfTheOthers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, x := range designs {
		y := make([]float64, len(x))
		for i := range x {
			y[i] = .7*x[i] + .1*rng.NormFloat64()
		}
		r, _ := Regress(y, ones(len(x)), x)
		o, ok := r.Outlier()
		if !ok {
			t.Fatalf("%s: none", name)
		}
		worst := 0.0
		for i := range x {
			lx, ly := without(x, i), without(y, i)
			l, _ := Regress(ly, ones(len(lx)), lx)
			gap := y[i] - l.Coef[0] - l.Coef[1]*x[i]
			mean := stat.Mean(lx, nil)
			sxx := stat.Variance(lx, nil) * float64(len(lx)-1)
			se := math.Sqrt(l.SSE / float64(l.DF) * (1 + 1/float64(len(lx)) + (x[i]-mean)*(x[i]-mean)/sxx))
			worst = max(worst, math.Abs(gap/se))
			if i == o.Index {
				close(t, name+": gap", o.Gap, gap, 1e-9)
				close(t, name+": T", o.T, gap/se, 1e-9)
				close(t, name+": P", o.P, min(1, float64(len(x))*2*distuv.StudentsT{Sigma: 1, Nu: float64(l.DF)}.Survival(math.Abs(gap/se))), 1e-9)
			}
		}
		close(t, name+": the worst", math.Abs(o.T), worst, 1e-9)
	}
	three, _ := Regress([]float64{1, 2, 4}, ones(3), spaced(3))
	if _, ok := three.Outlier(); ok {
		t.Error("an outlier of three points")
	}
	// All others on a line to the last digit.
	y := []float64{0, 1, 2, 3, 4.5, 5, 6}
	r, _ := Regress(y, ones(7), spaced(7))
	if o, ok := r.Outlier(); !ok || o.Index != 4 || o.P > 1e-9 || math.Abs(o.Gap-.5) > 1e-9 {
		t.Errorf("one point off an exact line: %+v", o)
	}
	r, _ = Regress(spaced(7), ones(7), spaced(7))
	if o, ok := r.Outlier(); ok && o.P < .05 {
		t.Errorf("an exact line: %+v", o)
	}
}

// within fails where k of n is less likely than 1 in 10,000 under a rate up to high or from low on.
func within(t *testing.T, what string, k, n int, low, high float64) {
	t.Helper()
	b := func(p float64) distuv.Binomial { return distuv.Binomial{N: float64(n), P: p} }
	if high < 1 && 1-b(high).CDF(float64(k)-1) < 1e-4 {
		t.Errorf("%s: %d of %d, stated are at most %g", what, k, n, high)
	}
	if low > 0 && b(low).CDF(float64(k)) < 1e-4 {
		t.Errorf("%s: %d of %d, stated are at least %g", what, k, n, low)
	}
}

// moves reports whether leaving a point out changes the slope by more than its 95 % t-interval with or without
// the point allows: the question that a test must not ask alone.
func moves(x, y []float64) bool {
	half := func(r Regression) float64 {
		return distuv.StudentsT{Sigma: 1, Nu: float64(r.DF)}.Quantile(.975) * r.SE(1)
	}
	whole, _ := Regress(y, ones(len(x)), x)
	for i := range x {
		r, _ := Regress(without(y, i), ones(len(x)-1), without(x, i))
		if change := math.Abs(r.Coef[1] - whole.Coef[1]); change > half(whole) || change > half(r) {
			return true
		}
	}
	return false
}

// TestOutlierRate: 5 % on every design, whatever its leverages, and not much less. The change of the slope alone
// alarms far more often where one point lies far from the others.
func TestOutlierRate(t *testing.T) {
	const n = 3000
	for name, x := range designs {
		rng := rand.New(rand.NewPCG(3, 5))
		alarms, moved := 0, 0
		for range n {
			y := make([]float64, len(x))
			for i := range x {
				y[i] = x[i] + rng.NormFloat64()
			}
			r, _ := Regress(y, ones(len(x)), x)
			if o, ok := r.Outlier(); ok && o.P < .05 {
				alarms++
			}
			if moves(x, y) {
				moved++
			}
		}
		within(t, name, alarms, n, .03, .05)
		if name == "GPT-2 set" {
			within(t, name+", by the change alone", moved, n, .2, .3)
		}
		t.Logf("%s: %.1f %%, by the change of the slope alone %.1f %%", name, 100*float64(alarms)/n, 100*float64(moved)/n)
	}
}

func quadratic(x []float64) []float64 {
	mean := stat.Mean(x, nil)
	out := make([]float64, len(x))
	for i := range x {
		out[i] = (x[i] - mean) * (x[i] - mean)
	}
	return out
}

// TestTermRate: a quadratic term is found in a straight line in at most 5 % of series, where the points scatter as
// their repetitions say, and where points scatter far more.
func TestTermRate(t *testing.T) {
	const n, calls = 2000, 7
	for name, x := range designs {
		for _, c := range []struct {
			call, point float64 // standard deviations
			from        int     // fewest points that are promised this
		}{{.05, 0, 3}, {.2, 0, 3}, {.05, .02, 3}, {.01, .3, 6}} {
			if len(x) < c.from {
				continue
			}
			rng := rand.New(rand.NewPCG(3, 6))
			alarms, byCalls := 0, 0
			for range n {
				y, scatter := make([]float64, len(x)), make([]Scatter, len(x))
				for i := range x {
					own := math.Exp(x[i]/2 + c.point*rng.NormFloat64())
					s := make([]float64, calls)
					for k := range s {
						s[k] = own * math.Exp(c.call*rng.NormFloat64())
					}
					scatter[i] = MedianScatter(s)
					scatter[i].Floor = .02 * .02
					y[i] = math.Log(middle(s))
				}
				r, _ := Regress(y, ones(len(x)), x, quadratic(x))
				term := r.Term(2, scatter)
				if term.P < .05 {
					alarms++
				}
				if term.By == ByRepetitions {
					byCalls++
				}
			}
			within(t, fmt.Sprintf("%s, calls %g, points %g", name, c.call, c.point), alarms, n, 0, .065)
			t.Logf("%s, calls %g, points %g: %.1f %%, by repetitions %.0f %%", name, c.call, c.point, 100*float64(alarms)/n, 100*float64(byCalls)/n)
		}
	}
}

func TestTermYardsticks(t *testing.T) {
	x := spaced(4)
	y := []float64{0, .01, .03, .06} // a clear parabola
	known := slices.Repeat([]Scatter{{Var: 1e-6, DF: 20}}, 4)
	r, _ := Regress(y, ones(4), x, quadratic(x))
	if term := r.Term(2, known); term.By != ByRepetitions || !(term.P < 1e-6) {
		t.Errorf("4 points of known scatter: %+v", term)
	}
	if term := r.Term(2, make([]Scatter, 4)); term.By != ByResiduals {
		t.Errorf("4 points of unknown scatter: %+v", term)
	}
	// Six points that scatter far more than repetitions say are their own yardstick.
	x, y = spaced(6), []float64{0, .5, -.4, .6, -.5, .9}
	known = slices.Repeat([]Scatter{{Var: 1e-6, DF: 20}}, 6)
	r, _ = Regress(y, ones(6), x, quadratic(x))
	if term := r.Term(2, known); term.By != ByResiduals || term.P < .05 {
		t.Errorf("six points of more scatter: %+v", term)
	}
	// Three points leave no residual; without repetitions nothing is known.
	r, _ = Regress(y[:3], ones(3), x[:3], quadratic(x[:3]))
	if term := r.Term(2, make([]Scatter, 3)); !math.IsNaN(term.P) {
		t.Errorf("three points of unknown scatter: %+v", term)
	}
	if term := r.Term(2, known[:3]); !(term.P < 1e-6) {
		t.Errorf("three points of known scatter: %+v", term)
	}
}

// TestLackOfFit: points of equal, well-known variance give chi squared over its degrees of freedom.
func TestLackOfFit(t *testing.T) {
	y := []float64{0, 1.2, 1.9, 3.1, 3.8}
	r, _ := Regress(y, ones(5), spaced(5))
	scatter := slices.Repeat([]Scatter{{Floor: .01, DF: 1}}, 5)
	close(t, "p", r.LackOfFit(scatter), distuv.ChiSquared{K: 3}.Survival(r.SSE/.01), 1e-4)
	if p := r.LackOfFit(make([]Scatter, 5)); !math.IsNaN(p) {
		t.Errorf("of unknown scatter: %v", p)
	}
}

// TestMedianScatter compares the estimate with the variance that medians have.
func TestMedianScatter(t *testing.T) {
	for _, calls := range []int{2, 3, 4, 5, 7, 9, 15} {
		rng := rand.New(rand.NewPCG(8, uint64(calls)))
		const n, sd, scenarios = 4000, .03, 3
		var medians []float64
		told := 0.0
		for range n {
			var samples [][]float64
			mean := 0.0
			for range scenarios {
				s := make([]float64, calls)
				for k := range s {
					s[k] = 5 * math.Exp(sd*rng.NormFloat64())
				}
				samples = append(samples, s)
				mean += math.Log(middle(slices.Clone(s))) / scenarios
			}
			medians = append(medians, mean)
			told += MedianScatter(samples...).Var / n
		}
		// pi/2 is the limit of many calls; of few a median is the better for it.
		if ratio := told / stat.Variance(medians, nil); ratio < .95 || ratio > 2.2 {
			t.Errorf("%d calls: the estimate is %.2f times the variance", calls, ratio)
		}
	}
	calm := MedianScatter([]float64{1, 1.01, 1.02, .99, .98, 1, 1.01})
	slow := MedianScatter([]float64{1, 1.01, 1.02, .99, .98, 1, 9})
	if !(slow.Var < 3*calm.Var) {
		t.Errorf("one slow call: %v, without it %v", slow.Var, calm.Var)
	}
	for _, none := range [][][]float64{{}, {{1}}, {{1}, {2}}, {{1, 2}, {}}} {
		if s := MedianScatter(none...); s.DF != 0 {
			t.Errorf("%v: %+v", none, s)
		}
	}
}

// TestManyPoints: of more points than a few, Regress goes another way to the same.
func TestManyPoints(t *testing.T) {
	const n = 450
	rng := rand.New(rand.NewPCG(3, 4))
	ones, x, y := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		x[i], ones[i] = float64(i)/45, 1
		y[i] = 2 + .3*x[i] + .7*max(0, x[i]-311./45) + 1e-3*rng.NormFloat64()
	}
	r, ok := Regress(y, ones, x)
	if !ok {
		t.Fatal("no regression")
	}
	alpha, beta := stat.LinearRegression(x, y, nil, false) // gonum's, which has no matrices
	close(t, "intercept", r.Coef[0], alpha, 1e-9)
	close(t, "slope", r.Coef[1], beta, 1e-9)
	sum := 0.0
	for _, h := range r.Leverage {
		sum += h
	}
	close(t, "trace of the hat matrix", sum, 2, 1e-9)
}

// TestHalfWithoutDF: of one value nothing is known of the error.
func TestHalfWithoutDF(t *testing.T) {
	if e := (Estimate{Variance: 1}); !math.IsInf(e.Half(.05), 1) || e.ExpInterval() != nil {
		t.Errorf("half-width %v, interval %v", e.Half(.05), e.ExpInterval())
	}
}
