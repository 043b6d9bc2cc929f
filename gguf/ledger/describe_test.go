package ledger

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"llmscale/gguf"
)

// model is a file of the given metadata and tensors that is not on any disk.
func model(t *testing.T, entries []gguf.Entry, specs []gguf.Spec) *gguf.File {
	t.Helper()
	f, err := gguf.Preview(entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func u32(arch string, kv map[string]uint32) []gguf.Entry {
	e := []gguf.Entry{{Key: "general.architecture", Value: arch}}
	for k, v := range kv {
		e = append(e, gguf.Entry{Key: arch + "." + k, Value: v})
	}
	return e
}

func TestDescribeGPT2(t *testing.T) {
	// GPT-2 124M by hand: one layer has 12d²+13d, d=768; all weights f32.
	const d, L, V, C = 768, 12, 50257, 1024
	specs := []gguf.Spec{{Name: "token_embd.weight", Type: gguf.F32, Dims: []int64{d, V}}, {Name: "position_embd.weight", Type: gguf.F32, Dims: []int64{d, C}}, {Name: "output_norm.weight", Type: gguf.F32, Dims: []int64{2 * d}}}
	for range L {
		specs = append(specs, gguf.Spec{Name: "blk." + string(rune('a'+len(specs))) + ".all", Type: gguf.F32, Dims: []int64{12*d*d + 13*d}})
	}
	f := model(t, u32("gpt2", map[string]uint32{"block_count": L, "embedding_length": d, "attention.head_count": 12, "context_length": C, "feed_forward_length": 4 * d}), specs)
	got, err := Describe(f)
	if err != nil {
		t.Fatal(err)
	}
	want := Description{
		Architecture: "gpt2", NLayer: L, NEmbd: d, NHead: 12, NHeadKV: 12, HeadDim: 64, HeadDimV: 64, NFF: 4 * d, NVocab: V, NCtxTrain: C,
		ParamsTotal: 124_439_808, ParamsActive: 124_439_808, ParamsNonEmbedding: 85_056_000, TiedHead: true,
		WeightType: "f32", WeightTypes: map[string]int64{"f32": 4 * 124_439_808}, WeightBytes: 4 * 124_439_808, FileBytes: f.Size,
		// all but the position table, of which one row, and one row of the token table beside its use as head
		BytesReadPerToken: 4 * (124_439_808 - (C-1)*d + d),
	}
	got.components, got.structure = nil, nil // which tests of their own look at
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if kv, err := got.KVBytesPerToken("f16", "f16", Newest); kv != 2*2*12*768 || err != nil {
		t.Error(kv, err)
	}
	if kv, err := got.KVBytesPerToken("q8_0", "f32", Newest); kv != 12*768*34/32+12*768*4 || err != nil {
		t.Error(kv, err)
	}
}

func TestDescribeUntiedGroupedQueries(t *testing.T) {
	// One layer of Llama 3.1 8B's shapes, and its rope table, which is no weight.
	f := model(t, u32("llama", map[string]uint32{
		"block_count": 1, "embedding_length": 4096, "attention.head_count": 32, "attention.head_count_kv": 8, "context_length": 131072, "feed_forward_length": 14336, "vocab_size": 7,
	}), []gguf.Spec{
		{Name: "rope_freqs.weight", Type: gguf.F32, Dims: []int64{64}}, {Name: "token_embd.weight", Type: gguf.Q4_0, Dims: []int64{4096, 128256}}, {Name: "output.weight", Type: gguf.Q6_K, Dims: []int64{4096, 128256}},
		{Name: "blk.0.attn_k.weight", Type: gguf.Q4_0, Dims: []int64{4096, 1024}}, {Name: "blk.0.ffn_up.weight", Type: gguf.Q4_0, Dims: []int64{4096, 14336}},
	})
	d, err := Describe(f)
	if err != nil {
		t.Fatal(err)
	}
	const table, body = 4096 * 128256, 4096*1024 + 4096*14336
	if d.ParamsTotal != 2*table+body || d.ParamsNonEmbedding != body || d.TiedHead || d.HeadDim != 128 || d.NHeadKV != 8 || d.NVocab != 128256 {
		t.Errorf("%+v", d)
	}
	if want := int64(64*4 + 4096/32*18 + table/256*210 + body/32*18); d.BytesReadPerToken != want {
		t.Errorf("%d bytes per token, want %d", d.BytesReadPerToken, want)
	}
	if d.WeightType != "q6_K" { // the head at 6.6 bits outweighs table and body at 4.5
		t.Errorf("weight type %s of %v", d.WeightType, d.WeightTypes)
	}
	if kv, _ := d.KVBytesPerToken("f16", "f16", Newest); kv != 2*2*1024 {
		t.Errorf("KV %d bytes", kv)
	}
}

func TestDescribeExperts(t *testing.T) {
	specs := []gguf.Spec{
		{Name: "token_embd.weight", Type: gguf.F16, Dims: []int64{64, 100}}, {Name: "output.weight", Type: gguf.F16, Dims: []int64{64, 100}},
		{Name: "blk.0.ffn_gate_inp.weight", Type: gguf.F32, Dims: []int64{64, 32}}, {Name: "blk.0.ffn_up_shexp.weight", Type: gguf.F16, Dims: []int64{64, 10}},
		{Name: "blk.0.ffn_up_exps.weight", Type: gguf.MXFP4, Dims: []int64{64, 128, 32}}, {Name: "blk.0.ffn_up_exps.bias", Type: gguf.F32, Dims: []int64{128, 32}},
		{Name: "blk.1.ffn_down.3.weight", Type: gguf.F16, Dims: []int64{64, 16}}, // the older form, one tensor for each expert
	}
	hp := map[string]uint32{"block_count": 2, "embedding_length": 64, "attention.head_count": 4, "context_length": 8, "expert_count": 32, "expert_used_count": 4, "attention.key_length": 64, "attention.value_length": 32}
	d, err := Describe(model(t, u32("gpt-oss", hp), specs))
	if err != nil {
		t.Fatal(err)
	}
	const exps = 64*128*32 + 128*32 + 64*16
	const whole = 64*100*2 + 64*32 + 64*10
	if d.ParamsTotal != exps+whole || d.ParamsActive != exps/8+whole || d.ParamsNonEmbedding != exps+64*32+64*10 {
		t.Errorf("%+v", d)
	}
	if want := int64(64*2 + 64*100*2 + 64*32*4 + 64*10*2 + (64*128*32/32*17+128*32*4+64*16*2)/8); d.BytesReadPerToken != want {
		t.Errorf("%d bytes per token, want %d", d.BytesReadPerToken, want)
	}
	if kv, _ := d.KVBytesPerToken("f16", "f16", Newest); kv != 2*4*(64+32)*2 || d.HeadDim != 64 || d.HeadDimV != 32 {
		t.Errorf("KV %d bytes, heads of %d and %d", kv, d.HeadDim, d.HeadDimV)
	}
	delete(hp, "expert_used_count")
	d, err = Describe(model(t, u32("gpt-oss", hp), specs))
	if err != nil || d.ParamsActive != d.ParamsTotal || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "expert_used_count is 0") {
		t.Errorf("%v %+v", err, d)
	}
}

func TestDescribeHeadsPerLayer(t *testing.T) {
	entries := []gguf.Entry{{Key: "general.architecture", Value: "mix"}, {Key: "mix.block_count", Value: uint32(3)}, {Key: "mix.embedding_length", Value: uint32(64)}, {Key: "mix.context_length", Value: uint32(8)},
		{Key: "mix.attention.head_count", Value: []uint32{4, 4, 2}}, {Key: "mix.attention.head_count_kv", Value: []int32{2, 0, 1}}, {Key: "mix.feed_forward_length", Value: []uint32{1, 3, 2}}}
	d, err := Describe(model(t, entries, nil))
	if err != nil {
		t.Fatal(err)
	}
	if d.NHead != 4 || d.NHeadKV != 2 || !reflect.DeepEqual(d.HeadsKV, []int64{2, 0, 1}) || d.HeadDim != 16 || d.NFF != 3 {
		t.Errorf("%+v", d)
	}
	if kv, err := d.KVBytesPerToken("f16", "f16", Newest); kv != 3*16*2*2 || err != nil {
		t.Error(kv, err)
	}
	if _, err := d.KVBytesPerToken("q8_0", "f16", Newest); err == nil { // llama.cpp cannot store 16 elements in blocks of 32
		t.Error("16 elements as q8_0 are accepted")
	}
	if _, err := d.KVBytesPerToken("q9", "f16", Newest); err == nil || !strings.Contains(err.Error(), "q9") {
		t.Error(err)
	}
	entries[1].Value = uint32(2)
	var fe *gguf.FormatError
	if _, err := Describe(model(t, entries, nil)); !errors.As(err, &fe) || !strings.Contains(err.Error(), "one for each of the 2 layers") {
		t.Error(err)
	}
}

func TestDescribeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		entries []gguf.Entry
		part    string
	}{
		"no architecture":    {nil, "no such metadata key"},
		"architecture 3":     {[]gguf.Entry{{Key: "general.architecture", Value: uint32(3)}}, "want string"},
		"layers as text":     {[]gguf.Entry{{Key: "general.architecture", Value: "a"}, {Key: "a.block_count", Value: "12"}}, "is string; want array of integers"},
		"negative layers":    {[]gguf.Entry{{Key: "general.architecture", Value: "a"}, {Key: "a.block_count", Value: int32(-1)}}, "is -1"},
		"layers beyond 2^31": {[]gguf.Entry{{Key: "general.architecture", Value: "a"}, {Key: "a.block_count", Value: uint64(1) << 40}}, "want 0 to 2^31"},
	} {
		if _, err := Describe(model(t, c.entries, nil)); err == nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, err := Describe(model(t, []gguf.Entry{{Key: "general.architecture", Value: "clip"}}, nil))
	if err != nil || len(d.Notes) != 5 || !strings.Contains(d.Notes[0], "clip.block_count") {
		t.Errorf("%v %q", err, d.Notes)
	}
}
