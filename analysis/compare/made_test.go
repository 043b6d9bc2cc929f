package compare_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/compare"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// noise is by how much times scatter, relative.
type noise struct {
	process, call float64 // standard deviation between processes, and inside one
	rho           float64 // correlation of processes that follow each other
	run           float64 // standard deviation between runs
}

// realistic is what was seen on a small virtual machine, but for rho: processes of one
// model differ by 2.5 %, calls by 1.3 %.
var realistic = noise{process: 0.025, call: 0.013}

// made describes a run as the runner measures it: blocks, each of which visits every
// model and backend once, in an order of its own, in a process of its own.
type made struct {
	id            string
	sizes         []float64 // million parameters
	backends      []string
	scenarios     []string
	blocks, calls int
	noise         noise
	effect        func(backend, model int) float64 // factor of all times; nil: 1
	seed          uint64
	change        func(r *record.Record) // nil: none
	added         map[string]bool        // models of which alone the last block is; nil: it is of all
	neighbour     *neighbour             // nil: none
}

// neighbour takes a processor from time to time, for so many processes' time on the
// average. What it hits takes longer: the call, and the canary before it.
type neighbour struct {
	busy, idle float64 // mean lengths, in times of one process
	factor     float64 // of what it hits
	one        bool    // it hits the second backend alone, as chance may have it
}

// hits says, of each process of a run, whether it hits each of so many calls.
func (n *neighbour) hits(rng *rand.Rand, processes, calls int) [][]bool {
	out := make([][]bool, processes)
	on := rng.Float64() < n.busy/(n.busy+n.idle)
	left := func() float64 { return rng.ExpFloat64() * map[bool]float64{true: n.busy, false: n.idle}[on] }
	rest := left()
	for i := range out {
		for range calls {
			for rest -= 1 / float64(calls); rest < 0; rest += left() {
				on = !on
			}
			out[i] = append(out[i], on)
		}
	}
	return out
}

// hit makes a call's time longer, and what the machine counts tells of it.
func (n *neighbour) hit(r *record.Record, ms *float64, hit bool) {
	r.CanaryReadMS, r.CanaryComputeMS = new(2.0), new(3.0)
	r.NThreads, r.NThreadsBatch, r.CPUs = new(2), new(2), new(2.0)
	r.CPUWaitMS = new(0.0)
	if hit {
		*r.CanaryReadMS, *r.CanaryComputeMS = 2*n.factor, 3*n.factor
		*r.CPUWaitMS = *ms * (n.factor - 1) // of one thread
		*ms *= n.factor
	}
	r.E2EKVMS = new(*ms)
}

// ladder are nine sizes from 5M on.
var ladder = []float64{5, 10, 20, 40, 80, 160, 320, 640, 1280}

func twins(seed uint64, n noise) made {
	return made{id: fmt.Sprint("r", seed), sizes: ladder, backends: []string{"a", "b"}, scenarios: []string{"short", "long"}, blocks: 5, calls: 3, noise: n, seed: seed}
}

func modelName(size float64) string { return fmt.Sprintf("m%04.0f", size) }

func (m made) records() (out []record.Record) {
	rng := rand.New(rand.NewPCG(m.seed, 15))
	drift := [3]float64{rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()} // of both phases, of each
	run := [2]float64{rng.NormFloat64(), rng.NormFloat64()}
	var hit [][]bool
	processes := 0
	if m.neighbour != nil {
		hit = m.neighbour.hits(rng, m.blocks*len(m.sizes)*len(m.backends), len(m.scenarios)*m.calls)
	}
	for block := range m.blocks {
		for _, pair := range rng.Perm(len(m.sizes) * len(m.backends)) {
			model, backend := pair/len(m.backends), pair%len(m.backends)
			if m.added != nil && block == m.blocks-1 && !m.added[modelName(m.sizes[model])] {
				continue
			}
			for i := range drift {
				drift[i] = m.noise.rho*drift[i] + math.Sqrt(1-m.noise.rho*m.noise.rho)*rng.NormFloat64()
			}
			for s, scenario := range m.scenarios {
				for call := range m.calls {
					r := record.Record{
						Origin:  record.Origin{SchemaVersion: 1, RunID: m.id, TaskIdx: pair*len(m.scenarios) + s},
						Order:   record.Order{OrderIdx: len(out), Replicate: block},
						Subject: record.Subject{Scenario: scenario, Backend: m.backends[backend], BackendKind: "native", Model: modelName(m.sizes[model]), ParamsMillions: m.sizes[model], GenTokensTarget: 32, BatchSizeConfig: 1},
						Outcome: record.Outcome{CallIdx: call, Rep: new(call), Status: record.StatusOK, StartedAt: float64(m.seed)},
					}
					r.ModelSHA256 = new(fmt.Sprintf("%064.0f", m.sizes[model]))
					r.ParamsTotal, r.WeightType, r.Device, r.NCtx = int64(1e6*m.sizes[model]), "f16", "cpu", 1024
					r.PromptTokensRaw, r.PromptTokensHash, r.PromptSeed = new(16<<(3*s)), new(fmt.Sprintf("%064d", call)), new(int64(call))
					r.GenTokens, r.OutputTokensHash = new(32), new("answer")
					if m.change != nil {
						m.change(&r)
					}
					for phase, mode := range compare.Phases {
						r.Mode = mode
						log := m.noise.process*(drift[0]+drift[1+phase])/math.Sqrt2 + m.noise.call*rng.NormFloat64() + m.noise.run*run[phase]
						ms := math.Pow(m.sizes[model], 0.9) * math.Exp(log)
						if m.effect != nil {
							ms *= m.effect(backend, model)
						}
						if n := m.neighbour; n != nil {
							n.hit(&r, &ms, hit[processes][s*m.calls+call] && !(n.one && backend == 0))
						}
						r.LatencyMS = &ms
						out = append(out, r)
					}
				}
			}
			processes++
		}
	}
	return out
}

func (m made) set(t testing.TB) *cells.Set {
	t.Helper()
	run := &runs.Run{Dir: "runs/" + m.id, Harness: runs.HarnessLLMScale}
	for i, r := range m.records() {
		row := runs.RowOf(r)
		row.Line = i + 1
		run.Rows = append(run.Rows, row)
	}
	set, err := cells.New(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// slower makes the second backend slower by a share.
func slower(by float64) func(backend, model int) float64 {
	return func(backend, _ int) float64 { return 1 + by*float64(backend) }
}

func inRun(t testing.TB, m made) *compare.Comparison {
	t.Helper()
	c, err := compare.InRun(m.set(t), m.backends[0], m.backends[1], compare.Options{Threshold: compare.DefaultThreshold})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// told is what a comparison said of both families.
type told struct{ phases, cells []string }

func verdicts(c *compare.Comparison) (v told) {
	for i := range c.Phases {
		v.phases = append(v.phases, c.Phases[i].Verdict)
	}
	for i := range c.Cells {
		v.cells = append(v.cells, c.Cells[i].Verdict)
	}
	return v
}

// claims reports whether any of a family is FASTER or SLOWER.
func claims(family []string) bool {
	return slices.Contains(family, compare.Faster) || slices.Contains(family, compare.Slower)
}
