//go:build native

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRunSaysWhatDoctorKnows: what doctor warns of stands in a run's notes before its first call, in its manifest and in its report.
func TestRunSaysWhatDoctorKnows(t *testing.T) {
	t.Setenv("OMP_SCHEDULE", "static") // which changes nothing that ggml does
	_, doctor, _ := llmscale("doctor")
	if !strings.Contains(doctor, "OMP_SCHEDULE=static") {
		t.Fatalf("doctor does not see it:\n%s", doctor)
	}
	dir := filepath.Join(t.TempDir(), "run")
	code, _, stderr := llmscale("sweep", "--config", writeFile(t, "c.yaml", "probe: false\n"+sweepOf("synth:tiny-gpt2")), "--models-dir", sharedModels, "--out", dir)
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	said, call := strings.Index(stderr, "warning: this machine: environment: OMP_SCHEDULE=static (unset it"), strings.Index(stderr, "m/cpu/micro  measure")
	if said < 0 || call < said {
		t.Errorf("said at %d, the first call at %d:\n%s", said, call, stderr)
	}
	for _, name := range []string{"manifest.json", "report.md", "report.html"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(data), "OMP_SCHEDULE=static") {
			t.Errorf("%s does not say so (%v)", name, err)
		}
	}
}
