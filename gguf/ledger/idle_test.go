package ledger

import (
	"strings"
	"testing"

	"llmscale/gguf"
)

// TestIdleTensors: what no step reads counts in the file's size and in the parameters, and in nothing that a token
// reads, wherever the layer count says that it lies.
func TestIdleTensors(t *testing.T) {
	const width = 32
	layer := func(i string) []gguf.Spec {
		return []gguf.Spec{{Name: "blk." + i + ".attn_q.weight", Type: gguf.F32, Dims: []int64{width, width}}, {Name: "blk." + i + ".attn_k.weight", Type: gguf.F32, Dims: []int64{width, width}}}
	}
	const layerBytes = 2 * 4 * width * width
	for _, c := range []struct {
		name, arch string
		keys       map[string]uint32
		extra      []gguf.Spec
		layers     int64 // whose weights are read
		cached     int64 // layers in the cache
		note       string
	}{
		{"plain", "llama", map[string]uint32{"block_count": 3}, nil, 3, 3, ""},
		{"one predicts", "glm4moe", map[string]uint32{"block_count": 3, "nextn_predict_layers": 1}, nil, 2, 2, "predict further tokens"},
		{"all predict", "glm4moe", map[string]uint32{"block_count": 3, "nextn_predict_layers": 3}, nil, 0, 0, "predict further tokens"},
		{"none predicts", "glm4moe", map[string]uint32{"block_count": 3, "nextn_predict_layers": 0}, nil, 3, 3, ""},
		{"a layer too many", "deepseek2", map[string]uint32{"block_count": 2}, nil, 2, 2, "behind the last"},
		{"no count", "llama", nil, nil, 3, 0, ""},
		{"a classifier", "qwen3", map[string]uint32{"block_count": 3}, []gguf.Spec{{Name: "cls.output.weight", Type: gguf.F32, Dims: []int64{width, 2}}}, 3, 3, "for classes"},
		{"two rope tables", "phi3", map[string]uint32{"block_count": 3}, []gguf.Spec{{Name: "rope_factors_long.weight", Type: gguf.F32, Dims: []int64{4}}}, 3, 3, "longer than the trained one"},
	} {
		keys := map[string]uint32{"embedding_length": width, "attention.head_count": 2, "context_length": 64}
		for k, v := range c.keys {
			keys[k] = v
		}
		specs := append(append(append(layer("0"), layer("1")...), layer("2")...), c.extra...)
		d, err := Describe(model(t, u32(c.arch, keys), specs))
		if err != nil {
			t.Fatal(c.name, err)
		}
		if want := c.layers * layerBytes; d.BytesReadPerToken != want || d.ParamsActive != want/4 {
			t.Errorf("%s: %d bytes read, %d parameters active; want %d and %d", c.name, d.BytesReadPerToken, d.ParamsActive, want, want/4)
		}
		if d.WeightBytes < 3*layerBytes || d.ParamsTotal < 3*layerBytes/4 {
			t.Errorf("%s: %d bytes and %d parameters in the file; want at least those of three layers", c.name, d.WeightBytes, d.ParamsTotal)
		}
		if kv, err := d.KVBytesPerToken("f16", "f16", Newest); err != nil || kv != c.cached*2*2*width {
			t.Errorf("%s: %d bytes of the cache per token (%v); want those of %d layers", c.name, kv, err, c.cached)
		}
		notes := strings.Join(d.Notes, "\n")
		if idle := strings.Contains(notes, "read by no decode step"); idle != (c.note != "") || !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q; want %q", c.name, d.Notes, c.note)
		}
	}
	if _, err := Describe(model(t, u32("glm4moe", map[string]uint32{"block_count": 3, "nextn_predict_layers": 4}), nil)); err == nil || !strings.Contains(err.Error(), "nextn_predict_layers") {
		t.Errorf("more layers that predict than there are: %v", err)
	}
}

// TestState: what recurrent layers keep is counted once for each, whatever the context, and beside the cache of those
// that attend.
func TestState(t *testing.T) {
	keys := map[string]uint32{"block_count": 8, "embedding_length": 64, "attention.head_count": 4, "attention.head_count_kv": 2, "context_length": 4096,
		"ssm.conv_kernel": 4, "ssm.inner_size": 128, "ssm.state_size": 32, "ssm.time_step_rank": 4, "ssm.group_count": 2}
	d, err := Describe(model(t, u32("qwen3next", keys), nil))
	if err != nil {
		t.Fatal(err)
	}
	// Three of four layers are recurrent: three columns of 128 + 2*2*32 elements, and a state of 32 x 128.
	if want := int64(6 * 4 * (3*256 + 32*128)); d.StateBytes != want {
		t.Errorf("a state of %d bytes, want %d", d.StateBytes, want)
	}
	for _, ctx := range []int64{256, 4096} {
		m, err := d.Memory(MemoryOptions{Context: ctx})
		if want := 2 * ctx * 2 * 2 * 2 * 16; err != nil || m.KV != want || m.State != d.StateBytes {
			t.Errorf("%d tokens: %d bytes of keys and values and %d of states (%v); want %d and %d", ctx, m.KV, m.State, err, want, d.StateBytes)
		}
		if m.Total != m.Weights+m.Repacked+m.KV+m.State+m.Compute+m.Output {
			t.Errorf("%+v does not add up", m)
		}
	}
	if got := d.HeadsKV; len(got) != 8 || got[2] != 0 || got[3] != 2 || got[7] != 2 {
		t.Errorf("key/value heads of the layers: %v", got)
	}
	for key, bad := range map[string]any{"ssm.inner_size": int32(-1), "wkv.head_size": uint64(1) << 40, "shortconv.l_cache": "three"} {
		entries := append(u32("lfm2", map[string]uint32{"block_count": 1}), gguf.Entry{Key: "lfm2." + key, Value: bad})
		if _, err := Describe(model(t, entries, nil)); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s of %v: %v", key, bad, err)
		}
	}
	// Sizes whose product is beyond 63 bits are refused, not wrapped around.
	huge := map[string]uint32{"block_count": 1, "embedding_length": 1 << 31, "wkv.head_size": 1 << 31}
	if d, err := Describe(model(t, u32("rwkv6", huge), nil)); err == nil {
		t.Errorf("a state of 2^64 bytes is %d", d.StateBytes)
	}
}
