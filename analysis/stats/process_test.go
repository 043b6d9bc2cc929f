package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func normals(rng *rand.Rand, n int, mean, sd float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Exp(mean + sd*rng.NormFloat64())
	}
	return out
}

// TestNested: the variances of made-up processes come out at what they were made with,
// one slow call in ten or none.
func TestNested(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, slow := range []bool{false, true} {
		for _, n := range []int{3, 7} {
			const cells = 3000
			var call, process float64
			for range cells {
				var processes [][]float64
				for range 5 {
					calls := normals(rng, n, 0.025*rng.NormFloat64(), 0.013)
					if slow && rng.IntN(10) < 1 {
						calls[rng.IntN(n)] *= 2
					}
					processes = append(processes, calls)
				}
				c, p, ok := Nested(processes)
				if !ok {
					t.Fatal("no variances")
				}
				call, process = call+c/cells, process+p/cells
			}
			if c, p := math.Sqrt(call), math.Sqrt(process); math.Abs(c-.013) > .003 || math.Abs(p-.025) > .002 {
				t.Errorf("%d calls, slow ones %v: calls %.4f, processes %.4f; made with .013 and .025", n, slow, c, p)
			}
		}
	}
	if _, _, ok := Nested([][]float64{{1, 2, 3}}); ok {
		t.Error("one process has no variance of processes")
	}
}

// TestBlockVariance against the mean squares of a table worked by hand, and its mean.
func TestBlockVariance(t *testing.T) {
	// Block means 1, 3, 5 about 3; all cells alike: MSB = 2*(4+0+4)/2 = 8, MSE = 0, 8/2 = 4.
	if v, ok := BlockVariance([]map[int]float64{{0: 1, 1: 3, 2: 5}, {0: 11, 1: 13, 2: 15}}); !ok || math.Abs(v-4) > 1e-12 {
		t.Errorf("%v %v, want 4", v, ok)
	}
	// The two cells go opposite ways: the blocks have nothing in common.
	if v, _ := BlockVariance([]map[int]float64{{0: 1, 1: 2, 2: 3}, {0: 3, 1: 2, 2: 1}}); v != 0 {
		t.Errorf("%v, want 0", v)
	}
	// What two cells measured in other blocks has nothing to do with each other.
	if v, ok := BlockVariance([]map[int]float64{{0: 1, 1: 3, 2: 5}, {3: 11, 4: 13, 5: 15}}); ok {
		t.Errorf("%v without a common block", v)
	}
	for _, missing := range []float64{0, .4} {
		rng := rand.New(rand.NewPCG(2, 1))
		sum := 0.0
		for range 2000 {
			y := make([]map[int]float64, 6)
			for b := range 5 {
				block := .02 * rng.NormFloat64()
				for i := range y {
					if b == 0 {
						y[i] = map[int]float64{}
					}
					if x := float64(i) + block + .01*rng.NormFloat64(); rng.Float64() >= missing {
						y[i][b] = x
					}
				}
			}
			v, _ := BlockVariance(y)
			sum += v / 2000
		}
		if math.Abs(math.Sqrt(sum)-.02) > .001 {
			t.Errorf("%.0f %% missing: %.4f, made with .02", 100*missing, math.Sqrt(sum))
		}
	}
}

// TestMedianPart compares with the variance of a median by order statistics, integrated.
func TestMedianPart(t *testing.T) {
	for _, n := range []int{1, 3, 5, 7, 11} {
		k := float64(n-1) / 2
		lg, _ := math.Lgamma(float64(n + 1))
		half, _ := math.Lgamma(k + 1)
		v := 0.0
		for x := -8.0; x < 8; x += .001 {
			f := distuv.UnitNormal.CDF(x)
			v += .001 * x * x * math.Exp(lg-2*half+k*math.Log(f)+k*math.Log1p(-f)) * distuv.UnitNormal.Prob(x)
		}
		if got := medianPart(n); math.Abs(got/v-1) > .02 {
			t.Errorf("median of %d: %.4f, by integration %.4f", n, got, v)
		}
	}
}

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
