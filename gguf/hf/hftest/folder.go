package hftest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Shape is a GPT-2 shape. The zero value of a field takes the default given.
type Shape struct {
	Layers, Width, Heads int64 // 2, 64, 4
	Inner                int64 // of the feed-forward; 4*Width
	Context              int64 // 64
	Vocab                int64 // rows of the token embedding; the tokenizer's tokens
	DType                string
	Seed                 uint64
}

// Folder is a model whose parts tests may change before writing them.
type Folder struct {
	Config  map[string]any
	Tensors []Tensor // in the order and with the names of GPT2LMHeadModel, without a head
	Tokens  []string // by id; the last is <|endoftext|>
	Merges  [][2]string
}

// New makes a model. Weights are normal with a deviation of 1/sqrt(inputs), so that no layer blows up.
func New(s Shape) *Folder {
	f := &Folder{}
	f.Tokens, f.Merges = vocabulary()
	for p, v := range map[*int64]int64{&s.Layers: 2, &s.Width: 64, &s.Heads: 4, &s.Context: 64, &s.Vocab: int64(len(f.Tokens))} {
		if *p == 0 {
			*p = v
		}
	}
	f.Config = map[string]any{
		"model_type": "gpt2", "architectures": []string{"GPT2LMHeadModel"}, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
		"n_layer": s.Layers, "n_embd": s.Width, "n_head": s.Heads, "n_positions": s.Context, "n_ctx": s.Context, "n_inner": nil,
		"vocab_size": s.Vocab, "bos_token_id": len(f.Tokens) - 1, "eos_token_id": len(f.Tokens) - 1,
	}
	if s.Inner == 0 {
		s.Inner = 4 * s.Width
	} else {
		f.Config["n_inner"] = s.Inner
	}
	if s.DType == "" {
		s.DType = "F32"
	}
	rnd := rand.New(rand.NewPCG(s.Seed, 1))
	add := func(name string, mean, std float64, shape ...int64) {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		data := make([]float32, n)
		for i := range data {
			data[i] = narrow(s.DType, float32(mean+std*rnd.NormFloat64()))
		}
		f.Tensors = append(f.Tensors, Tensor{Name: "transformer." + name, DType: s.DType, Shape: shape, Data: data})
	}
	conv := func(name string, in, out int64) {
		add(name+".weight", 0, 1/math.Sqrt(float64(in)), in, out)
		add(name+".bias", 0, 0.1, out)
	}
	norm := func(name string) {
		add(name+".weight", 1, 0.1, s.Width)
		add(name+".bias", 0, 0.1, s.Width)
	}
	add("wte.weight", 0, 0.5, s.Vocab, s.Width)
	add("wpe.weight", 0, 0.1, s.Context, s.Width)
	for l := range s.Layers {
		h := fmt.Sprintf("h.%d.", l)
		norm(h + "ln_1")
		conv(h+"attn.c_attn", s.Width, 3*s.Width)
		conv(h+"attn.c_proj", s.Width, s.Width)
		norm(h + "ln_2")
		conv(h+"mlp.c_fc", s.Width, s.Inner)
		conv(h+"mlp.c_proj", s.Inner, s.Width)
	}
	norm("ln_f")
	return f
}

// narrow cuts a number to what the type holds. Cutting instead of rounding keeps this apart from the code under test.
func narrow(dtype string, v float32) float32 {
	bits := math.Float32bits(v)
	switch dtype {
	case "BF16":
		bits &= 0xffff0000
	case "F16":
		bits &= 0xffffe000
		if math.Abs(float64(v)) < 1e-4 {
			bits = 0
		}
	}
	return math.Float32frombits(bits)
}

// Tensor finds a tensor by its name and fails the test if there is none.
func (f *Folder) Tensor(t testing.TB, name string) *Tensor {
	t.Helper()
	i := slices.IndexFunc(f.Tensors, func(x Tensor) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("no tensor %q", name)
	}
	return &f.Tensors[i]
}

// Remove takes a tensor out.
func (f *Folder) Remove(t testing.TB, name string) {
	t.Helper()
	f.Tensor(t, name)
	f.Tensors = slices.DeleteFunc(f.Tensors, func(x Tensor) bool { return x.Name == name })
}

// Strip takes the prefix "transformer." off the names, as GPT2Model has them.
func (f *Folder) Strip() {
	for i := range f.Tensors {
		f.Tensors[i].Name = strings.TrimPrefix(f.Tensors[i].Name, "transformer.")
	}
}

// WriteFile puts a file into the folder.
func WriteFile(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// WriteJSON puts a value as JSON into the folder.
func WriteJSON(t testing.TB, dir, name string, v any) {
	t.Helper()
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	WriteFile(t, dir, name, data)
}

// Write puts config.json, vocab.json, merges.txt and model.safetensors into a new folder of the test, called name,
// and returns its path.
func (f *Folder) Write(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	WriteJSON(t, dir, "config.json", f.Config)
	f.WriteVocab(t, dir)
	WriteFile(t, dir, "model.safetensors", Safetensors(f.Tensors))
	return dir
}

// WriteVocab puts vocab.json and merges.txt into the folder.
func (f *Folder) WriteVocab(t testing.TB, dir string) {
	t.Helper()
	ids := map[string]int{}
	for i, token := range f.Tokens {
		ids[token] = i
	}
	WriteJSON(t, dir, "vocab.json", ids)
	lines := []string{"#version: 0.2"}
	for _, m := range f.Merges {
		lines = append(lines, m[0]+" "+m[1])
	}
	WriteFile(t, dir, "merges.txt", []byte(strings.Join(lines, "\n")+"\n"))
}

// TokenizerJSON returns the content of tokenizer.json as the tokenizers library writes it for GPT-2.
func (f *Folder) TokenizerJSON() map[string]any {
	ids := map[string]int{}
	for i, token := range f.Tokens {
		ids[token] = i
	}
	byteLevel := func() map[string]any {
		return map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	}
	end := len(f.Tokens) - 1
	return map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "normalizer": nil,
		"added_tokens":   []any{AddedToken(end, f.Tokens[end], true)},
		"pre_tokenizer":  byteLevel(),
		"post_processor": byteLevel(),
		"decoder":        byteLevel(),
		"model": map[string]any{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": "", "end_of_word_suffix": "",
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": ids, "merges": slices.Clone(f.Merges),
		},
	}
}

// AddedToken is an entry of tokenizer.json's added_tokens.
func AddedToken(id int, content string, special bool) map[string]any {
	return map[string]any{"id": id, "content": content, "special": special, "single_word": false, "lstrip": false, "rstrip": false, "normalized": !special}
}

// Shards splits the tensors over n files and returns them by name with the index that names them, in the layout of
// base "model" and "safetensors" or "pytorch_model" and "bin".
func Shards(ts []Tensor, n int, base, ext string) (files map[string][]Tensor, index map[string]any) {
	files, where := map[string][]Tensor{}, map[string]string{}
	for i, x := range ts {
		name := fmt.Sprintf("%s-%05d-of-%05d.%s", base, i*n/len(ts)+1, n, ext)
		files[name] = append(files[name], x)
		where[x.Name] = name
	}
	return files, map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": where}
}

// vocabulary makes a byte-level BPE: the 256 bytes, merges that build some words, and <|endoftext|>.
func vocabulary() ([]string, [][2]string) {
	var tokens []string
	table := Alphabet()
	known := map[string]bool{}
	for _, r := range slices.Sorted(maps.Values(table)) {
		tokens = append(tokens, string(r))
		known[string(r)] = true
	}
	var merges [][2]string
	for _, word := range []string{" the", " model", " and", "ing", " to", "kens", " size", "é", " größe"} {
		runes := []rune{}
		for i := range len(word) {
			runes = append(runes, table[word[i]])
		}
		for end := 2; end <= len(runes); end++ {
			left, right := string(runes[:end-1]), string(runes[end-1])
			if !known[left+right] {
				known[left+right] = true
				merges = append(merges, [2]string{left, right})
				tokens = append(tokens, left+right)
			}
		}
	}
	return append(tokens, "<|endoftext|>"), merges
}

// Alphabet is GPT-2's table from bytes to characters: printable Latin-1 stands for itself, the rest takes the
// characters from U+0100 on in its order.
func Alphabet() map[byte]rune {
	table, next := map[byte]rune{}, rune(0x100)
	for c := range 256 {
		printable := c >= 0x21 && c <= 0x7e || c >= 0xa1 && c <= 0xff && c != 0xad
		if printable {
			table[byte(c)] = rune(c)
		} else {
			table[byte(c)] = next
			next++
		}
	}
	return table
}
