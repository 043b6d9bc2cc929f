//go:build native

package main

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/runner/ollama"
	"llmscale/runner/record"
)

// crossCheck measures two synthesised models both ways. "greedy" is sent again and
// again; "long" has answers in which a server would not let tokens repeat.
const crossCheck = `gen_tokens: 8
replicates: 1
repetitions: 3
warmup_repetitions: 1
seed: 5
cell_timeout_s: 120
probe: false
scenarios:
  - {name: p1, prompt_tokens: 1}
  - {name: p64, prompt_tokens: 64}
  - {name: p128, prompt_tokens: 128}
  - {name: p512, prompt_tokens: 512}
  - {name: long, prompt_tokens: 32, gen_tokens: 48}
  - {name: greedy, prompt: "Summarize RLHF in one sentence.", gen_tokens: 20}
backends:
  - {name: native, kind: native, dtype: f32}
  - {name: ollama, kind: ollama, dtype: f32, import: true}
models:
  - {name: gpt2-1m, source: "synth:gpt2-1m"}
  - {name: llama-5m, source: "ladder:llama/5m"}
`

// TestServerCrossCheck takes the main job's way with a real Ollama server; make test-ollama
// starts one.
func TestServerCrossCheck(t *testing.T) {
	if os.Getenv("LLMSCALE_TEST_OLLAMA") == "" {
		t.Skip("needs an Ollama server of its own: make test-ollama")
	}
	client, err := ollama.NewClient("", ollama.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	dir := filepath.Join(t.TempDir(), "run")
	code, _, stderr := llmscale("sweep", "--config", writeFile(t, "check.yaml", crossCheck), "--models-dir", sharedModels, "--out", dir)
	if code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	ctx := context.Background()
	if models, err := client.List(ctx); err != nil || len(models) != 0 {
		t.Errorf("left on the server: %+v (%v)", models, err)
	}
	if models, err := client.Running(ctx); err != nil || len(models) != 0 {
		t.Errorf("left in the server's memory: %+v (%v)", models, err)
	}

	records := readRuns(t, dir)
	if len(records) != 2*2*6*4*3 {
		t.Errorf("%d records", len(records))
	}
	for _, r := range records {
		if r.Status != record.StatusOK {
			t.Fatalf("%s: %s: %s", r.CellID, r.Status, *r.Error)
		}
		if r.BackendKind != "ollama" {
			continue
		}
		if *r.OllamaVersion == "" || *r.OllamaWeights != *r.ModelSHA256 || !ollama.IsImported(*r.OllamaModel) || *r.OllamaOffloadShare != 0 {
			t.Errorf("%s: server %v, file %s of %s, model %s", r.CellID, *r.OllamaVersion, *r.OllamaWeights, *r.ModelSHA256, *r.OllamaModel)
		}
		if *r.OllamaPromptEvalCount != *r.OllamaPromptTokens || r.NCtx != 768 {
			t.Errorf("%s: the server counts %d tokens of %d, in a context of %d", r.CellID, *r.OllamaPromptEvalCount, *r.OllamaPromptTokens, r.NCtx)
		}
		if !*r.OllamaProjected && *r.GenTokensRaw != r.GenTokensTarget {
			t.Errorf("%s: %d decode steps of %d", r.CellID, *r.GenTokensRaw, r.GenTokensTarget)
		}
		if repeated := r.Scenario == "greedy" && r.CallIdx > 0 && r.Mode != record.ModeDecode; repeated != (r.Verdict != nil) {
			t.Errorf("%s call %d %s: verdict %v %q", r.CellID, r.CallIdx, r.Mode, r.Verdict, r.VerdictReasons)
		}
		if banned := strings.Contains(strings.Join(r.OllamaNotes, ";"), "repeats were banned"); banned != (r.Scenario == "long") {
			t.Errorf("%s: notes %q", r.CellID, r.OllamaNotes)
		}
		if *r.TTFTMS < *r.PrefillMS && r.Verdict == nil || *r.OllamaWallMS < *r.OllamaTotalMS || *r.OllamaTotalMS < *r.OllamaPromptEvalMS+*r.OllamaEvalMS {
			t.Errorf("%s: parts are longer than the whole: %+v", r.CellID, r.OllamaCall)
		}
	}

	rows := readTable(t, filepath.Join(dir, "analysis", "ollama_crosscheck.csv"))
	if len(rows) != 2*6*2 {
		t.Errorf("%d rows in ollama_crosscheck.csv", len(rows))
	}
	for _, r := range readTable(t, filepath.Join(dir, "analysis", "ollama_greedy.csv")) {
		if r["verdict"] != "equal" {
			t.Errorf("greedy answers differ: %v", r)
		}
	}
	report, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"times as long as native in decode", "INVALID"} {
		if !strings.Contains(string(report), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

// TestNoServer: cells of a server that is not there are waived, the others measured.
func TestNoServer(t *testing.T) {
	cfg := strings.NewReplacer("import: true", `import: true, url: "http://127.0.0.1:9"`, "repetitions: 3", "repetitions: 1").Replace(crossCheck)
	dir := filepath.Join(t.TempDir(), "run")
	code, _, stderr := llmscale("run", "--config", writeFile(t, "check.yaml", cfg), "--models-dir", sharedModels, "--models", "gpt2-1m", "--scenarios", "p1", "--out", dir)
	if code != exitDone || !strings.Contains(stderr, "no Ollama server at http://127.0.0.1:9") {
		t.Errorf("exit code %d:\n%s", code, stderr)
	}
	status := map[string]int{}
	for _, r := range readRuns(t, dir) {
		status[r.Backend+" "+r.Status]++
	}
	if status["ollama "+record.StatusWaived] != 3 || status["native "+record.StatusOK] != 6 || len(status) != 2 {
		t.Errorf("records: %v", status)
	}
}

// readTable reads a CSV file as one map for each row.
func readTable(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil || len(lines) == 0 {
		t.Fatalf("%s: %d lines, %v", path, len(lines), err)
	}
	var out []map[string]string
	for _, l := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = l[i]
		}
		out = append(out, row)
	}
	return out
}
