//go:build native

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const verifiedSweep = `gen_tokens: 4
replicates: 2
repetitions: 2
warmup_repetitions: 1
seed: 11
cell_timeout_s: 120
probe: false
scenarios: [{name: s, prompt_tokens: 12}, {name: t, prompt: "Once upon a time"}]
backends: [{name: b, dtype: f32, threads: 1}, {name: c, dtype: f16, threads: 1}]
models: [{name: tiny, source: "synth:tiny-gpt2"}, {name: m1, source: "synth:gpt2-1m"}]
`

// TestVerifySweep: a sweep's folder verifies, its models' files too; one digit less or
// more in a file of the run is seen, and the file is the first that is named. A resumed
// run has sums again.
func TestVerifySweep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	config := writeFile(t, "verified.yaml", verifiedSweep)
	if code, _, stderr := llmscale("sweep", "--config", config, "--models-dir", filepath.Join(dir, "models"), "--out", dir); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	verifies := func() {
		t.Helper()
		if code, stdout, stderr := llmscale("verify", "--run-dir", dir); code != exitDone || strings.Contains(stdout, "not where the manifest says") || strings.Contains(stdout, "no list has its sum") {
			t.Fatalf("exit code %d:\n%s%s", code, stdout, stderr)
		}
	}
	verifies()
	tables := []string{"runs.jsonl", "manifest.json", "config.yaml", "metrics.csv", "hf_load_ms.csv", "resolved_model_params.csv", "SHA256SUMS"}
	for _, sealed := range []bool{true, false} {
		for _, name := range tables {
			if !sealed && (name == "manifest.json" || name == "SHA256SUMS") {
				continue
			}
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text := string(data)
			at := strings.LastIndexAny(text[:len(text)*2/3], "12345678")
			if name == "runs.jsonl" { // the reasons of nulls stand once: without sums, in metrics.csv alone
				at = strings.LastIndexAny(text[:strings.LastIndex(text[:at], `"null_reasons"`)], "12345678")
			}
			if err := os.WriteFile(path, []byte(text[:at]+string(text[at]+1)+text[at+1:]), 0o644); err != nil {
				t.Fatal(err)
			}
			code, stdout, _ := llmscale("verify", "--run-dir", dir)
			if code != exitFailed || !strings.HasPrefix(stdout, name+": ") {
				t.Errorf("%s, sealed %v: %q: exit code %d:\n%.500s", name, sealed, text[max(0, at-30):at+1], code, stdout)
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if sealed {
			for _, list := range []string{"SHA256SUMS", "analysis/SHA256SUMS"} {
				if err := os.Remove(filepath.Join(dir, list)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if code, _, stderr := llmscale("sweep", "--resume", dir); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	verifies()
	model := filepath.Join(dir, "models", "tiny-gpt2-f16-seed42.gguf")
	data, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1]++
	if err := os.WriteFile(model, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := llmscale("verify", "--run-dir", dir); code != exitFailed || !strings.Contains(stdout, "tiny-gpt2-f16-seed42.gguf: its SHA-256 is") {
		t.Errorf("exit code %d:\n%s", code, stdout)
	}
}
