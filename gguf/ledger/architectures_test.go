package ledger

import (
	"strings"
	"testing"

	"llmscale/gguf"
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
			entries = append(entries, gguf.Entry{Key: c.arch + ".attention.causal", Value: c.causal})
		}
		d, err := Describe(model(t, entries, []gguf.Spec{{Name: "token_embd.weight", Type: gguf.F32, Dims: []int64{32, 64}}}))
		if err != nil {
			t.Fatal(c.arch, err)
		}
		if got := d.DecodeRefusal(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s with causal %v: %q; want %q in it", c.arch, c.causal, got, c.want)
		}
	}
	for pooling, want := range map[uint32]string{0: "", 3: "qwen3.pooling_type is 3"} {
		d, err := Describe(model(t, u32("qwen3", map[string]uint32{"block_count": 1, "embedding_length": 32, "pooling_type": pooling}), []gguf.Spec{{Name: "token_embd.weight", Type: gguf.F32, Dims: []int64{32, 64}}}))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.DecodeRefusal(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("pooling of type %d: %q; want %q in it", pooling, got, want)
		}
	}
	entries := append(u32("llama", map[string]uint32{"block_count": 1}), gguf.Entry{Key: "llama.attention.causal", Value: "no"})
	if _, err := Describe(model(t, entries, nil)); err == nil || !strings.Contains(err.Error(), "attention.causal") {
		t.Errorf("a causal that is a text: %v", err)
	}
}

// TestStatedLayers: a file says in which of its layers attention has a window, which keep a state, which use the cache
// of others, and how wide the heads of those with a window are.
func TestStatedLayers(t *testing.T) {
	describe := func(arch string, keys map[string]uint32, more ...gguf.Entry) (Description, error) {
		base := map[string]uint32{"block_count": 8, "embedding_length": 64, "attention.head_count": 4, "attention.head_count_kv": 2, "context_length": 512, "attention.sliding_window": 128,
			"attention.key_length": 16, "attention.value_length": 16}
		for k, v := range keys {
			base[k] = v
		}
		return Describe(model(t, append(u32(arch, base), more...), nil))
	}
	pattern := func(arch string, v any) gguf.Entry { return gguf.Entry{Key: arch + windowPatternKey, Value: v} }
	for _, c := range []struct {
		arch     string
		keys     map[string]uint32
		more     []gguf.Entry
		windows  int64
		perToken int64 // elements of keys and values
	}{
		{"gemma3", nil, nil, 7, 8 * 64}, // all but each sixth
		{"gemma3", map[string]uint32{"attention.sliding_window_pattern": 2}, nil, 4, 8 * 64}, // all but each second
		{"gemma4", nil, nil, 0, 8 * 64},
		{"gemma4", nil, []gguf.Entry{pattern("gemma4", []bool{true, true, false, false, false, false, false, true})}, 3, 8 * 64},
		{"gemma4", map[string]uint32{"attention.key_length_swa": 8, "attention.value_length_swa": 4}, []gguf.Entry{pattern("gemma4", []bool{true, true, false, false, false, false, false, true})}, 3, 5*64 + 3*2*12},
		{"gemma4", map[string]uint32{"attention.shared_kv_layers": 6}, nil, 0, 2 * 64},
		{"qwen35", nil, nil, 0, 2 * 64},
		{"qwen35", map[string]uint32{"full_attention_interval": 2}, nil, 0, 4 * 64},
	} {
		d, err := describe(c.arch, c.keys, c.more...)
		if err != nil {
			t.Fatal(err)
		}
		kv, err := d.KVBytesPerToken("f16", "f16", Newest)
		if d.NWindowLayer != c.windows || kv != 2*c.perToken || err != nil {
			t.Errorf("%s %v %v: %d layers with a window and %d bytes per token (%v); want %d and %d", c.arch, c.keys, c.more, d.NWindowLayer, kv, err, c.windows, 2*c.perToken)
		}
	}
	for arch, bad := range map[string]gguf.Entry{
		"gemma4": {Key: "gemma4.attention.shared_kv_layers", Value: uint32(9)}, "gemma3": pattern("gemma3", "all"), "qwen35": {Key: "qwen35.full_attention_interval", Value: uint32(0)},
	} {
		if _, err := describe(arch, nil, bad); err == nil || !strings.Contains(err.Error(), bad.Key) {
			t.Errorf("%s of %v: %v", bad.Key, bad.Value, err)
		}
	}
}

// TestCompressedKeys: where compressed keys hold the values, the newest llama.cpp caches no values beside them.
func TestCompressedKeys(t *testing.T) {
	keys := map[string]uint32{"block_count": 3, "embedding_length": 64, "attention.head_count": 4, "attention.head_count_kv": 1, "context_length": 512,
		"attention.key_length": 40, "attention.value_length": 32, "attention.key_length_mla": 24, "attention.value_length_mla": 16}
	d, err := Describe(model(t, u32("deepseek2", keys), nil))
	if err != nil {
		t.Fatal(err)
	}
	for rules, want := range map[Rules]int64{Newest: 3 * 2 * 40, Ollama: 3 * 2 * (40 + 32)} {
		kv, err := d.KVBytesPerToken("f16", "f16", rules)
		m, err2 := d.Memory(MemoryOptions{Context: 256, Rules: rules})
		if kv != want || m.KV != 256*want || err != nil || err2 != nil {
			t.Errorf("%q: %d bytes per token and %d in all (%v, %v); want %d", rules, kv, m.KV, err, err2, want)
		}
	}
}
