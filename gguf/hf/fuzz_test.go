package hf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf/hf/hftest"
)

// fuzzed are the files of a folder that are text.
var fuzzed = []string{"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"}

// FuzzFolder puts any bytes in the place of one of a folder's text files: it must be refused in one line, or be
// converted to a file that can be described.
func FuzzFolder(f *testing.F) {
	model := hftest.New(hftest.Shape{Layers: 1, Width: 4, Heads: 2, Context: 8, Vocab: 300})
	dir := model.Write(f, "m")
	hftest.WriteJSON(f, dir, "tokenizer.json", model.TokenizerJSON())
	whole := map[string][]byte{}
	for i, name := range fuzzed {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			whole[name] = b
			f.Add(uint8(i), string(b))
		}
	}
	f.Add(uint8(2), `{"add_bos_token":true,"bos_token":{"content":"A"},"eos_token":"B","added_tokens_decoder":{"290":{"content":"<x>","special":true}},"tokenizer_class":"GPT2Tokenizer"}`)
	f.Add(uint8(3), `{"bos_token":"A","additional_special_tokens":["x",{"content":"y"}],"extra_special_tokens":{"a":"b"}}`)
	f.Add(uint8(4), `{"<x>":290,"two words":291}`)
	f.Fuzz(func(t *testing.T, which uint8, content string) {
		name := fuzzed[int(which)%len(fuzzed)]
		path := filepath.Join(dir, name)
		defer func() { // the folder is the same for every call
			os.Remove(path)
			hftest.WriteFile(t, dir, "tokenizer.json", whole["tokenizer.json"])
			if b, ok := whole[name]; ok {
				hftest.WriteFile(t, dir, name, b)
			}
		}()
		if name == "vocab.json" || name == "merges.txt" {
			os.Remove(filepath.Join(dir, "tokenizer.json"))
		}
		hftest.WriteFile(t, dir, name, []byte(content))
		m, err := Open(dir)
		if err != nil {
			if m != nil || strings.ContainsAny(err.Error(), "\n") {
				t.Fatalf("%v and %q", m, err)
			}
			return
		}
		defer m.Close()
		if d, err := m.Describe("f16"); err != nil || d.NVocab != 300 || d.NLayer != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
	})
}
