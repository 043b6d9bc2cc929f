package hf

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/hf/hftest"
	"llmscale/gguf/ledger"
)

// open opens a folder for the length of the test.
func open(t *testing.T, dir string) *Model {
	t.Helper()
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// converted converts a folder and opens the result.
func converted(t *testing.T, dir, typ string) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := open(t, dir).Write(path, Options{Type: typ}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func data(t *testing.T, f *gguf.File, name string) []byte {
	t.Helper()
	x, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	b, err := io.ReadAll(f.Data(x))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// copyFiles copies files of testdata/tiny, which transformers and torch wrote, into a folder of the test.
func copyFiles(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join("testdata/tiny", name))
		if err != nil {
			t.Fatal(err)
		}
		hftest.WriteFile(t, dir, name, b)
	}
	return dir
}

// TestRealFolder converts what transformers and torch wrote, by each of their formats. The hashes are over the names
// and data of the tensors, sorted by name, in what llama.cpp's own convert_hf_to_gguf.py (of llama-cpp-python 0.3.36)
// makes of testdata/tiny. It had to be told the pre-tokenizer, and that n_ctx is 32.
func TestRealFolder(t *testing.T) {
	for name, files := range map[string][]string{
		"safetensors": {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"},
		"torch":       {"config.json", "pytorch_model.bin", "vocab.json", "merges.txt"},
	} {
		dir := copyFiles(t, files...)
		for typ, want := range map[string]string{
			"f32":  "aa2f3aabde5d7c76d9ed47063c76151ed951d07a1baf7d57c56ac2e0c2d83572",
			"f16":  "96824f32e71d459fe2fc573a02b5a4d1df8a77210608a8f2ac3b764a8c5d07ea",
			"bf16": "94bb09282bececaf6026b97155a4224cff6af636b2e60cc1130a67682e713db4",
			"q8_0": "4e06d90473d1ff537694dd7b8d82434edbd907d7f7d31d723353d573a0dbe6e3",
		} {
			t.Run(name+"/"+typ, func(t *testing.T) {
				f := converted(t, dir, typ)
				h := sha256.New()
				for _, x := range slices.SortedFunc(slices.Values(f.Tensors), func(a, b gguf.Tensor) int { return strings.Compare(a.Name, b.Name) }) {
					io.WriteString(h, x.Name)
					h.Write(data(t, f, x.Name))
				}
				if got := hex.EncodeToString(h.Sum(nil)); got != want {
					t.Errorf("hash %s, want %s", got, want)
				}
				tokens, err := f.Strings("tokenizer.ggml.tokens")
				if err != nil || len(tokens) != 282 || tokens[0] != "<|endoftext|>" || tokens[281] != "Ġmodel" {
					t.Errorf("%d tokens, %v", len(tokens), err)
				}
				merges, err := f.Strings("tokenizer.ggml.merges")
				if err != nil || len(merges) != 25 || merges[24] != "Ġmode l" {
					t.Errorf("%d merges, %v", len(merges), err)
				}
				for _, key := range []string{"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"} {
					if id, err := f.Int(key); id != 0 || err != nil {
						t.Errorf("%s is %d, %v", key, id, err)
					}
				}
				fallback, err := f.Strings("llmscale.fallback_tensors")
				if typ == "q8_0" && (err != nil || len(fallback) != 7) || typ != "q8_0" && !errors.Is(err, gguf.ErrNoKey) {
					t.Errorf("fallback tensors %v, %v", fallback, err) // rows of 8: all matrices but the two of ffn_down
				}
			})
		}
	}
}

// gptNames are the names of a tensor in the folder and in the GGUF file.
var gptNames = map[string]string{
	"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm",
	"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
}

// TestWeights compares every weight of the file with the folder's, for every type of source.
func TestWeights(t *testing.T) {
	for _, dtype := range []string{"F32", "F16", "BF16", "F64"} {
		f := hftest.New(hftest.Shape{Width: 48, Heads: 3, Inner: 80, DType: dtype, Seed: 7})
		out := converted(t, f.Write(t, "m"), "f32")
		if len(out.Tensors) != len(f.Tensors) {
			t.Errorf("%s: %d tensors, want %d", dtype, len(out.Tensors), len(f.Tensors))
		}
		for _, x := range f.Tensors {
			name := strings.TrimPrefix(x.Name, "transformer.")
			blk := ""
			if rest, ok := strings.CutPrefix(name, "h."); ok {
				layer, part, _ := strings.Cut(rest, ".")
				blk, name = "blk."+layer+".", part
			}
			dot := strings.LastIndex(name, ".")
			got := data(t, out, blk+gptNames[name[:dot]]+name[dot:])
			conv := strings.Contains(name, "c_") && len(x.Shape) == 2
			for i, v := range x.Data {
				at := int64(i)
				if conv { // [in, out] on disk, rows of inputs in the file
					row, column := at/x.Shape[1], at%x.Shape[1]
					at = column*x.Shape[0] + row
				}
				if w := math.Float32frombits(binary.LittleEndian.Uint32(got[4*at:])); w != v {
					t.Fatalf("%s: %s: element %d is %g, want %g", dtype, x.Name, i, w, v)
				}
			}
		}
	}
}

// TestEmptyTypeIsF32 and the other spellings that Options allows.
func TestTypes(t *testing.T) {
	m := open(t, hftest.New(hftest.Shape{}).Write(t, "m"))
	for typ, want := range map[string]gguf.Type{"": gguf.F32, "F16": gguf.F16, "bf16": gguf.BF16, "q8_0": gguf.Q8_0} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		calls, last := 0, int64(0)
		if err := m.Write(path, Options{Type: typ, Progress: func(done, total int64) {
			if calls++; done <= last || done > total {
				t.Errorf("%d bytes done of %d after %d", done, total, last)
			}
			last = done
		}}); err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := f.Tensor("blk.0.attn_qkv.weight")
		n, _ := f.Tensor("position_embd.weight")
		if x.Type != want || n.Type != gguf.F32 {
			t.Errorf("%q: matrix of %s, position table of %s", typ, x.Type, n.Type)
		}
		d, err := ledger.Describe(f)
		if err != nil {
			t.Fatal(err)
		}
		promised, err := m.Describe(typ)
		if err != nil || !reflect.DeepEqual(d, promised) {
			t.Errorf("%q: the file is %+v, promised was %+v, %v", typ, d, promised, err)
		}
		if last != d.WeightBytes || calls < 2 {
			t.Errorf("%q: progress ends with %d bytes of %d after %d calls", typ, last, d.WeightBytes, calls)
		}
		f.Close()
	}
	for _, typ := range []string{"q4_0", "f64", "half"} {
		_, err := m.Describe(typ)
		if werr := m.Write(filepath.Join(t.TempDir(), "m.gguf"), Options{Type: typ}); err == nil || werr == nil || m.Matches("x", typ) {
			t.Errorf("%s: %v, %v", typ, err, werr)
		}
		if _, err := m.FileName(typ); err == nil {
			t.Errorf("%s has a file name", typ)
		}
	}
}

// TestLayouts writes one model in every layout: the files' tensors must be the same to the byte.
func TestLayouts(t *testing.T) {
	fresh := func() *hftest.Folder { return hftest.New(hftest.Shape{Seed: 3}) }
	empty := func(t *testing.T, f *hftest.Folder) string {
		dir := f.Write(t, "m")
		if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	buffers := func(f *hftest.Folder) {
		f.Tensors = append(f.Tensors,
			hftest.Tensor{Name: "transformer.h.0.attn.bias", DType: "U8", Shape: []int64{1, 1, 2, 2}, Raw: []byte{1, 0, 1, 1}},
			hftest.Tensor{Name: "transformer.h.1.attn.bias", DType: "BOOL", Shape: []int64{1, 1, 1, 1}, Raw: []byte{1}},
			hftest.Tensor{Name: "transformer.h.1.attn.masked_bias", DType: "F32", Shape: nil, Data: []float32{-1e4}})
	}
	head := func(f *hftest.Folder, h hftest.Tensor) {
		h.Name, h.Shape = "lm_head.weight", f.Tensors[0].Shape
		f.Tensors = append(f.Tensors, h)
	}
	want := converted(t, fresh().Write(t, "m"), "q8_0")
	for name, write := range map[string]func(t *testing.T) string{
		"torch": func(t *testing.T) string {
			f := fresh()
			buffers(f)
			head(f, hftest.Tensor{DType: "F32", Same: "transformer.wte.weight"})
			dir := empty(t, f)
			hftest.WriteFile(t, dir, "pytorch_model.bin", hftest.Torch(f.Tensors))
			return dir
		},
		"safetensors in shards": func(t *testing.T) string {
			f := fresh()
			dir := empty(t, f)
			files, index := hftest.Shards(f.Tensors, 3, "model", "safetensors")
			for name, ts := range files {
				hftest.WriteFile(t, dir, name, hftest.Safetensors(ts))
			}
			hftest.WriteJSON(t, dir, "model.safetensors.index.json", index)
			return dir
		},
		"torch in shards": func(t *testing.T) string {
			f := fresh()
			f.Strip()
			dir := empty(t, f)
			files, index := hftest.Shards(f.Tensors, 4, "pytorch_model", "bin")
			for name, ts := range files {
				hftest.WriteFile(t, dir, name, hftest.Torch(ts))
			}
			hftest.WriteJSON(t, dir, "pytorch_model.bin.index.json", index)
			return dir
		},
		"without prefix, with buffers": func(t *testing.T) string {
			f := fresh()
			buffers(f)
			f.Strip()
			return f.Write(t, "m")
		},
		"equal head": func(t *testing.T) string {
			f := fresh()
			f.Config["tie_word_embeddings"] = false
			head(f, hftest.Tensor{DType: "F64", Data: f.Tensors[0].Data})
			return f.Write(t, "m")
		},
		"other tensor order": func(t *testing.T) string {
			f := fresh()
			slices.Reverse(f.Tensors)
			return f.Write(t, "m")
		},
		"symlinks": func(t *testing.T) string {
			real := fresh().Write(t, "blobs")
			dir := t.TempDir()
			entries, err := os.ReadDir(real)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if err := os.Symlink(filepath.Join(real, e.Name()), filepath.Join(dir, e.Name())); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		},
		"safetensors before torch": func(t *testing.T) string {
			dir := fresh().Write(t, "m")
			hftest.WriteFile(t, dir, "pytorch_model.bin", []byte("nobody looks"))
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := converted(t, write(t), "q8_0")
			if len(got.Tensors) != len(want.Tensors) {
				t.Fatalf("%d tensors, want %d", len(got.Tensors), len(want.Tensors))
			}
			for i, x := range want.Tensors {
				g := got.Tensors[i]
				if g.Name != x.Name || g.Type != x.Type || !slices.Equal(g.Dims, x.Dims) || !bytes.Equal(data(t, got, x.Name), data(t, want, x.Name)) {
					t.Errorf("tensor %d is %s %s %v or has other data than %s %s %v", i, g.Name, g.Type, g.Dims, x.Name, x.Type, x.Dims)
				}
			}
		})
	}
}

// TestSeparateHead keeps a head that differs from the embedding in its last weight alone.
func TestSeparateHead(t *testing.T) {
	f := hftest.New(hftest.Shape{})
	head := slices.Clone(f.Tensors[0].Data)
	head[len(head)-1]++
	f.Tensors = append(f.Tensors, hftest.Tensor{Name: "lm_head.weight", DType: "F32", Shape: f.Tensors[0].Shape, Data: head})
	out := converted(t, f.Write(t, "m"), "f32")
	a, b := data(t, out, "token_embd.weight"), data(t, out, "output.weight")
	if n := len(a) - 4; !bytes.Equal(a[:n], b[:n]) || bytes.Equal(a[n:], b[n:]) {
		t.Error("the head is not the folder's")
	}
	if d, err := ledger.Describe(out); err != nil || d.TiedHead {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestConfig reads config.json as transformers does: other names, defaults, what changes nothing.
func TestConfig(t *testing.T) {
	f := hftest.New(hftest.Shape{Layers: 1, Width: 24, Heads: 2, Inner: 40, Context: 50})
	for old, alias := range map[string]string{"n_layer": "num_hidden_layers", "n_embd": "hidden_size", "n_head": "num_attention_heads", "n_positions": "max_position_embeddings"} {
		f.Config[alias] = f.Config[old]
		if old != "n_embd" { // both names with one value are fine
			delete(f.Config, old)
		}
	}
	maps.Copy(f.Config, map[string]any{
		"activation_function": "gelu_pytorch_tanh", "layer_norm_epsilon": 2e-6, "scale_attn_weights": true, "reorder_and_upcast_attn": true,
		"n_ctx": 7, "tie_word_embeddings": true, "quantization_config": nil, "pruned_heads": map[string]any{}, "torch_dtype": "float32", "eos_token_id": []int{5, 6},
		"bos_token_id": 4000, "pad_token_id": 3,
	})
	out := converted(t, f.Write(t, "m"), "f16")
	for key, want := range map[string]int64{
		"gpt2.block_count": 1, "gpt2.embedding_length": 24, "gpt2.attention.head_count": 2, "gpt2.feed_forward_length": 40, "gpt2.context_length": 50,
		"general.file_type": 1, "llmscale.hf.version": Version, "tokenizer.ggml.eos_token_id": 5, "tokenizer.ggml.padding_token_id": 3,
		"tokenizer.ggml.bos_token_id": int64(len(f.Tokens)) - 1, // 4000 is no token; <|endoftext|> is GPT-2's default
	} {
		if got, err := out.Int(key); got != want || err != nil {
			t.Errorf("%s is %d (%v), want %d", key, got, err, want)
		}
	}
	if eps, err := out.Float("gpt2.attention.layer_norm_epsilon"); float32(eps) != 2e-6 || err != nil {
		t.Errorf("epsilon %g, %v", eps, err)
	}
	if name, err := out.Text("general.name"); name != "m" || err != nil {
		t.Errorf("name %q, %v", name, err)
	}

	// The oldest files have n_ctx alone, and nothing of what came later.
	f = hftest.New(hftest.Shape{})
	for _, key := range []string{"n_positions", "n_inner", "architectures", "layer_norm_epsilon", "bos_token_id", "eos_token_id"} {
		delete(f.Config, key)
	}
	out = converted(t, f.Write(t, "m"), "f32")
	if n, err := out.Int("gpt2.context_length"); n != 64 || err != nil {
		t.Errorf("context %d, %v", n, err)
	}
}

func TestFromHalf(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, frac := 1-2*float64(h>>15), h>>10&31, float64(h&1023)
		want := sign * math.Ldexp(frac, -24)
		switch {
		case exp == 31 && frac > 0:
			if got := fromHalf(uint16(h)); got == got {
				t.Fatalf("%#04x is %g, want NaN", h, got)
			}
			continue
		case exp == 31:
			want = sign * math.Inf(1)
		case exp > 0:
			want = sign * math.Ldexp(1024+frac, exp-25)
		}
		if got := fromHalf(uint16(h)); float64(got) != want || math.Signbit(float64(got)) != (h>>15 == 1) {
			t.Fatalf("%#04x is %g, want %g", h, got, want)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	f := hftest.New(hftest.Shape{Layers: 2, Width: 768, Heads: 12, Context: 1024, Vocab: 50257})
	dir := f.Write(b, "m")
	m, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	if _, err := m.ContentHash(nil); err != nil {
		b.Fatal(err)
	}
	for _, typ := range []string{"f32", "f16", "bf16", "q8_0"} {
		b.Run("type="+typ, func(b *testing.B) {
			d, err := m.Describe(typ)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(4 * d.ParamsTotal) // read
			path := filepath.Join(b.TempDir(), "m.gguf")
			for b.Loop() {
				if err := m.Write(path, Options{Type: typ}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
