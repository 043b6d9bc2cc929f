//go:build native

package native

import (
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/ledger"
)

// TestLabels holds the table of general.file_type against the names that llama.cpp has for its numbers.
func TestLabels(t *testing.T) {
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	path := writeModel(t, preset(t, "tiny-gpt2").WithVocab(300), "f32")
	// How llama.cpp says what everybody else writes shorter.
	short := strings.NewReplacer("all F32", "F32", "Q2_K - Medium", "Q2_K", " - Small", "_S", " - Medium", "_M", " - Large", "_L", "IQ3_S mix", "IQ3_M", "MXFP4 MoE", "MXFP4_MOE")
	known := 0
	for n := range uint32(60) {
		one := gguftest.Alter(t, path, func(values map[string]any, _ []gguf.Spec) []gguf.Spec {
			values["general.file_type"] = n
			return nil
		})
		f, err := gguf.Open(one)
		if err != nil {
			t.Fatal(err)
		}
		label, err := ledger.LabelOf(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		m, err := Load(one, ModelParams{NoAlloc: true})
		if err != nil {
			t.Fatal(err)
		}
		says := m.Info().Description // "gpt2 0.1M Q4_K - Medium"
		m.Close()
		name := short.Replace(strings.SplitN(says, " ", 3)[2])
		name, _, _ = strings.Cut(name, " ")
		switch {
		case label == nil || label.Source != "general.file_type":
			if name != "unknown," {
				t.Errorf("%d: llama.cpp says %q, the table nothing", n, says)
			}
		case name == "unknown," && n > 38 && ledger.RulesOf(build.LlamaSource) == ledger.Ollama: // which is older than they are
		case label.Name != name:
			t.Errorf("%d: llama.cpp says %q, the table %s", n, says, label.Name)
		default:
			known++
		}
	}
	if known < 30 {
		t.Errorf("only %d numbers could be compared", known)
	}
}
