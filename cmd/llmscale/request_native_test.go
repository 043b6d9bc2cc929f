//go:build native

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/runner/record"
)

// TestSweepOfFiles measures two files without a config; the run's copy of the config that was made plans the same.
func TestSweepOfFiles(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, preset := range []string{"tiny-gpt2", "gpt2-5m"} {
		path := filepath.Join(dir, preset+".gguf")
		if code, _, stderr := llmscale("synth", preset, "--type", "q8_0", "-o", path); code != exitDone {
			t.Fatal(stderr)
		}
		files = append(files, path)
	}
	run := filepath.Join(dir, "run")
	code, stdout, stderr := llmscale("sweep", files[0], files[1], "-p", "4,8", "-n", "4", "-t", "1", "-r", "2", "--replicates", "2", "--out", run)
	if code != exitDone || !strings.Contains(stdout, "report.html") || !strings.Contains(stderr, "rough time: ") {
		t.Fatalf("exit code %d:\n%s%s", code, stdout, stderr)
	}
	cells := map[string]int{}
	for _, r := range readRuns(t, run) {
		if r.Status != record.StatusOK {
			t.Errorf("%s: %s (%v)", r.CellID, r.Status, r.Error)
		}
		if r.Mode == record.Modes[0] && !r.IsWarmup {
			cells[r.CellID]++
		}
	}
	for _, cell := range []string{"tiny-gpt2/cpu/prompt_p4", "tiny-gpt2/cpu/prompt_p8", "gpt2-5m/cpu/prompt_p4", "gpt2-5m/cpu/prompt_p8"} {
		if cells[cell] < 4 { // more where the machine disturbed some
			t.Errorf("%s has %d calls: %v", cell, cells[cell], cells)
		}
	}
	config, err := os.ReadFile(filepath.Join(run, "config.yaml"))
	if err != nil || !strings.Contains(string(config), "\n#   llmscale sweep "+files[0]+" "+files[1]+" -p 4,8") {
		t.Errorf("%v:\n%s", err, config)
	}
	_, was, _ := llmscale("run", "--dry-run", files[0], files[1], "-p", "4,8", "-n", "4", "-t", "1", "-r", "2", "--replicates", "2")
	code, again, stderr := llmscale("run", "--dry-run", "--config", filepath.Join(run, "config.yaml"))
	if was, _, _ = strings.Cut(was, "memory free"); code != exitDone || !strings.HasPrefix(again, was) || was == "" {
		t.Errorf("exit code %d:\n%s%s\nwant\n%s", code, again, stderr, was)
	}
	if code, stdout, stderr := llmscale("sweep", "--resume", run); code != exitDone {
		t.Errorf("exit code %d:\n%s%s", code, stdout, stderr)
	}
}

// TestQuickSweep answers about one model.
func TestQuickSweep(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := llmscale("sweep", "--quick", "synth:tiny-gpt2", "--models-dir", sharedModels, "--out", run)
	if code != exitDone || !strings.Contains(stdout, "report.html") {
		t.Fatalf("exit code %d:\n%s%s", code, stdout, stderr)
	}
}
