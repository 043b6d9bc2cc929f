//go:build native

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/synth"
	"llmscale/runner/record"
)

// A model that cannot be measured costs its own cells, be it alone or beside others, and the run ends with the exit
// code of failed cells. So does one that llama.cpp does not load, with its reason.
func TestSweepOfModelsThatCannotBeMeasured(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.gguf")
	if err := synth.Write(own, synth.GPT2("own", 2, 32, 2), synth.Options{Type: "f16", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	embeds := gguftest.Alter(t, own, func(v map[string]any, _ []gguf.Spec) []gguf.Spec {
		v["gpt2.attention.causal"] = false
		return nil
	})
	short := gguftest.Alter(t, own, func(v map[string]any, _ []gguf.Spec) []gguf.Spec {
		v["gpt2.block_count"] = uint32(1)
		return nil
	})
	for _, c := range []struct {
		model, reason, stderr string
		attempted             bool
	}{
		{embeds, "not causal", "", false},
		{short, "wrong number of tensors", "wrong number of tensors", true},
	} {
		for _, others := range []string{"", `, {name: good, source: "synth:tiny-gpt2"}`} {
			cfg := writeFile(t, "c.yaml", fmt.Sprintf("gen_tokens: 2\nrepetitions: 1\nwarmup_repetitions: 0\nprobe: false\nscenarios: [{name: s, prompt_tokens: 3}]\n"+
				"backends: [{name: b, kind: native, device: cpu, dtype: f32, threads: 1}]\nmodels: [{name: bad, source: %q}%s]\n", c.model, others))
			dir := filepath.Join(t.TempDir(), "run")
			code, _, stderr := llmscale("run", "--config", cfg, "--models-dir", sharedModels, "--out", dir)
			if code != exitFailedCells || !strings.Contains(stderr, c.reason) {
				t.Fatalf("%s: exit code %d, want %d and the reason:\n%s", c.reason, code, exitFailedCells, stderr)
			}
			good := 0
			for _, r := range readRuns(t, dir) {
				switch {
				case r.Model == "good" && r.Status == record.StatusOK:
					good++
				case r.Model != "bad" || r.Status != record.StatusError || !strings.Contains(*r.Error, c.reason) || r.Attempted != c.attempted:
					t.Errorf("%s is %s: %v, attempted %v", r.CellID, r.Status, r.Error, r.Attempted)
				case c.stderr != "" && !strings.Contains(strings.Join(r.Stderr, "\n"), c.stderr):
					t.Errorf("%s: llama.cpp's log is not kept: %q", r.CellID, r.Stderr)
				}
			}
			if (good > 0) != (others != "") {
				t.Errorf("beside %s %d records of another model were measured", c.reason, good)
			}
		}
	}
}
