package hf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/hf/hftest"
)

// words is what a file says of its vocabulary.
type words struct {
	tokens, merges []string
	types          []int64
	bos, eos       int64 // -1: none
	addBOS         bool
}

func wordsOf(t *testing.T, f *gguf.File) words {
	t.Helper()
	var w words
	var errs [6]error
	w.tokens, errs[0] = f.Strings("tokenizer.ggml.tokens")
	w.merges, errs[1] = f.Strings("tokenizer.ggml.merges")
	w.types, errs[2] = f.Ints("tokenizer.ggml.token_type")
	w.addBOS, errs[3] = f.Bool("tokenizer.ggml.add_bos_token")
	for i, key := range []string{"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"} {
		id, err := f.Int(key)
		if errors.Is(err, gguf.ErrNoKey) {
			id, err = -1, nil
		}
		errs[4+i] = err
		*[]*int64{&w.bos, &w.eos}[i] = id
	}
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestVocabulary reads one vocabulary in each form. Without more, the last of its tokens is the only special one.
func TestVocabulary(t *testing.T) {
	for name, change := range map[string]func(f *hftest.Folder, dir string, json map[string]any){
		"vocab.json and merges.txt": nil,
		"with carriage returns": func(f *hftest.Folder, dir string, json map[string]any) {
			text := "#version: 0.2\r\n"
			for _, m := range f.Merges {
				text += m[0] + " " + m[1] + "\r\n"
			}
			hftest.WriteFile(t, dir, "merges.txt", []byte(text+"\r\n"))
		},
		"without version": func(f *hftest.Folder, dir string, json map[string]any) {
			text := ""
			for _, m := range f.Merges {
				text += m[0] + " " + m[1] + "\n"
			}
			hftest.WriteFile(t, dir, "merges.txt", []byte(text))
		},
		"tokenizer.json": func(_ *hftest.Folder, dir string, json map[string]any) {},
		"tokenizer.json of old": func(f *hftest.Folder, dir string, json map[string]any) {
			model := json["model"].(map[string]any)
			delete(model, "type")
			delete(model, "byte_fallback")
			delete(model, "ignore_merges")
			delete(json["pre_tokenizer"].(map[string]any), "use_regex")
			var lines []string
			for _, m := range f.Merges {
				lines = append(lines, m[0]+" "+m[1])
			}
			model["merges"] = lines
			json["post_processor"] = nil
		},
		"pattern spelled out": func(_ *hftest.Folder, dir string, json map[string]any) {
			json["pre_tokenizer"] = map[string]any{"type": "Sequence", "pretokenizers": []any{
				map[string]any{"type": "Split", "pattern": map[string]any{"Regex": gpt2Pattern}, "behavior": "Isolated", "invert": false},
				map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
			}}
		},
		"sequences of one": func(_ *hftest.Folder, dir string, json map[string]any) {
			json["pre_tokenizer"] = map[string]any{"type": "Sequence", "pretokenizers": []any{json["pre_tokenizer"]}}
			json["post_processor"] = map[string]any{"type": "Sequence", "processors": []any{json["post_processor"],
				map[string]any{"type": "TemplateProcessing", "single": []any{map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}}}}}
		},
		"said in every file": func(f *hftest.Folder, dir string, json map[string]any) {
			end := len(f.Tokens) - 1
			hftest.WriteJSON(t, dir, "added_tokens.json", map[string]any{"<|endoftext|>": end})
			hftest.WriteJSON(t, dir, "special_tokens_map.json", map[string]any{"bos_token": "<|endoftext|>", "eos_token": map[string]any{"content": "<|endoftext|>", "lstrip": false}})
			hftest.WriteJSON(t, dir, "tokenizer_config.json", map[string]any{"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": false, "add_bos_token": false, "model_max_length": 1e30,
				"unk_token": "<|endoftext|>", "pad_token": nil, "additional_special_tokens": []any{"<|endoftext|>"},
				"added_tokens_decoder": map[string]any{fmt.Sprint(end): hftest.AddedToken(end, "<|endoftext|>", true)}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := hftest.New(hftest.Shape{Layers: 1})
			dir := f.Write(t, "m")
			json := f.TokenizerJSON()
			if change != nil {
				change(f, dir, json)
			}
			if name != "vocab.json and merges.txt" && name != "with carriage returns" && name != "without version" {
				hftest.WriteJSON(t, dir, "tokenizer.json", json)
				os.Remove(filepath.Join(dir, "vocab.json"))
				os.Remove(filepath.Join(dir, "merges.txt"))
			}
			w := wordsOf(t, converted(t, dir, "f32"))
			var merges []string
			for _, m := range f.Merges {
				merges = append(merges, m[0]+" "+m[1])
			}
			if !slices.Equal(w.tokens, f.Tokens) || !slices.Equal(w.merges, merges) {
				t.Errorf("other tokens or merges: %d of %d and %d of %d", len(w.tokens), len(f.Tokens), len(w.merges), len(merges))
			}
			end := len(f.Tokens) - 1
			for id, typ := range w.types {
				if want := int64(tokenNormal); id == end && typ != tokenControl || id != end && typ != want {
					t.Errorf("token %d %q has type %d", id, w.tokens[id], typ)
				}
			}
			if w.bos != int64(end) || w.eos != int64(end) || w.addBOS {
				t.Errorf("bos %d, eos %d, add_bos %v", w.bos, w.eos, w.addBOS)
			}
		})
	}
}

// TestAddedTokens has tokens beyond the trained vocabulary from every file that can add some, roles for them, and
// more rows in the embedding than tokens.
func TestAddedTokens(t *testing.T) {
	f := hftest.New(hftest.Shape{Layers: 1, Vocab: 320})
	n := len(f.Tokens)
	dir := f.Write(t, "m")
	hftest.WriteJSON(t, dir, "added_tokens.json", map[string]any{"<|user|>": n, "two words": n + 1})
	hftest.WriteJSON(t, dir, "tokenizer_config.json", map[string]any{
		"bos_token": "<|start|>", "eos_token": map[string]any{"__type": "AddedToken", "content": "<|user|>"}, "add_bos_token": true,
		"added_tokens_decoder": map[string]any{"310": map[string]any{"content": "<|start|>", "special": true}, "311": map[string]any{"content": "Größe", "special": false}},
	})
	hftest.WriteJSON(t, dir, "special_tokens_map.json", map[string]any{"eos_token": "not this one", "additional_special_tokens": []any{"A", map[string]any{"content": "<|absent|>"}}})
	w := wordsOf(t, converted(t, dir, "f32"))
	for id, want := range map[int]struct {
		text string
		typ  int64
	}{
		n - 1: {"<|endoftext|>", tokenControl}, n: {"<|user|>", tokenControl}, n + 1: {"two words", tokenAdded}, 310: {"<|start|>", tokenControl},
		311: {"Größe", tokenAdded}, 309: {"[PAD309]", tokenUnused}, 319: {"[PAD319]", tokenUnused}, slices.Index(f.Tokens, "A"): {"A", tokenControl},
		slices.Index(f.Tokens, "B"): {"B", tokenNormal},
	} {
		if w.tokens[id] != want.text || w.types[id] != want.typ {
			t.Errorf("token %d is %q of type %d, want %q of type %d", id, w.tokens[id], w.types[id], want.text, want.typ)
		}
	}
	if len(w.tokens) != 320 || w.bos != 310 || w.eos != int64(n) || !w.addBOS {
		t.Errorf("%d tokens, bos %d, eos %d, add_bos %v", len(w.tokens), w.bos, w.eos, w.addBOS)
	}
}

// TestTemplate has a post-processor that puts the bos token in front, in a vocabulary whose special token has another
// name.
func TestTemplate(t *testing.T) {
	f := hftest.New(hftest.Shape{Layers: 1})
	end := len(f.Tokens) - 1
	f.Tokens[end] = "<s>"
	dir := f.Write(t, "m")
	json := f.TokenizerJSON()
	json["post_processor"] = map[string]any{"type": "TemplateProcessing", "single": []any{
		map[string]any{"SpecialToken": map[string]any{"id": "<s>", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}}}
	hftest.WriteJSON(t, dir, "tokenizer.json", json)
	if w := wordsOf(t, converted(t, dir, "f32")); !w.addBOS || w.bos != int64(end) || w.types[end] != tokenControl {
		t.Errorf("bos %d, add_bos %v, type %d", w.bos, w.addBOS, w.types[end])
	}

	// Without an id in config.json and without <|endoftext|> there is no bos token, which the file then does not name.
	delete(f.Config, "bos_token_id")
	f.Config["eos_token_id"] = nil
	hftest.WriteJSON(t, dir, "config.json", f.Config)
	json["post_processor"] = nil
	hftest.WriteJSON(t, dir, "tokenizer.json", json)
	if w := wordsOf(t, converted(t, dir, "f32")); w.bos != -1 || w.eos != -1 {
		t.Errorf("bos %d, eos %d, want none", w.bos, w.eos)
	}
}
