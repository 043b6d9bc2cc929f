//go:build native

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/internal/text"
)

// TestHostileSweep: a model and a server with control characters in all that they say leave none on the terminal, and
// none in what a run writes.
func TestHostileSweep(t *testing.T) {
	const act = `\u001b]0;owned\u0007\u202e\u009b2J`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"error": "refused %s\nsecond line"}`, act)
	}))
	t.Cleanup(srv.Close)
	file := hostileFile(t, "named.gguf", "tiny-gpt2", hostileName)
	cfg := fmt.Sprintf(`gen_tokens: 4
replicates: 1
repetitions: 2
cell_timeout_s: 60
probe: false
scenarios: [{name: s, prompt: "\e[31mred\e[0m\u202e"}]
backends: [{name: cpu, threads: 1}, {name: server, kind: ollama, import: true, url: %q}]
models: [{name: m, source: %q}, {name: broken, source: %q, backends: [cpu]}]
`, srv.URL, file, hostileFile(t, "broken.gguf", "blk.0.ffn_down.weight", hostileTensor))
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := llmscale("--verbose", "sweep", "--config", writeFile(t, "c.yaml", cfg), "--models-dir", sharedModels, "--out", dir)
	if code != exitFailedCells || !strings.Contains(stderr, `m/server/s: error: ollama: version: the server says: refused \x1b]0;owned\a\u202e\u009b2J`) {
		t.Errorf("exit code %d:\n%s%s", code, stdout, stderr)
	}
	harmless(t, "stdout", stdout)
	harmless(t, "stderr", stderr)
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".png") {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if text.SafeLines(string(data)) != string(data) {
			t.Errorf("%s holds control characters", path)
		}
		return err
	})
	if err != nil || files < 15 {
		t.Errorf("%d files, %v", files, err)
	}
	for _, r := range readRuns(t, dir) {
		if r.Prompt != nil && *r.Prompt != "\x1b[31mred\x1b[0m\u202e" {
			t.Errorf("the prompt on record is %q", *r.Prompt)
		}
	}
}

// TestNobodyReadsASweep: what is measured does not depend on who reads the program's words.
func TestNobodyReadsASweep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	state := unread(t, nil, "sweep", "--config", writeFile(t, "c.yaml", sweepOf("synth:tiny-gpt2")), "--models-dir", sharedModels, "--out", dir)
	if state.ExitCode() != exitDone {
		t.Errorf("%v", state)
	}
	if _, err := os.Stat(filepath.Join(dir, "report.html")); err != nil {
		t.Error(err)
	}
}
