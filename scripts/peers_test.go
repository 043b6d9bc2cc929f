// Package scripts holds tests of the scripts beside it.
package scripts

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPeersKnowsFilesByPath: llama-bench gets each model of the run, from wherever the
// script is called, and its lines name the file as the records do: two files of one
// name in different folders, one behind a link, one in parts, one with an odd name.
func TestPeersKnowsFilesByPath(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	root := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(root, "m/link.gguf")
	files := map[string][]string{ // by their names in the records
		"v1/m.gguf":            {put("a b/v1/m.gguf", "first")},
		"v2/m.gguf":            {put("a b/v2/m.gguf", "second")},
		"link.gguf":            {link},
		"p-00001-of-00002.ggu": {put("m/p-00001-of-00002.ggu", "part"), put("m/p-00002-of-00002.ggu", "of two")},
		"-ä [x].gguf":          {put("m/-ä [x].gguf", "odd")},
	}
	put("blobs/sha256-1", "linked")
	if err := os.Symlink("../blobs/sha256-1", link); err != nil {
		t.Fatal(err)
	}
	// It reads the file that it is given, as the real one does, and says what it was.
	bench := put("bench", `#!/bin/sh
printf '{"model_filename": "%s", "content": "%s", "samples_ns": [1000000]}\n' "$2" "$(cat -- "$2")"
`)
	var entries []map[string]any
	var runs strings.Builder
	for file, paths := range files {
		var content []byte
		for _, p := range paths {
			data, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			content = append(content, data...)
		}
		sum := fmt.Sprintf("%x", sha256.Sum256(content))
		entries = append(entries, map[string]any{"model": file, "source": file, "file": file, "paths": paths, "sha256": sum})
		line, err := json.Marshal(map[string]any{"model": file, "model_file": file, "model_sha256": sum, "mode": "prefill", "backend": "b", "backend_kind": "native",
			"status": "ok", "is_warmup": false, "device": "cpu", "n_threads": 1, "n_threads_batch": 1, "n_gpu_layers": 0, "flash_attn": "auto", "n_batch": 1, "n_ubatch": 1,
			"kv_type_k": "f16", "kv_type_v": "f16", "use_mmap": true, "prompt_tokens_raw": 4, "gen_tokens_raw": 4, "prefill_ms": 1})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&runs, "%s\n", line)
	}
	manifest, err := json.Marshal(map[string]any{"run_state": "completed", "repetitions": 1, "seed": "1", "model_files": entries,
		"resolved": map[string]any{"models": []any{}, "backends": []any{map[string]any{"name": "b"}}}})
	if err != nil {
		t.Fatal(err)
	}
	put("run/manifest.json", string(manifest))
	put("run/runs.jsonl", runs.String())

	script, err := filepath.Abs("peers_run.py")
	if err != nil {
		t.Fatal(err)
	}
	peers := func() (string, error) {
		cmd := exec.Command(python, script, "--run", "../run", "--llama-bench", bench)
		cmd.Dir = filepath.Join(root, "m")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := peers(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(root, "run/llama-bench.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for line := range strings.Lines(string(data)) {
		var l struct {
			Name    string `json:"model_filename"`
			Content string `json:"content"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Name+": "+l.Content)
	}
	for file, paths := range files {
		first, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, file+": "+string(first))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("measured\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// The second part of one model, and another model of the same name, are content too.
	put("m/p-00002-of-00002.ggu", "of 2!!")
	put("a b/v2/m.gguf", "first")
	if err := os.Remove(filepath.Join(root, "run/llama-bench.jsonl")); err != nil {
		t.Fatal(err)
	}
	out, err := peers()
	if err == nil || !strings.Contains(out, "p-00001-of-00002.ggu is not the file") || !strings.Contains(out, "a b/v2/m.gguf is not the file") || strings.Contains(out, "v1/m.gguf is") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPeersRepeatsTheCall: llama-bench fills its cache as far as it was in the call, and repeats no batches.
func TestPeersRepeatsTheCall(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	const program = `import peers_run
call = dict(model_file="m.gguf", device="cpu", n_threads=2, n_threads_batch=1, n_gpu_layers=0, flash_attn="on", n_batch=8, n_ubatch=4, kv_type_k="f16",
    kv_type_v="f16", use_mmap=True, prompt_tokens_raw=3, gen_tokens_raw=5)
for more in {}, {"batch_size_config": 1, "depth": 100}, {"batch_size_config": 2, "depth": 0}:
    for mode in "prefill", "kv_decode", "e2e_kv":
        test = peers_run.Test.of(call | more | {"mode": mode})
        print(test and (test.prompt, test.gen, test.depth, test.threads))
`
	out, err := exec.Command(python, "-B", "-c", program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := "(3, 0, 0, 1)\n(0, 5, 3, 2)\nNone\n(3, 0, 100, 1)\n(0, 5, 103, 2)\nNone\nNone\nNone\nNone\n"
	if string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}
