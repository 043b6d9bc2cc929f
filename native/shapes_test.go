//go:build native

package native

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"llmscale/gguf/synth"
)

// shallow returns the shape with the fewest layers that llama.cpp takes, a small
// vocabulary, of a mixture's experts only twice those that a token uses, and the
// feed-forward halved until there are 150 million parameters or it would no longer
// fill blocks of 32.
func shallow(s synth.Shape) synth.Shape {
	s = s.WithVocab(1024)
	if s.NExpert > 0 {
		s.NExpert = 2 * s.NExpertUsed
	}
	for layers := int64(1); ; layers++ {
		if _, err := synth.Preview(s.WithLayers(layers), synth.Options{}); err == nil || layers == s.NLayer {
			s = s.WithLayers(layers)
			break
		}
	}
	for s.Params() > 150_000_000 && s.NFF%64 == 0 {
		s.NFF /= 2
	}
	return s
}

// decodes loads the model and decodes n tokens after a prompt of random ones:
// all logits must be finite, and the tokens not all the same.
func decodes(t *testing.T, path string, n int) {
	t.Helper()
	m := load(t, path)
	c := newContext(t, m, ContextParams{NCtx: 512, Threads: 2})
	r := rand.New(rand.NewPCG(1, 2))
	prompt := make([]int32, 16)
	for i := range prompt {
		prompt[i] = r.Int32N(int32(m.Info().NVocab))
	}
	got, err := c.Measure(prompt, n)
	if err != nil {
		t.Fatal(err)
	}
	if !got.LogitsFinite {
		t.Error("logits are not finite")
	}
	different := map[int32]bool{}
	for _, id := range got.OutputIDs {
		different[id] = true
	}
	if len(different) < 2 {
		t.Errorf("token %d came %d times: a model that computes says more", got.OutputIDs[0], n)
	}
}

// TestShapes makes every published shape and a rung of the ladder in every type,
// at reduced depth and vocabulary; scripts/shapes does so at full size.
func TestShapes(t *testing.T) {
	if testing.Short() {
		t.Skip("writes some 8 GB")
	}
	shapes := synth.Shapes()
	rungs, err := synth.Rungs("llama", 0)
	if err != nil {
		t.Fatal(err)
	}
	shapes = append(shapes, rungs[4], preset(t, "gpt2"))
	path := filepath.Join(t.TempDir(), "m.gguf")
	for _, s := range shapes {
		s := shallow(s)
		for _, typ := range synth.Types() {
			if typ == "mxfp4" && s.NExpert == 0 {
				continue
			}
			t.Run(s.Label()+"/"+typ, func(t *testing.T) {
				defer os.Remove(path)
				if err := synth.Write(path, s, synth.Options{Type: typ, Seed: 1}); err != nil {
					t.Fatal(err)
				}
				decodes(t, path, 64)
			})
		}
	}
}

// TestTwins holds that the twin of a file loads and computes as its original
// does, for every architecture that there is to copy.
func TestTwins(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range append(synth.Shapes(), preset(t, "gpt2-5m")) {
		if seen[s.Arch] {
			continue
		}
		seen[s.Arch] = true
		t.Run(s.Arch, func(t *testing.T) {
			dir := t.TempDir()
			original, path := filepath.Join(dir, "m.gguf"), filepath.Join(dir, "twin.gguf")
			if err := synth.Write(original, shallow(s), synth.Options{Type: "q4_0", Seed: 1}); err != nil {
				t.Fatal(err)
			}
			twin, err := synth.OpenTwin(original)
			if err != nil {
				t.Fatal(err)
			}
			if err := synth.Write(path, twin, synth.Options{Seed: 2}); err != nil {
				t.Fatal(err)
			}
			decodes(t, path, 64)
			if a, b := load(t, original).Info(), load(t, path).Info(); a != b {
				t.Errorf("llama.cpp says of the original\n%+v\nand of the twin\n%+v", a, b)
			}
		})
	}
}
