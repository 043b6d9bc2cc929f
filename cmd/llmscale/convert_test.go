package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/hf/hftest"
	"llmscale/gguf/ledger"
)

func TestConvert(t *testing.T) {
	dir := hftest.New(hftest.Shape{}).Write(t, "my-model")
	t.Chdir(t.TempDir())

	code, stdout, stderr := llmscale("convert", "--hf", dir, "--dry-run", "--type", "q8_0")
	if code != exitDone || !strings.HasPrefix(stdout, "my-model-q8_0.gguf\t") {
		t.Fatalf("dry run: exit code %d, %q, %q", code, stdout, stderr)
	}
	if left, _ := os.ReadDir("."); len(left) > 0 {
		t.Errorf("the dry run leaves %v", left)
	}

	path := "m.gguf"
	code, stdout, stderr = llmscale("convert", "--hf", dir, "--type", "q8_0", "-o", path)
	if code != exitDone || strings.TrimSpace(stdout) != path || !strings.Contains(stderr, "writing "+path) {
		t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x, ok := f.Tensor("blk.1.ffn_down.weight"); !ok || x.Type != gguf.Q8_0 {
		t.Errorf("%+v", x)
	}

	if code, _, stderr = llmscale("convert", "--hf", dir, "-o", path); code != exitUsage || !strings.Contains(stderr, "m.gguf exists") {
		t.Errorf("a file is replaced unasked: exit code %d, %q", code, stderr)
	}
	if code, _, stderr = llmscale("convert", "--hf", dir, "-o", path, "--type", "bf16", "--force"); code != exitDone {
		t.Errorf("with --force: exit code %d, %q", code, stderr)
	}

	if code, stdout, stderr = llmscale("convert", "--hf", dir); code != exitDone || strings.TrimSpace(stdout) != "my-model-f32.gguf" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// TestConvertBadInput asks for one clear line, exit code 2 and nothing left behind.
func TestConvertBadInput(t *testing.T) {
	good := hftest.New(hftest.Shape{}).Write(t, "good")
	f := hftest.New(hftest.Shape{})
	f.Config["activation_function"] = "relu"
	relu := f.Write(t, "relu")
	f = hftest.New(hftest.Shape{})
	f.Tensor(t, "transformer.h.1.mlp.c_fc.weight").Data[65] = 1e6
	large := f.Write(t, "large")
	weights, err := os.ReadFile(filepath.Join(good, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no folder", nil, "--hf FOLDER"},
		{"a stray argument", []string{"--hf", good, "x.gguf"}, `no argument "x.gguf"`},
		{"a missing folder", []string{"--hf", "absent"}, "absent"},
		{"a file", []string{"--hf", filepath.Join(good, "config.json")}, "it is no folder"},
		{"a wrong type", []string{"--hf", good, "--type", "q4_0"}, "want f32, f16, bf16 or q8_0"},
		{"an activation", []string{"--hf", relu}, `field "activation_function": it is "relu"; want "gelu_new"`},
		{"a weight beyond f16", []string{"--hf", large, "--type", "f16"}, `tensor "transformer.h.1.mlp.c_fc.weight": element [0,65] is 1e+06; want at most 65504`},
		{"its own weights", []string{"--hf", good, "-o", filepath.Join(good, "model.safetensors")}, "one of the model's own files"},
		{"its own weights, though told to replace", []string{"--hf", good, "--force", "-o", filepath.Join(good, "model.safetensors")}, "one of the model's own files"},
		{"a missing folder", []string{"--hf", good, "-o", "missing/m.gguf"}, "there is no folder missing: make it first"},
		{"a device", []string{"--hf", good, "--force", "-o", "/dev/full"}, "/dev/full is a device"},
		{"below a file", []string{"--hf", good, "-o", filepath.Join(good, "config.json", "m.gguf")}, "not a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := llmscale(append([]string{"convert"}, c.args...)...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			last := lines[len(lines)-1]
			if code != exitUsage || stdout != "" || !strings.Contains(last, c.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %q", code, stdout, stderr, c.want)
			}
			if left, _ := os.ReadDir("."); len(left) > 0 {
				t.Errorf("it leaves %v", left)
			}
		})
	}
	if now, err := os.ReadFile(filepath.Join(good, "model.safetensors")); err != nil || !bytes.Equal(now, weights) {
		t.Error("the weights were changed")
	}
}

// TestConvertIsDescribed compares what inspect says of the file with the folder.
func TestConvertIsDescribed(t *testing.T) {
	dir := hftest.New(hftest.Shape{Layers: 3, Width: 32, Heads: 2, Inner: 96, Context: 40, Vocab: 400}).Write(t, "shape")
	path := filepath.Join(t.TempDir(), "m.gguf")
	if code, _, stderr := llmscale("convert", "--hf", dir, "-o", path, "--type", "bf16"); code != exitDone {
		t.Fatal(stderr)
	}
	code, stdout, stderr := llmscale("inspect", "--json", path)
	if code != exitDone {
		t.Fatal(stderr)
	}
	var out struct {
		Description ledger.Description `json:"description"`
	}
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		t.Fatal(err)
	}
	const d, ff, params = 32, 96, (400+40)*32 + 3*(4*32*32+2*32*96+9*32+96) + 2*32
	g := out.Description
	if g.NLayer != 3 || g.NEmbd != d || g.NFF != ff || g.NHead != 2 || g.NCtxTrain != 40 || g.NVocab != 400 || g.ParamsTotal != params || !g.TiedHead || g.WeightType != "bf16" || g.Name != "shape" {
		t.Errorf("%+v, want %d parameters", g, params)
	}
}
