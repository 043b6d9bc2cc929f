package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf/synth"
	"llmscale/native"
)

// TestProfileBadInput: what cannot be profiled is one sentence, exit code 2, and no folder.
func TestProfileBadInput(t *testing.T) {
	p, err := synth.Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "own.gguf")
	if err := synth.Write(own, p, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no model":              {nil, "takes one argument"},
		"two models":            {[]string{"synth:tiny-gpt2", "--model", own}, "not both"},
		"a whole ladder":        {[]string{"ladder:llama"}, "choose one, for example ladder:llama/"},
		"an unknown shape":      {[]string{"synth:gpt2-5mx"}, "did you mean"},
		"an unknown type":       {[]string{"synth:tiny-gpt2", "--dtype", "q9_0"}, "--dtype: must be"},
		"a type for a file":     {[]string{own, "--dtype", "q4_0"}, "leave out --dtype"},
		"an unknown device":     {[]string{own, "--device", "gpu"}, "--device"},
		"layers without a GPU":  {[]string{own, "--gpu-layers", "4"}, "--gpu-layers: must be 0 on device cpu"},
		"no prompt":             {[]string{own, "--prompt-tokens", "0"}, "--prompt-tokens"},
		"no repetitions":        {[]string{own, "--repetitions", "0"}, "--repetitions"},
		"more than positions":   {[]string{own, "--prompt-tokens", "5000"}, "positions"},
		"a file that is not":    {[]string{filepath.Join(t.TempDir(), "none.gguf")}, "there is no file"},
		"no CUDA in this build": {[]string{own, "--device", "cuda"}, "built"},
	} {
		if name == "no CUDA in this build" && native.HasGPU() {
			continue
		}
		code, stdout, stderr := llmscale(append([]string{"profile", "-o", out}, c.args...)...)
		if code != exitUsage || !strings.Contains(stderr, c.want) || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q; want code 2 and one line with %q", name, code, stdout, stderr, c.want)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a folder was made for nothing")
	}
	if !native.Built {
		if code, _, stderr := llmscale("profile", own); code != exitUsage || !strings.Contains(stderr, "built without llama.cpp") {
			t.Errorf("without llama.cpp: exit code %d, %q", code, stderr)
		}
	}
}
