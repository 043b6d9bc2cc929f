package canary

import (
	"math"
	"math/rand/v2"
	"testing"

	"llmscale/runner/record"
)

// TestTwoStates: of a machine that is in another state for a third of the time, which the median absolute deviation
// takes for scatter, the calls in the other one are disturbed and no others; by each part alone.
func TestTwoStates(t *testing.T) {
	for part, of := range map[string]func(*Call) **float64{
		"read":    func(c *Call) **float64 { return &c.ReadMS },
		"compute": func(c *Call) **float64 { return &c.ComputeMS },
		"meeting": func(c *Call) **float64 { return &c.SyncNS },
	} {
		rng := rand.New(rand.NewPCG(3, 0))
		var calls []Call
		var other []bool
		for range 300 {
			ms := .88 * math.Exp(.04*rng.NormFloat64())
			o := rng.Float64() < .35
			if o {
				ms *= .53
			}
			c := Call{Team: Team{Threads: 2, Device: "cpu"}}
			*of(&c) = &ms
			calls, other = append(calls, c), append(other, o)
		}
		l := Learn(calls)
		n := 0
		for _, o := range other {
			if o {
				n++
			}
		}
		if s := l.Seen(calls); s.Calls != 300 || s.Disturbed != n || s.Part != part || math.Abs(s.Most/.88-1) > .02 || math.Abs(s.Other/.88/.53-1) > .02 {
			t.Errorf("%+v, want %d disturbed by part %s", s, n, part)
		}
		for i, c := range calls {
			times, disturbed, known := l.Off(c)
			if !known || disturbed != other[i] || disturbed != (times < .75) {
				t.Errorf("part %s: call of %v ms: %v times, %v %v, want %v", part, **of(&c), times, disturbed, known, other[i])
			}
		}
	}
}

// TestTeams: a backend in the other state all the time is seen beside one with the same threads; other threads have a
// level of their own.
func TestTeams(t *testing.T) {
	of := func(threads int, readMS float64) Call {
		m, c, f := record.ModelFacts{NLayer: 4}, record.Costs{CanaryReadMS: &readMS}, record.RuntimeFacts{Device: "cpu", NThreadsBatch: &threads}
		return Of(&record.Phases{}, &c, &m, &f)
	}
	l := Learn([]Call{of(2, 2), of(2, 2.1), of(2, 2), of(2, 1), of(4, 1), of(4, 1.1), of(4, 1)})
	for _, c := range []struct {
		call             Call
		disturbed, known bool
	}{{of(2, 2), false, true}, {of(2, 1), true, true}, {of(4, 1), false, true}, {of(4, 2), true, true}, {of(8, 2), false, false}, {Call{Team: of(2, 2).Team}, false, false}} {
		if _, disturbed, known := l.Off(c.call); disturbed != c.disturbed || known != c.known {
			t.Errorf("%+v: %v %v", c, disturbed, known)
		}
	}
}

// TestTeamOf: the threads are those that compute the prompt: of one token maybe fewer, and one where a GPU does it all.
func TestTeamOf(t *testing.T) {
	one, two, four := 1, 2, 4
	m := record.ModelFacts{NLayer: 6}
	for _, c := range []struct {
		prompt  *int
		device  string
		layers  int
		threads int
	}{{&four, "cpu", -1, 4}, {&one, "cpu", -1, 2}, {nil, "cpu", -1, 4}, {&four, "cuda", 7, 1}, {&four, "cuda", 6, 4}, {&one, "cuda", 0, 2}} {
		f := record.RuntimeFacts{Device: c.device, NGPULayers: c.layers, NThreads: &two, NThreadsBatch: &four}
		if got := Of(&record.Phases{PromptTokensRaw: c.prompt}, &record.Costs{}, &m, &f).Team.Threads; got != c.threads {
			t.Errorf("%+v: %d threads", c, got)
		}
	}
}
