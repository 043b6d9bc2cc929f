package runner

import (
	"slices"
	"strings"
	"testing"

	"llmscale/runner/machine"
	"llmscale/runner/record"
	"llmscale/runner/workertest"
)

// The records say which team computed: of batches, and of prompts of one token.
func TestTeamOnRecord(t *testing.T) {
	text := strings.Replace(batchConfig, "{name: s, prompt_tokens: 5, depth: [0, 300]}", "{name: s, prompt_tokens: 5}, {name: single, prompt_tokens: 1}", 1)
	_, _, records, _ := execute(t, testPlan(t, text), workertest.Command(t, "two of many"))
	for _, r := range records {
		decode, prefill := 2, 3
		if r.BatchSizeConfig > 1 {
			decode = 3
		} else if r.Scenario == "single" {
			prefill = 2
		}
		if r.NThreads == nil || *r.NThreads != decode || *r.NThreadsBatch != prefill {
			t.Fatalf("%s: %+v", r.CellID, r.RuntimeFacts)
		}
	}
	if len(records) == 0 {
		t.Error("no records")
	}
}

// What computed is on record beside what was asked for, and the run warns once for all models of a backend.
func TestThreadsOnRecord(t *testing.T) {
	p := testPlan(t, testConfig)
	r, dir := newRun(t, p, workertest.Command(t, "two of many"))
	finish(t, r)
	for _, rec := range readRecords(t, dir) {
		if rec.NThreads == nil || *rec.NThreads != 2 || *rec.NThreadsBatch != 3 || rec.NThreadsAsked != 1 || rec.NThreadsBatchAsked != 1 || *rec.CPUs != min(5, machine.CPUQuota()) {
			t.Fatalf("%s: %+v", rec.CellID, rec.RuntimeFacts)
		}
	}
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	var where []string
	for _, w := range m.Warnings {
		if w.Code == "fewer_threads" {
			where = append(where, w.Where)
		}
	}
	slices.Sort(where)
	if !slices.Equal(where, []string{"cpu_f16", "cpu_f32"}) {
		t.Errorf("warned of %q", where)
	}
	// A load that failed, and a runtime that does not tell, have no number.
	p = testPlan(t, testConfig)
	_, _, records, _ := execute(t, p, workertest.Command(t, "error@load"))
	for _, rec := range records {
		if rec.Status == record.StatusOK || rec.NThreads != nil || rec.NThreadsBatch != nil || rec.CPUs != nil || rec.NThreadsAsked != 1 {
			t.Fatalf("%s: %+v", rec.CellID, rec.RuntimeFacts)
		}
	}
}
