// SPDX-License-Identifier: MIT

package gguf

import (
	"errors"
	"fmt"
)

// What llama.cpp knows of an architecture beside the file. The tables mirror llama.cpp ec98e2002, which
// native/architectures_test.go compares them with: every architecture of the runtime has a small model there.

// refusals says why a model of an architecture cannot decode token by token from a cache of what came before. The
// first list is that of llama_model::create_memory, which gives these no memory
// (https://github.com/ggml-org/llama.cpp/blob/ec98e2002/src/llama-model.cpp#L7120), with those of newer versions.
var refusals = map[string]string{
	"bert":             encodes,
	"jina-bert-v2":     encodes,
	"jina-bert-v3":     encodes,
	"nomic-bert":       encodes,
	"nomic-bert-moe":   encodes,
	"neo-bert":         encodes,
	"modern-bert":      encodes,
	"eurobert":         encodes,
	"gemma-embedding":  encodes,
	"llama-embed":      encodes,
	"wavtokenizer-dec": "it turns codes into sound: it has no cache and no logits",
	"dream":            diffuses,
	"llada":            diffuses,
	"llada-moe":        diffuses,
	"rnd1":             diffuses,

	"t5encoder": encodes,
	"t5":        "it is an encoder with a decoder: a prompt is encoded before anything is decoded, which this program does not do",
	"clip":      "it is the encoder of images or sound that belongs to a language model, not a language model",
	"gptj":      "llama.cpp knows its name and has no code for it",
}

const (
	encodes  = "it only embeds: the whole text is encoded at once, without a cache and without logits of a next token"
	diffuses = "it writes by diffusion: all tokens are computed anew in each step, without a cache"
)

// DecodeRefusal says in one sentence's end why decoding token by token from a cache means nothing for this model, by
// its architecture and its metadata; "" if nothing speaks against it.
func (d *Description) DecodeRefusal() string {
	if r := refusals[d.Architecture]; r != "" {
		return r
	}
	return d.refusal
}

// examineAttention looks for metadata that say that no next token follows from the ones before.
func (d *Description) examineAttention(f *File) error {
	key := d.Architecture + ".attention.causal"
	causal, err := f.Bool(key)
	if errors.Is(err, ErrNoKey) {
		return nil
	}
	if err == nil && !causal {
		d.refusal = fmt.Sprintf("its attention is not causal (%s is false): every token sees those behind it, so that no cache of earlier ones can be kept", key)
	}
	return err
}
