package machines

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// cluster is a run of machines of one type, in logs.
type cluster struct {
	machines, blocks    int // blocks of each machine
	call, process, node float64
	slow                float64 // by how much the second machine is slower
}

// rows makes the run: decode of six models.
func (c cluster) rows(rng *rand.Rand) (rows []runs.Row) {
	for n := range c.machines {
		effect := c.node * rng.NormFloat64()
		if n == 1 {
			effect += math.Log1p(c.slow)
		}
		for b := range c.blocks {
			for m := range 6 {
				process := effect + c.process*rng.NormFloat64()
				for call := range 3 {
					r := runs.RowOf(record.Record{Subject: record.Subject{Scenario: "s", Backend: "cpu", BackendKind: cells.KindNative, Model: fmt.Sprint("m", m), GenTokensTarget: 1, BatchSizeConfig: 1},
						Outcome: record.Outcome{Mode: record.ModeDecode, Status: record.StatusOK, CallIdx: call, Rep: &call}})
					ms := float64(1+m) * math.Exp(process+c.call*rng.NormFloat64())
					r.Replicate, r.Device, r.NThreads, r.ParamsMillions, r.LatencyMS = n*c.blocks+b, "cpu", new(1), float64(1+m), &ms
					r.MachineID = new(fmt.Sprintf("type-%d", n))
					rows = append(rows, r)
				}
			}
		}
	}
	return rows
}

// TestSlow: a machine that is a tenth slower is named, with an interval that holds that; of machines that are alike, or differ
// by a percent, one is named in 5 % of runs at most.
func TestSlow(t *testing.T) {
	trials := celltest.Trials(2000)
	for i, c := range []cluster{
		{machines: 5, blocks: 2, call: .013, process: .025}, {machines: 5, blocks: 2, call: .025, process: .013}, {machines: 2, blocks: 3, call: .013, process: .025},
		{machines: 6, blocks: 1, call: .013, process: .025}, {machines: 12, blocks: 1, call: .013, process: .025}, {machines: 5, blocks: 2, call: .013, process: .025, node: .01},
		{machines: 5, blocks: 2, call: .03, process: .15}, {machines: 6, blocks: 1, call: .03, process: .15},
		{machines: 5, blocks: 2, call: .013, process: .025, slow: .1}, {machines: 2, blocks: 3, call: .013, process: .025, slow: .1}, {machines: 6, blocks: 1, call: .013, process: .025, slow: .1},
	} {
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		named, right, held := 0, 0, 0
		for range trials {
			a := Ask(celltest.Set(t, c.rows(rng)))
			slow := slices.DeleteFunc(slices.Clone(a.Machines), func(m Machine) bool { return !m.Slow })
			if len(slow) > 0 {
				named++
			}
			if len(slow) == 1 && slow[0].ID == "type-1" && len(a.Warnings()) == 1 && strings.Contains(a.Warnings()[0].Where, "type-1") {
				right++
			}
			if ci := a.Machines[1].TimesCI; ci.Low <= 1+c.slow && 1+c.slow <= ci.High {
				held++
			}
		}
		share := func(n int) float64 { return float64(n) / float64(trials) }
		t.Logf("%+v: named in %.3f, the right one alone in %.3f; intervals hold %.3f", c, share(named), share(right), share(held))
		slack := 5 * math.Sqrt(.05*.95/float64(trials))
		if c.slow == 0 && share(named) > .05+slack || c.slow > 0 && share(right) < .95-slack {
			t.Errorf("%+v: named in %.3f, the right one alone in %.3f", c, share(named), share(right))
		}
		if c.node == 0 && (share(held) < .92-slack || share(held) > .98+slack) {
			t.Errorf("%+v: intervals hold %.3f", c, share(held))
		}
	}
}

// TestOneMachine: of a run of one machine, and of one of before machines were told, there is nothing to say.
func TestOneMachine(t *testing.T) {
	for _, id := range []*string{nil, new("type-1")} {
		rows := cluster{machines: 2, blocks: 2}.rows(rand.New(rand.NewPCG(1, 1)))
		for i := range rows {
			rows[i].MachineID = id
		}
		a := Ask(celltest.Set(t, rows))
		if len(a.Machines)+len(a.Sizes)+len(a.Sections())+len(a.Figures(new(intervals.Answer))) > 0 || len(a.set.Machines) > 0 {
			t.Errorf("%+v", a)
		}
	}
}

// TestTypes: types stand side by side over the sizes, and each is a backend of its own.
func TestTypes(t *testing.T) {
	plan := celltest.Ladder
	plan.Backends = []string{"b", "a"}
	rows := plan.Blocks(6, func(b int, r *runs.Row) float64 {
		return map[bool]float64{true: 1, false: 2}[b < 3] * (1 + .01*math.Sin(float64(7*b+3*r.TaskIdx)))
	})
	for i := range rows {
		r := &rows[i]
		r.MachineID, r.CanarySyncNS = new(map[bool]string{true: "11112222-n1", false: "33334444-n2"}[r.Replicate < 3]), nil
	}
	manifest, err := runs.ParseManifest([]byte(`{"resolved": {"backends": [{"name": "b"}, {"name": "a"}]}, "machines": {
		"11112222-n1": {"cpu": "AMD EPYC 9575F 64-Core Processor", "logical_cores": 64, "memory_gib": 512, "gpus": [], "node": "n1"},
		"33334444-n2": {"cpu": "Intel(R) Xeon(R) Platinum 8488C CPU @ 2.40GHz", "logical_cores": 2, "memory_gib": 8, "gpus": [], "node": "n2"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	before := rows[0].Backend
	set, err := cells.New(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows, Manifest: manifest}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(set.Backends(), " "); got != "b@EPYC-9575F b@Xeon-Platinum-8488C a@EPYC-9575F a@Xeon-Platinum-8488C" || rows[0].Backend != before {
		t.Errorf("backends %s; the run's own is %s", got, rows[0].Backend)
	}
	a := Ask(set)
	if len(a.Sizes) != 2*2*8*2 {
		t.Fatalf("%d rows", len(a.Sizes))
	}
	for _, s := range a.Sizes {
		if s.Type == "EPYC-9575F" {
			if s.Ratio != nil || s.First != s.Type {
				t.Errorf("%+v", s)
			}
			continue
		}
		celltest.Near(t, "ratio", s.Ratio, 2, .02)
		if s.RatioCI == nil || s.RatioCI.Low > *s.Ratio || s.RatioCI.High < *s.Ratio || s.RatioCI.Low < 1.8 || s.RatioCI.High > 2.2 || s.CI == nil || s.Basis != cells.BasisProcesses || s.First != "EPYC-9575F" {
			t.Errorf("%+v", s)
		}
	}
	md := celltest.Markdown(t, a.Sections()...)
	if len(a.Figures(new(intervals.Answer))) != 4 || !strings.Contains(md, "EPYC-9575F decodes m07 2.0") || !strings.Contains(md, "11112222-n1") {
		t.Errorf("%d figures\n%s", len(a.Figures(new(intervals.Answer))), md)
	}
}
