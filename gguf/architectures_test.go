package gguf

import (
	"strings"
	"testing"
)

func TestDecodeRefusal(t *testing.T) {
	for _, c := range []struct {
		arch   string
		causal any    // attention.causal; nil: absent
		want   string // in the reason; "": there is none
	}{
		{"llama", nil, ""}, {"llama", true, ""}, {"qwen2", false, "qwen2.attention.causal is false"},
		{"bert", false, "only embeds"}, {"bert", nil, "only embeds"}, {"gemma-embedding", nil, "only embeds"}, {"t5encoder", nil, "only embeds"},
		{"llada", nil, "diffusion"}, {"t5", nil, "encoder with a decoder"}, {"clip", nil, "not a language model"},
		{"an architecture of next year", nil, ""},
	} {
		entries := u32(c.arch, map[string]uint32{"block_count": 1, "embedding_length": 32})
		if c.causal != nil {
			entries = append(entries, Entry{c.arch + ".attention.causal", c.causal})
		}
		d, err := Describe(model(t, entries, []Spec{{"token_embd.weight", F32, []int64{32, 64}}}))
		if err != nil {
			t.Fatal(c.arch, err)
		}
		if got := d.DecodeRefusal(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s with causal %v: %q; want %q in it", c.arch, c.causal, got, c.want)
		}
	}
	for pooling, want := range map[uint32]string{0: "", 3: "qwen3.pooling_type is 3"} {
		d, err := Describe(model(t, u32("qwen3", map[string]uint32{"block_count": 1, "embedding_length": 32, "pooling_type": pooling}), []Spec{{"token_embd.weight", F32, []int64{32, 64}}}))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.DecodeRefusal(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("pooling of type %d: %q; want %q in it", pooling, got, want)
		}
	}
	entries := append(u32("llama", map[string]uint32{"block_count": 1}), Entry{"llama.attention.causal", "no"})
	if _, err := Describe(model(t, entries, nil)); err == nil || !strings.Contains(err.Error(), "attention.causal") {
		t.Errorf("a causal that is a text: %v", err)
	}
}
