//go:build native

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf/gguftest"
	"llmscale/runner/record"
)

// TestModelInParts measures a model of three files, named by its second, beside the same model in one and its twin,
// and profiles it.
func TestModelInParts(t *testing.T) {
	dir := t.TempDir()
	whole := synthFile(t, filepath.Join(dir, "whole.gguf"), "gpt2-1m", "q8_0")
	parts := gguftest.Split(t, whole, filepath.Dir(whole), 0, 9, -1)
	cfg := writeFile(t, "parts.yaml", fmt.Sprintf(`gen_tokens: 4
replicates: 1
repetitions: 2
warmup_repetitions: 1
seed: 5
cell_timeout_s: 120
probe: false
scenarios: [{name: drawn, prompt_tokens: 9}]
backends:
  - {name: mapped, kind: native, device: cpu, threads: 1}
  - {name: read, kind: native, device: cpu, threads: 1, mmap: false}
models: [{name: whole, source: %q}, {name: parts, source: %q}, {name: twin, source: %q}]
`, whole, parts[1], "like:"+parts[2]))
	out, made := filepath.Join(dir, "run"), filepath.Join(dir, "models")
	if code, _, stderr := llmscale("run", "--config", cfg, "--models-dir", made, "--out", out); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	records := readRuns(t, out)
	if len(records) != 3*2*3*3 {
		t.Errorf("%d records", len(records))
	}
	byModel := map[string]record.Record{}
	for _, r := range records {
		if r.Status != record.StatusOK {
			t.Fatalf("%s: %s: %v", r.CellID, r.Status, r.Error)
		}
		if was, ok := byModel[r.Model]; !ok {
			byModel[r.Model] = r
		} else if *was.ModelSHA256 != *r.ModelSHA256 || was.WeightBytes != r.WeightBytes {
			t.Errorf("%s is not the same model in %s as in %s", r.Model, was.CellID, r.CellID)
		}
	}
	answers := map[string][]int32{}
	for _, r := range records {
		key := fmt.Sprint(r.Scenario, r.CallIdx, r.Mode)
		switch first, ok := answers[key]; {
		case r.Model == "twin":
		case !ok:
			answers[key] = r.OutputTokenIDs
		case !slices.Equal(first, r.OutputTokenIDs):
			t.Errorf("%s answers %v, the same model elsewhere %v", r.CellID, r.OutputTokenIDs, first)
		}
	}
	w, p, twin := byModel["whole"], byModel["parts"], byModel["twin"]
	if w.WeightBytes != p.WeightBytes || w.BytesPerToken != p.BytesPerToken || w.ParamsTotal != p.ParamsTotal || *w.ModelSHA256 == *p.ModelSHA256 || !strings.HasSuffix(p.ModelFile, filepath.Base(parts[0])) {
		t.Errorf("in parts %+v\nwhole    %+v", p.ModelFacts, w.ModelFacts)
	}
	if twin.WeightBytes != w.WeightBytes || twin.ParamsTotal != w.ParamsTotal {
		t.Errorf("the twin %+v\nwhole    %+v", twin.ModelFacts, w.ModelFacts)
	}
	if files := modelFiles(t, made); len(files) != 1 {
		t.Errorf("the twin is %v; want one file", files)
	}

	doc, _, _ := profiled(t, parts[2], "--prompt-tokens", "4", "--gen-tokens", "2", "--repetitions", "1", "--threads", "1")
	if doc.ParamsTotal != w.ParamsTotal || doc.SHA256 != *p.ModelSHA256 {
		t.Errorf("profiled %s of %d parameters, %s", doc.File, doc.ParamsTotal, doc.SHA256)
	}
}
