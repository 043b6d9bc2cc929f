//go:build native

package native

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf/hf"
	"llmscale/gguf/hf/hftest"
)

// convert converts a Hugging Face folder and loads the result.
func convert(t *testing.T, dir, typ string) *Model {
	t.Helper()
	folder, err := hf.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := folder.Write(path, hf.Options{Type: typ}); err != nil {
		t.Fatal(err)
	}
	return load(t, path)
}

// ofFolder makes the reference model of a folder's own tensors. The weights of a
// Conv1D, which stand there as [in][out], are turned around here.
func ofFolder(f *hftest.Folder, s hftest.Shape, epsilon float64) *gpt2 {
	names := strings.NewReplacer("transformer.", "", "h.", "blk.", "wte", "token_embd", "wpe", "position_embd", "ln_f", "output_norm", "lm_head", "output",
		"ln_1", "attn_norm", "ln_2", "ffn_norm", "attn.c_attn", "attn_qkv", "attn.c_proj", "attn_output", "mlp.c_fc", "ffn_up", "mlp.c_proj", "ffn_down")
	g := &gpt2{nLayer: int(s.Layers), nEmbd: int(s.Width), nHead: int(s.Heads), epsilon: epsilon, w: map[string][]float64{}}
	for _, x := range f.Tensors {
		v := make([]float64, len(x.Data))
		for i, w := range x.Data {
			at := i
			if len(x.Shape) == 2 && strings.Contains(x.Name, ".c_") {
				in, out := int(x.Shape[0]), int(x.Shape[1])
				at = i%out*in + i/out
			}
			v[at] = float64(w)
		}
		g.w[names.Replace(x.Name)] = v
	}
	g.reset()
	return g
}

// TestHFAgainstReference converts folders in both weight formats and both forms
// of the tokenizer, and holds llama.cpp's logits against the float64 model of the
// folder's tensors: for f32 within the tolerance of TestAgainstReference, for the
// others within some times what was seen.
func TestHFAgainstReference(t *testing.T) {
	shape := hftest.Shape{Layers: 3, Width: 96, Heads: 4, Context: 256, Seed: 11}
	prompt := []int32{5, 99, 0, 201, 285, 7, 7, 42}
	for name, c := range map[string]struct {
		dtype   string
		inner   int64
		epsilon float64
		write   func(t *testing.T, f *hftest.Folder) string
	}{
		"safetensors": {"F32", 0, 1e-5, func(t *testing.T, f *hftest.Folder) string { return f.Write(t, "m") }},
		"torch": {"F16", 160, 1e-2, func(t *testing.T, f *hftest.Folder) string {
			// A head of its own, tokenizer.json, masks, and rows without tokens.
			head := slices.Clone(f.Tensors[0].Data)
			slices.Reverse(head)
			f.Tensors = append(f.Tensors, hftest.Tensor{Name: "lm_head.weight", DType: "F16", Shape: f.Tensors[0].Shape, Data: head})
			dir := f.Write(t, "m")
			hftest.WriteJSON(t, dir, "tokenizer.json", f.TokenizerJSON())
			mask := hftest.Tensor{Name: "transformer.h.0.attn.bias", DType: "U8", Shape: []int64{1, 1, 1, 1}, Raw: []byte{1}}
			hftest.WriteFile(t, dir, "pytorch_model.bin", hftest.Torch(append(slices.Clone(f.Tensors), mask)))
			for _, name := range []string{"model.safetensors", "vocab.json", "merges.txt"} {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		}},
	} {
		s := shape
		s.DType, s.Inner, s.Vocab = c.dtype, c.inner, 300
		f := hftest.New(s)
		f.Config["layer_norm_epsilon"] = c.epsilon
		dir := c.write(t, f)
		ref := ofFolder(f, s, c.epsilon)
		var want [][]float64
		for _, id := range prompt {
			want = append(want, ref.next(id))
		}
		for typ, tolerance := range map[string]float64{"f32": 1e-3, "f16": 5e-3, "bf16": 3e-2, "q8_0": 8e-2} {
			t.Run(name+"/"+typ, func(t *testing.T) {
				ctx := newContext(t, convert(t, dir, typ), exact)
				rows, err := ctx.EvalAll(prompt)
				if err != nil {
					t.Fatal(err)
				}
				worst := 0.0
				for i := range prompt {
					worst = math.Max(worst, difference(rows[i], want[i]))
				}
				t.Logf("largest difference %.2g of the largest logit", worst)
				if !(worst <= tolerance) {
					t.Errorf("the logits differ from the reference by %.2g of the largest, want <= %g", worst, tolerance)
				}
			})
		}
	}
}

// TestHFAgainstTransformers converts gguf/hf's testdata/tiny, which transformers
// and torch wrote, and holds token ids and logits against what transformers made
// of the same texts, in float64.
func TestHFAgainstTransformers(t *testing.T) {
	const tiny, tolerance = "../gguf/hf/testdata/tiny", 1e-3
	data, err := os.ReadFile(filepath.Join(tiny, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected []struct {
		Text   string
		IDs    []int32
		Logits []float64
	}
	if err := json.Unmarshal(data, &expected); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]string{
		"safetensors": {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"},
		"torch":       {"config.json", "pytorch_model.bin", "vocab.json", "merges.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range files {
				b, err := os.ReadFile(filepath.Join(tiny, file))
				if err != nil {
					t.Fatal(err)
				}
				hftest.WriteFile(t, dir, file, b)
			}
			m := convert(t, dir, "f32")
			for _, e := range expected {
				ctx := newContext(t, m, exact)
				logits, err := ctx.Eval(e.IDs)
				if err != nil {
					t.Fatal(err)
				}
				if d := difference(logits, e.Logits); !(d <= tolerance) {
					t.Errorf("%q: the logits differ from transformers' by %.2g of the largest, want <= %g", e.Text, d, tolerance)
				}
				if strings.Contains(e.Text, "<|endoftext|>") {
					continue // in a text, Tokenize takes it for text
				}
				ids, err := m.Tokenize(e.Text, true)
				if err != nil || !slices.Equal(ids, e.IDs) {
					t.Errorf("%q: ids %v, %v; transformers has %v", e.Text, ids, err, e.IDs)
				}
				if back, err := m.Detokenize(e.IDs); back != e.Text || err != nil {
					t.Errorf("%q comes back as %q, %v", e.Text, back, err)
				}
			}
		})
	}
}

// TestHFVocabulary has a vocabulary with added tokens, a begin of text and rows
// without tokens: any text comes back, and what was added is one token.
func TestHFVocabulary(t *testing.T) {
	f := hftest.New(hftest.Shape{Layers: 1, Vocab: 300})
	n := int32(len(f.Tokens))
	dir := f.Write(t, "m")
	hftest.WriteJSON(t, dir, "added_tokens.json", map[string]any{"two words": n, "<|x|>": n + 1})
	hftest.WriteJSON(t, dir, "tokenizer_config.json", map[string]any{"add_bos_token": true, "additional_special_tokens": []string{"<|x|>"}})
	m := convert(t, dir, "f32")
	if info := m.Info(); info.NVocab != 300 {
		t.Errorf("%d tokens, want 300", info.NVocab)
	}
	every := []byte{}
	for c := range 256 {
		every = append(every, byte(c))
	}
	for _, text := range []string{"the model and its tokens", " größe: é  \n\n\t x", "世界", strings.ToValidUTF8(string(every), "")} {
		ids, err := m.Tokenize(text, false)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := m.Detokenize(ids); back != text || err != nil {
			t.Errorf("%q comes back as %q, %v", text, back, err)
		}
	}
	id := func(token string) int32 { return int32(slices.Index(f.Tokens, token)) }
	for text, want := range map[string][]int32{
		" the model":  {id("Ġthe"), id("Ġmodel")},
		" tokens":     {id("Ġto"), id("kens")},
		"Atwo wordsB": {id("A"), n, id("B")},
		"":            {},
	} {
		ids, err := m.Tokenize(text, true)
		if want = append([]int32{n - 1}, want...); err != nil || !slices.Equal(ids, want) {
			t.Errorf("%q: ids %v, %v; want %v", text, ids, err, want)
		}
	}
	if _, err := newContext(t, m, ContextParams{NCtx: 256}).Eval([]int32{n, n + 1, 299}); err != nil {
		t.Error(err)
	}
}
