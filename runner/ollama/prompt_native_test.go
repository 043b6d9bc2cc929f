//go:build native

package ollama

import (
	"path/filepath"
	"testing"

	"llmscale/gguf/synth"
	"llmscale/native"
)

// With the vocabulary and the tokeniser that the server would use too.
func TestPromptTextNative(t *testing.T) {
	gpt2, err := synth.Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	rungs, err := synth.Rungs("llama", 0)
	if err != nil {
		t.Fatal(err)
	}
	// Byte tokens alone: every text is as long as its bytes.
	for name, shape := range map[string]synth.Shape{"gpt2": gpt2, "llama": rungs[0], "bytes": gpt2.WithVocab(synth.MinVocab)} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name+".gguf")
			if err := synth.Write(path, shape, synth.Options{Type: "f16", Seed: 1}); err != nil {
				t.Fatal(err)
			}
			m, err := native.Load(path, native.ModelParams{Mmap: true})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			tokenize := func(text string) ([]int32, error) { return m.Tokenize(text, true) }
			around, err := tokenize("")
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{len(around) + 1, 16, 64, 511, 512, 1024} {
				first := map[string]bool{}
				for seed := range int64(4) {
					text, err := PromptText(tokenize, n, seed)
					if err != nil {
						t.Fatalf("%d tokens, seed %d: %v", n, seed, err)
					}
					if ids, err := tokenize(text); err != nil || len(ids) != n {
						t.Fatalf("%d tokens, seed %d: %q has %d (%v)", n, seed, text, len(ids), err)
					}
					first[text] = true
				}
				if n >= 16 && len(first) != 4 {
					t.Errorf("%d tokens: %d different texts of 4 seeds", n, len(first))
				}
			}
		})
	}
}
