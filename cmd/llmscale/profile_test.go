package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis/profile"
	"llmscale/cuda/cupti"
	"llmscale/gguf/synth"
	"llmscale/native"
	"llmscale/runner/files"
	"llmscale/runner/protocol"
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

// TestInputOfRecords: what CUPTI recorded is what the profile counts, in the windows of the trace's steps.
func TestInputOfRecords(t *testing.T) {
	trace := &native.Trace{Steps: []native.TraceStep{{StartNS: 1000, EndNS: 2000, Tokens: 8}, {StartNS: 3000, EndNS: 4000, Tokens: 1}}}
	in := inputOfRecords(trace, &cupti.Records{
		Activities: []cupti.Activity{
			{Kind: cupti.Kernel, Name: "gemm", StartNS: 1100, EndNS: 1500, Stream: 7, Grid: [3]int{4, 1, 1}, Registers: 32},
			{Kind: cupti.Memcpy, Copy: "host to device", StartNS: 3000, EndNS: 3100, Stream: 7, Bytes: 4},
			{Kind: cupti.Kernel, Name: "matvec", StartNS: 3200, EndNS: 3600, Stream: 7, Graph: 2, GraphNode: 9},
			{Kind: cupti.Memset, StartNS: 3700, EndNS: 3800, Stream: 8, Bytes: 64},
		},
		Dropped: 1, Untimed: 2, ClockErrorNS: 3,
	})
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	if p.DroppedRecords != 1 || p.UntimedRecords != 2 || p.ClockErrorNS != 3 || p.Complete {
		t.Errorf("%+v", p)
	}
	dec := p.Phases[1]
	if len(dec.Rows) != 1 || dec.Rows[0].Name != "matvec" || len(dec.Copies) != 2 || dec.Copies[0].Name+dec.Copies[1].Name != "host to device" {
		t.Errorf("decode's kernels %+v and copies %+v", dec.Rows, dec.Copies)
	}
	if d := in.Activities[2].Details; d["graph_node"] != uint64(9) || d["registers_per_thread"] != 0 {
		t.Errorf("a graph's kernel: %v", d)
	}
	if _, in := in.Activities[0].Details["graph_node"]; in {
		t.Error("a kernel outside any graph has a node")
	}
}

// A profile is of the file that was hashed, as a measurement is.
func TestProfileIsOfTheHashedFile(t *testing.T) {
	path := writeFile(t, "m.gguf", "GGUF")
	task := profileTask{Load: protocol.LoadSpec{ModelFile: path, Files: []files.ID{{Path: path, Inode: 1, Size: 4}}}}
	if _, err := doProfileTask(&task); err == nil || !strings.Contains(err.Error(), path+" was replaced") {
		t.Errorf("%v", err)
	}
}
