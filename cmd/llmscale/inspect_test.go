package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/inspect"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
)

// writeStore makes an Ollama store with one model, tiny-gpt2, under the name small:f16.
func writeStore(t *testing.T) (root string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "model.gguf")
	s, err := synth.Lookup("tiny-gpt2")
	if err == nil {
		err = synth.Write(file, s, synth.Options{Type: "f16", Seed: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	return writeStoreOf(t, file)
}

// writeStoreOf makes one of another file.
func writeStoreOf(t *testing.T, file string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, dir := range []string{"blobs", "manifests/registry.ollama.ai/library/small"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	blob := func(kind, content string) string {
		digest := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
		if err := os.WriteFile(filepath.Join(root, "blobs", "sha256-"+digest), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"mediaType":"application/vnd.ollama.image.%s","digest":"sha256:%s","size":%d}`, kind, digest, len(content))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf(`{"schemaVersion":2,"config":%s,"layers":[%s,%s]}`,
		blob("config", `{"model_format":"gguf","model_family":"gpt2","model_type":"102.71K","file_type":"F16"}`), blob("model", string(data)), blob("license", "free"))
	if err := os.WriteFile(filepath.Join(root, "manifests/registry.ollama.ai/library/small/f16"), []byte(manifest), 0o666); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestInspectOllama(t *testing.T) {
	root := writeStore(t)
	t.Setenv("OLLAMA_MODELS", root)
	code, stdout, stderr := llmscale("inspect", "ollama:small:f16")
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"small:f16 in " + root + ": gpt2, 102.71K, F16", "  license", "sha256:", "output head", "total"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	code, stdout, stderr = llmscale("inspect", "--json", "--context", "300", "ollama:small:f16")
	var out inspect.Model
	if err := json.Unmarshal([]byte(stdout), &out); code != exitDone || err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, stderr)
	}
	if out.Ollama == nil || out.Ollama.Path != out.File || len(out.Ollama.Layers) != 3 || out.Description.ParamsTotal != 102_714 || out.Memory.Context != 512 {
		t.Errorf("%+v", out)
	}
	var sum int64
	for _, c := range out.Components {
		sum += c.Bytes
	}
	if sum != out.Description.WeightBytes || sum == 0 {
		t.Errorf("the components have %d bytes, the weights %d", sum, out.Description.WeightBytes)
	}
	for model, want := range map[string]string{"ollama:smal:f16": "did you mean small:f16?", "ollama:": "is no model name", "ollama:a b": "is no model name"} {
		code, stdout, stderr := llmscale("inspect", model)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %q", model, code, stderr)
		}
	}
}

func TestInspectMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	s, err := synth.Lookup("shape:gemma3-270m")
	if err != nil {
		t.Fatal(err)
	}
	if err := synth.Write(path, s.WithLayers(7).WithVocab(1024), synth.Options{Type: "q4_0", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	memory := func(flags ...string) ledger.Memory {
		t.Helper()
		code, stdout, stderr := llmscale(append(append([]string{"inspect", "--json", "--context", "4096"}, flags...), path)...)
		var out inspect.Model
		if err := json.Unmarshal([]byte(stdout), &out); code != exitDone || err != nil {
			t.Fatalf("%v: exit code %d, %v: %s", flags, code, err, stderr)
		}
		return out.Memory
	}
	plain := memory("--llama", "newest")
	if plain.Context != 4096 || plain.UBatch != 512 || plain.KVWindow != 6*plain.KVFull {
		t.Errorf("%+v", plain)
	}
	for _, c := range []struct {
		flags []string
		holds func(m ledger.Memory) bool
	}{
		{[]string{"--ubatch", "64"}, func(m ledger.Memory) bool { return m.UBatch == 64 && m.Compute < plain.Compute }},
		{[]string{"--batch", "32"}, func(m ledger.Memory) bool { return m.UBatch == 32 }},
		{[]string{"--kv-type", "q8_0"}, func(m ledger.Memory) bool { return m.KV == plain.KV/2/32*34 }},
		{[]string{"--flash-attn", "off"}, func(m ledger.Memory) bool { return m.Compute > plain.Compute }},
		{[]string{"--window-cache"}, func(m ledger.Memory) bool { return m.KVWindow == plain.KVWindow/4 && m.WindowCells == 1024 }},
		{[]string{"--no-repack"}, func(m ledger.Memory) bool { return m.Repacked == 0 && m.Resident == m.Total }},
		{[]string{"--no-mmap"}, func(m ledger.Memory) bool { return m.Resident == m.Total }},
		{[]string{"--llama", "ollama"}, func(m ledger.Memory) bool { return m.Compute != plain.Compute && m.KV == plain.KV }},
	} {
		if m := memory(c.flags...); !c.holds(m) {
			t.Errorf("%v: %+v, without %+v", c.flags, m, plain)
		}
	}
	for want, args := range map[string][]string{"want newest or ollama": {"--llama", "old", path}, "want on or off": {"--flash-attn", "maybe", path}, "no tensor type": {"--kv-type", "q9", path}, "want 0 to 2^40": {"--context", "-1", path}} {
		if code, stdout, stderr := llmscale(append([]string{"inspect"}, args...)...); code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %q", args, code, stderr)
		}
	}
}

// A model that cannot be measured is told as that before anything is.
func TestInspectAndDryRunOfARefusedModel(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.gguf")
	if err := synth.Write(own, synth.GPT2("own", 2, 32, 2), synth.Options{Type: "f16", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	embeds := gguftest.Alter(t, own, func(v map[string]any, _ []gguf.Spec) []gguf.Spec {
		v["gpt2.attention.causal"] = false
		return nil
	})
	code, stdout, _ := llmscale("inspect", embeds)
	if code != exitDone || !strings.Contains(stdout, "cannot be measured") || strings.Count(stdout, "not causal") != 1 {
		t.Errorf("inspect: exit code %d:\n%s", code, stdout)
	}
	if _, stdout, _ = llmscale("inspect", own, embeds); strings.Count(stdout, "not causal") != 1 {
		t.Errorf("inspect of several says the reason more than once, or not:\n%s", stdout)
	}
	if _, stdout, _ = llmscale("inspect", own); strings.Contains(stdout, "cannot be measured") {
		t.Errorf("inspect of a model that can be measured:\n%s", stdout)
	}
	cfg := writeFile(t, "c.yaml", sweepOf(embeds))
	code, stdout, stderr := llmscale("run", "--config", cfg, "--dry-run")
	if code != exitDone || !strings.Contains(stdout, "refused: "+embeds+" cannot be measured: its attention is not causal") {
		t.Errorf("dry run: exit code %d:\n%s%s", code, stdout, stderr)
	}
}
