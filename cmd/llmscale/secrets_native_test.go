//go:build native

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"llmscale/runner/record"
)

// guardedOllama is a server that answers as Ollama does, to whoever sends the login and the token; it repeats to the
// others what they sent.
func guardedOllama(t *testing.T) (host string) {
	var mu sync.Mutex
	models := map[string]string{} // name: the file's hash
	loaded := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if user, password, _ := r.BasicAuth(); user != "alice" || password != "s3same" || r.URL.Query().Get("key") != "t0ken" {
			http.Error(w, fmt.Sprintf("refused: %q with %q wants %s", user, password, r.URL), http.StatusUnauthorized)
			return
		}
		var req struct {
			Model, Prompt string
			Files         map[string]string
			Options       map[string]any
		}
		if r.Header.Get("Content-Type") == "application/json" {
			json.NewDecoder(r.Body).Decode(&req)
		} else {
			io.Copy(io.Discard, r.Body)
		}
		answer := json.NewEncoder(w)
		switch r.URL.Path {
		case "/api/version":
			answer.Encode(map[string]string{"version": "0.24.0"})
		case "/api/tags", "/api/ps":
			list := []map[string]any{}
			for name := range models {
				if r.URL.Path == "/api/ps" && !loaded[name] {
					continue
				}
				list = append(list, map[string]any{"name": name, "model": name, "size": 10, "context_length": 256})
			}
			answer.Encode(map[string]any{"models": list})
		case "/api/show":
			if models[req.Model] == "" {
				w.WriteHeader(http.StatusNotFound)
				answer.Encode(map[string]string{"error": "model not found"})
				return
			}
			answer.Encode(map[string]any{"modelfile": "FROM /blobs/sha256-" + models[req.Model]})
		case "/api/create":
			for _, digest := range req.Files {
				models[req.Model] = strings.TrimPrefix(digest, "sha256:")
			}
			answer.Encode(map[string]string{"status": "success"})
		case "/api/delete":
			delete(models, req.Model)
		case "/api/generate":
			n, _ := req.Options["num_predict"].(float64)
			loaded[req.Model] = req.Options != nil // without options it is an unload
			if req.Prompt == "" {
				n = 0
			}
			for range int(n) {
				answer.Encode(map[string]any{"response": " word"})
			}
			answer.Encode(map[string]any{"done": true, "done_reason": "length", "total_duration": 9e6, "prompt_eval_count": 1, "prompt_eval_duration": 2e6, "eval_count": n, "eval_duration": 3e6})
		}
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// TestSecretsStayOut: a run against a server that demands a login and a token ends well, and neither is in what it
// wrote or said; a resume asks the environment for them.
func TestSecretsStayOut(t *testing.T) {
	host := guardedOllama(t)
	const cfg = `gen_tokens: 4
replicates: 1
repetitions: 2
cell_timeout_s: 60
probe: false
scenarios: [{name: s, prompt: Hello}, {name: t, prompt: Bye}]
# not http://alice:s3same@old
backends: [{name: server, kind: ollama, dtype: f32, import: true, url: "%s"}]
models: [{name: m, source: "synth:gpt2-1m"}]
`
	dir := filepath.Join(t.TempDir(), "run")
	said := ""
	llmscale := func(args ...string) int {
		t.Helper()
		code, stdout, stderr := llmscale(append([]string{"--verbose"}, args...)...)
		said += stdout + stderr
		return code
	}
	path := writeFile(t, "secret.yaml", fmt.Sprintf(cfg, "http://alice:s3same@"+host+"?key=t0ken"))
	// A first session without the right token fails, and has everything to say that can be said.
	wrong := writeFile(t, "wrong.yaml", fmt.Sprintf(cfg, "http://alice:s3same-not@"+host+"?key=t0ken"))
	failed := filepath.Join(t.TempDir(), "failed")
	if code := llmscale("sweep", "--config", wrong, "--models-dir", sharedModels, "--out", failed); code != exitFailedCells {
		t.Errorf("a wrong login: exit code %d:\n%s", code, said)
	}
	if code := llmscale("sweep", "--config", path, "--models-dir", sharedModels, "--scenarios", "s,t", "--out", dir); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, said)
	}
	for _, r := range readRuns(t, dir) {
		if r.Status != record.StatusOK || *r.OllamaURL != "http://"+host {
			t.Fatalf("%s: %s from %v: %v", r.CellID, r.Status, r.OllamaURL, r.Error)
		}
	}

	said += "\n--- resumed\n"
	if code := llmscale("run", "--resume", failed); code != exitUsage || !strings.Contains(said, "LLMSCALE_URL_LOGIN is not set") {
		t.Errorf("resumed without the environment: exit code %d:\n%s", code, said)
	}
	t.Setenv("LLMSCALE_URL_LOGIN", "alice:s3same")
	t.Setenv("LLMSCALE_URL_QUERY", "key=t0ken")
	if code := llmscale("sweep", "--resume", failed); code != exitDone {
		t.Errorf("resumed: exit code %d:\n%s", code, said)
	}
	t.Setenv("OLLAMA_HOST", "http://alice:s3same@"+host+"?key=t0ken")
	if code := llmscale("doctor"); code != exitDone || !strings.Contains(said, "version 0.24.0 at http://"+host) {
		t.Errorf("doctor: exit code %d:\n%s", code, said)
	}

	texts := map[string]string{"stdout and stderr": said}
	for _, root := range []string{dir, failed} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			texts[path] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range texts {
		for _, secret := range []string{"s3same", "t0ken", "YWxpY2U6"} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s holds %q: ...%s", name, secret, text[max(0, i-80):i+len(secret)])
			}
		}
	}
	if len(texts) < 20 {
		t.Errorf("only %d files", len(texts))
	}
}
