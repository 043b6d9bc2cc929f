package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// gpt2Pattern splits a text into words as GPT-2 does; llama.cpp's pre-tokenizer "gpt-2" does the same.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// merge is a pair of tokens, in tokenizer.json an array of two strings or, in older files, "left right".
type merge [2]string

func (p *merge) UnmarshalJSON(data []byte) error {
	var pair []string
	var line string
	if json.Unmarshal(data, &line) == nil {
		pair = strings.Split(line, " ")
	} else if err := json.Unmarshal(data, &pair); err != nil {
		pair = nil
	}
	if len(pair) != 2 {
		return fmt.Errorf("a merge is %s; want a pair of tokens", show(data))
	}
	*p = merge(pair)
	return nil
}

// step is a part of the pipeline in tokenizer.json: a normalizer, pre-tokenizer, post-processor or decoder.
type step struct {
	Type           string            `json:"type"`
	AddPrefixSpace bool              `json:"add_prefix_space"`
	UseRegex       *bool             `json:"use_regex"` // nil: true
	Pattern        map[string]string `json:"pattern"`
	Behavior       string            `json:"behavior"`
	Invert         bool              `json:"invert"`

	PreTokenizers []step                      `json:"pretokenizers"`
	Processors    []step                      `json:"processors"`
	Single        []map[string]map[string]any `json:"single"`
}

// readTokenizerJSON reads tokenizer.json; false if there is none.
func (m *Model) readTokenizerJSON(b *builder) (bool, error) {
	const name = "tokenizer.json"
	data, err := m.read(name, maxVocabFile)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	b.path = filepath.Join(m.dir, name)
	b.mergesPath = b.path
	b.where = func(i int) string { return fmt.Sprintf("merge %d", i) }
	fail := func(field, want, format string, args ...any) error {
		return &Error{b.path, fmt.Sprintf("field %q", field), fmt.Sprintf(format, args...), want}
	}
	var file struct {
		Normalizer    json.RawMessage `json:"normalizer"`
		PreTokenizer  *step           `json:"pre_tokenizer"`
		PostProcessor *step           `json:"post_processor"`
		Decoder       *step           `json:"decoder"`
		Added         []token         `json:"added_tokens"`
		Model         json.RawMessage `json:"model"`
	}
	if err := decode(b.path, data, &file); err != nil {
		return true, err
	}
	var kind struct {
		Type string `json:"type"` // the oldest files have none
	}
	if err := decode(b.path, file.Model, &kind); err != nil {
		return true, fail("model", "a BPE model", "it is %s", show(file.Model))
	}
	if kind.Type != "" && kind.Type != "BPE" {
		return true, fail("model.type", `"BPE", byte-level as GPT-2's`, "it is %q", kind.Type)
	}
	var bpe struct {
		Dropout      *float64         `json:"dropout"`
		Prefix       *string          `json:"continuing_subword_prefix"`
		Suffix       *string          `json:"end_of_word_suffix"`
		ByteFallback bool             `json:"byte_fallback"`
		IgnoreMerges bool             `json:"ignore_merges"`
		Vocab        map[string]int64 `json:"vocab"`
		Merges       []merge          `json:"merges"`
	}
	if err := decode(b.path, file.Model, &bpe); err != nil {
		return true, err
	}
	switch {
	case bpe.Dropout != nil && *bpe.Dropout != 0:
		return true, fail("model.dropout", "null: llama.cpp drops no merges", "it is %v", *bpe.Dropout)
	case bpe.Prefix != nil && *bpe.Prefix != "":
		return true, fail("model.continuing_subword_prefix", "none, as GPT-2", "it is %q", *bpe.Prefix)
	case bpe.Suffix != nil && *bpe.Suffix != "":
		return true, fail("model.end_of_word_suffix", "none, as GPT-2", "it is %q", *bpe.Suffix)
	case bpe.ByteFallback:
		return true, fail("model.byte_fallback", "false: a byte-level vocabulary needs none", "it is true")
	case bpe.IgnoreMerges:
		return true, fail("model.ignore_merges", "false, as GPT-2", "it is true")
	case bpe.Vocab == nil || bpe.Merges == nil:
		return true, fail("model", "vocab and merges", "it has none")
	case file.Normalizer != nil && string(file.Normalizer) != "null":
		return true, fail("normalizer", "null: llama.cpp changes no text for GPT-2", "it is %s", show(file.Normalizer))
	case file.Decoder != nil && file.Decoder.Type != "ByteLevel":
		return true, fail("decoder", "ByteLevel", "it is of type %q", file.Decoder.Type)
	}
	if what := file.PreTokenizer.notGPT2(); what != "" {
		return true, fail("pre_tokenizer", "GPT-2's: ByteLevel with its own pattern and without a prefix space", "it is %s", what)
	}
	if b.prepended, err = file.PostProcessor.prepends(); err != nil {
		return true, fail("post_processor", "ByteLevel, or a template that puts the bos token in front", "%v", err)
	}
	b.ids = bpe.Vocab
	for _, p := range bpe.Merges {
		b.merges = append(b.merges, p)
	}
	for _, t := range file.Added {
		t.path = b.path
		if err := b.add(t); err != nil {
			return true, err
		}
	}
	return true, nil
}

// notGPT2 says how a pre-tokenizer differs from GPT-2's; "" if it does not.
func (s *step) notGPT2() string {
	switch {
	case s == nil:
		return "null"
	case s.Type == "Sequence" && len(s.PreTokenizers) == 1:
		return s.PreTokenizers[0].notGPT2()
	case s.Type == "Sequence" && len(s.PreTokenizers) == 2 && s.PreTokenizers[0].Type == "Split" && s.PreTokenizers[1].Type == "ByteLevel":
		// The same, with the pattern spelled out.
		split, bytes := s.PreTokenizers[0], s.PreTokenizers[1]
		switch {
		case split.Pattern["Regex"] != gpt2Pattern || split.Behavior != "Isolated" || split.Invert:
			return fmt.Sprintf("a Split by %q (%s)", cut(split.Pattern["Regex"]+split.Pattern["String"]), split.Behavior)
		case bytes.UseRegex == nil || *bytes.UseRegex || bytes.AddPrefixSpace:
			return "a Split before a ByteLevel that splits or adds a space itself"
		}
		return ""
	case s.Type == "Sequence":
		kinds := []string{}
		for _, p := range s.PreTokenizers {
			kinds = append(kinds, p.Type)
		}
		return "a sequence of " + strings.Join(kinds, ", ")
	case s.Type != "ByteLevel":
		return fmt.Sprintf("of type %q", s.Type)
	case s.AddPrefixSpace:
		return "ByteLevel with add_prefix_space"
	case s.UseRegex != nil && !*s.UseRegex:
		return "ByteLevel without its pattern (use_regex false)"
	}
	return ""
}

// prepends returns the token that a post-processor puts in front of a text; "" if none.
func (s *step) prepends() (string, error) {
	switch {
	case s == nil || s.Type == "ByteLevel":
		return "", nil
	case s.Type == "Sequence":
		all := ""
		for i := range s.Processors {
			text, err := s.Processors[i].prepends()
			if err != nil {
				return "", err
			}
			if text != "" && all != "" {
				return "", errors.New("it puts two tokens in front of a text")
			}
			all += text
		}
		return all, nil
	case s.Type != "TemplateProcessing":
		return "", fmt.Errorf("it is of type %q", s.Type)
	}
	parts := []string{}
	text := ""
	for _, part := range s.Single {
		for kind, v := range part { // one each
			id, _ := v["id"].(string)
			parts = append(parts, kind)
			if kind == "SpecialToken" {
				text = id
			}
		}
	}
	if !slices.Equal(parts, []string{"Sequence"}) && (!slices.Equal(parts, []string{"SpecialToken", "Sequence"}) || text == "") {
		return "", fmt.Errorf("it is a template of %s", strings.Join(parts, ", "))
	}
	return text, nil
}

// readVocabFiles reads vocab.json and merges.txt, which GPT2Tokenizer reads with its own pattern.
func (m *Model) readVocabFiles(b *builder, settings object) error {
	class, err := settings.text("", "tokenizer_class")
	if err != nil {
		return err
	}
	from := settings
	if class == "" {
		class, from = m.config.tokenizerClass, object{path: m.config.path}
	}
	if class != "" && class != "GPT2Tokenizer" && class != "GPT2TokenizerFast" {
		return from.fail("tokenizer_class", "GPT2Tokenizer, or a tokenizer.json that says how it works", "it is %q", class)
	}
	const vocabName, mergesName = "vocab.json", "merges.txt"
	data, err := m.read(vocabName, maxVocabFile)
	if errors.Is(err, fs.ErrNotExist) {
		what := "the folder has no tokenizer.json and no vocab.json"
		if other := m.present("*.model", "vocab.txt", "*.tiktoken", "tekken.json", "merges.txt"); other != "" {
			what += ", only " + other
		}
		return &Error{Path: m.dir, What: what, Want: "a byte-level BPE tokenizer: tokenizer.json, or vocab.json and merges.txt"}
	}
	if err != nil {
		return err
	}
	b.path = filepath.Join(m.dir, vocabName)
	if err := decode(b.path, data, &b.ids); err != nil {
		return err
	}
	if data, err = m.read(mergesName, maxVocabFile); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &Error{Path: m.dir, What: "the folder has vocab.json, but no merges.txt beside it", Want: "both, or tokenizer.json"}
		}
		return err
	}
	b.mergesPath = filepath.Join(m.dir, mergesName)
	var lines []int // of each merge
	b.where = func(i int) string { return fmt.Sprintf("line %d", lines[i]) }
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || n == 1 && strings.HasPrefix(line, "#version") {
			continue
		}
		pair := strings.Split(line, " ")
		if len(pair) != 2 {
			return &Error{b.mergesPath, fmt.Sprintf("line %d", n), fmt.Sprintf("it is %q", cut(line)), "two tokens with a space between them"}
		}
		lines = append(lines, n)
		b.merges = append(b.merges, [2]string(pair))
	}
	return nil
}
