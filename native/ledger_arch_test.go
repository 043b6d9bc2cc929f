//go:build native

package native

import (
	"fmt"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/synth"
)

// otherArchitecture is a model whose shape package synth does not know, by its metadata and one layer's tensors.
type otherArchitecture struct {
	arch     string
	layers   int
	metadata map[string]uint32
	tied     bool
	tensors  func(d uint32) []gguf.Spec // of a layer of width d, names without "blk.N."
}

func w(name string, dims ...uint32) gguf.Spec {
	s := gguf.Spec{Name: name + ".weight", Type: gguf.Q8_0}
	for _, n := range dims {
		s.Dims = append(s.Dims, int64(n))
	}
	if len(dims) == 1 {
		s.Type = gguf.F32
	}
	return s
}

func attention(d, q, kv uint32) []gguf.Spec {
	return []gguf.Spec{w("attn_norm", d), w("attn_q", d, q), w("attn_k", d, kv), w("attn_v", d, kv), w("attn_output", q, d), w("ffn_norm", d)}
}

func experts(d, ff, n uint32) []gguf.Spec {
	return []gguf.Spec{w("ffn_gate_inp", d, n), w("ffn_gate_exps", d, ff, n), w("ffn_up_exps", d, ff, n), w("ffn_down_exps", ff, d, n)}
}

func dense(d, ff uint32) []gguf.Spec {
	return []gguf.Spec{w("ffn_gate", d, ff), w("ffn_up", d, ff), w("ffn_down", ff, d)}
}

// otherArchitectures have the sizes of Qwen3 8B and 30B-A3B, Mixtral 8x7B, Gemma 2 9B, Phi 3 mini and Qwen1.5 MoE.
var otherArchitectures = []otherArchitecture{
	{"qwen3", 36, map[string]uint32{"embedding_length": 4096, "feed_forward_length": 12288, "attention.head_count": 32, "attention.head_count_kv": 8, "attention.key_length": 128, "attention.value_length": 128}, false,
		func(d uint32) []gguf.Spec {
			return append(append(attention(d, 4096, 1024), w("attn_q_norm", 128), w("attn_k_norm", 128)), dense(d, 12288)...)
		}},
	{"qwen3moe", 48, map[string]uint32{"embedding_length": 2048, "feed_forward_length": 6144, "expert_feed_forward_length": 768, "expert_count": 128, "expert_used_count": 8, "attention.head_count": 32, "attention.head_count_kv": 4, "attention.key_length": 128, "attention.value_length": 128}, false,
		func(d uint32) []gguf.Spec {
			return append(append(attention(d, 4096, 512), w("attn_q_norm", 128), w("attn_k_norm", 128)), experts(d, 768, 128)...)
		}},
	{"llama", 32, map[string]uint32{"embedding_length": 4096, "feed_forward_length": 14336, "expert_count": 8, "expert_used_count": 2, "attention.head_count": 32, "attention.head_count_kv": 8, "rope.dimension_count": 128}, false,
		func(d uint32) []gguf.Spec { return append(attention(d, 4096, 1024), experts(d, 14336, 8)...) }},
	{"gemma2", 42, map[string]uint32{"embedding_length": 3584, "feed_forward_length": 14336, "attention.head_count": 16, "attention.head_count_kv": 8, "attention.key_length": 256, "attention.value_length": 256, "attention.sliding_window": 4096}, true,
		func(d uint32) []gguf.Spec {
			return append(append(attention(d, 4096, 2048), w("post_attention_norm", d), w("post_ffw_norm", d)), dense(d, 14336)...)
		}},
	{"phi3", 32, map[string]uint32{"embedding_length": 3072, "feed_forward_length": 8192, "attention.head_count": 32, "attention.head_count_kv": 32, "rope.dimension_count": 96, "rope.scaling.original_context_length": 4096}, false,
		func(d uint32) []gguf.Spec {
			return []gguf.Spec{w("attn_norm", d), w("attn_qkv", d, 3*d), w("attn_output", d, d), w("ffn_norm", d), w("ffn_up", d, 2*8192), w("ffn_down", 8192, d)}
		}},
	{"qwen2moe", 24, map[string]uint32{"embedding_length": 2048, "feed_forward_length": 5632, "expert_feed_forward_length": 1408, "expert_shared_feed_forward_length": 5632, "expert_count": 60, "expert_used_count": 4, "attention.head_count": 16, "attention.head_count_kv": 16}, false,
		func(d uint32) []gguf.Spec {
			s := append(attention(d, 2048, 2048), experts(d, 1408, 60)...)
			return append(s, w("ffn_gate_inp_shexp", d), w("ffn_gate_shexp", d, 5632), w("ffn_up_shexp", d, 5632), w("ffn_down_shexp", 5632, d))
		}},
}

// preview is the model's file, with the tokenizer of a synthesised one.
func (o otherArchitecture) preview(t testing.TB) *gguf.File {
	t.Helper()
	s, err := synth.Lookup("shape:llama3.2-1b")
	if err != nil {
		t.Fatal(err)
	}
	const vocab = 32768
	donor, err := synth.Preview(s.WithLayers(1).WithVocab(vocab), synth.Options{Type: "f16"})
	if err != nil {
		t.Fatal(err)
	}
	entries := []gguf.Entry{{Key: "general.architecture", Value: o.arch}, {Key: o.arch + ".block_count", Value: uint32(o.layers)}, {Key: o.arch + ".context_length", Value: uint32(32768)},
		{Key: o.arch + ".attention.layer_norm_rms_epsilon", Value: float32(1e-5)}, {Key: o.arch + ".vocab_size", Value: uint32(vocab)}}
	for k, v := range o.metadata {
		entries = append(entries, gguf.Entry{Key: o.arch + "." + k, Value: v})
	}
	for i := range donor.KVs {
		if kv := &donor.KVs[i]; strings.HasPrefix(kv.Key, "tokenizer.") {
			v, err := donor.Value(kv)
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, gguf.Entry{Key: kv.Key, Value: v})
		}
	}
	d := o.metadata["embedding_length"]
	specs := []gguf.Spec{w("token_embd", d, vocab), w("output_norm", d)}
	if !o.tied {
		specs = append(specs, w("output", d, vocab))
	}
	for i := range o.layers {
		for _, s := range o.tensors(d) {
			s.Name = fmt.Sprintf("blk.%d.%s", i, s.Name)
			specs = append(specs, s)
		}
	}
	f, err := gguf.Preview(entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestLedgerOfOtherArchitectures has llama.cpp reckon models of further architectures, without allocating them.
func TestLedgerOfOtherArchitectures(t *testing.T) {
	for _, o := range otherArchitectures {
		t.Run(o.arch, func(t *testing.T) {
			holdPhantom(t, o.arch, o.preview(t), loadOptionsGrid)
		})
	}
}
