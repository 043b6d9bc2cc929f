package compare_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/compare"
	"llmscale/runner/record"
)

// atMost fails where a rate is shown to be above its bound: by three standard
// deviations of the count.
func atMost(t *testing.T, what string, times, of int, bound float64) {
	t.Helper()
	t.Logf("%s: %d of %d (%.1f %%)", what, times, of, 100*float64(times)/float64(of))
	if float64(times) > bound*float64(of)+3*math.Sqrt(bound*(1-bound)*float64(of)) {
		t.Errorf("%s in %d of %d, want %.1f %% at most", what, times, of, 100*bound)
	}
}

func drifting(rho float64) noise {
	n := realistic
	n.rho = rho
	return n
}

// TestIdentical: of two backends that are the same, FASTER or SLOWER is said in 5 % of
// runs at most: of a phase over all sizes, and of any cell.
func TestIdentical(t *testing.T) {
	for _, c := range []struct {
		blocks int
		noise  noise
	}{
		{5, drifting(0)}, {5, drifting(.4)}, {5, drifting(.8)}, {3, drifting(.6)}, {10, drifting(.6)},
		{5, noise{process: .003, call: .03}}, // a shared machine with a rough clock: mostly inside processes
	} {
		t.Run(fmt.Sprintf("%d blocks, %v", c.blocks, c.noise), func(t *testing.T) {
			t.Parallel()
			n := celltest.Trials(600)
			phases, cells, outside := 0, 0, 0
			for i := range n {
				m := twins(uint64(i), c.noise)
				m.blocks = c.blocks
				found := inRun(t, m)
				v := verdicts(found)
				if claims(v.phases) {
					phases++
				}
				if claims(v.cells) {
					cells++
				}
				for j := range found.Phases {
					if ci := found.Phases[j].RatioCI; ci.Low > 1 || ci.High < 1 {
						outside++
					}
				}
			}
			atMost(t, "a false verdict over all sizes", phases, n, .05)
			atMost(t, "a false verdict on a cell", cells, n, .05)
			atMost(t, "an interval without the truth", outside, 2*n, .08)
			atMost(t, "an interval with it", 2*n-outside, 2*n, .98)
		})
	}
}

// TestNeighbour: beside a neighbour, equal backends are FASTER or SLOWER in 5 % of runs at
// most; in some more where it hits one backend alone, which chance does seldom.
func TestNeighbour(t *testing.T) {
	for _, c := range []struct {
		neighbour
		bound float64
	}{
		{neighbour{1, 20, 2, false}, .05}, {neighbour{1, 4, 2, false}, .05}, {neighbour{1.6, 1.6, 1.3, false}, .05}, {neighbour{20, 60, 1.5, false}, .05},
		{neighbour{1, 9, 1.3, true}, .1}, {neighbour{1, 4, 1.3, true}, .1}, {neighbour{1, 4, 2, true}, .05},
	} {
		t.Run(fmt.Sprint(c.neighbour), func(t *testing.T) {
			t.Parallel()
			n := celltest.Trials(300)
			bare, phases, cells, withheld := 0, 0, 0, 0
			for i := range n {
				m := twins(uint64(i), drifting(.4))
				m.neighbour = &c.neighbour
				found := inRun(t, m)
				v := verdicts(found)
				if claims(v.phases) {
					phases++
				}
				if claims(v.cells) {
					cells++
				}
				if slices.ContainsFunc(found.Phases, func(p compare.Phase) bool { return p.Reason == compare.Interference.Code }) {
					withheld++
				}
				if slices.ContainsFunc(found.Phases, func(p compare.Phase) bool {
					return *p.PHolm < .05 && math.Abs(math.Log(p.Ratio)) >= math.Log1p(compare.DefaultThreshold)
				}) {
					bare++
				}
			}
			atMost(t, "a false verdict over all sizes", phases, n, c.bound)
			atMost(t, "a false verdict on a cell", cells, n, c.bound)
			t.Logf("withheld in %d of %d; else it would be false in %d", withheld, n, bare)
		})
	}
}

// TestWithheld: where the machine did other work beside many cells, no verdict over all
// sizes stands, and beside few these are left out and named; none of them has a verdict.
func TestWithheld(t *testing.T) {
	for few, models := range map[bool][]int{true: {8}, false: {6, 7, 8}} {
		m := twins(1, noise{process: .003, call: .002})
		m.neighbour = &neighbour{0, 1, 2, false} // counts, and hits nobody
		m.effect = slower(.05)
		set := m.set(t)
		for i := range set.Run.Rows {
			r := &set.Run.Rows[i]
			for _, k := range models {
				if r.Backend == "a" && r.Model == fmt.Sprintf("m%04.0f", ladder[k]) {
					r.CPUWaitMS = new(*r.LatencyMS)
				}
			}
		}
		c, err := compare.InRun(set, "a", "b", compare.Options{Threshold: compare.DefaultThreshold})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Phases {
			verdict, reason, n := compare.Ambiguous, compare.Interference.Code, 9
			if few {
				verdict, reason, n = compare.Slower, "", 8
			}
			if p.Verdict != verdict || p.Reason != reason || p.Models != n || math.Abs(p.InDoubt-float64(len(models))/9) > 1e-9 {
				t.Errorf("few %v, %s: %s %s of %d models, %.2f in doubt", few, p.Mode, p.Verdict, p.Reason, p.Models, p.InDoubt)
			}
		}
		if few != (len(c.LeftOut) == 4) || few && c.LeftOut[0].Why != "AMBIGUOUS on a: cpu_wait" {
			t.Errorf("few %v: left out %v", few, c.LeftOut)
		}
		for _, x := range c.Cells {
			if in := *x.ParamsM >= ladder[models[0]]; in != (x.Reason == compare.Interference.Code) || !in && x.Verdict != compare.Slower {
				t.Errorf("few %v, %s %s: %s %s", few, x.Mode, x.Model, x.Verdict, x.Reason)
			}
		}
	}
}

// TestLackingBlocks: where some processes have no time that counts, their cells stay in
// the comparison with their other blocks; it errs no more often, and finds 3 %.
func TestLackingBlocks(t *testing.T) {
	n := celltest.Trials(300)
	wrong, missed, outside := 0, 0, 0
	for i := range n {
		for _, by := range []float64{0, .03} {
			m := twins(uint64(i), drifting(.4))
			m.effect = slower(by)
			set := m.set(t)
			for j := range set.Run.Rows {
				r := &set.Run.Rows[j]
				if (uint64(i)*31+uint64(r.TaskIdx/2*5+r.Replicate))*2654435761%1000 < 120 {
					*r.LatencyMS = 0
				}
			}
			c, err := compare.InRun(set, "a", "b", compare.Options{Threshold: compare.DefaultThreshold})
			if err != nil {
				t.Fatal(err)
			}
			if len(c.LeftOut) > 0 {
				t.Fatalf("left out: %v", c.LeftOut)
			}
			v := verdicts(c).phases
			if by == 0 && claims(v) {
				wrong++
			}
			for j := range c.Phases {
				if ci := c.Phases[j].RatioCI; ci.Low > 1+by || ci.High < 1+by {
					outside++
				}
			}
			if by > 0 && v[1] != compare.Slower {
				missed++
			}
		}
	}
	atMost(t, "a false verdict over all sizes", wrong, n, .05)
	atMost(t, "an interval without the truth", outside, 4*n, .08)
	atMost(t, "3 % missed", missed, n, .1)
}

// TestPlanted: a backend that is 3 % slower is found over nine sizes and 5 blocks in
// 95 % of runs, in either phase. One that is 1 % slower is hardly ever FASTER.
func TestPlanted(t *testing.T) {
	for _, rho := range []float64{.4, .6, .8} {
		t.Run(fmt.Sprint(rho), func(t *testing.T) {
			t.Parallel()
			n := celltest.Trials(600)
			var missed [2]int
			wrong, right := 0, 0
			for i := range n {
				m := twins(uint64(i), drifting(rho))
				m.effect = slower(.03)
				for j, v := range verdicts(inRun(t, m)).phases {
					if v != compare.Slower {
						missed[j]++
					}
				}
				m.effect = slower(.01)
				if v := verdicts(inRun(t, m)).phases; slices.Contains(v, compare.Faster) {
					wrong++
				} else if slices.Contains(v, compare.Slower) {
					right++
				}
			}
			for j, mode := range compare.Phases {
				atMost(t, "3 % missed in "+mode, missed[j], n, .05)
			}
			atMost(t, "1 % with the wrong sign", wrong, n, .025)
			t.Logf("1 %% found in %d of %d", right, n)
		})
	}
}

// TestSmallOnes: a change that slows small models alone is told as one that changes with
// size; one that slows all alike is so told in 5 % of phases.
func TestSmallOnes(t *testing.T) {
	n := celltest.Trials(500)
	missed, wrong := 0, 0
	for i := range n {
		m := twins(uint64(i), drifting(.6))
		m.effect = slower(.05)
		for _, p := range inRun(t, m).Phases {
			if *p.Trend.P < .05 {
				wrong++
			}
		}
		m.effect = func(backend, model int) float64 { return 1 + .12*float64(backend)*math.Pow(.7, float64(model)) }
		c := inRun(t, m)
		if p := c.Phases[1]; !(*p.Trend.P < .05 && p.Trend.PerTenfold < 1 && p.Trend.Smallest > p.Trend.Largest) {
			missed++
		}
	}
	atMost(t, "a false change with size", wrong, 2*n, .05)
	atMost(t, "a change with size missed", missed, n, .1)
}

// TestSeparateRuns: runs that differ by 2 % make no difference of backends, neither one
// against one, of which 3 % is assumed, nor several against several.
func TestSeparateRuns(t *testing.T) {
	shared := drifting(.6)
	shared.run = .02
	for _, k := range [][2]int{{1, 1}, {2, 2}, {3, 3}, {1, 3}, {5, 5}} {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			n := celltest.Trials(500)
			phases, cells := 0, 0
			for i := range n {
				c, err := separate(t, i, k, shared, 0)
				if err != nil {
					t.Fatal(err)
				}
				v := verdicts(c)
				if claims(v.phases) {
					phases++
				}
				if claims(v.cells) {
					cells++
				}
				if k == [2]int{1, 1} && slices.Contains(v.phases, compare.Same) {
					t.Fatal("two runs are told as SAME within 1 %")
				}
			}
			atMost(t, "a false verdict over all sizes", phases, n, .05)
			atMost(t, "a false verdict on a cell", cells, n, .05)
		})
	}
	missed := 0
	n := celltest.Trials(200)
	for i := range n {
		c, err := separate(t, i, [2]int{5, 5}, shared, .08)
		if err != nil {
			t.Fatal(err)
		}
		if verdicts(c).phases[1] != compare.Slower {
			missed++
		}
	}
	atMost(t, "8 % missed by five runs against five", missed, n, .1)
}

// separate compares runs of one backend, of which the second side's are slower.
func separate(t testing.TB, trial int, k [2]int, n noise, by float64) (*compare.Comparison, error) {
	var sides [2]compare.Side
	for side := range sides {
		sides[side].Backend = "a"
		for i := range k[side] {
			m := twins(uint64(trial*100+side*50+i+1), n)
			m.backends, m.blocks, m.scenarios = m.backends[:1], 3, m.scenarios[:1]
			m.effect = func(_, _ int) float64 { return 1 + by*float64(side) }
			sides[side].Runs = append(sides[side].Runs, m.set(t))
		}
	}
	return compare.Runs(sides[0], sides[1], compare.Options{Threshold: compare.DefaultThreshold})
}

// TestSame: where processes hardly scatter, backends that are the same are shown to be,
// and ones that differ by less than matters too.
func TestSame(t *testing.T) {
	quiet := noise{process: .003, call: .002}
	for _, by := range []float64{0, .003} {
		m := twins(1, quiet)
		m.effect = slower(by)
		for _, p := range inRun(t, m).Phases {
			if p.Verdict != compare.Same {
				t.Errorf("%v slower: %s of %s: %+v", by, p.Verdict, p.Mode, p.Effect)
			}
		}
	}
}

// TestDisturbed: calls that something disturbs, one in ten by half, are of no weight in
// the medians of processes.
func TestDisturbed(t *testing.T) {
	n := celltest.Trials(200)
	missed := 0
	for i := range n {
		m := twins(uint64(i), drifting(.6))
		m.calls = 5
		m.effect = slower(.03)
		set := m.set(t)
		for j := range set.Run.Rows {
			if r := &set.Run.Rows[j]; r.Mode == record.ModeDecode && (j*2654435761)%97 < 10 {
				*r.LatencyMS *= 1.5
			}
		}
		c, err := compare.InRun(set, "a", "b", compare.Options{Threshold: .01})
		if err != nil {
			t.Fatal(err)
		}
		if c.Phases[1].Verdict != compare.Slower {
			missed++
		}
	}
	atMost(t, "3 % missed beside disturbed calls", missed, n, .1)
}
