package hf

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Token types of a GGUF file (llama.cpp's enum llama_token_type).
const (
	tokenNormal  = 1
	tokenControl = 3
	tokenAdded   = 4 // user defined: matched in the text before anything else
	tokenUnused  = 5
)

// specialNames are the special tokens that a GGUF file can name, as config.json and tokenizer_config.json call them.
var specialNames = []string{"bos", "eos", "unk", "pad"}

// vocab is the vocabulary as the GGUF file holds it.
type vocab struct {
	tokens  []string
	types   []int32
	merges  []string // "left right", the one to apply first in front
	special map[string]int64
	addBOS  bool
}

// token is a token that was added to a trained vocabulary. Its text is matched as it is, not by bytes.
type token struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`

	path string // of the file that adds it
}

// builder puts a vocabulary together from the tokenizer files.
type builder struct {
	path       string           // of the file with the trained vocabulary
	ids        map[string]int64 // the trained vocabulary
	mergesPath string
	merges     [][2]string
	where      func(merge int) string // where in the file a merge stands, for errors

	added map[int64]token
	named map[string]string // special tokens by their names, where the files give them
	all   map[string]bool   // texts of all tokens that the files call special

	prepended string // text of the token put in front of every text; may be empty
	addBOS    bool
}

// readVocab reads tokenizer.json or, where there is none, vocab.json and merges.txt, then what was added to them.
func (m *Model) readVocab() error {
	b := &builder{added: map[int64]token{}, named: map[string]string{}, all: map[string]bool{}}
	settings, err := m.object("tokenizer_config.json", true)
	if err != nil {
		return err
	}
	isJSON, err := m.readTokenizerJSON(b)
	if err != nil {
		return err
	}
	if !isJSON {
		if err := m.readVocabFiles(b, settings); err != nil {
			return err
		}
	}
	if err := m.readAdded(b, settings); err != nil {
		return err
	}
	m.vocab, err = b.build(m.config)
	return err
}

// readAdded reads the tokens that the smaller files add and the roles that they give to tokens.
func (m *Model) readAdded(b *builder, settings object) error {
	prefix, err := settings.boolean(false, "add_prefix_space")
	if err != nil {
		return err
	}
	if prefix {
		return settings.fail("add_prefix_space", "false: llama.cpp puts no space in front of a text for GPT-2", "it is true")
	}
	if b.addBOS, err = settings.boolean(false, "add_bos_token"); err != nil {
		return err
	}
	if v := settings.fields["added_tokens_decoder"]; v != nil {
		var byID map[string]token
		if err := decode(settings.path, v, &byID); err != nil {
			return settings.fail("added_tokens_decoder", "an object of ids and tokens", "it is %s", show(v))
		}
		for _, id := range slices.Sorted(maps.Keys(byID)) {
			t := byID[id]
			t.path = settings.path
			if json.Unmarshal([]byte(id), &t.ID) != nil {
				return settings.fail("added_tokens_decoder", "ids", "a token's id is %q", cut(id))
			}
			if err := b.add(t); err != nil {
				return err
			}
		}
	}
	added, err := m.object("added_tokens.json", true)
	if err != nil {
		return err
	}
	for _, content := range slices.Sorted(maps.Keys(added.fields)) {
		t := token{Content: content, path: added.path}
		if json.Unmarshal(added.fields[content], &t.ID) != nil {
			return added.fail(cut(content), "an id", "it is %s", show(added.fields[content]))
		}
		if err := b.add(t); err != nil {
			return err
		}
	}
	roles, err := m.object("special_tokens_map.json", true)
	if err != nil {
		return err
	}
	b.roles(settings)
	b.roles(roles)
	b.all[endOfText] = true
	return nil
}

// endOfText is GPT2Tokenizer's default for every special token that the files do not name.
const endOfText = "<|endoftext|>"

// add takes a token that a file adds. The same token may stand in several files.
func (b *builder) add(t token) error {
	fail := func(want, format string, args ...any) error {
		return &Error{t.path, fmt.Sprintf("token %q", cut(t.Content)), fmt.Sprintf(format, args...), want}
	}
	old, known := b.added[t.ID]
	switch {
	case t.Content == "":
		return &Error{t.path, fmt.Sprintf("token %d", t.ID), "it is empty", "a text"}
	case t.ID < 0:
		return fail("0 or more", "its id is %d", t.ID)
	case t.SingleWord || t.LStrip || t.RStrip:
		return fail("none of them: a GGUF file cannot say so", "it is marked lstrip, rstrip or single_word")
	case known && old.Content != t.Content:
		return fail("an id of its own", "its id %d is that of %q too", t.ID, cut(old.Content))
	}
	t.Special = t.Special || old.Special
	b.added[t.ID] = t
	return nil
}

// roles reads which tokens are special from the fields that tokenizer_config.json and special_tokens_map.json share.
// What is no token is not for us.
func (b *builder) roles(o object) {
	for key, v := range o.fields {
		role, ok := strings.CutSuffix(key, "_token")
		if ok {
			if text := tokenText(v); text != "" {
				b.all[text] = true
				if b.named[role] == "" {
					b.named[role] = text
				}
			}
		}
		if key == "additional_special_tokens" || key == "extra_special_tokens" {
			var list []json.RawMessage
			var byName map[string]json.RawMessage
			if json.Unmarshal(v, &list) != nil && json.Unmarshal(v, &byName) == nil {
				list = slices.Collect(maps.Values(byName))
			}
			for _, x := range list {
				if text := tokenText(x); text != "" {
					b.all[text] = true
				}
			}
		}
	}
}

// tokenText returns a token that is written as a string or as an object with its content; "" if v is neither.
func tokenText(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	var t token
	if json.Unmarshal(v, &t) == nil {
		return t.Content
	}
	return ""
}

// build lays the tokens out by id and checks that llama.cpp would tokenise as transformers does.
func (b *builder) build(c config) (*vocab, error) {
	if err := b.checkBytes(); err != nil {
		return nil, err
	}
	v := &vocab{tokens: make([]string, c.rows), types: make([]int32, c.rows), special: map[string]int64{}}
	byText := make(map[string]int64, c.rows)
	put := func(path, text string, id int64, typ int32) error {
		fail := func(want, format string, args ...any) error {
			return &Error{path, fmt.Sprintf("token %q", cut(text)), fmt.Sprintf(format, args...), want}
		}
		if id < 0 || id >= c.rows {
			return fail(fmt.Sprintf("0 to %d: config.json has vocab_size %d", c.rows-1, c.rows), "its id is %d", id)
		}
		if v.types[id] != 0 && v.tokens[id] != text {
			return fail("an id of its own", "its id %d is that of %q too", id, cut(v.tokens[id]))
		}
		if other, ok := byText[text]; ok && other != id {
			return fail("one id", "it has two ids, %d and %d", min(id, other), max(id, other))
		}
		byText[text], v.tokens[id], v.types[id] = id, text, typ
		return nil
	}
	for text, id := range b.ids {
		typ := int32(tokenNormal)
		if b.all[text] {
			typ = tokenControl
		}
		if err := put(b.path, text, id, typ); err != nil {
			return nil, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.added)) {
		t := b.added[id]
		typ := int32(tokenAdded)
		if t.Special || b.all[t.Content] {
			typ = tokenControl
		}
		if err := put(t.path, t.Content, id, typ); err != nil {
			return nil, err
		}
	}
	for id := range v.tokens {
		if v.types[id] == 0 { // a row of the embedding that no token uses; llama.cpp wants every text once
			text := fmt.Sprintf("[PAD%d]", id)
			if err := put(b.path, text, int64(id), tokenUnused); err != nil {
				return nil, err
			}
		}
	}
	for _, m := range b.merges {
		v.merges = append(v.merges, m[0]+" "+m[1])
	}
	return v, b.assign(v, c, byText)
}

// assign finds the ids of the special tokens: by the text that the tokenizer files give, else by config.json, else by
// GPT2Tokenizer's default. An id that no token has is none.
func (b *builder) assign(v *vocab, c config, byText map[string]int64) error {
	for _, role := range specialNames {
		id, ok := byText[b.named[role]]
		if !ok {
			id, ok = c.specials[role]
			ok = ok && id >= 0 && id < c.rows && v.types[id] != tokenUnused
		}
		if !ok && (role == "bos" || role == "eos") {
			id, ok = byText[endOfText]
		}
		if ok {
			v.special[role] = id
		}
	}
	bos, ok := v.special["bos"]
	if b.prepended != "" {
		if !ok || v.tokens[bos] != b.prepended {
			return &Error{b.path, `field "post_processor"`, fmt.Sprintf("it puts %q in front of every text, which is not the bos token", b.prepended), "the bos token or nothing"}
		}
		b.addBOS = true
	}
	if b.addBOS && !ok {
		return &Error{b.path, "", "add_bos_token is true, but there is no bos token", "a bos_token in tokenizer_config.json"}
	}
	v.addBOS = b.addBOS
	return nil
}
