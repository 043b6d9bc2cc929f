package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// seeds are whole files near which the fuzzer finds most; testdata/fuzz holds more.
func seeds(f *testing.F) [][]byte {
	path := filepath.Join(f.TempDir(), "m.gguf")
	write := func(entries []Entry, specs []Spec) []byte {
		writeZeros(f, path, entries, specs)
		whole, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		return whole
	}
	return [][]byte{
		// every type of value, and experts
		write(append([]Entry{{"toy.block_count", uint32(2)}, {"toy.attention.head_count", []uint32{1, 2}},
			{"toy.embedding_length", uint32(8)}, {"toy.expert_count", uint32(4)}, {"toy.expert_used_count", uint32(1)}}, sampleEntries...),
			[]Spec{{"token_embd.weight", F32, []int64{2, 3}}, {"blk.0.ffn_up_exps.weight", Q8_0, []int64{32, 1, 4}}}),
		write([]Entry{{"general.architecture", "gpt2"}, {"gpt2.block_count", uint32(1)}, {"gpt2.embedding_length", uint32(4)}, {"gpt2.feed_forward_length", uint32(16)},
			{"gpt2.attention.head_count", uint32(2)}, {"gpt2.context_length", uint32(8)}, {"tokenizer.ggml.tokens", []string{"a", "b", "ab"}},
			{"tokenizer.ggml.token_type", []int32{1, 1, 1}}, {"tokenizer.ggml.merges", []string{"a b"}}},
			[]Spec{{"token_embd.weight", F16, []int64{4, 3}}, {"position_embd.weight", F32, []int64{4, 8}}, {"blk.0.attn_qkv.weight", F16, []int64{4, 12}}, {"blk.0.attn_qkv.bias", F32, []int64{12}}}),
		write([]Entry{{"general.architecture", "llama"}, {"general.alignment", uint32(64)}, {"llama.block_count", uint32(2)}, {"llama.embedding_length", uint32(64)}, {"llama.feed_forward_length", []int32{32, 64}},
			{"llama.attention.head_count", uint32(4)}, {"llama.attention.head_count_kv", []int32{2, 0}}, {"llama.attention.key_length", uint32(32)}, {"llama.attention.value_length", uint32(16)},
			{"llama.context_length", uint32(128)}, {"llama.expert_count", uint32(4)}, {"llama.expert_used_count", uint32(2)}, {"llama.vocab_size", uint32(2)}, {"llama.rope.freq_base", float32(1e4)}},
			[]Spec{{"token_embd.weight", Q8_0, []int64{64, 2}}, {"output.weight", Q4_0, []int64{64, 2}}, {"rope_freqs.weight", F32, []int64{16}}, {"blk.0.ffn_gate_inp.weight", F32, []int64{64, 4}},
				{"blk.0.ffn_up_exps.weight", MXFP4, []int64{64, 2, 4}}, {"blk.1.ffn_up.3.weight", F16, []int64{64, 2}}, {"blk.1.ffn_up_shexp.weight", Q4_K, []int64{256, 1}}}),
		header(3, 0, 0), header(2, 1, 0).tensor("w", F16, 0, 4, 2).align(32).pad(16),
		header(3, 1, 0).tensor("w", TQ1_0, 1<<62, 256, 1<<55), header(3, 0, 1).str("a").u32(uint32(Array)).u32(uint32(String)).u64(1 << 61),
	}
}

// writeZeros writes a file of which all weights are zeros.
func writeZeros(t testing.TB, path string, entries []Entry, specs []Spec) {
	t.Helper()
	w, err := Create(path, entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, x := range w.tensors {
		out, err := w.Tensor(x.Name)
		if err == nil {
			_, err = out.Write(make([]byte, x.Size))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
}

// FuzzRead asks that any bytes give an error with its place or a File of which everything can be decoded and
// described, without a panic and without more memory than the bytes and 64 MiB.
func FuzzRead(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			t.Skip() // decoding an array of bytes as int64 takes eight times its place, which is not what is looked for
		}
		takesLittle(t, b, func() { readAll(t, b) })
	})
}

// takesLittle checks that do allocates no more than the bytes of the file and 64 MiB: in all, not at once, so that it
// does not matter when garbage is collected.
func takesLittle(t *testing.T, file []byte, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(len(file))+64<<20; got > most {
		t.Fatalf("%d bytes of input take %d bytes of memory, more than %d", len(file), got, most)
	}
}

// TestHostileFilesTakeLittleMemory opens the files that make most of what the limits allow, which are larger than
// what the fuzzer makes.
func TestHostileFilesTakeLittleMemory(t *testing.T) {
	keys, long, tensors := header(3, 0, maxKeys), header(3, 0, 200), header(3, maxTensors, 0)
	for i := range maxKeys {
		keys = keys.str(fmt.Sprintf("%x", i)).u32(uint32(Uint8)).pad(1)
	}
	for i := range 200 {
		long = long.str(fmt.Sprintf("%0*d", maxKeyBytes, i)).u32(uint32(Uint8)).pad(1)
	}
	for i := range maxTensors {
		tensors = tensors.tensor(fmt.Sprintf("%x", i), I8, uint64(i)*32, 1)
	}
	for _, c := range []struct {
		name  string
		file  raw
		valid bool
	}{
		{"keys", keys, true},
		{"long keys", long, true},
		{"tensors", slices.Clone(tensors).align(32).pad(32 * maxTensors), true},
		{"tensors without data", tensors, false},
		{"counts of nothing", header(3, maxTensors, maxKeys).pad(32 << 20), false},
		{"empty strings", header(3, 0, 1).str("a").u32(uint32(Array)).u32(uint32(String)).u64(4 << 20).pad(32 << 20), true},
		{"alignment", header(3, 0, 1).str("general.alignment").u32(uint32(Uint32)).u32(1 << 31).pad(32 << 20), true},
		{"a name of half the file", header(3, 0, 1).u64(16 << 20).pad(32 << 20), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			takesLittle(t, c.file, func() {
				f, err := readRaw(c.file)
				if (err == nil) != c.valid {
					t.Fatal(err)
				}
				if err == nil {
					Account(t, f)
				}
			})
		})
	}
}

// Account describes a file's model and checks what must hold of any: it returns the bytes of the weights, or why there
// is no description. account_test.go sets it, which may import what imports this package.
var Account func(t testing.TB, f *File) (weightBytes int64, err error)

// readAll reads everything that the package can read from a file and checks what must hold of any file.
func readAll(t *testing.T, b []byte) {
	var fe *FormatError
	file, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		if !errors.As(err, &fe) || fe.Offset < 0 || fe.Offset > int64(len(b)) || fe.What == "" {
			t.Fatalf("%d bytes: %#v", len(b), err)
		}
		return
	}
	checkAll(t, file)
}

func checkAll(t *testing.T, file *File) {
	t.Helper()
	var fe *FormatError
	parts, heads, size := file.Parts(), int64(0), int64(0)
	for _, p := range parts {
		heads += min(p.DataOffset, p.Size)
		size += p.Size
	}
	if n, err := io.Copy(io.Discard, file.Header()); err != nil || n != heads || size != file.Size {
		t.Fatalf("headers of %d bytes, want %d; %d bytes in all, want %d; %v", n, heads, file.Size, size, err)
	}
	for i := range file.KVs {
		kv := &file.KVs[i]
		if kv.Offset < 0 || kv.Size < 0 || kv.Offset+kv.Size > file.Size {
			t.Fatalf("key %q lies at %d+%d in a file of %d", kv.Key, kv.Offset, kv.Size, file.Size)
		}
		if found, ok := file.KV(kv.Key); !ok || found != kv {
			t.Fatalf("key %q is not found", kv.Key)
		}
		if _, err := file.Value(kv); err != nil {
			t.Fatalf("key %q: %v", kv.Key, err)
		}
		fits := 0
		for _, err := range []error{second(file.Int(kv.Key)), second(file.Float(kv.Key)), second(file.Bool(kv.Key)), second(file.Text(kv.Key)),
			second(file.Strings(kv.Key)), second(file.Ints(kv.Key)), second(file.Floats(kv.Key))} {
			if err == nil {
				fits++
			} else if !errors.As(err, &fe) || fe.Want == "" {
				t.Fatalf("key %q: %#v", kv.Key, err)
			}
		}
		if fits == 0 && kv.Elem != Bool { // arrays of bools have Value alone
			t.Fatalf("key %q of type %v: no getter takes it", kv.Key, kv.Type)
		}
	}
	sum := int64(0)
	for i := range file.Tensors {
		x := &file.Tensors[i]
		if p := parts[x.Part]; x.Offset < p.DataOffset || x.Size < 1 || x.Offset+x.Size > p.Size {
			t.Fatalf("tensor %q lies at %d+%d in a file of %d", x.Name, x.Offset, x.Size, p.Size)
		}
		if found, ok := file.Tensor(x.Name); !ok || found != x {
			t.Fatalf("tensor %q is not found", x.Name)
		}
		if n, err := io.Copy(io.Discard, file.Data(x)); n != x.Size || err != nil {
			t.Fatalf("tensor %q: %d of %d bytes, %v", x.Name, n, x.Size, err)
		}
		sum += x.Size
	}
	if n, err := Account(t, file); err == nil && n != sum {
		t.Fatalf("%d bytes of weights, want %d", n, sum)
	}
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
