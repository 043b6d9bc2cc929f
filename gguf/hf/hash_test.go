package hf

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"llmscale/gguf/hf/hftest"
)

// TestContentHash holds the hash against its definition, and against changes of each file.
func TestContentHash(t *testing.T) {
	f := hftest.New(hftest.Shape{Layers: 1})
	dir := f.Write(t, "m")
	hftest.WriteJSON(t, dir, "tokenizer_config.json", map[string]any{"add_bos_token": false})
	hftest.WriteFile(t, dir, "README.md", []byte("not read"))

	hash := func() string {
		t.Helper()
		h, err := open(t, dir).ContentHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	want := sha256.New()
	size := int64(0)
	for _, name := range []string{"config.json", "merges.txt", "model.safetensors", "tokenizer_config.json", "vocab.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(want, "%s%s%s%s", binary.LittleEndian.AppendUint64(nil, uint64(len(name))), name, binary.LittleEndian.AppendUint64(nil, uint64(len(b))), b)
		size += int64(len(b))
	}
	first := hash()
	if first != hex.EncodeToString(want.Sum(nil)) {
		t.Errorf("hash %s, want %x", first, want.Sum(nil))
	}
	m, last := open(t, dir), int64(0)
	if _, err := m.ContentHash(func(done, total int64) { last = done }); err != nil || last != size {
		t.Errorf("progress ends at %d of %d bytes, %v", last, size, err)
	}

	hftest.WriteFile(t, dir, "README.md", []byte("changed"))
	hftest.WriteFile(t, dir, "pytorch_model.bin", []byte("not read either"))
	if hash() != first {
		t.Error("files that are not read change the hash")
	}
	seen := map[string]string{first: "nothing"}
	for name, change := range map[string]func(){
		"a weight": func() {
			f.Tensors[3].Data[0]++
			hftest.WriteFile(t, dir, "model.safetensors", hftest.Safetensors(f.Tensors))
		},
		"a setting":      func() { f.Config["layer_norm_epsilon"] = 1e-6; hftest.WriteJSON(t, dir, "config.json", f.Config) },
		"one more file":  func() { hftest.WriteJSON(t, dir, "special_tokens_map.json", map[string]any{}) },
		"one file fewer": func() { os.Remove(filepath.Join(dir, "tokenizer_config.json")) },
	} {
		change()
		h := hash()
		if other, ok := seen[h]; ok {
			t.Errorf("%s gives the hash of %s", name, other)
		}
		seen[h] = name
	}
	if err := os.Truncate(filepath.Join(dir, "vocab.json"), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a cut vocabulary is accepted")
	}
}

// TestMatches knows its own file from others, and gives the same bytes twice.
func TestMatches(t *testing.T) {
	f := hftest.New(hftest.Shape{Layers: 1})
	dir := f.Write(t, "a b~ü")
	m := open(t, dir)
	name, err := m.FileName("q8_0")
	if err != nil || !strings.HasPrefix(name, "a-b---hf1-") || !strings.HasSuffix(name, "-q8_0.gguf") {
		t.Errorf("file name %q, %v", name, err)
	}
	path, again := filepath.Join(t.TempDir(), name), filepath.Join(t.TempDir(), name)
	if m.Matches(path, "q8_0") {
		t.Error("a file that is not there matches")
	}
	for _, p := range []string{path, again} {
		if err := m.Write(p, Options{Type: "q8_0"}); err != nil {
			t.Fatal(err)
		}
	}
	a, errA := os.ReadFile(path)
	b, errB := os.ReadFile(again)
	if err := errors.Join(errA, errB); err != nil || !bytes.Equal(a, b) {
		t.Errorf("the second file has other bytes, %v", err)
	}
	if !m.Matches(path, "q8_0") || m.Matches(path, "f16") {
		t.Error("the file does not match, or matches another type")
	}
	f.Tensors[0].Data[0]++
	hftest.WriteFile(t, dir, "model.safetensors", hftest.Safetensors(f.Tensors))
	if open(t, dir).Matches(path, "q8_0") {
		t.Error("the file matches other weights")
	}
	hftest.WriteFile(t, filepath.Dir(path), name, a[:len(a)-1])
	if m.Matches(path, "q8_0") {
		t.Error("a cut file matches")
	}
}

func TestName(t *testing.T) {
	base := t.TempDir()
	for path, want := range map[string]string{
		"gpt2-small": "gpt2-small",
		"models--openai-community--gpt2/snapshots/607a30d7": "gpt2",
		"models--gpt2/snapshots/607a30d7":                   "gpt2",
		"snapshots/607a30d7":                                "607a30d7",
	} {
		if got, err := modelName(filepath.Join(base, path) + "/"); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	t.Chdir(base)
	if got, err := modelName("."); got != filepath.Base(base) || err != nil {
		t.Errorf("the current folder: %q, %v", got, err)
	}
}

// TestMemoryIsFlat converts 15 MB of weights: what is allocated in all, freed or not, must stay below half of that.
func TestMemoryIsFlat(t *testing.T) {
	dir := hftest.New(hftest.Shape{Layers: 2, Width: 64, Context: 60_000}).Write(t, "m")
	m := open(t, dir)
	if _, err := m.ContentHash(nil); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := m.Write(filepath.Join(t.TempDir(), "m.gguf"), Options{Type: "f16"}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	n := after.TotalAlloc - before.TotalAlloc
	t.Logf("%.1f MiB allocated", float64(n)/(1<<20))
	if n > 7<<20 {
		t.Errorf("%.1f MiB allocated", float64(n)/(1<<20))
	}
}
