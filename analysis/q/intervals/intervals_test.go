package intervals

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

var plan = celltest.Plan{Models: 3, Reps: 4, Gen: 4, Backends: []string{"cpu"}, Scenarios: []string{"a", "b"}, PerToken: func(m int) float64 { return float64(m + 1) }}

// wobble makes processes and calls differ by about a percent, the same in each run.
func wobble(b int, r *runs.Row) float64 {
	return 1 + .01*math.Sin(float64(7*b+3*r.TaskIdx)) + .005*math.Cos(float64(11*r.CallIdx+5*b+r.TaskIdx))
}

// machine fills in what a machine of two processors tells of a call.
func machine(r *runs.Row) {
	r.CPUs, r.CPUWaitMS, r.StolenMS, r.OthersMS, r.ThrottledMS = new(2.0), new(.1), new(0.0), new(0.0), new(0.0)
	r.CanaryReadMS, r.CanaryComputeMS, r.CanarySyncNS = new(2.0), new(3.0), new(180.0)
}

func manifest(t *testing.T, s string) runs.Manifest {
	m, err := runs.ParseManifest([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestVerdicts: each reason is found where it was planted, and there alone.
func TestVerdicts(t *testing.T) {
	here := func(r *runs.Row) bool { return r.Model == "m01" && r.Scenario == "a" }
	for _, c := range []struct {
		what    string
		blocks  int
		spoil   func(r *runs.Row)
		verdict string
		reasons string
	}{
		{"a quiet machine", 5, func(*runs.Row) {}, record.VerdictValid, ""},
		{"one process", 1, func(*runs.Row) {}, record.VerdictValid, ""},
		{"one slow call", 5, func(r *runs.Row) {
			if r.Replicate == 1 && r.CallIdx == 2 {
				celltest.Stretch(r, 5)
				r.CanaryReadMS = new(9.0)
			}
		}, record.VerdictValid, ""},
		{"disturbed calls in each block, and others", 5, func(r *runs.Row) {
			if r.CallIdx >= 2 {
				celltest.Stretch(r, 2)
				r.CanaryComputeMS = new(4.5)
			}
		}, record.VerdictValid, ""},
		{"a disturbed process", 5, func(r *runs.Row) {
			if r.Replicate == 1 {
				celltest.Stretch(r, 2)
				r.CanarySyncNS = new(35.0)
			}
		}, record.VerdictValid, ""},
		{"two processes that are not disturbed", 5, func(r *runs.Row) {
			if r.Replicate >= 2 {
				r.CanaryReadMS = new(9.0)
			}
		}, record.VerdictAmbiguous, "disturbed"},
		{"waiting", 5, func(r *runs.Row) { r.CPUWaitMS = new(.2 * *r.E2EKVMS) }, record.VerdictAmbiguous, "cpu_wait"},
		{"starved", 5, func(r *runs.Row) { r.CPUWaitMS, r.ThrottledMS = new(1.7**r.E2EKVMS), new(.9**r.E2EKVMS) }, record.VerdictInvalid, "cpu_wait cpu_throttled"},
		{"a busy neighbour by ticks", 5, func(r *runs.Row) { celltest.Stretch(r, 30); r.OthersMS = new(*r.E2EKVMS) }, record.VerdictAmbiguous, "cpu_others"},
		{"steal", 5, func(r *runs.Row) { celltest.Stretch(r, 30); r.StolenMS = new(.4 * *r.E2EKVMS) }, record.VerdictAmbiguous, "cpu_stolen"},
		{"warming up", 5, func(r *runs.Row) { celltest.Stretch(r, 1.2-.04*float64(r.CallIdx)) }, record.VerdictAmbiguous, "not_steady"},
		{"resumed in each block, by slower processes", 5, func(r *runs.Row) {
			if r.CallIdx > 3 {
				celltest.Stretch(r, 1.2)
				r.Session = 1
			}
		}, record.VerdictValid, ""},
		{"processes that differ widely", 5, func(r *runs.Row) { celltest.Stretch(r, 1+.1*float64(r.Replicate)) }, record.VerdictValid, ""},
		{"calls that do not count", 5, func(r *runs.Row) {
			if r.CallIdx%2 == 0 {
				r.Verdict = new(record.VerdictInvalid)
			}
		}, record.VerdictAmbiguous, "calls_invalid"},
		{"no call that counts", 5, func(r *runs.Row) { r.Verdict = new(record.VerdictInvalid) }, record.VerdictInvalid, "calls_invalid"},
		{"calls in doubt", 5, func(r *runs.Row) { r.Verdict = new(record.VerdictAmbiguous) }, record.VerdictAmbiguous, "calls_ambiguous"},
		{"two calls", 1, func(r *runs.Row) {
			if r.CallIdx > 2 {
				r.Status = record.StatusError
			}
		}, record.VerdictAmbiguous, "no_interval"},
	} {
		rows := plan.Blocks(c.blocks, wobble)
		for i := range rows {
			if machine(&rows[i]); here(&rows[i]) {
				c.spoil(&rows[i])
			}
		}
		set := celltest.Set(t, rows)
		set.Run.Manifest = manifest(t, `{"resolved": {"config": {"replicates": 5}}}`)
		a := Ask(set)
		if len(a.Cells) != 3*3*3 {
			t.Fatalf("%s: %d rows", c.what, len(a.Cells))
		}
		for _, got := range a.Cells {
			verdict, reasons := record.VerdictValid, ""
			if got.Model == "m01" && (got.Scenario == "a" || got.Scenario == cells.AllScenarios && !slices.Contains([]string{"no_interval"}, c.reasons)) {
				verdict, reasons = c.verdict, c.reasons
				if c.what == "no call that counts" && got.Scenario == cells.AllScenarios { // it is of the other scenario
					verdict, reasons = record.VerdictValid, ""
				}
			} else if got.Model == "m01" && got.Scenario == cells.AllScenarios {
				continue
			}
			if got.Verdict != verdict || strings.Join(got.Reasons, " ") != reasons {
				t.Errorf("%s: %s %s %s is %s %v, want %s %s; %+v", c.what, got.Model, got.Scenario, got.Mode, got.Verdict, got.Reasons, verdict, reasons, got)
			}
			if want := map[bool]string{true: cells.BasisOne, false: cells.BasisProcesses}[c.blocks == 1]; got.CI != nil && got.Basis != want {
				t.Errorf("%s: basis %s", c.what, got.Basis)
			}
		}
		for _, code := range strings.Fields(c.reasons) {
			if !slices.ContainsFunc(a.Sum.Doubts, func(d Doubt) bool { return d.Reason == code && d.Cells == 3 }) {
				t.Errorf("%s: 3 cells have %s: %+v", c.what, code, a.Sum.Doubts)
			}
		}
		doubtful := len(a.Doubtful().Rows)
		title := a.Sum.Says().Text
		if a.Sum.Cells != 18 || doubtful != a.Sum.Ambiguous+a.Sum.Invalid || (doubtful == 0) != (title == "All 18 cells are VALID") || doubtful == 3 && !strings.HasPrefix(title, "15 of 18 cells are VALID, 3 ") {
			t.Errorf("%s: %s: %+v", c.what, title, a.Sum)
		}
	}
}

// TestOldRun: a run of before there were canaries has intervals and shares of nothing else.
func TestOldRun(t *testing.T) {
	a := Ask(celltest.Set(t, celltest.Ladder.Rows(1)))
	for _, c := range a.Cells {
		if c.Verdict != record.VerdictValid || c.Basis != cells.BasisOne || c.Disturbed != nil || c.Waited != nil || c.ShareProcess != nil || c.CI == nil {
			t.Fatalf("%+v", c)
		}
	}
	if got := celltest.Codes(a.Warnings()); !slices.Equal(got, []string{"one_process"}) {
		t.Errorf("warnings: %v", got)
	}
}

// TestStoppedBy: of a run that adds blocks each cell says whether it is as narrow as was asked.
func TestStoppedBy(t *testing.T) {
	set := celltest.Set(t, plan.Blocks(6, wobble))
	for _, c := range Ask(set).Cells {
		if c.StoppedBy != "" {
			t.Fatalf("a run of a fixed number of blocks was stopped by %q", c.StoppedBy)
		}
	}
	for target, want := range map[string]string{"0.5": record.StoppedByTarget, "1e-6": record.StoppedByBudget} {
		set.Run.Manifest = manifest(t, `{"resolved": {"config": {"target_ci": `+target+`}}, "stopped_by": "time_budget_min"}`)
		for _, c := range Ask(set).Cells {
			if wide := slices.Contains(c.Reasons, Wide.Code); c.StoppedBy != want || wide != (want == record.StoppedByBudget) {
				t.Fatalf("target %s: stopped by %q, want %q; reasons %v", target, c.StoppedBy, want, c.Reasons)
			}
		}
	}
}

// TestShares: what the blocks of a run have in common is the block's share.
func TestShares(t *testing.T) {
	for _, c := range []struct {
		block, process float64
	}{{.1, .01}, {0, .1}} {
		a := Ask(celltest.Set(t, plan.Blocks(5, func(b int, r *runs.Row) float64 {
			return math.Exp(c.block*[]float64{1, -1, .5, -1, .5}[b] + c.process*math.Sin(float64(9*b+5*r.TaskIdx)))
		})))
		block, process := 0.0, 0.0
		for _, x := range a.Cells {
			if x.Scenario != cells.AllScenarios {
				block, process = block+*x.ShareBlock/18, process+*x.ShareProcess/18
			}
		}
		if (block > .8) != (c.block > 0) || (process > .7) != (c.block == 0) {
			t.Errorf("%+v: block %.2f, process %.2f", c, block, process)
		}
	}
}

// TestNodes: what the processes of a machine have in common is the machine's share; an interval is over machines where
// there are three, and says so where there are fewer.
func TestNodes(t *testing.T) {
	for _, c := range []struct {
		nodes, blocks        int // blocks of each machine
		node, block, process float64
		basis                string
	}{
		{4, 3, .1, 0, .02, cells.BasisNodes}, {4, 3, 0, .1, .02, cells.BasisNodes}, {4, 3, 0, 0, .1, cells.BasisNodes}, {3, 1, .1, 0, .02, cells.BasisNodes},
		{2, 3, .1, 0, .02, cells.BasisTwoNodes}, {1, 6, 0, .1, .02, cells.BasisProcesses},
	} {
		rows := plan.Blocks(c.nodes*c.blocks, func(b int, r *runs.Row) float64 {
			return math.Exp(c.node*[]float64{1, -1, .5, -.5}[b/c.blocks] + c.block*math.Cos(float64(5*b)) + c.process*math.Sin(float64(9*b+5*r.TaskIdx)))
		})
		for i := range rows {
			rows[i].MachineID = new(fmt.Sprintf("type-%d", rows[i].Replicate/c.blocks))
		}
		node, block, process := 0.0, 0.0, 0.0
		for _, x := range Ask(celltest.Set(t, rows)).Cells {
			if x.Basis != c.basis || *x.Nodes != c.nodes || x.Replicates != c.nodes*c.blocks {
				t.Fatalf("%+v: basis %s, %d machines, %d processes", c, x.Basis, *x.Nodes, x.Replicates)
			}
			if x.Scenario == cells.AllScenarios {
				continue
			}
			if x.ShareNode != nil {
				node += *x.ShareNode / 18
			}
			if x.ShareBlock != nil {
				block += *x.ShareBlock / 18
			}
			process += *x.ShareProcess / 18
			if sum := *x.ShareCall + *x.ShareProcess; x.ShareNode != nil && math.Abs(sum+*x.ShareNode+*x.ShareBlock-1) > 1e-9 {
				t.Errorf("%+v: shares %+v", c, x)
			}
		}
		known := c.nodes > 1 && c.blocks > 1
		if (node > .7) != (known && c.node > 0) || (block > .7) != (c.block > 0) || (process > .7) != (c.process == .1 || !known && c.node > 0) {
			t.Errorf("%+v: node %.2f, block %.2f, process %.2f", c, node, block, process)
		}
	}
}

// TestReasonsAreDocumented: each code stands in the documentation with its condition.
func TestReasonsAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../../docs/statistics.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range Reasons() {
		if seen[r.Code] || r.Means == "" || r.Advice == "" || ReasonOf(r.Code) != r {
			t.Errorf("%+v", r)
		}
		seen[r.Code] = true
		if !strings.Contains(string(data), "| `"+r.Code+"` | "+r.Means+" |") {
			t.Errorf("docs/statistics.md has no line | `%s` | %s |", r.Code, r.Means)
		}
	}
}

// TestAudit: what was planted is found with its size, and nothing else.
func TestAudit(t *testing.T) {
	for _, c := range []struct {
		factor string
		effect float64
		plant  func(r *runs.Row, places int) float64
	}{
		{"", 0, func(*runs.Row, int) float64 { return 1 }},
		{FactorTime, math.Pow(1.05, 5) - 1, func(r *runs.Row, _ int) float64 { return math.Pow(1.05, (r.StartedAt-1e9)/3600) }},
		{FactorPosition, .08, func(r *runs.Row, places int) float64 {
			return math.Pow(1.08, float64(r.OrderIdx%places*3/places)/2)
		}},
		{FactorCanary, .03, func(r *runs.Row, _ int) float64 {
			slow := 1 + .1*float64((r.CallIdx*7+r.Replicate)%3)
			r.CanaryReadMS = new(2 * slow)
			return math.Pow(1.03, math.Log(slow)/math.Log(1.1))
		}},
	} {
		rows := plan.Blocks(6, wobble)
		places := len(rows) / 6 / len(record.Modes)
		for i := range rows {
			r := &rows[i]
			r.StartedAt = 1e9 + 3600*float64(r.Replicate) + float64(r.OrderIdx%places)
			// The order of the models is another one in each block.
			shift := (r.Replicate*places/3 + r.OrderIdx%places) % places
			r.OrderIdx = r.Replicate*places + shift
			r.CanaryReadMS = new(2 + .01*math.Sin(float64(r.OrderIdx*5)))
			celltest.Stretch(r, c.plant(r, places))
		}
		a := Ask(celltest.Set(t, rows))
		if len(a.Audit) != 9 {
			t.Fatalf("%s: %d rows: %+v", c.factor, len(a.Audit), a.Audit)
		}
		said := a.explains()
		if (c.factor == "") != (len(said) == 0) {
			t.Errorf("%s: told are %+v", c.factor, said)
		}
		for _, x := range said {
			if x.Factor != c.factor || math.Abs(*x.Effect-c.effect) > .015 {
				t.Errorf("%s in %s: %+v, effect %v, p %v", c.factor, x.Mode, x, *x.Effect, *x.P)
			}
		}
	}
}
