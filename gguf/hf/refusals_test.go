package hf

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf/hf/hftest"
	"llmscale/gguf/hf/safetensors"
	"llmscale/gguf/hf/torchfile"
)

// bad is a folder that must be refused: model changes it before it is written, files afterwards.
type bad struct {
	model func(t *testing.T, f *hftest.Folder)
	files func(t *testing.T, f *hftest.Folder, dir string)
	want  string // in the error
}

// set gives a field of config.json a value; want is what follows the field's name in the error.
func set(field string, value any, want string) bad {
	return bad{func(_ *testing.T, f *hftest.Folder) { f.Config[field] = value }, nil, `config.json: field "` + field + `": ` + want}
}

// changed spoils one of the tensors.
func changed(name string, change func(x *hftest.Tensor), want string) bad {
	return bad{func(t *testing.T, f *hftest.Folder) { change(f.Tensor(t, name)) }, nil, `tensor "` + name + `": ` + want}
}

// raw replaces a file's content.
func raw(name, content, want string) bad {
	return bad{nil, func(t *testing.T, _ *hftest.Folder, dir string) { hftest.WriteFile(t, dir, name, []byte(content)) }, want}
}

// js writes a JSON file of the given content.
func js(name string, content any, want string) bad {
	return bad{nil, func(t *testing.T, _ *hftest.Folder, dir string) { hftest.WriteJSON(t, dir, name, content) }, want}
}

// tok writes a tokenizer.json with one field of its parts replaced.
func tok(part, field string, value any, want string) bad {
	return bad{nil, func(t *testing.T, f *hftest.Folder, dir string) {
		json := f.TokenizerJSON()
		if field == "" {
			json[part] = value
		} else {
			json[part].(map[string]any)[field] = value
		}
		hftest.WriteJSON(t, dir, "tokenizer.json", json)
	}, want}
}

func remove(names ...string) func(*testing.T, *hftest.Folder, string) {
	return func(t *testing.T, _ *hftest.Folder, dir string) {
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// vocabWith spoils the vocabulary.
func vocabWith(change func(f *hftest.Folder), want string) bad {
	return bad{func(_ *testing.T, f *hftest.Folder) { change(f) }, nil, want}
}

type dict = map[string]any // as JSON

func TestRefusals(t *testing.T) {
	const ln, conv = "transformer.h.1.ln_2.bias", "transformer.h.0.attn.c_attn.weight"
	for name, c := range map[string]bad{
		// config.json
		"no config":        {nil, remove("config.json"), "config.json"},
		"config no JSON":   raw("config.json", "{\n\"model_type\": gpt2}", "config.json: line 2: it is no JSON"),
		"config an array":  raw("config.json", "[]", "config.json: line 1: a JSON array stands there; want an object"),
		"config cut":       raw("config.json", "{\"model_type\":", "it is no JSON"),
		"config a git lfs": raw("config.json", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
		"config a folder": {nil, func(t *testing.T, f *hftest.Folder, dir string) {
			remove("config.json")(t, f, dir)
			os.Mkdir(filepath.Join(dir, "config.json"), 0o777)
		}, "no regular file"},
		"no model type":         {func(_ *testing.T, f *hftest.Folder) { delete(f.Config, "model_type") }, nil, `field "model_type": it is ""; want "gpt2"`},
		"other model type":      set("model_type", "llama", `it is "llama"; want "gpt2"`),
		"model type no text":    set("model_type", 2, "it is 2; want a string"),
		"exact GELU":            set("activation_function", "gelu", `it is "gelu"; want "gelu_new" or "gelu_pytorch_tanh"`),
		"ReLU":                  set("activation_function", "relu", `it is "relu"`),
		"quick GELU":            set("activation_function", "quick_gelu", `it is "quick_gelu"`),
		"scaling by layer":      set("scale_attn_by_inverse_layer_idx", true, "it is true; want false"),
		"unscaled attention":    set("scale_attn_weights", false, "it is false; want true"),
		"cross-attention":       set("add_cross_attention", true, "it is true; want false"),
		"encoder":               set("is_encoder_decoder", true, "it is true"),
		"reordering, a text":    set("reorder_and_upcast_attn", "yes", `it is "yes"; want true or false`),
		"quantized":             set("quantization_config", dict{"quant_method": "gptq"}, `it is {"quant_method":"gptq"}; want a model with all its weights`),
		"pruned":                set("pruned_heads", dict{"0": []int{1}}, `it is {"0":[1]}`),
		"no layers":             set("n_layer", 0, "it is 0; want a whole number from 1"),
		"too many layers":       set("n_layer", 513, "it is 513; want at most 512"),
		"half a width":          set("n_embd", 1.5, "it is 1.5; want a whole number"),
		"huge width":            set("n_embd", 1<<40, "it is 1099511627776; want a whole number"),
		"large width":           set("n_embd", 1<<21, "it is 2097152 with 4 heads"),
		"width and heads":       {func(_ *testing.T, f *hftest.Folder) { f.Config["n_head"] = 5 }, nil, `field "n_embd": it is 64 with 5 heads; want a multiple`},
		"negative context":      set("n_positions", -5, "it is -5"),
		"inner a text":          set("n_inner", "256", `it is "256"`),
		"huge vocabulary":       set("vocab_size", 1<<21, "it is 2097152; want at most 2^20"),
		"epsilon zero":          set("layer_norm_epsilon", 0, "it is 0; want a positive number"),
		"epsilon too small":     set("layer_norm_epsilon", 1e-60, "it is 1e-60; want a positive number"),
		"epsilon a text":        set("layer_norm_epsilon", "small", `it is "small"; want a positive number`),
		"two widths":            set("hidden_size", 65, `it is 65; want the same as field "n_embd", which is 64`),
		"no tied head, no head": set("tie_word_embeddings", false, "it is false, but the weights have no lm_head.weight"),

		// weights
		"no weights": {nil, remove("model.safetensors"), "the folder has no weights; want one of model.safetensors, "},
		"TensorFlow weights": {nil, func(t *testing.T, f *hftest.Folder, dir string) {
			remove("model.safetensors")(t, f, dir)
			hftest.WriteFile(t, dir, "tf_model.h5", nil)
		}, "only tf_model.h5"},
		"missing tensor":  {func(t *testing.T, f *hftest.Folder) { f.Remove(t, ln) }, nil, `tensor "h.1.ln_2.bias": the weights do not have it; want shape [64]`},
		"missing tensors": {func(t *testing.T, f *hftest.Folder) { f.Tensors = f.Tensors[:20] }, nil, `tensor "ln_f.weight": the weights do not have it and 7 more`},
		"missing layer":   {func(_ *testing.T, f *hftest.Folder) { f.Config["n_layer"] = 3 }, nil, `tensor "h.2.ln_1.weight": the weights do not have it and 11 more`},
		"layer too many":  {func(_ *testing.T, f *hftest.Folder) { f.Config["n_layer"] = 1 }, nil, `tensor "transformer.h.1.attn.c_attn.bias": a tensor of shape [192] that the model has no place for and 11 more; want only what a GPT-2 of 1 layers has`},
		"extra tensor": {func(_ *testing.T, f *hftest.Folder) {
			f.Tensors = append(f.Tensors, hftest.Tensor{Name: "score.weight", DType: "F32", Shape: []int64{1}, Data: []float32{0}})
		}, nil, `tensor "score.weight": a tensor of shape [1]`},
		"almost a buffer": {func(_ *testing.T, f *hftest.Folder) {
			f.Tensors = append(f.Tensors, hftest.Tensor{Name: "transformer.h.0.mlp.bias", DType: "U8", Raw: []byte{0}})
		}, nil, `tensor "transformer.h.0.mlp.bias"`},
		"wrong shape":          changed(ln, func(x *hftest.Tensor) { x.Shape = []int64{8, 8} }, "its shape is [8 8]; want [64], as config.json has it"),
		"transposed":           changed(conv, func(x *hftest.Tensor) { x.Shape = []int64{192, 64} }, "its shape is [192 64]; want [64 192]"),
		"vocabulary too small": {func(_ *testing.T, f *hftest.Folder) { f.Config["vocab_size"] = 280 }, nil, `tensor "transformer.wte.weight": its shape is [286 64]; want [280 64]`},
		"context too large":    {func(_ *testing.T, f *hftest.Folder) { f.Config["n_positions"] = 128 }, nil, `tensor "transformer.wpe.weight": its shape is [64 64]; want [128 64]`},
		"integers":             changed(ln, func(x *hftest.Tensor) { x.DType, x.Raw = "I32", make([]byte, 256) }, "its elements are I32; want floating-point weights"),
		"8-bit floats":         changed(ln, func(x *hftest.Tensor) { x.DType, x.Raw = "F8_E4M3", make([]byte, 64) }, "its elements are F8_E4M3"),
		"both prefixes": {func(_ *testing.T, f *hftest.Folder) {
			x := f.Tensors[1]
			x.Name = "wpe.weight"
			f.Tensors = append(f.Tensors, x)
		}, nil, "the weights have it twice, also as"},
		"head of another size": {func(_ *testing.T, f *hftest.Folder) {
			f.Tensors = append(f.Tensors, hftest.Tensor{Name: "lm_head.weight", DType: "F32", Shape: []int64{1, 64}, Data: make([]float32, 64)})
		}, nil, `tensor "lm_head.weight": its shape is [1 64]; want [286 64]`},
		"cut weights": {nil, func(t *testing.T, _ *hftest.Folder, dir string) {
			os.Truncate(filepath.Join(dir, "model.safetensors"), 100_000)
		}, "is the file whole?"},
		"weights a git lfs":        raw("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
		"pickle that runs":         {nil, torchInstead(hftest.Zip(hftest.Entry{Name: "a/data.pkl", Data: []byte("\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.")})), `"posix.system"`},
		"pickle of old":            {nil, torchInstead([]byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e\x80\x02M\xe9\x03.")), "before 1.6"},
		"pickle with a transposed": {func(t *testing.T, f *hftest.Folder) { f.Tensor(t, conv).Stride = []int64{1, 64} }, func(t *testing.T, f *hftest.Folder, dir string) { torchInstead(hftest.Torch(f.Tensors))(t, f, dir) }, `tensor "` + conv + `": shape [64 192] with strides [1 64] is a view`},

		// shards
		"missing shard":     {nil, shards(func(index dict, dir string) { os.Remove(filepath.Join(dir, "model-00002-of-00002.safetensors")) }), "it names model-00002-of-00002.safetensors, which is not there"},
		"index without map": {nil, shards(func(index dict, dir string) { delete(index, "weight_map") }), `field "weight_map": the index has none`},
		"map of numbers":    {nil, shards(func(index dict, dir string) { index["weight_map"] = dict{"a": 1} }), `field "weight_map": it is {"a":1}`},
		"empty map":         {nil, shards(func(index dict, dir string) { index["weight_map"] = dict{} }), "it names 0 files"},
		"shard outside":     {nil, shards(func(index dict, dir string) { index["weight_map"] = dict{"a": "../model.safetensors"} }), `it names "../model.safetensors"; want files of the folder itself`},
		"tensor in other shard": {nil, shards(func(index dict, dir string) {
			index["weight_map"].(map[string]string)["transformer.wte.weight"] = "model-00002-of-00002.safetensors"
		}), `it puts tensor "transformer.wte.weight" into model-00002-of-00002.safetensors, which does not have it`},
		"tensor in no shard": {nil, shards(func(index dict, dir string) {
			index["weight_map"].(map[string]string)["x"] = "model-00001-of-00002.safetensors"
		}), `it puts tensor "x"`},
		"tensor in two shards": {nil, shards(func(index dict, dir string) { copyShard(dir, index) }), "the weights have it twice"},
		"shard with a bad entry": {nil, shards(func(index dict, dir string) {
			os.WriteFile(filepath.Join(dir, "model-00002-of-00002.safetensors"), []byte("12345678{}"), 0o666)
		}), "model-00002-of-00002.safetensors: at byte 0"},

		// vocab.json and merges.txt
		"no tokenizer": {nil, remove("vocab.json", "merges.txt"), "no tokenizer.json and no vocab.json; want a byte-level BPE tokenizer"},
		"SentencePiece": {nil, func(t *testing.T, f *hftest.Folder, dir string) {
			remove("vocab.json", "merges.txt")(t, f, dir)
			hftest.WriteFile(t, dir, "tokenizer.model", nil)
		}, "only tokenizer.model"},
		"no merges":          {nil, remove("merges.txt"), "no merges.txt"},
		"ids no numbers":     raw("vocab.json", `{"a": "b"}`, "vocab.json: line 1: a JSON string stands there; want a number"),
		"words, not bytes":   vocabWith(func(f *hftest.Folder) { f.Tokens[280] = "▁the" }, `'▁' is not in GPT-2's alphabet of bytes`),
		"a byte missing":     vocabWith(func(f *hftest.Folder) { f.Tokens[0] = "abc" }, `no token for byte`),
		"an empty token":     vocabWith(func(f *hftest.Folder) { f.Tokens[280] = "" }, "it is empty"),
		"id beyond the rows": js("added_tokens.json", dict{"<x>": 286}, `token "<x>": its id is 286; want 0 to 285: config.json has vocab_size 286`),
		"negative id":        js("added_tokens.json", dict{"<x>": -1}, "its id is -1"),
		"id of another":      js("added_tokens.json", dict{"<x>": 5}, `token "<x>": its id 5 is that of "&" too`),
		"two ids":            {func(_ *testing.T, f *hftest.Folder) { *f = *hftest.New(hftest.Shape{Vocab: 310}) }, js("added_tokens.json", dict{"A": 305}, "").files, `token "A": it has two ids, 32 and 305`},
		"one id, two added":  js("added_tokens.json", dict{"<x>": 285, "<y>": 285}, `token "<y>": its id 285 is that of "<x>" too`),
		"id no number":       js("added_tokens.json", dict{"<x>": "1"}, `field "<x>": it is "1"; want an id`),
		"merge of three":     raw("merges.txt", "#version: 0.2\nt h e\n", `merges.txt: line 2: it is "t h e"; want two tokens`),
		"merge of strangers": raw("merges.txt", "#version: 0.2\nq z\n", `merges.txt: line 2: "q" and "z" make "qz", but "qz" is no token`),
		"merge of nothing":   raw("merges.txt", "#version: 0.2\n\nq \n", `merges.txt: line 3: "q" and "" make "q"`),
		"merge twice": {nil, func(t *testing.T, f *hftest.Folder, dir string) {
			m := f.Merges[0][0] + " " + f.Merges[0][1] + "\n"
			hftest.WriteFile(t, dir, "merges.txt", []byte(m+m))
		}, "are merged in line 1 already"},
		"other tokenizer class": js("tokenizer_config.json", dict{"tokenizer_class": "RobertaTokenizer"}, `tokenizer_config.json: field "tokenizer_class": it is "RobertaTokenizer"`),
		"class in config.json":  set("tokenizer_class", "BertTokenizer", `it is "BertTokenizer"`),
		"prefix space":          js("tokenizer_config.json", dict{"add_prefix_space": true}, `field "add_prefix_space": it is true`),
		"stripping token":       js("tokenizer_config.json", dict{"added_tokens_decoder": dict{"285": dict{"content": "<|endoftext|>", "lstrip": true}}}, `token "<|endoftext|>": it is marked lstrip, rstrip or single_word`),
		"added without id":      js("tokenizer_config.json", dict{"added_tokens_decoder": dict{"x": dict{"content": "<x>"}}}, `a token's id is "x"`),
		"added a list":          js("tokenizer_config.json", dict{"added_tokens_decoder": []int{1}}, `field "added_tokens_decoder": it is [1]`),
		"added but empty":       js("tokenizer_config.json", dict{"added_tokens_decoder": dict{"285": dict{}}}, "token 285: it is empty"),
		"bos that is not there": {func(_ *testing.T, f *hftest.Folder) { f.Config["bos_token_id"] = nil; f.Tokens[285] = "abc" }, js("tokenizer_config.json", dict{"add_bos_token": true}, "").files, "add_bos_token is true, but there is no bos token"},

		// tokenizer.json
		"WordPiece":               tok("model", "type", "WordPiece", `field "model.type": it is "WordPiece"; want "BPE"`),
		"Unigram":                 tok("model", "", dict{"type": "Unigram", "vocab": []any{[]any{"a", 0.5}}}, `it is "Unigram"`),
		"no model":                tok("model", "", nil, `field "model": it has none`),
		"model a number":          tok("model", "", 5, `field "model": it is 5`),
		"dropout":                 tok("model", "dropout", 0.1, `field "model.dropout": it is 0.1`),
		"subword prefix":          tok("model", "continuing_subword_prefix", "##", `it is "##"`),
		"word suffix":             tok("model", "end_of_word_suffix", "</w>", `it is "</w>"`),
		"byte fallback":           tok("model", "byte_fallback", true, `field "model.byte_fallback": it is true`),
		"ignored merges":          tok("model", "ignore_merges", true, `field "model.ignore_merges": it is true`),
		"merges of three":         tok("model", "merges", []any{[]string{"a", "b", "c"}}, `a merge is ["a","b","c"]; want a pair of tokens`),
		"merges of strangers":     tok("model", "merges", []any{[]string{"q", "z"}}, `merge 0: "q" and "z" make "qz"`),
		"merges with a space":     tok("model", "merges", []any{[]string{" ", "t"}}, `" " is no token of the vocabulary`),
		"normalizer":              tok("normalizer", "", dict{"type": "NFC"}, `field "normalizer": it is {"type":"NFC"}`),
		"no pre-tokenizer":        tok("pre_tokenizer", "", nil, `field "pre_tokenizer": it is null; want GPT-2's`),
		"whitespace":              tok("pre_tokenizer", "", dict{"type": "Whitespace"}, `it is of type "Whitespace"`),
		"sequence":                tok("pre_tokenizer", "", dict{"type": "Sequence", "pretokenizers": []any{dict{"type": "Digits"}, dict{"type": "ByteLevel"}}}, "it is a sequence of Digits, ByteLevel"),
		"other pattern":           tok("pre_tokenizer", "", dict{"type": "Sequence", "pretokenizers": []any{dict{"type": "Split", "pattern": dict{"Regex": `\p{N}{1,3}`}, "behavior": "Isolated"}, dict{"type": "ByteLevel", "use_regex": false}}}, `it is a Split by "\\p{N}{1,3}" (Isolated)`),
		"inverted pattern":        tok("pre_tokenizer", "", dict{"type": "Sequence", "pretokenizers": []any{dict{"type": "Split", "pattern": dict{"Regex": gpt2Pattern}, "behavior": "Isolated", "invert": true}, dict{"type": "ByteLevel", "use_regex": false}}}, "it is a Split by"),
		"pattern twice":           tok("pre_tokenizer", "", dict{"type": "Sequence", "pretokenizers": []any{dict{"type": "Split", "pattern": dict{"Regex": gpt2Pattern}, "behavior": "Isolated"}, dict{"type": "ByteLevel"}}}, "it is a Split before a ByteLevel that splits"),
		"no pattern":              tok("pre_tokenizer", "use_regex", false, "ByteLevel without its pattern"),
		"space in front":          tok("pre_tokenizer", "add_prefix_space", true, "ByteLevel with add_prefix_space"),
		"other decoder":           tok("decoder", "type", "Metaspace", `field "decoder": it is of type "Metaspace"`),
		"Roberta's processor":     tok("post_processor", "type", "RobertaProcessing", `field "post_processor": it is of type "RobertaProcessing"`),
		"template with an end":    tok("post_processor", "", dict{"type": "TemplateProcessing", "single": []any{dict{"Sequence": dict{"id": "A"}}, dict{"SpecialToken": dict{"id": "</s>"}}}}, "it is a template of Sequence, SpecialToken"),
		"template with a strange": tok("post_processor", "", dict{"type": "TemplateProcessing", "single": []any{dict{"SpecialToken": dict{"id": "A"}}, dict{"Sequence": dict{"id": "A"}}}}, `it puts "A" in front of every text, which is not the bos token`),
		"added at a taken id":     tok("added_tokens", "", []any{hftest.AddedToken(7, "<x>", true)}, `token "<x>": its id 7 is that of`),
		"vocabulary a list":       tok("model", "vocab", []int{1}, "want an object"),
	} {
		t.Run(name, func(t *testing.T) {
			f := hftest.New(hftest.Shape{})
			if c.model != nil {
				c.model(t, f)
			}
			dir := f.Write(t, "m")
			if c.files != nil {
				c.files(t, f, dir)
			}
			m, err := Open(dir)
			if err == nil {
				m.Close()
				t.Fatal("accepted")
			}
			var own *Error
			var st *safetensors.FormatError
			var tf *torchfile.FormatError
			if !errors.As(err, &own) && !errors.As(err, &st) && !errors.As(err, &tf) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%T", err)
			}
			if text := err.Error(); !strings.Contains(text, c.want) || !strings.Contains(text, dir) || strings.Contains(text, "\n") || m != nil {
				t.Errorf("%v\nwant %q in it", err, c.want)
			}
		})
	}
	if n := len(hftest.New(hftest.Shape{}).Tokens); n != 286 {
		t.Errorf("the vocabulary of the tests has %d tokens; the cases above count on 286", n)
	}
}

// torchInstead replaces the weights by a pytorch_model.bin.
func torchInstead(content []byte) func(*testing.T, *hftest.Folder, string) {
	return func(t *testing.T, f *hftest.Folder, dir string) {
		remove("model.safetensors")(t, f, dir)
		hftest.WriteFile(t, dir, "pytorch_model.bin", content)
	}
}

// shards replaces the weights by two shards and an index, which change may spoil.
func shards(change func(index dict, dir string)) func(*testing.T, *hftest.Folder, string) {
	return func(t *testing.T, f *hftest.Folder, dir string) {
		remove("model.safetensors")(t, f, dir)
		files, index := hftest.Shards(f.Tensors, 2, "model", "safetensors")
		for name, ts := range files {
			hftest.WriteFile(t, dir, name, hftest.Safetensors(ts))
		}
		change(index, dir)
		hftest.WriteJSON(t, dir, "model.safetensors.index.json", index)
	}
}

// copyShard makes a third shard that is the first again.
func copyShard(dir string, index dict) {
	b, err := os.ReadFile(filepath.Join(dir, "model-00001-of-00002.safetensors"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "x.safetensors"), b, 0o666)
	}
	if err != nil {
		panic(err)
	}
	index["weight_map"].(map[string]string)["x"] = "x.safetensors"
}

// TestUnfitWeights names the weight that the type cannot hold, by its place in the folder's tensor, and leaves no
// file behind.
func TestUnfitWeights(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for name, c := range map[string]struct {
		tensor string
		index  int
		value  float32
		typ    string
		want   string
	}{
		"NaN":             {"transformer.wte.weight", 64*70 + 9, nan, "f32", "element [70,9] is NaN; want finite weights"},
		"infinite":        {"transformer.h.1.attn.c_proj.weight", 64*3 + 50, -inf, "bf16", "element [3,50] is -Inf"},
		"too large":       {"transformer.h.0.mlp.c_fc.weight", 256*63 + 255, 7e4, "f16", "element [63,255] is 70000; want at most 65504 in f16: convert to bf16 or f32"},
		"large for q8_0":  {"transformer.h.0.mlp.c_proj.weight", 64*200 + 1, 1e7, "q8_0", "element [200,1] is 1e+07"},
		"NaN in a vector": {"transformer.ln_f.bias", 5, nan, "q8_0", "element [5] is NaN"},
	} {
		t.Run(name, func(t *testing.T) {
			f := hftest.New(hftest.Shape{})
			f.Tensor(t, c.tensor).Data[c.index] = c.value
			m := open(t, f.Write(t, "m"))
			dir := t.TempDir()
			err := m.Write(filepath.Join(dir, "m.gguf"), Options{Type: c.typ})
			var own *Error
			if !errors.As(err, &own) || !strings.Contains(err.Error(), `tensor "`+c.tensor+`": `+c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("it leaves %v", left)
			}
		})
	}
	// In f64 a weight may be beyond f32.
	f := hftest.New(hftest.Shape{})
	x := f.Tensor(t, "transformer.ln_f.weight")
	x.DType, x.Raw, x.Data = "F64", make([]byte, 8*64), nil
	copy(x.Raw[8:], []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x7e}) // 1.1e286
	err := open(t, f.Write(t, "m")).Write(filepath.Join(t.TempDir(), "m.gguf"), Options{})
	if err == nil || !strings.Contains(err.Error(), "element [1] is +Inf") {
		t.Error(err)
	}
}

func TestOpenAndClose(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	dir := hftest.New(hftest.Shape{Layers: 1}).Write(t, "m")
	if _, err := Open(filepath.Join(dir, "config.json")); err == nil || !strings.Contains(err.Error(), "it is no folder") {
		t.Error(err)
	}
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name() != "m" {
		t.Errorf("name %q", m.Name())
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	if err := m.Write(filepath.Join(t.TempDir(), "m.gguf"), Options{}); err == nil {
		t.Error("a closed model writes")
	}
	m = open(t, dir)
	link := filepath.Join(t.TempDir(), "link.gguf")
	if err := os.Symlink(filepath.Join(dir, "model.safetensors"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, filepath.Join(dir, "vocab.json")} {
		if err := m.Write(path, Options{}); err == nil || !strings.Contains(err.Error(), "own files") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
