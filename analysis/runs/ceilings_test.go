package runs

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"llmscale/analysis/finding"
	"llmscale/runner/ceilings"
)

// TestLoadCeilings: from the folder, broken or not there.
func TestLoadCeilings(t *testing.T) {
	rows := []byte(`{"schema_version":1,"backend":"b","model":"m","mode":"kv_decode","status":"ok","latency_ms":5}` + "\n")
	load := func(text string) *Run {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "runs.jsonl"), rows, 0o666); err != nil {
			t.Fatal(err)
		}
		if text != "" {
			if err := os.WriteFile(filepath.Join(dir, ceilings.FileName), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		run, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		return run
	}
	broken := func(run *Run) bool {
		return slices.ContainsFunc(run.Warnings, func(w finding.Warning) bool { return w.Code == "broken_ceilings" })
	}
	if run := load(""); run.Ceilings != nil || broken(run) {
		t.Errorf("without a file: %+v", run.Warnings)
	}
	if run := load(`{"schema_version":1,"devices":[{"kind":"cpu"}]}`); run.Ceilings == nil || len(run.Ceilings.Devices) != 1 || broken(run) {
		t.Errorf("%+v", run.Warnings)
	}
	if run := load(`{"devices`); run.Ceilings != nil || !broken(run) {
		t.Error("a broken file is no warning")
	}
}
