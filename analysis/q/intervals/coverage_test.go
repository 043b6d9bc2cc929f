package intervals

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

var update = flag.Bool("update", false, "write the table of docs/statistics.md")

// world is how made-up calls scatter, in logs.
type world struct {
	name          string
	call, process float64 // standard deviations
	slow          float64 // share of calls that take half as long again
	follow        float64 // correlation of a call with the one before it in its process
	drift         float64 // correlation of a process with the one before it
	warm          bool    // the first 5 calls of each process take a fifth longer
	node          float64 // standard deviation of machines
}

// worlds have calls of 1.3 % and processes of 2.5 %, as measured (docs/twins.md), and
// the other way round.
func worlds(more ...world) (out []world) {
	for _, w := range []world{{name: "mostly between processes", call: .013, process: .025}, {name: "mostly within", call: .025, process: .013}} {
		for _, m := range more {
			m.name, m.call, m.process = w.name+m.name, w.call, w.process
			out = append(out, m)
		}
	}
	return out
}

// process makes one process after another.
type process struct {
	world
	rng  *rand.Rand
	last float64
}

// calls are n calls of the next process, about ms.
func (p *process) calls(ms float64, n int) []float64 {
	p.last = p.drift*p.last + math.Sqrt(1-p.drift*p.drift)*p.rng.NormFloat64()
	out, call := make([]float64, n), p.rng.NormFloat64()
	for i := range out {
		if i > 0 {
			call = p.follow*call + math.Sqrt(1-p.follow*p.follow)*p.rng.NormFloat64()
		}
		out[i] = ms * math.Exp(p.process*p.last+p.world.call*call)
		if p.rng.Float64() < p.slow {
			out[i] *= 1.5
		}
		if p.warm && i < 5 {
			out[i] *= 1.2
		}
	}
	return out
}

// made collects records of decode.
type made []runs.Row

func (m *made) add(backend, model string, threads, block int, ms []float64) {
	base := record.Record{Subject: record.Subject{Scenario: "s", Backend: backend, BackendKind: cells.KindNative, Model: model, GenTokensTarget: 1, BatchSizeConfig: 1},
		Outcome: record.Outcome{Mode: record.ModeDecode, Status: record.StatusOK}}
	base.Order.Replicate = block
	base.Device, base.NThreads, base.GenTokens, base.ParamsMillions = "cpu", &threads, new(1), 1
	for i, v := range ms {
		base.CallIdx, base.Rep = i, new(i)
		base.LatencyMS, base.KVDecodeMS = new(v), new(v)
		r := runs.RowOf(base)
		r.Line = len(*m) + 1
		*m = append(*m, r)
	}
}

func (w world) rng(n int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(w.name))
	return rand.New(rand.NewPCG(uint64(n), h.Sum64()))
}

const truthMS = 20.0

// cellCoverage is the share of intervals of so many cells that hold the truth.
func (w world) cellCoverage(t *testing.T, blocks, trials int) float64 {
	rng := w.rng(blocks)
	var rows made
	for i := range trials {
		p := process{world: w, rng: rng, last: rng.NormFloat64()}
		for b := range blocks {
			rows.add("cpu", fmt.Sprintf("m%04d", i), 1, b, p.calls(truthMS, 3))
		}
	}
	held := 0
	a := Ask(celltest.Set(t, rows))
	for _, c := range a.Cells {
		if c.Scenario == "s" && c.CI.Low <= truthMS && truthMS <= c.CI.High {
			held++
		}
	}
	return float64(held) / float64(trials)
}

// nodeCoverage is cellCoverage of cells that were measured on so many machines, with one, two or three blocks each.
func (w world) nodeCoverage(t *testing.T, nodes, trials int) float64 {
	rng := w.rng(nodes)
	var rows made
	for i := range trials {
		p := process{world: w, rng: rng}
		block := 0
		for n := range nodes {
			effect := math.Exp(w.node * rng.NormFloat64())
			for range 1 + n%3 {
				at := len(rows)
				rows.add("cpu", fmt.Sprintf("m%04d", i), 1, block, p.calls(truthMS*effect, 3))
				for k := at; k < len(rows); k++ {
					rows[k].MachineID = new(fmt.Sprintf("type-%d", n))
				}
				block++
			}
		}
	}
	held := 0
	for _, c := range Ask(celltest.Set(t, rows)).Cells {
		if c.Basis != cells.BasisNodes || *c.Nodes != nodes {
			t.Fatalf("basis %s of %d machines", c.Basis, *c.Nodes)
		}
		if c.Scenario == "s" && c.CI.Low <= truthMS && truthMS <= c.CI.High {
			held++
		}
	}
	return float64(held) / float64(trials)
}

// contrastCoverage is the share of intervals of the ratio of two backends that hold the
// truth. The two follow each other in each block, in an order drawn anew.
func (w world) contrastCoverage(t *testing.T, blocks, trials int) float64 {
	const ratio = 1.1
	rng := w.rng(blocks)
	var rows made
	for i := range trials {
		p := process{world: w, rng: rng, last: rng.NormFloat64()}
		model, block := fmt.Sprintf("m%04d", i), 0.0
		for b := range blocks {
			if block = .8*block + .6*rng.NormFloat64(); w.drift == 0 {
				block = 0
			}
			for _, k := range rng.Perm(2) {
				rows.add([]string{"x", "y"}[k], model, 1+k, b, p.calls(truthMS*[]float64{1, ratio}[k]*math.Exp(.05*block), 3))
			}
		}
	}
	held, all := 0, policy.Ask(celltest.Set(t, rows)).Axes
	for _, c := range all {
		if c.RatioCI.Low <= ratio && ratio <= c.RatioCI.High {
			held++
		}
	}
	if len(all) != trials {
		t.Fatalf("%d comparisons of %d", len(all), trials)
	}
	return float64(held) / float64(trials)
}

// stateCoverage is the share of intervals, of cells that are not disturbed, that hold what a call takes in the state
// that the machine is in before most calls of a run of 20 cells. It is in the other for 35 % of the time, in stretches
// of 14 calls on average, where processes have 3; there half of the cells take twice as long and half a fifth less.
func (w world) stateCoverage(t *testing.T, blocks, trials int) float64 {
	const cellsOfRun, otherCalls, otherShare = 20, 14, .35
	rng := w.rng(blocks)
	held, counted := 0, 0
	for range trials / cellsOfRun {
		var rows made
		other, calls, others := rng.Float64() < otherShare, 0, 0
		p := process{world: w, rng: rng}
		for b := range blocks {
			for _, i := range rng.Perm(cellsOfRun) {
				ms := p.calls(truthMS, 3)
				at := len(rows)
				rows.add("cpu", fmt.Sprintf("m%04d", i), 2, b, ms)
				for c := range ms {
					change := 1. / otherCalls
					if !other {
						change *= otherShare / (1 - otherShare)
					}
					other = other != (rng.Float64() < change)
					sync := 180 * math.Exp(.05*rng.NormFloat64())
					if calls++; other {
						others++
						sync /= 5
						ms[c] *= []float64{2, .8}[i%2]
					}
					rows[at+c].CanarySyncNS, rows[at+c].LatencyMS, rows[at+c].KVDecodeMS = &sync, &ms[c], &ms[c]
				}
			}
		}
		for i, c := range Ask(celltest.Set(t, rows)).Cells {
			if c.Scenario != "s" || len(c.Reasons) > 0 && c.Reasons[0] == Disturbed.Code {
				continue
			}
			truth := truthMS
			if 2*others > calls {
				truth *= []float64{2, .8}[i/2%2] // a cell has two rows: its own, and over all scenarios
			}
			if counted++; c.CI != nil && c.CI.Low <= truth && truth <= c.CI.High {
				held++
			}
		}
	}
	if counted < trials/10 {
		t.Errorf("%d of %d cells keep three processes", counted, trials)
	}
	return float64(held) / float64(counted)
}

// unsteady is the share of cells that are told to warm up.
func (w world) unsteady(t *testing.T, blocks, trials int) float64 {
	rng := w.rng(blocks)
	var rows made
	for i := range trials {
		p := process{world: w, rng: rng}
		for b := range blocks {
			rows.add("cpu", fmt.Sprintf("m%04d", i), 1, b, p.calls(truthMS, 12))
		}
	}
	found := 0
	a := Ask(celltest.Set(t, rows))
	for _, c := range a.Cells {
		if c.Scenario == "s" && strings.Contains(strings.Join(c.Reasons, " "), NotSteady.Code) {
			found++
		}
	}
	return float64(found) / float64(trials)
}

// TestCoverage takes made-up processes through the analysis, from records to printed
// intervals and verdicts, and holds what comes out against what docs/statistics.md
// states. With -update it writes the page's table.
func TestCoverage(t *testing.T) {
	trials := celltest.Trials(2000)
	kinds := []struct {
		what      string
		of        func(w world, t *testing.T, blocks, trials int) float64
		worlds    []world
		low, high float64
		fewer     int // of the trials, one in so many
	}{
		{"a cell's interval holds the truth", world.cellCoverage, worlds(world{}, world{name: ", 10 % of calls slow", slow: .1}, world{name: ", calls follow each other (.8)", follow: .8}), .92, .98, 1},
		{"the same where processes drift (nothing is stated)", world.cellCoverage, worlds(world{name: ", processes follow each other (.8)", drift: .8}), 0, 1, 4},
		{"a cell's interval over 3, 5 and 10 machines, of one to three blocks, holds the truth", world.nodeCoverage, worlds(world{}, world{name: ", machines scatter by 3 %", node: .03}), .92, .98, 1},
		{"a ratio's interval holds the truth", world.contrastCoverage, worlds(world{}, world{name: ", 10 % of calls slow", slow: .1}, world{name: ", calls follow each other (.8)", follow: .8},
			world{name: ", processes follow each other (.8), blocks drift by 5 %", drift: .8}), .92, .98, 1},
		{"a machine in two states: a cell's interval holds the level before most calls", world.stateCoverage, worlds(world{}, world{name: ", 10 % of calls slow", slow: .1}), .92, .98, 1},
		{"steady calls told as not steady", world.unsteady, worlds(world{}, world{name: ", calls follow each other (.8)", follow: .8}, world{name: ", 10 % of calls slow", slow: .1}), 0, .07, 4},
		{"5 of 12 calls slower by a fifth, told as not steady", world.unsteady, worlds(world{warm: true}, world{name: ", calls follow each other (.8)", follow: .8, warm: true}), .95, 1, 4},
	}
	blocks := []int{3, 5, 10}
	got := make([][][3]float64, len(kinds)) // by kind, world, blocks
	t.Run("worlds", func(t *testing.T) {
		for i, k := range kinds {
			got[i] = make([][3]float64, len(k.worlds))
			for j, w := range k.worlds {
				t.Run(k.what+", "+w.name, func(t *testing.T) {
					t.Parallel()
					for b := range blocks {
						n := trials / k.fewer
						share, slack := k.of(w, t, blocks[b], n), 0.0
						if !celltest.AllTrials() {
							slack = 5 * math.Sqrt(.05*.95/float64(n))
						}
						if share < k.low-slack || share > k.high+slack {
							t.Errorf("%d processes: %.1f %% of %d, stated are %.0f to %.0f %%", blocks[b], 100*share, n, 100*k.low, 100*k.high)
						}
						got[i][j][b] = share
					}
				})
			}
		}
	})
	table := "| what | truth | 3 processes | 5 | 10 |\n|---|---|---:|---:|---:|\n"
	for i, k := range kinds {
		for j, w := range k.worlds {
			name := k.what
			if j > 0 {
				name = ""
			}
			table += fmt.Sprintf("| %s | %s | %.1f | %.1f | %.1f |\n", name, w.name, 100*got[i][j][0], 100*got[i][j][1], 100*got[i][j][2])
		}
	}
	t.Log("\n" + table)
	if !celltest.AllTrials() || runtime.GOARCH != "amd64" { // elsewhere fused multiplication moves single cells
		return
	}
	const file, from, to = "../../../docs/statistics.md", "<!-- coverage -->\n", "<!-- end of coverage -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), from)
	old, tail, ends := strings.Cut(rest, to)
	switch {
	case !ok || !ends:
		t.Fatalf("%s has no lines %s", file, from+to)
	case *update:
		if err := os.WriteFile(file, []byte(head+from+table+to+tail), 0o666); err != nil {
			t.Fatal(err)
		}
	case old != table:
		t.Errorf("%s has another table; run: go test ./analysis/q/intervals -run Coverage -update\n%s", file, table)
	}
}
