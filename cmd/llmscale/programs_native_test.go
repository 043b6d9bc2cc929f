//go:build native

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/record"
)

// A backend's own program measures as this one does, the plan says what it is, and each record what it was built from.
func TestSweepOfTwoPrograms(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(smallSweep, "{name: f16, kind: native, device: cpu, dtype: f16, threads: 1}",
		"{name: other, dtype: f32, threads: 1, program: bin/other}", 1)
	cfg := writeFile(t, "programs.yaml", text)
	bin := filepath.Join(filepath.Dir(cfg), "bin")
	if err := os.Mkdir(bin, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "other"), []byte("#!/bin/sh\nexec '"+exe+"' \"$@\"\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	build := ownBuild()
	code, stdout, stderr := llmscale("run", "--config", cfg, "--models-dir", sharedModels, "--dry-run")
	if want := fmt.Sprintf("program self (this one): %s\nprogram bin/other: %s\n", build, build); code != exitDone || !strings.Contains(stdout, want) {
		t.Errorf("exit code %d\n%s%s\nwant %s", code, stdout, stderr, want)
	}
	dir := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := llmscale("run", "--config", cfg, "--models-dir", sharedModels, "--out", dir); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	answers := map[string][]int32{}
	for _, r := range readRuns(t, dir) {
		if want := map[string]string{"f32": "", "other": "bin/other"}[r.Backend]; r.Status != record.StatusOK || r.Program != want {
			t.Fatalf("%s: %s by program %q, want %q", r.CellID, r.Status, r.Program, want)
		}
		if r.LlamaCommit != build.LlamaCommit || r.LlamaSource != build.LlamaSource || r.BuildCompiler != build.Compiler || r.BuildFlags != build.Flags ||
			r.CPUFeatures != build.CPUFeatures || r.CPUFeatures == "" {
			t.Errorf("%s: %s (%s), %s, %s, %s; want %+v", r.CellID, r.LlamaCommit, r.LlamaSource, r.BuildCompiler, r.BuildFlags, r.CPUFeatures, build)
		}
		key := fmt.Sprint(r.Model, r.Scenario, r.CallIdx)
		if other, ok := answers[key]; ok && !slices.Equal(other, r.OutputTokenIDs) {
			t.Errorf("%s: one program answers %v, the other %v", r.CellID, other, r.OutputTokenIDs)
		}
		answers[key] = r.OutputTokenIDs
	}
}
