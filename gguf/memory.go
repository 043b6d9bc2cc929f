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

	// NoFlashAttention is for loading with flash attention off. llama.cpp's own choice on a CPU is on.
	NoFlashAttention bool
}

// Memory estimates what loading a model into the CPU's memory takes, in bytes. Weights and cache are exact up to
// alignment. Compute is an estimate: llama.cpp reserves one buffer for the largest set of intermediate results
// that live at once, with 4-byte elements, for a full micro-batch of which every token yields logits.
type Memory struct {
	Context int64 `json:"context_tokens"` // as llama.cpp rounds it: up to a multiple of 256
	UBatch  int64 `json:"ubatch_tokens"`  // at most the context asked for

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
	m.UBatch = min(o.UBatch, o.Context)

	perToken, err := d.KVBytesPerToken(o.TypeK, o.TypeV)
	if err != nil {
		return Memory{}, err
	}
	if m.KV, err = checkedMul(perToken, m.Context); err != nil {
		return Memory{}, err
	}
	if m.Compute, err = d.compute(m.UBatch, m.Context, !o.NoFlashAttention); err != nil {
		return Memory{}, err
	}
	if m.Output, err = checkedMul(d.NVocab, 4); err != nil {
		return Memory{}, err
	}
	m.Total, err = checkedSum(m.Weights, m.KV, m.Compute, m.Output)
	return m, err
}

// compute estimates the compute buffer, in bytes. ggml's allocator gives a later stage of the graph the place of an
// earlier one, so what counts is the largest stage, in 4-byte elements for each token of the micro-batch:
//
//   - the head: n_vocab logits and two vectors of the width
//   - attention: the mask (context; with flash attention its f16 copy too, 1.5*context), without flash attention
//     the scores (n_head*context), and five or seven vectors of the width
//   - the feed-forward: the mask, gate and up (2*n_ff, for each expert used), and one vector; a model without a
//     gate takes half of that, and the estimate is that much too high
//
// The width is n_embd, or n_head*head_dim where that is larger. For GPT-2 at contexts of 300 to 32768 this
// is at most 6 % above llama.cpp's own figure, with and without flash attention.
func (d *Description) compute(ubatch, context int64, flash bool) (int64, error) {
	heads, err := checkedMul(d.NHead, d.HeadDim)
	if err != nil {
		return 0, err
	}
	ff, err := checkedMul(d.NFF, 2, max(1, d.NExpertUsed))
	if err != nil {
		return 0, err
	}
	width := max(d.NEmbd, heads)
	mask, scores, vectors := context+context/2, int64(0), int64(5)
	if !flash {
		mask, vectors = context, 7
		if scores, err = checkedMul(d.NHead, context); err != nil {
			return 0, err
		}
	}
	stages := [3]int64{}
	for i, parts := range [3][3]int64{{d.NVocab, 0, 2}, {mask, scores, vectors}, {mask, ff, 1}} {
		vec, err := checkedMul(parts[2], width)
		if err != nil {
			return 0, err
		}
		if stages[i], err = checkedSum(parts[0], parts[1], vec); err != nil {
			return 0, err
		}
	}
	return checkedMul(4, ubatch, max(stages[0], stages[1], stages[2]))
}
