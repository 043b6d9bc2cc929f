package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/native"
)

// nowhere is an environment in which no model is found.
func nowhere(t *testing.T) {
	t.Helper()
	for _, name := range []string{"XDG_CACHE_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "LLAMA_CACHE"} {
		t.Setenv(name, "")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("OLLAMA_MODELS", filepath.Join(home, "store"))
	if err := os.MkdirAll(filepath.Join(home, "store", "manifests"), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
}

// TestSourcesPlan: what a command line plans, by its flags as llama-bench has them, before and behind the sources.
func TestSourcesPlan(t *testing.T) {
	nowhere(t)
	file := filepath.Join(tinyFolder(t), "tiny.gguf")
	for _, c := range []struct {
		args []string
		want []string // in what is printed, blanks aside
		note string
	}{
		{[]string{file, "-p", "1,8", "-n", "4", "-t", "1", "-r", "2", "--replicates", "4"},
			[]string{"tiny cpu prompt_p", "1 model x 1 backend x 2 scenarios", "4 blocks", "gen 4 tokens", "(1 warm-up, 2 measured)"}, ""},
		{[]string{"-p", "8", "-n", "4,5", "-d", "0,16", filepath.Dir(file)}, []string{"p8_g4_d0", "p8_g5_d16", "1 model x 1 backend x 4 scenarios"}, "tiny  103 K parameters  F32"},
		{[]string{"ladder:llama", "--max-params", "10M", "--types", "f16,q8_0", file}, []string{"llama-5m cpu_f16 p512", "llama-9m cpu_q8_0 p512", "tiny cpu p512", "5 pairs of model and backend"}, "llama-9m"},
		{[]string{"ladder:llama/5m", "-b", "64", "-ub", "32", "-fa", "1", "-ctk", "q8_0", "-ctv", "q8_0", "-mmp", "0"}, []string{"llama-5m cpu_f16 p512"}, ""},
		{nil, []string{"gpt2-100m native_cpu_f32 medium,short,micro"}, "this is the default sweep"},
		{[]string{"-t", "1"}, []string{"gpt2-100m cpu_f16 p512"}, "the default sweep's models"},
		{[]string{"-r", "7"}, []string{"gpt2-100m native_cpu_f32", "7 measured"}, "this is the default sweep"},
		{[]string{"--quick", "ladder:llama"}, []string{"llama-5m cpu_f16 p128", "(1 warm-up, 2 measured), gen 32 tokens"}, "llama-1.2b: it takes about"},
	} {
		code, stdout, stderr := llmscale(append([]string{"sweep", "--dry-run"}, c.args...)...)
		printed := strings.Join(strings.Fields(stdout), " ")
		for _, want := range c.want {
			if code != exitDone || !strings.Contains(printed, want) {
				t.Errorf("%q: exit code %d, no %q in\n%s%s", c.args, code, want, stdout, stderr)
			}
		}
		if !strings.Contains(stderr, c.note) || c.note == "" && stderr != "" {
			t.Errorf("%q: want %q in\n%s", c.args, c.note, stderr)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("a plan left %v (%v)", left, err)
	}
	if native.Built {
		return
	}
	if code, _, stderr := llmscale("sweep", file); code != exitUsage || !strings.Contains(stderr, native.ErrNotBuilt.Error()) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// TestFoundModels: without a word the models of the current folder are planned, and listed first.
func TestFoundModels(t *testing.T) {
	nowhere(t)
	data, err := os.ReadFile(filepath.Join(tinyFolder(t), "tiny.gguf"))
	if err == nil {
		err = os.WriteFile("own.gguf", data, 0o666)
	}
	if err == nil {
		err = os.WriteFile("broken.gguf", data[:1000], 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := llmscale("run", "--dry-run")
	if code != exitDone || !strings.Contains(stdout, "own") || strings.Contains(stdout, "broken") {
		t.Errorf("exit code %d:\n%s", code, stdout)
	}
	for _, want := range []string{"1 model, smallest first:\n  own  103 K parameters", "this folder\n", "left out: ", "broken.gguf", "--quick takes two minutes"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in\n%s", want, stderr)
		}
	}
}
