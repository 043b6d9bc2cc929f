package hf

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/quant"
)

// Options says what to write. The zero value is f32 weights.
type Options struct {
	Type string // "f32", "f16", "bf16" or "q8_0"; "" means f32

	// Progress, if not nil, is called now and then from the goroutine that called Write, with the bytes of tensor
	// data written so far and in all.
	Progress func(doneBytes, totalBytes int64)

	Written *gguf.Written // if not nil, the file is hashed while it is written, and Write fills this in
}

var fileTypes = map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.Q8_0: 7, gguf.BF16: 32} // llama.cpp's enum llama_ftype

// parseType accepts the types that Write can make.
func parseType(name string) (gguf.Type, error) {
	if name == "" {
		return gguf.F32, nil
	}
	t, err := gguf.ParseType(name)
	if _, ok := fileTypes[t]; err != nil || !ok {
		return 0, fmt.Errorf("hf: cannot write weights as %q; want f32, f16, bf16 or q8_0", name)
	}
	return t, nil
}

// entries returns the file's metadata.
func (m *Model) entries(t gguf.Type, hash string, fallback []string) []gguf.Entry {
	c, v := &m.config, m.vocab
	e := []gguf.Entry{
		{Key: "general.architecture", Value: "gpt2"},
		{Key: "general.type", Value: "model"},
		{Key: "general.name", Value: m.name},
		{Key: "general.file_type", Value: fileTypes[t]},
		{Key: "gpt2.context_length", Value: uint32(c.positions)},
		{Key: "gpt2.embedding_length", Value: uint32(c.width)},
		{Key: "gpt2.feed_forward_length", Value: uint32(c.inner)},
		{Key: "gpt2.block_count", Value: uint32(c.layers)},
		{Key: "gpt2.attention.head_count", Value: uint32(c.heads)},
		{Key: "gpt2.attention.layer_norm_epsilon", Value: float32(c.epsilon)},
		{Key: "llmscale.hf.content_sha256", Value: hash},
		{Key: "llmscale.hf.files", Value: m.files()},
		{Key: "llmscale.hf.version", Value: uint32(Version)},
	}
	if t == gguf.Q8_0 {
		e = append(e, gguf.Entry{Key: "general.quantization_version", Value: uint32(2)}) // GGML_QNT_VERSION
	}
	if len(fallback) > 0 {
		e = append(e, gguf.Entry{Key: "llmscale.fallback_tensors", Value: fallback})
	}
	e = append(e,
		gguf.Entry{Key: "tokenizer.ggml.model", Value: "gpt2"},
		gguf.Entry{Key: "tokenizer.ggml.pre", Value: "gpt-2"},
		gguf.Entry{Key: "tokenizer.ggml.tokens", Value: v.tokens},
		gguf.Entry{Key: "tokenizer.ggml.token_type", Value: v.types},
		gguf.Entry{Key: "tokenizer.ggml.merges", Value: v.merges},
	)
	keys := map[string]string{"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
	for _, role := range specialNames {
		if id, ok := v.special[role]; ok {
			e = append(e, gguf.Entry{Key: "tokenizer.ggml." + keys[role] + "_token_id", Value: uint32(id)})
		}
	}
	return append(e, gguf.Entry{Key: "tokenizer.ggml.add_bos_token", Value: v.addBOS})
}

// preview is the file that Write would make, without weights.
func (m *Model) preview(t gguf.Type, hash string) (*gguf.File, error) {
	specs, fallback := m.types(t)
	return gguf.Preview(m.entries(t, hash, fallback), specs)
}

// Write makes the file at path. An existing file is replaced once the new one is whole. The same folder content,
// name and type give the same bytes. In memory are at most the largest transposed matrix, as its file has it, and
// some MiB. A weight that the type cannot hold gives an *Error.
func (m *Model) Write(path string, opt Options) error {
	t, err := parseType(opt.Type)
	if err != nil {
		return err
	}
	if err := m.CheckTarget(path); err != nil {
		return err
	}
	hash, err := m.ContentHash(nil)
	if err != nil {
		return err
	}
	specs, fallback := m.types(t)
	w, err := gguf.CreateHashed(path, m.entries(t, hash, fallback), specs, opt.Written)
	if err != nil {
		return fmt.Errorf("hf: %w", err)
	}
	defer w.Close()
	c := &converter{progress: opt.Progress}
	for _, s := range specs {
		c.total += bytesOf(s.Type, elements(s.Dims))
	}
	for i, s := range specs {
		out, err := w.Tensor(s.Name)
		if err != nil {
			return fmt.Errorf("hf: %w", err)
		}
		if err := c.convert(out, &m.tensors[i], s.Type); err != nil {
			return err
		}
	}
	if err := w.Finish(); err != nil {
		return fmt.Errorf("hf: %w", err)
	}
	return nil
}

// CheckTarget refuses, as Write does, to replace what is in the folder already, read or not, unless it is a GGUF file.
func (m *Model) CheckTarget(path string) error {
	target, err := os.Stat(path)
	if err != nil {
		return nil // it is not there yet, or creating it will say what is wrong
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return fmt.Errorf("hf: %w", err)
	}
	for _, e := range entries {
		own, err := os.Stat(filepath.Join(m.dir, e.Name())) // through links, as in Hugging Face's cache
		if err == nil && os.SameFile(target, own) && !isGGUF(path) {
			return &Error{Path: path, What: "it is one of the model's own files", Want: "another path to write to"}
		}
	}
	return nil
}

func isGGUF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == "GGUF"
}

func elements(dims []int64) int64 {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	return n
}

// bytesOf returns the size of n weights, which are whole blocks by construction.
func bytesOf(t gguf.Type, n int64) int64 {
	size, err := t.RowBytes(n)
	if err != nil {
		panic(fmt.Sprintf("hf: %v", err))
	}
	return size
}

// converter writes tensors one after the other, with buffers that it keeps.
type converter struct {
	progress    func(done, total int64)
	done, total int64 // bytes written

	weights, part []float32
	out, whole    []byte
}

// grown returns a buffer of n elements that reuses b where it is large enough.
func grown[T any](b []T, n int64) []T {
	if int64(cap(b)) < n {
		return make([]T, n)
	}
	return b[:n]
}

func (c *converter) convert(w io.Writer, t *tensor, typ gguf.Type) error {
	if t.transposed {
		return c.transpose(w, t, typ)
	}
	d, err := newDecoder(t.source)
	if err != nil {
		return err
	}
	d.buf = c.whole[:0]
	row := t.dims[0]
	step := max(1, chunkWeights/row) * row // whole rows, and so whole blocks
	for first := int64(0); d.left > 0; first += step {
		c.weights = grown(c.weights, min(step, d.left))
		if err := d.read(c.weights); err != nil {
			return err
		}
		if err := c.emit(w, t, typ, first); err != nil {
			return err
		}
	}
	c.whole = d.buf[:0]
	return nil
}

// emit encodes and writes c.weights, of which the first is the tensor's weight number first.
func (c *converter) emit(w io.Writer, t *tensor, typ gguf.Type, first int64) error {
	c.out = grown(c.out, bytesOf(typ, int64(len(c.weights))))
	if err := quant.Encode(typ, c.out, c.weights); err != nil {
		var ve *quant.ValueError
		if errors.As(err, &ve) {
			return t.unfit(ve, first)
		}
		return fmt.Errorf("hf: tensor %q: %w", t.name, err)
	}
	if _, err := w.Write(c.out); err != nil {
		return fmt.Errorf("hf: %w", err)
	}
	c.done += int64(len(c.out))
	if c.progress != nil {
		c.progress(c.done, c.total)
	}
	return nil
}

// unfit says which element of the source the type cannot hold, by its indices there.
func (t *tensor) unfit(ve *quant.ValueError, first int64) error {
	i := first + int64(ve.Index)
	index := []int64{i}
	if len(t.dims) == 2 {
		index = []int64{i / t.dims[0], i % t.dims[0]}
		if t.transposed {
			slices.Reverse(index)
		}
	}
	want := "finite weights"
	if v := float64(ve.Value); !math.IsNaN(v) && !math.IsInf(v, 0) {
		want = fmt.Sprintf("at most %g in %s: convert to bf16 or f32", ve.Max, ve.Type)
	}
	return t.source.fail(want, "element %s is %g", strings.ReplaceAll(fmt.Sprint(index), " ", ","), ve.Value)
}

// transposeRows is how many rows of the output are gathered at a time: as many cache lines are written side by side
// while the source is read front to back, a piece of each of its rows.
const transposeRows = 64

// transpose writes a matrix that the source has as [in, out] in rows of in elements.
func (c *converter) transpose(w io.Writer, t *tensor, typ gguf.Type) error {
	r, err := t.source.data()
	if err != nil {
		return err
	}
	c.whole = grown(c.whole, t.source.size)
	if _, err := io.ReadFull(r, c.whole); err != nil {
		return fmt.Errorf("hf: %s: tensor %q: %w", t.source.file, cut(t.source.name), err)
	}
	in, out := t.dims[0], t.dims[1]
	width := elementBytes[t.source.dtype]
	c.part = grown(c.part, transposeRows)
	for first := int64(0); first < out; first += transposeRows {
		rows := min(transposeRows, out-first)
		c.weights = grown(c.weights, rows*in)
		for i := range in {
			part := c.part[:rows]
			widen(part, c.whole[(i*out+first)*width:], t.source.dtype)
			for k, v := range part {
				c.weights[int64(k)*in+i] = v
			}
		}
		if err := c.emit(w, t, typ, first*in); err != nil {
			return err
		}
	}
	return nil
}
