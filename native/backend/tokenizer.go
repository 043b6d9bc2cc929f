package backend

import (
	"errors"
	"fmt"

	"llmscale/gguf"
	"llmscale/native"
)

// Tokenizer is the vocabulary of a GGUF file without its weights.
type Tokenizer struct {
	model *native.Model
	eos   string
}

// OpenTokenizer loads it.
func OpenTokenizer(path string) (*Tokenizer, error) {
	eos, err := eosText(path)
	if err != nil {
		return nil, err
	}
	m, err := native.Load(path, native.ModelParams{VocabOnly: true})
	if err != nil {
		return nil, err
	}
	return &Tokenizer{m, eos}, nil
}

// eosText is the text of the file's end-of-sequence token, or "".
func eosText(path string) (string, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	id, err := f.Int("tokenizer.ggml.eos_token_id")
	if errors.Is(err, gguf.ErrNoKey) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	tokens, err := f.Strings("tokenizer.ggml.tokens")
	if err != nil {
		return "", err
	}
	if id < 0 || id >= int64(len(tokens)) {
		return "", fmt.Errorf("%s: tokenizer.ggml.eos_token_id is %d, the vocabulary has %d tokens", path, id, len(tokens))
	}
	return tokens[id], nil
}

// Tokenize returns a raw prompt's ids as an Ollama server makes them.
func (t *Tokenizer) Tokenize(text string) ([]int32, error) { return t.model.TokenizeMarkup(text) }

// EOSText is the text of the end-of-sequence token; "": the file names none.
func (t *Tokenizer) EOSText() string { return t.eos }

// Close frees it.
func (t *Tokenizer) Close() error { return t.model.Close() }
