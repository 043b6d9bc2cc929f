package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestOneWay: by hand, and on average over made-up layouts of groups of unequal sizes.
func TestOneWay(t *testing.T) {
	// Groups (1, 3), (4, 6), (8, 8, 11): within 2+2+6 over 4; n0 = (7 - 17/7)/2.
	group := []string{"a", "a", "b", "b", "c", "c", "c"}
	within, between, ok := OneWay([]float64{1, 3, 4, 6, 8, 8, 11}, group)
	mean := 41. / 7
	msb := (2*(2-mean)*(2-mean) + 2*(5-mean)*(5-mean) + 3*(9-mean)*(9-mean)) / 2
	if want := (msb - 2.5) / ((7 - 17./7) / 2); !ok || math.Abs(within-2.5) > 1e-12 || math.Abs(between-want) > 1e-12 {
		t.Errorf("within %v, between %v, want 2.5 and %v", within, between, want)
	}
	for _, group := range [][]string{{"a", "a"}, {"a", "b"}, {}} {
		if _, _, ok := OneWay(make([]float64, len(group)), group); ok {
			t.Errorf("%v: there is nothing to tell", group)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const trials, groupSD, valueSD = 20000, 2, 1
	var sumWithin, sumBetween, sumAll, off float64
	for range trials {
		effect := map[string]float64{}
		var values []float64
		for _, name := range group {
			if _, seen := effect[name]; !seen {
				effect[name] = groupSD * rng.NormFloat64()
			}
			values = append(values, effect[name]+valueSD*rng.NormFloat64())
		}
		within, between, _ := OneWay(values, group)
		sumWithin, sumBetween = sumWithin+within/trials, sumBetween+between/trials
		all, mean := 0.0, 0.0
		for _, v := range values {
			mean += v / 7
		}
		for _, v := range values {
			all += (v - mean) * (v - mean) / 6
		}
		sumAll += all / trials
		for _, v := range OffGroups(values, group) {
			off += v * v / 6 / trials
		}
	}
	if math.Abs(sumWithin-1) > .03 || math.Abs(sumBetween-4) > .15 || math.Abs(off-1) > .03 {
		t.Errorf("within %.3f, between %.3f, off groups %.3f; truth 1, 4, 1", sumWithin, sumBetween, off)
	}
	if whole := sumAll + groupSD*groupSD*MissingBetween(group); math.Abs(whole-5) > .15 {
		t.Errorf("the variance of all is %.3f with what it lacks; truth 5", whole)
	}
}
