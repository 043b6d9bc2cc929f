//go:build native

package native

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"llmscale/gguf"
	"llmscale/gguf/synth"
	"llmscale/runner/protocol"
)

// check runs the self-check of a model as a load does, with several prompts; the relative L2 of each, sorted.
func check(t *testing.T, path string, p ContextParams, prompts int) (rel []float64) {
	t.Helper()
	m := load(t, path)
	defer m.Close()
	c := newContext(t, m, p)
	defer c.Close()
	for seed := range int64(prompts) {
		s, err := c.SelfCheck(protocol.DrawPrompt(seed, protocol.SelfCheckTokens, m.Info().NVocab), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if s.Tokens != protocol.SelfCheckTokens || !s.Finite {
			t.Fatalf("%+v", s)
		}
		rel = append(rel, s.RelL2)
	}
	slices.Sort(rel)
	return rel
}

func TestSelfCheck(t *testing.T) {
	m := load(t, writeModel(t, smallModel, "q8_0"))
	c := newContext(t, m, ContextParams{NCtx: 64, Threads: 1})
	prompt := drawTokens(40, int64(m.Info().NVocab))
	before, err := c.Eval(prompt[:7]) // the check must start from an empty cache
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.SelfCheck(prompt, time.Minute)
	if err != nil || s.Tokens != 40 || !s.Finite || s.RelL2 > protocol.SelfCheckBound/4 {
		t.Errorf("%+v, %v", s, err)
	}
	after, err := c.Eval(prompt[:7]) // and leave it empty
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the check left something in the KV cache (%v)", err)
	}

	// Time for the first token alone, which has no batch to be compared with.
	if s, err := c.SelfCheck(prompt, 0); err != nil || s != (SelfCheck{Tokens: 1}) {
		t.Errorf("no time: %+v, %v", s, err)
	}
	for name, bad := range map[string][]int32{"longer than the context": drawTokens(257, 8), "none": {}, "outside the vocabulary": {1, int32(m.Info().NVocab)}} {
		if s, err := c.SelfCheck(bad, time.Minute); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// What is computed wrong is seen: here a batch in which the tokens came in the wrong order.
func TestSelfCheckSeesWrongResults(t *testing.T) {
	for _, shape := range []synth.Shape{preset(t, "gpt2-5m"), preset(t, "gpt2-25m")} {
		for _, typ := range []string{"f32", "q4_0"} {
			m := load(t, writeModel(t, shape, typ))
			c := newContext(t, m, ContextParams{NCtx: 64, Threads: 1})
			right := drawTokens(40, int64(m.Info().NVocab))
			wrong := slices.Clone(right)
			slices.Reverse(wrong)
			s, err := c.selfCheck(wrong, right, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if s.RelL2 <= protocol.SelfCheckBound {
				t.Errorf("%s %s: relative L2 %.2g, within the bound", shape.Label(), typ, s.RelL2)
			}
			t.Logf("%s %s: relative L2 %.2g", shape.Label(), typ, s.RelL2)
		}
	}
}

func rung(t *testing.T, i int) synth.Shape {
	t.Helper()
	rungs, err := synth.Rungs("llama", 0)
	if err != nil {
		t.Fatal(err)
	}
	return rungs[i]
}

func boundOf(s synth.Shape) float64 {
	if s.NExpert > 0 {
		return protocol.SelfCheckBoundMixture
	}
	return protocol.SelfCheckBound
}

// selfCheckShapes are what docs/measuring.md has figures of.
func selfCheckShapes(t *testing.T) []synth.Shape {
	find := func(name string, layers int64) synth.Shape {
		s, err := synth.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		return s.WithVocab(1024).WithLayers(layers)
	}
	mixture := find("shape:gpt-oss-20b", 24) // 32 experts, but narrow
	mixture.NEmbd, mixture.NHead, mixture.NHeadKV, mixture.NFF = 768, 12, 4, 256
	shapes := []synth.Shape{preset(t, "tiny-gpt2"), preset(t, "gpt2-25m"), rung(t, 0), rung(t, 3), find("shape:llama3.2-1b", 2)}
	if *allFigures {
		shapes = append(shapes, preset(t, "gpt2-100m"), find("shape:gemma3-270m", 18), mixture)
	}
	return shapes
}

var allFigures = flag.Bool("figures", false, "TestSelfCheckFigures: the large models too, a minute more")

// TestSelfCheckFigures prints how far a batch is from its tokens one by one, for each weight type and with flash attention
// on (auto) and off. docs/measuring.md has the table. Of a mixture of experts it is the nearest of six prompts that counts.
func TestSelfCheckFigures(t *testing.T) {
	most := map[string]float64{}
	for _, shape := range selfCheckShapes(t) {
		types, prompts, flash := []string{"f32", "f16", "bf16", "q8_0", "q4_0", "q4_K", "q6_K"}, 1, []string{"auto", "off"}
		if shape.NExpert > 0 {
			types, prompts, flash = []string{"f16", "q4_0", "q4_K"}, 6, flash[:1]
		}
		if shape.NEmbd < 32 { // heads of one element: without flash attention ggml ends the process
			flash = flash[:1]
		}
		if testing.Short() {
			types = []string{"f16", "q4_0"}
		}
		for _, typ := range types {
			t.Run(shape.Label()+"/"+typ, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "m.gguf")
				if err := synth.Write(path, shape, synth.Options{Type: typ, Seed: 1}); err != nil {
					t.Fatal(err)
				}
				defer os.Remove(path)
				row := ""
				for _, flash := range flash {
					rel := check(t, path, ContextParams{NCtx: 256, Threads: 2, FlashAttn: flash}, prompts)
					row += fmt.Sprintf(" %s %.1e", flash, rel)
					if shape.NExpert == 0 {
						most[typ] = max(most[typ], rel[0])
					}
					if bound := boundOf(shape); rel[0] > 0.7*bound {
						t.Errorf("relative L2 %.2g comes near the bound, %g", rel[0], bound)
					}
				}
				t.Logf("width %d, %d layers, %d experts:%s", shape.NEmbd, shape.NLayer, shape.NExpert, row)
			})
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(most)) {
		t.Logf("%s, dense: %.1e at most", typ, most[typ])
	}
}

// TestWrongWeightsFigures: a kernel that unpacks the first block of each row twice, in all matrices of q4_0 and in one alone.
func TestWrongWeightsFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("some minutes")
	}
	for _, shape := range selfCheckShapes(t) {
		if shape.NEmbd < 64 {
			continue
		}
		for _, stem := range []string{"", "blk.0.ffn_down.weight"} {
			dir := t.TempDir()
			right, wrong := filepath.Join(dir, "right.gguf"), filepath.Join(dir, "wrong.gguf")
			if err := synth.Write(right, shape, synth.Options{Type: "q4_0", Seed: 1}); err != nil {
				t.Fatal(err)
			}
			n := unpackTwice(t, right, wrong, stem)
			if n == 0 {
				continue
			}
			prompt := drawTokens(protocol.SelfCheckTokens, shape.NVocab)
			logits := func(path string) []float32 {
				m := load(t, path)
				defer m.Close()
				c := newContext(t, m, ContextParams{NCtx: 256, Threads: 2})
				defer c.Close()
				x, err := c.Eval(prompt)
				if err != nil {
					t.Fatal(err)
				}
				return x
			}
			s := compareLogits(logits(wrong), logits(right), len(prompt))
			t.Logf("%s, width %d, %d layers, %d matrices: relative L2 %.2g", shape.Label(), shape.NEmbd, shape.NLayer, n, s.RelL2)
			if stem == "" && s.RelL2 <= boundOf(shape) {
				t.Errorf("%s: relative L2 %.2g, within the bound", shape.Label(), s.RelL2)
			}
			os.Remove(right)
			os.Remove(wrong)
		}
	}
}

// unpackTwice copies a model and puts the first block of every 2048 weights of the matrices of that name ("": all of q4_0
// but the embedding) in the second one's place; it returns how many matrices there are.
func unpackTwice(t *testing.T, from, to, name string) (matrices int) {
	t.Helper()
	f, err := gguf.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	const block, group = 18, 2048 / 32 // bytes of a block of q4_0; blocks
	for _, x := range f.Tensors {
		if x.Type.String() != "q4_0" || name != "" && x.Name != name || x.Name == "token_embd.weight" {
			continue
		}
		matrices++
		w := data[x.Offset:][:x.Size]
		for i := 0; i+2*block <= len(w); i += block * group {
			copy(w[i+block:i+2*block], w[i:i+block])
		}
	}
	if err := os.WriteFile(to, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return matrices
}
