package archs

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
)

// Models is All for a test.
func Models(t testing.TB) []Model {
	t.Helper()
	models, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return models
}

// Told is Accounts for a test.
func Told(t testing.TB, rules ledger.Rules) map[string]Account {
	t.Helper()
	accounts, err := Accounts(rules)
	if err != nil {
		t.Fatal(err)
	}
	return accounts
}

// Random writes the model with random weights, for a test, and returns its path.
func (m *Model) Random(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	empty, path := filepath.Join(dir, "empty.gguf"), filepath.Join(dir, "m.gguf")
	if err := m.Write(empty); err != nil {
		t.Fatal(err)
	}
	// A twin takes over the factors that angles are divided by, which must not be zero.
	f, err := gguf.Open(empty)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := os.OpenFile(empty, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, x := range f.Tensors {
		if !strings.HasPrefix(x.Name, "rope_f") && !strings.Contains(x.Name, ".rope_f") {
			continue
		}
		ones := bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, int(x.Elements))
		if _, err := w.WriteAt(ones, x.Offset); err != nil {
			t.Fatal(err)
		}
	}
	twin, err := synth.OpenTwin(empty)
	if err != nil {
		t.Fatal(err)
	}
	if err := synth.Write(path, twin, synth.Options{Seed: 2}); err != nil {
		t.Fatal(err)
	}
	return path
}
