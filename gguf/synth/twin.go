package synth

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/draw"
	"llmscale/gguf/ledger"
)

// Twin is a model that has metadata, vocabulary, tensor table and types of another file, and new weights: a shape
// that can be handed on without what was learned.
type Twin struct {
	name    string        // of the file, without extension
	header  []byte        // SHA-256 of the file's header; of a model in several parts, of all their headers
	infos   []os.FileInfo // of the file, or of all parts
	offset  int64         // bytes from the start of the file, or of the first part, to the tensor data
	entries []gguf.Entry
	tensors []draw.Tensor
}

// twinPrefix begins the keys by which a twin says that it is one. They are the only metadata that it adds.
const twinPrefix = "llmscale.twin."

// OpenTwin reads everything but the weights of the GGUF file at path. A tensor of a type that no weights can be
// drawn in is refused by name. The twin of a model in several parts is one file: llama.cpp computes with the same
// tensors, and a model to hand on is handled more easily.
func OpenTwin(path string) (*Twin, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	arch, err := f.Text("general.architecture")
	if err != nil {
		return nil, err
	}
	t := &Twin{offset: f.DataOffset, name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))}
	for _, p := range f.Parts() {
		t.infos = append(t.infos, p.Info)
	}
	if len(t.infos) > 1 {
		t.name = filepath.Base(gguf.Stem(f.Path)) // the same whichever part was named
	}
	h := sha256.New()
	if _, err := io.Copy(h, f.Header()); err != nil {
		return nil, fmt.Errorf("synth: %s: %w", path, err)
	}
	t.header = h.Sum(nil)
	for i := range f.KVs {
		kv := &f.KVs[i]
		if strings.HasPrefix(kv.Key, twinPrefix) || gguf.IsSplitKey(kv.Key) {
			continue // the file is a twin itself; or a part, and the twin is whole
		}
		v, err := f.Value(kv)
		if err != nil {
			return nil, err
		}
		t.entries = append(t.entries, gguf.Entry{Key: kv.Key, Value: v})
	}
	for i := range f.Tensors {
		x, err := twinTensor(f, arch, &f.Tensors[i])
		if err != nil {
			return nil, fmt.Errorf("synth: %s: %w", path, err)
		}
		t.tensors = append(t.tensors, x)
	}
	return t, nil
}

// twinTensor says what a tensor's new weights are drawn from, by its name and form.
func twinTensor(f *gguf.File, arch string, t *gguf.Tensor) (draw.Tensor, error) {
	out := draw.Tensor{Spec: gguf.Spec{Name: t.Name, Type: t.Type, Dims: t.Dims}}
	if !draw.Supports(t.Type) {
		return out, fmt.Errorf("tensor %q is %s, a type in which no weights can be drawn", t.Name, t.Type)
	}
	stem := strings.TrimSuffix(t.Name, ".weight")
	switch {
	case ledger.IsRopeTable(t.Name):
		// Computed from the configuration, not learned; other values would be another model. ggml has them in f32.
		if t.Type != gguf.F32 {
			return out, fmt.Errorf("tensor %q is %s; rotary factors are f32", t.Name, t.Type)
		}
		b, err := io.ReadAll(f.Data(t))
		if err != nil {
			return out, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		out.Values = decodeF32(b)
	case strings.HasSuffix(t.Name, ".bias"):
		out.Std = 0.02
	case strings.HasSuffix(stem, "norm") || strings.Contains(stem, "_norm_"):
		out.Mean, out.Std = 1, 0.02
	case strings.HasSuffix(stem, "ssm_a"):
		out.Mean, out.Std = -1, 0.1 // a rate of decay: what is not negative blows up
	case strings.HasSuffix(stem, "_embd"):
		out.Std = embeddingStd(arch, t.Dims[0])
	case len(t.Dims) == 1:
		out.Std = 0.02
	default:
		out.Std = 1 / math.Sqrt(float64(t.Dims[0]))
	}
	return out, nil
}

// Origin says what a file that this package wrote is ("twin of another file", "shape-llama3.1-8b"), so that it is not
// taken for a trained model; "" for other files.
func Origin(f *gguf.File) string {
	if _, ok := f.KV(twinPrefix + "seed"); ok {
		return "the twin of another file"
	}
	if name, err := f.Text("llmscale.synth.preset"); err == nil {
		return name
	}
	return ""
}

// Label names the twin in files: by its original's file name and header.
func (t *Twin) Label() string { return "like-" + t.name + "-" + hex.EncodeToString(t.header[:4]) }

// checkTarget refuses to write the twin over its original, whose weights are nowhere else.
func (t *Twin) checkTarget(path string) error {
	if at, err := os.Stat(path); err == nil {
		for _, info := range t.infos {
			if os.SameFile(at, info) {
				return fmt.Errorf("synth: %s is the original of this twin; want another path to write to", path)
			}
		}
	}
	return nil
}

// weightSeed gives the twin of a synthesised model other weights than its original where both have one seed.
func (t *Twin) weightSeed(seed uint64) uint64 { return seed ^ binary.LittleEndian.Uint64(t.header) }

func (t *Twin) contents(opt Options) ([]gguf.Entry, []draw.Tensor, error) {
	if opt.Type != "" {
		return nil, nil, fmt.Errorf("synth: a twin has the types of its original, not %s", opt.Type)
	}
	entries := append(t.entries[:len(t.entries):len(t.entries)],
		gguf.Entry{Key: twinPrefix + "of_header_sha256", Value: hex.EncodeToString(t.header)},
		gguf.Entry{Key: twinPrefix + "seed", Value: opt.Seed},
		gguf.Entry{Key: twinPrefix + "version", Value: uint32(version)},
	)
	padding, err := t.padding(entries)
	if err != nil {
		return nil, nil, err
	}
	return append(entries, gguf.Entry{Key: paddingKey, Value: padding}), t.tensors, nil
}

const paddingKey = twinPrefix + "padding"

// padding is a string of blanks that brings the twin's weights to the place within a page, and so within a cache
// line, that the original's have in a mapped file. Vector loads that cross lines take longer.
func (t *Twin) padding(entries []gguf.Entry) (string, error) {
	entries = append(entries[:len(entries):len(entries)], gguf.Entry{Key: paddingKey, Value: ""})
	f, err := gguf.Preview(entries, specs(t.tensors))
	if err != nil {
		return "", err
	}
	page := max(4096, f.Alignment) // both powers of two, and both offsets multiples of the alignment
	return strings.Repeat(" ", int((t.offset-f.DataOffset)&(page-1))), nil
}

func decodeF32(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}
