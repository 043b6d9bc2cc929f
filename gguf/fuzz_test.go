package gguf

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// seeds are whole files near which the fuzzer finds most; testdata/fuzz holds more.
func seeds(f *testing.F) [][]byte {
	dir := f.TempDir()
	path := filepath.Join(dir, "m.gguf")
	w, err := Create(path, append([]Entry{{"toy.block_count", uint32(2)}, {"toy.attention.head_count", []uint32{1, 2}},
		{"toy.embedding_length", uint32(8)}, {"toy.expert_count", uint32(4)}, {"toy.expert_used_count", uint32(1)}}, sampleEntries...),
		[]Spec{{"token_embd.weight", F32, []int64{2, 3}}, {"blk.0.ffn_up_exps.weight", Q8_0, []int64{32, 1, 4}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, x := range w.tensors {
		out, err := w.Tensor(x.Name)
		if err != nil {
			f.Fatal(err)
		}
		out.Write(make([]byte, x.Size))
	}
	if err := w.Finish(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return [][]byte{
		whole, header(3, 0, 0), header(2, 1, 0).tensor("w", F16, 0, 4, 2).align(32).pad(16),
		header(3, 1, 0).tensor("w", TQ1_0, 1<<62, 256, 1<<55), header(3, 0, 1).str("a").u32(uint32(Array)).u32(uint32(String)).u64(1 << 61),
	}
}

// FuzzRead asks that any bytes give an error or a File of which everything can be decoded and described: no panic,
// and (by the fuzzer's own limit) no allocation beyond a small multiple of the input.
func FuzzRead(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for i := range file.KVs {
			kv := &file.KVs[i]
			if kv.Offset+kv.Size > file.Size {
				t.Fatalf("key %q lies at %d+%d in a file of %d", kv.Key, kv.Offset, kv.Size, file.Size)
			}
			if _, err := file.Value(kv); err != nil {
				t.Fatalf("key %q: %v", kv.Key, err)
			}
			file.Ints(kv.Key)
			file.Floats(kv.Key)
		}
		sum := int64(0)
		for _, x := range file.Tensors {
			if x.Offset < file.DataOffset || x.Size < 1 || x.Offset+x.Size > file.Size {
				t.Fatalf("tensor %q lies at %d+%d in a file of %d", x.Name, x.Offset, x.Size, file.Size)
			}
			sum += x.Size
		}
		d, err := Describe(file)
		if err != nil {
			return
		}
		if d.WeightBytes != sum || d.ParamsActive > d.ParamsTotal || d.ParamsActive < 0 || d.BytesReadPerToken < 0 || d.ParamsNonEmbedding > d.ParamsTotal {
			t.Fatalf("%+v", d)
		}
		for _, o := range []MemoryOptions{{}, {Context: 1 << 40, UBatch: 1 << 40, TypeK: "f64", TypeV: "q4_0"}} {
			if m, err := d.Memory(o); err == nil && (m.Total < 0 || m.Total > math.MaxInt64-1 || m.KV < 0 || m.Compute < 0) {
				t.Fatalf("%+v", m)
			}
		}
	})
}

// BenchmarkOpen opens a file with the metadata of a large multilingual model.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "m.gguf")
	tokens, merges, types := make([]string, 200_000), make([]string, 280_000), make([]int32, 200_000)
	for i := range tokens {
		tokens[i] = string(bytes.Repeat([]byte{'a' + byte(i%26)}, 2+i%12))
	}
	for i := range merges {
		merges[i] = tokens[i%len(tokens)] + " " + tokens[i*7%len(tokens)]
	}
	w, err := Create(path, []Entry{{"general.architecture", "qwen2"}, {"tokenizer.ggml.tokens", tokens},
		{"tokenizer.ggml.token_type", types}, {"tokenizer.ggml.merges", merges}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		b.Fatal(err)
	}
	b.Run("tokens=200000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	b.Run("tokens=200000/decode=yes", func(b *testing.B) {
		for b.Loop() {
			f, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			if got, err := f.Strings("tokenizer.ggml.tokens"); err != nil || len(got) != len(tokens) {
				b.Fatal(len(got), err)
			}
			f.Close()
		}
	})
}
