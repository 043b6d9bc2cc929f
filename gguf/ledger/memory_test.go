package ledger_test

import (
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
)

func described(t *testing.T, source, typ string) ledger.Description {
	t.Helper()
	s, err := synth.Lookup(source)
	if err != nil {
		t.Fatal(err)
	}
	d, err := synth.Describe(s, synth.Options{Type: typ, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestMemory holds cache and compute buffer against what llama.cpp ec98e2002 itself answered on a CPU;
// native/ledger_test.go asks it again, about many more loads and about the weights.
func TestMemory(t *testing.T) {
	type o = ledger.MemoryOptions
	for _, c := range []struct {
		source      string
		options     o
		kv, compute int64
	}{
		{"synth:gpt2", o{Context: 300}, 18874368, 61230016},
		{"synth:gpt2", o{Context: 8192, UBatch: 64, NoFlashAttention: true}, 301989888, 28640512},
		{"synth:gpt2", o{Context: 32768, TypeK: "q8_0", TypeV: "q8_0"}, 641728512, 108541952},
		{"synth:gpt2", o{Context: 4096, UBatch: 2048, TypeK: "f32", TypeV: "f32"}, 301989888, 417996800},
		{"shape:llama3.1-8b", o{Context: 300}, 67108864, 158822400},
		{"shape:llama3.1-8b", o{Context: 8192, UBatch: 64, NoFlashAttention: true}, 1073741824, 73925888},
		{"shape:llama3.1-8b", o{Context: 32768, TypeK: "q8_0", TypeV: "q8_0"}, 2281701376, 271056896},
		{"shape:llama3.1-8b", o{Context: 4096, UBatch: 2048, TypeK: "f32", TypeV: "f32"}, 1073741824, 1117782016},
		{"shape:qwen2.5-0.5b", o{Context: 300}, 6291456, 183398400},
		{"shape:qwen2.5-0.5b", o{Context: 8192, UBatch: 64, NoFlashAttention: true}, 100663296, 39354368},
		{"shape:qwen2.5-0.5b", o{Context: 32768, TypeK: "q8_0", TypeV: "q8_0"}, 213909504, 312999936},
		{"shape:qwen2.5-0.5b", o{Context: 4096, UBatch: 2048, TypeK: "f32", TypeV: "f32"}, 100663296, 1251999744},
		{"shape:gemma3-4b", o{Context: 300}, 71303168, 317644800},
		{"shape:gemma3-4b", o{Context: 8192, UBatch: 64, NoFlashAttention: true}, 1140850688, 68419584},
		{"shape:gemma3-4b", o{Context: 32768, TypeK: "q8_0", TypeV: "q8_0"}, 2424307712, 542113792},
		{"shape:gemma3-4b", o{Context: 4096, UBatch: 2048, TypeK: "f32", TypeV: "f32"}, 1140850688, 2168455168},
		{"shape:gemma3-4b", o{Context: 32768, WindowCache: true}, 853540864, 542113792},
		{"shape:gpt-oss-20b", o{Context: 300}, 25165824, 244761600},
		{"shape:gpt-oss-20b", o{Context: 8192, UBatch: 64, NoFlashAttention: true}, 402653184, 142509824},
		{"shape:gpt-oss-20b", o{Context: 32768, TypeK: "q8_0", TypeV: "q8_0"}, 855638016, 417726464},
		{"shape:gpt-oss-20b", o{Context: 4096, UBatch: 2048, TypeK: "f32", TypeV: "f32"}, 402653184, 1670905856},
		{"shape:gpt-oss-20b", o{Context: 32768, WindowCache: true}, 824180736, 417726464},
	} {
		d := described(t, c.source, "f16")
		newest, err := d.Memory(c.options)
		if err != nil {
			t.Fatal(err)
		}
		c.options.Rules = ledger.Ollama
		m, err := d.Memory(c.options)
		if err != nil {
			t.Fatal(err)
		}
		if newest.KV != m.KV || newest.Weights != m.Weights || newest.Compute == m.Compute || newest.Compute < m.Compute*9/10 || newest.Compute > m.Compute*11/10 {
			t.Errorf("%s %+v: by the newest's rules %+v, by Ollama's %+v", c.source, c.options, newest, m)
		}
		if m.KV != c.kv || m.Compute != c.compute {
			t.Errorf("%s %+v: a cache of %d bytes and a compute buffer of %d, llama.cpp has %d and %d", c.source, c.options, m.KV, m.Compute, c.kv, c.compute)
		}
		if m.Output != 4*d.NVocab || m.Total != m.Weights+m.Repacked+m.KV+m.Compute+m.Output || m.Resident != m.Total || m.KV != m.KVFull+m.KVWindow {
			t.Errorf("%s %+v: %+v", c.source, c.options, m)
		}
	}
}

func TestMemoryRepacked(t *testing.T) {
	d := described(t, "shape:llama3.2-1b", "q4_0") // its head is tied
	plain, err := d.Memory(ledger.MemoryOptions{Context: 256, Repack: []gguf.Type{}})
	if err != nil {
		t.Fatal(err)
	}
	if plain.Repacked != 0 || plain.Resident != plain.Total || plain.Weights != d.WeightBytes {
		t.Errorf("not repacked: %+v, weights of %d bytes", plain, d.WeightBytes)
	}
	packed, err := d.Memory(ledger.MemoryOptions{Context: 256, Repack: []gguf.Type{gguf.Q4_0}})
	if err != nil {
		t.Fatal(err)
	}
	// All but the norms and the rope factors is in matrices of q4_0; of the table the head's copy is repacked, and
	// it stays for the lookups.
	if want := d.WeightTypes["q4_0"]; packed.Repacked != want {
		t.Errorf("%d bytes repacked, want the %d of q4_0", packed.Repacked, want)
	}
	table := int64(128_256 * 2048 / 32 * 18)
	if want := table + d.WeightTypes["f32"] + packed.Repacked + packed.KV + packed.Compute + packed.Output; packed.Resident != want {
		t.Errorf("%d bytes resident, want %d", packed.Resident, want)
	}
	read, err := d.Memory(ledger.MemoryOptions{Context: 256, Repack: []gguf.Type{gguf.Q4_0}, NoMmap: true})
	if err != nil || read.Weights != table+d.WeightTypes["f32"] || read.Resident != read.Total || read.Total != packed.Resident {
		t.Errorf("read instead of mapped: %+v, %v", read, err)
	}
}

func TestMemoryOptions(t *testing.T) {
	d := described(t, "synth:gpt2-5m", "f32")
	for _, c := range []struct {
		o               ledger.MemoryOptions
		context, ubatch int64
	}{
		{ledger.MemoryOptions{}, 1024, 512}, {ledger.MemoryOptions{Context: 1}, 256, 1}, {ledger.MemoryOptions{Context: 257}, 512, 257},
		{ledger.MemoryOptions{UBatch: 4096}, 1024, 1024}, {ledger.MemoryOptions{Context: 8192, UBatch: 4096}, 8192, 2048}, {ledger.MemoryOptions{Batch: 32}, 1024, 32},
	} {
		if m, err := d.Memory(c.o); err != nil || m.Context != c.context || m.UBatch != c.ubatch {
			t.Errorf("%+v: context %d, micro-batch %d, %v; want %d and %d", c.o, m.Context, m.UBatch, err, c.context, c.ubatch)
		}
	}
	for _, o := range []ledger.MemoryOptions{{Context: -1}, {Batch: -1}, {UBatch: 1 << 50}, {TypeK: "no"}, {TypeV: "no"}, {Context: 1 << 40, UBatch: 1 << 40, Batch: 1 << 40}} {
		if m, err := d.Memory(o); err == nil {
			t.Errorf("%+v is accepted: %+v", o, m)
		}
	}
	// A Description that no file stands behind has figures too, less exact.
	d = ledger.Description{NLayer: 12, NEmbd: 768, NHead: 12, NHeadKV: 12, HeadDim: 64, HeadDimV: 64, NFF: 3072, NVocab: 50257, NCtxTrain: 1024, WeightBytes: 1000}
	if m, err := d.Memory(ledger.MemoryOptions{}); err != nil || m.Weights != 1000 || m.KV != 1024*36864 || m.Compute < 95<<20 || m.Compute > 120<<20 {
		t.Errorf("%+v, %v", m, err)
	}
	d.NLayer, d.HeadDim, d.HeadsKV = 1<<31, 1<<31, nil
	if _, err := d.Memory(ledger.MemoryOptions{Context: 1 << 40}); err == nil {
		t.Error("an overflow is not noticed")
	}
}

func TestComponents(t *testing.T) {
	for source, want := range map[string]string{
		"synth:gpt2-5m":      "token embedding, position embedding, attention, feed-forward, norms, output head",
		"shape:llama3.1-8b":  "token embedding, attention, feed-forward, norms, output head, other",
		"shape:qwen2.5-0.5b": "token embedding, attention, feed-forward, norms, output head",
		"shape:gemma3-270m":  "token embedding, attention, feed-forward, norms, output head",
		"shape:gpt-oss-20b":  "token embedding, attention, router, experts, norms, output head",
		"ladder:llama/1.2b":  "token embedding, attention, feed-forward, norms, output head",
	} {
		d := described(t, source, "f16")
		var names []string
		var sum ledger.Component
		for _, c := range d.Components() {
			names = append(names, c.Name)
			sum.Params += c.Params
			sum.ParamsActive += c.ParamsActive
			sum.Bytes += c.Bytes
			sum.BytesRead += c.BytesRead
			if head := c.Name == "output head"; head && (c.Bytes == 0) != d.TiedHead || head && c.BytesRead < d.NVocab*d.NEmbd*2 {
				t.Errorf("%s: %+v, tied %v", source, c, d.TiedHead)
			}
		}
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("%s: components %s, want %s", source, got, want)
		}
		if want := (ledger.Component{Params: d.ParamsTotal, ParamsActive: d.ParamsActive, Bytes: d.WeightBytes, BytesRead: d.BytesReadPerToken}); sum != want {
			t.Errorf("%s: the components add up to %+v, want %+v", source, sum, want)
		}
	}
}

// TestMemoryOfAMX: on a CPU with AMX each matrix that is multiplied alone has a copy, in f16 too; in Ollama's version only
// those whose rows are a multiple of 2048.
func TestMemoryOfAMX(t *testing.T) {
	const matrices = 16*(2048*2048*2+2048*512*2+3*2048*8192) + 128_256*2048 // elements, of Llama 3.2 1B with its head's copy
	for _, c := range []struct {
		source, typ string
		rules       ledger.Rules
		want        int64
	}{
		{"shape:llama3.2-1b", "f16", ledger.Newest, 2 * matrices},
		{"shape:llama3.2-1b", "f16", ledger.Ollama, 2 * matrices},
		{"shape:llama3.2-1b", "q4_0", ledger.Newest, matrices / 32 * 18},
		{"shape:llama3.2-1b", "q8_0", ledger.Newest, matrices / 32 * (34 + 4)},
		{"shape:qwen2.5-0.5b", "f16", ledger.Ollama, 0}, // rows of 896 and 4864
	} {
		d := described(t, c.source, c.typ)
		m, err := d.Memory(ledger.MemoryOptions{Context: 256, Repack: []gguf.Type{}, AMX: true, Rules: c.rules})
		without, err2 := d.Memory(ledger.MemoryOptions{Context: 256, Repack: []gguf.Type{}, Rules: c.rules})
		if err != nil || err2 != nil || without.Repacked != 0 || m.Repacked != c.want {
			t.Errorf("%s %s %q: %d bytes of copies (%v), want %d; without AMX %d (%v)", c.source, c.typ, c.rules, m.Repacked, err, c.want, without.Repacked, err2)
		}
	}
	d := described(t, "shape:gpt-oss-20b", "q4_0")
	m, err := d.Memory(ledger.MemoryOptions{Context: 256, Repack: []gguf.Type{}, AMX: true})
	if err != nil || m.Repacked == 0 || m.Repacked > d.WeightBytes/5 {
		t.Errorf("%d bytes of copies of %d (%v): experts have none", m.Repacked, d.WeightBytes, err)
	}
}
