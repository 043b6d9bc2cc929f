// SPDX-License-Identifier: MIT

package synth

import (
	"fmt"

	"llmscale/gguf"
	"llmscale/gguf/draw"
)

// version stands in every file and changes whenever the same preset, type and seed would give other bytes.
const version = 1

// Options says what to write. The zero value is f32 weights from seed 0.
type Options struct {
	Type string // "f32", "f16" or "q8_0"; "" means f32
	Seed uint64

	// Progress, if not nil, is called now and then from the goroutine that called Write, with the bytes of
	// tensor data written so far and in all.
	Progress func(doneBytes, totalBytes int64)
}

var fileTypes = map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.Q8_0: 7} // llama.cpp's enum llama_ftype

// parseType accepts the types that the generator can make.
func parseType(name string) (gguf.Type, error) {
	if name == "" {
		return gguf.F32, nil
	}
	t, err := gguf.ParseType(name)
	if _, ok := fileTypes[t]; err != nil || !ok {
		return 0, fmt.Errorf("synth: cannot write weights as %q; want f32, f16 or q8_0", name)
	}
	return t, nil
}

// contents returns what the file is made of.
func contents(p Preset, typ gguf.Type, seed uint64) ([]gguf.Entry, []draw.Tensor) {
	ts, fallback := p.tensors(typ)
	v := vocabulary()
	entries := []gguf.Entry{
		{Key: "general.architecture", Value: "gpt2"},
		{Key: "general.type", Value: "model"},
		{Key: "general.name", Value: p.Name},
		{Key: "general.description", Value: "Random weights, for measuring speed. What it says has no meaning."},
		{Key: "general.file_type", Value: fileTypes[typ]},
		{Key: "gpt2.context_length", Value: uint32(p.NCtx)},
		{Key: "gpt2.embedding_length", Value: uint32(p.NEmbd)},
		{Key: "gpt2.feed_forward_length", Value: uint32(4 * p.NEmbd)},
		{Key: "gpt2.block_count", Value: uint32(p.NLayer)},
		{Key: "gpt2.attention.head_count", Value: uint32(p.NHead)},
		{Key: "gpt2.attention.layer_norm_epsilon", Value: float32(1e-5)},
		{Key: "llmscale.synth.preset", Value: p.Name},
		{Key: "llmscale.synth.seed", Value: seed},
		{Key: "llmscale.synth.version", Value: uint32(version)},
	}
	if typ == gguf.Q8_0 {
		entries = append(entries, gguf.Entry{Key: "general.quantization_version", Value: uint32(2)}) // GGML_QNT_VERSION
	}
	if len(fallback) > 0 {
		entries = append(entries, gguf.Entry{Key: "llmscale.fallback_tensors", Value: fallback})
	}
	entries = append(entries,
		gguf.Entry{Key: "tokenizer.ggml.model", Value: "gpt2"},
		gguf.Entry{Key: "tokenizer.ggml.pre", Value: "gpt-2"},
		gguf.Entry{Key: "tokenizer.ggml.tokens", Value: v.tokens},
		gguf.Entry{Key: "tokenizer.ggml.token_type", Value: v.types},
		gguf.Entry{Key: "tokenizer.ggml.merges", Value: v.merges},
		gguf.Entry{Key: "tokenizer.ggml.bos_token_id", Value: uint32(endOfText)},
		gguf.Entry{Key: "tokenizer.ggml.eos_token_id", Value: uint32(endOfText)},
		gguf.Entry{Key: "tokenizer.ggml.add_bos_token", Value: false},
	)
	return entries, ts
}

func specs(ts []draw.Tensor) []gguf.Spec {
	out := make([]gguf.Spec, len(ts))
	for i, t := range ts {
		out[i] = t.Spec
	}
	return out
}

// Write makes the file at path. An existing file is replaced once the new one is whole. Memory stays below
// some tens of MiB whatever the model's size.
func Write(path string, p Preset, opt Options) error {
	typ, err := parseType(opt.Type)
	if err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	entries, ts := contents(p, typ, opt.Seed)
	w, err := gguf.Create(path, entries, specs(ts))
	if err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	defer w.Close()
	if err := draw.Stream(w, ts, opt.Seed, opt.Progress); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	if err := w.Finish(); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	return nil
}
