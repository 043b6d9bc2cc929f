package runs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// TestInvalidSettled: what the plan is compared with, and which record of one
// repetition counts.
func TestInvalidSettled(t *testing.T) {
	dir := t.TempDir()
	rows := celltest.Plan{Models: 1, Reps: 3, Gen: 2, Backends: []string{"gpu"}, Scenarios: []string{"a"}, PerToken: func(int) float64 { return 1 }}.Rows(1)
	celltest.Spoil(rows, func(r *runs.Row) bool { return r.CallIdx == 1 || r.CallIdx == 2 })
	again := slices.Clone(rows)
	for i := range again { // the second session measures repetition 0 well, and spoils repetition 2
		r := &again[i]
		r.Session = 1
		switch r.CallIdx {
		case 1:
			r.Verdict, r.VerdictReasons = nil, nil
		case 3:
			r.Verdict = new(record.VerdictInvalid)
		}
	}
	again = slices.DeleteFunc(again, func(r runs.Row) bool { return r.CallIdx != 1 && r.CallIdx != 3 })
	f, err := os.Create(filepath.Join(dir, "runs.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(rows, again...) {
		line, err := json.Marshal(r.Record())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "%s\n", line)
	}
	f.Close()
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"task_count": 1, "repetitions": 3}`), 0o666); err != nil {
		t.Fatal(err)
	}
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := run.Counts.Repetitions
	if n == nil || n.Planned != 3 || n.Measured != 2 || n.Invalid != 1 || n.Missing() != 0 {
		t.Errorf("%+v", n)
	}
	for i := range run.Rows {
		if r := &run.Rows[i]; !r.IsWarmup && r.Invalid() != (*r.Rep == 1) {
			t.Errorf("repetition %d of session %d stands, INVALID %v", *r.Rep, r.Session, r.Invalid())
		}
	}
}

// TestPartlySettled: a repetition counts as measured where one of its modes counts,
// and a call that was cut off while it was written does not.
func TestPartlySettled(t *testing.T) {
	rows := celltest.Plan{Models: 1, Reps: 4, Gen: 2, Backends: []string{"ollama"}, Scenarios: []string{"a"}, PerToken: func(int) float64 { return 1 }}.Rows(1)
	celltest.Partly(rows, "prefill: the prompt's tokens were cached", func(r *runs.Row) bool { return r.CallIdx == 1 })
	celltest.Spoil(rows, func(r *runs.Row) bool { return r.CallIdx == 2 })
	rows = slices.DeleteFunc(rows, func(r runs.Row) bool { return r.CallIdx == 3 && r.Mode == record.ModeE2E })
	manifest, err := runs.ParseManifest([]byte(`{"task_count": 1, "repetitions": 4}`))
	if err != nil {
		t.Fatal(err)
	}
	run := &runs.Run{Manifest: manifest, Rows: rows}
	run.Settle()
	if n := run.Counts.Repetitions; n == nil || n.Measured != 2 || n.Invalid != 1 || n.Missing() != 1 {
		t.Errorf("%+v", n)
	}
}
