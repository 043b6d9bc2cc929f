package main

import (
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf/archs"
)

// TestInspectArchitectures: inspect of a model of any architecture says what a reader of its figures must know: what is
// not read, what is kept beside the cache, what is an estimate, and why it cannot be measured.
func TestInspectArchitectures(t *testing.T) {
	models := archs.Models(t)
	want := map[string]string{
		"mamba":                     "of recurrent layers, for one sequence",
		"glm4moe prediction layers": "those of layers that predict further tokens",
		"deepseek2 mla":             "the compute buffer of this architecture is an estimate",
		"bert":                      "it only embeds",
		"qwen3":                     "those for classes and embeddings",
		"llama":                     "",
	}
	for i := range models {
		m := &models[i]
		part, ok := want[m.Name()]
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := m.Write(path); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := llmscale("inspect", path)
		if code != exitDone || ok && !strings.Contains(stdout, part) {
			t.Errorf("%s: exit code %d, %s\n%s\nwant %q", m.Name(), code, stderr, stdout, part)
		}
		if m.Name() == "llama" && (strings.Contains(stdout, "note ") || strings.Contains(stdout, "state ")) {
			t.Errorf("an ordinary model has notes:\n%s", stdout)
		}
	}
}
