// SPDX-License-Identifier: MIT

package gguf

import "fmt"

// MemoryOptions says how a model is to be loaded. Its zero value is llama.cpp's default with a context of the
// model's training length.
type MemoryOptions struct {
	Context int64  // tokens; 0: the model's NCtxTrain
	UBatch  int64  // tokens computed at once in prefill; 0: 512
	TypeK   string // type of the cached keys; "": f16
	TypeV   string // type of the cached values; "": f16
}

// Memory estimates what loading a model into the CPU's memory takes, in bytes. Weights and cache are exact up to
// alignment. Compute is an estimate: llama.cpp reserves one buffer for the largest set of intermediate results
// that live at once, with 4-byte elements, for a full micro-batch of which every token yields logits.
type Memory struct {
	Context int64 `json:"context_tokens"` // as llama.cpp rounds it: up to a multiple of 256
	UBatch  int64 `json:"ubatch_tokens"`  // at most Context

	Weights int64 `json:"weights_bytes"` // all tensors
	KV      int64 `json:"kv_bytes"`      // KV cache of the whole context
	Compute int64 `json:"compute_bytes"` // intermediate results, an estimate
	Output  int64 `json:"output_bytes"`  // logits of one token, handed out
	Total   int64 `json:"total_bytes"`
}

// Memory returns the estimate, or an error if an option cannot be or a size overflows.
func (d *Description) Memory(o MemoryOptions) (Memory, error) {
	if o.Context < 0 || o.UBatch < 0 || o.Context > 1<<40 || o.UBatch > 1<<40 {
		return Memory{}, fmt.Errorf("gguf: a context of %d tokens and a micro-batch of %d; want 0 to 2^40", o.Context, o.UBatch)
	}
	if o.TypeK == "" {
		o.TypeK = "f16"
	}
	if o.TypeV == "" {
		o.TypeV = "f16"
	}
	if o.Context == 0 {
		o.Context = d.NCtxTrain
	}
	if o.UBatch == 0 {
		o.UBatch = 512
	}
	m := Memory{Weights: d.WeightBytes}
	m.Context, _ = alignUp(o.Context, 256) // GGML_PAD(n_ctx, 256) in llama-context.cpp
	m.UBatch = min(o.UBatch, m.Context)

	perToken, err := d.KVBytesPerToken(o.TypeK, o.TypeV)
	if err != nil {
		return Memory{}, err
	}
	if m.KV, err = checkedMul(perToken, m.Context); err != nil {
		return Memory{}, err
	}
	if m.Compute, err = d.compute(m.UBatch, m.Context); err != nil {
		return Memory{}, err
	}
	if m.Output, err = checkedMul(d.NVocab, 4); err != nil {
		return Memory{}, err
	}
	m.Total, err = checkedSum(m.Weights, m.KV, m.Compute, m.Output)
	return m, err
}

// compute estimates the compute buffer, in bytes: 4 * ubatch * (3*n_embd + the largest of the logits, n_vocab;
// the attention scores without flash attention, n_head*context, twice for the masked softmax; the feed-forward,
// 2*n_ff per expert used), and the attention mask, 4 * ubatch * context. These stages follow one another, and
// ggml's allocator gives a later one the place of an earlier one, hence the maximum.
func (d *Description) compute(ubatch, context int64) (int64, error) {
	scores, err := checkedMul(d.NHead, context, 2)
	if err != nil {
		return 0, err
	}
	ff, err := checkedMul(d.NFF, 2, max(1, d.NExpertUsed))
	if err != nil {
		return 0, err
	}
	width, err := checkedSum(3*d.NEmbd, max(d.NVocab, scores, ff), context)
	if err != nil {
		return 0, err
	}
	return checkedMul(4, ubatch, width)
}
