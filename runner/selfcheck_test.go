package runner

import (
	"math"
	"strings"
	"testing"
	"time"

	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/workertest"
)

const checkConfig = `run_name: test
gen_tokens: 2
replicates: 1
repetitions: 2
warmup_repetitions: 1
seed: 7
cell_timeout_s: 20
scenarios: [{name: one, prompt: "one"}]
backends: [{name: cpu, kind: native, device: cpu, dtype: f32, threads: 1}]
models: [{name: a, source: "synth:tiny-gpt2"}]
`

// A build that computes wrong results has its calls on record, none of which counts, and a resumed run does not make
// them again: they would be the same.
func TestWrongBuild(t *testing.T) {
	p := testPlan(t, checkConfig)
	dir, sum, records, progress := execute(t, p, workertest.Command(t, "wrong"))
	if sum.ByStatus[record.StatusOK] != 1 || len(records) != 9 {
		t.Fatalf("%+v, %d records", sum, len(records))
	}
	for _, r := range records {
		if !r.Invalid() || len(r.VerdictReasons) != 1 || record.ReasonOf(r.VerdictReasons[0]) != record.WrongResults || r.LatencyMS == nil {
			t.Errorf("call %d %s: verdict %v, %q, latency %v", r.CallIdx, r.Mode, r.Verdict, r.VerdictReasons, r.LatencyMS)
		}
		if r.SelfCheckRelL2 == nil || *r.SelfCheckRelL2 != 0.58 || *r.SelfCheckTokens != 40 {
			t.Errorf("on record: %v of %v tokens", r.SelfCheckRelL2, r.SelfCheckTokens)
		}
	}
	if notes := progress.failures(); len(notes) != 1 || !strings.Contains(notes[0], "a/cpu: INVALID: self-check: ") {
		t.Errorf("notes %q", notes)
	}
	finish(t, resumeRun(t, p, dir, workertest.Command(t, "wrong")))
	if again := readRecords(t, dir); len(again) != len(records) {
		t.Errorf("a resumed run adds %d records", len(again)-len(records))
	}
}

func TestRightBuild(t *testing.T) {
	p := testPlan(t, checkConfig)
	_, _, records, progress := execute(t, p, workertest.Command(t, "rounds"))
	for _, r := range records {
		if r.Verdict != nil || r.SelfCheckRelL2 == nil || *r.SelfCheckRelL2 != 0.012 || r.Nulls["self_check_rel_l2"] != "" {
			t.Errorf("verdict %v, %v, nulls %v", r.Verdict, r.SelfCheckRelL2, r.Nulls)
		}
	}
	if notes := progress.failures(); len(notes) != 0 {
		t.Errorf("notes %q", notes)
	}

	_, _, records, _ = execute(t, p, workertest.Command(t, "slow"))
	for _, r := range records {
		if r.Verdict != nil || r.SelfCheckRelL2 != nil || r.SelfCheckTokens != nil || r.Nulls["self_check_rel_l2"] != "no time" || r.Nulls["self_check_tokens"] != "no time" {
			t.Errorf("skipped: verdict %v, %v, nulls %v", r.Verdict, r.SelfCheckRelL2, r.Nulls)
		}
	}
}

// The check takes its time from the load's, of which it must leave most; and it is no part of what a plan is.
func TestSelfCheckTime(t *testing.T) {
	for timeout, want := range map[string]float64{"20": 1, "600": 10, "0.5": 0.025} {
		p := testPlan(t, strings.Replace(checkConfig, "cell_timeout_s: 20", "cell_timeout_s: "+timeout, 1))
		j := &p.Jobs[0]
		if got := (&Run{Plan: p}).selfCheck(j); math.Abs(got.BudgetS-want) > 1e-12 || got.Bound != protocol.SelfCheckBound {
			t.Errorf("cell_timeout_s %s: %+v, want %v s", timeout, got, want)
		}
		j.Model.Desc.NExpert = 8
		if got := (&Run{Plan: p}).selfCheck(j); got.Bound != protocol.SelfCheckBoundMixture {
			t.Errorf("a mixture: %+v", got)
		}
		if j.Load.SelfCheck != nil {
			t.Errorf("the plan holds %+v", j.Load.SelfCheck)
		}
	}
}

// A server gives no logits: the fields are null, and say so.
func TestServersAreNotChecked(t *testing.T) {
	r, dir := newRun(t, testPlan(t, checkConfig), workertest.Command(t, ""))
	j := &r.Plan.Jobs[0]
	j.Backend.Kind = config.KindOllama
	gen := 0
	base := r.base(plan.Visit{Job: j}, j.Cells[0], plan.Call{Warmup: -1}, protocol.LoadInfo{}, time.Now())
	if err := r.store(base, protocol.Sample{Measurement: record.Measurement{Phases: record.Phases{GenTokensRaw: &gen}}}); err != nil {
		t.Fatal(err)
	}
	for _, rec := range readRecords(t, dir) {
		if rec.SelfCheckRelL2 != nil || rec.Nulls["self_check_rel_l2"] != "the server gives no logits" || rec.Nulls["self_check_tokens"] != "the server gives no logits" {
			t.Errorf("%v, %v", rec.SelfCheckRelL2, rec.Nulls)
		}
	}
}
