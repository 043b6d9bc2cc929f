package ledger

import (
	"fmt"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sys/cpu"

	"llmscale/gguf"
	"llmscale/internal/checked"
)

// Defaults of MemoryOptions, llama.cpp's own.
const (
	DefaultBatch  = 2048
	DefaultUBatch = 512
)

// MaxSequences is how many sequences a context of llama.cpp holds (LLAMA_MAX_SEQ in src/llama-cparams.h).
const MaxSequences = 256

// MemoryOptions says how a model is to be loaded. Its zero value is llama.cpp's default on this machine's CPU, with a
// context of the model's training length.
type MemoryOptions struct {
	Context   int64  // tokens of each sequence; 0: the model's NCtxTrain
	Sequences int64  // decoded together, each with a cache of its own; 0: 1
	Batch     int64  // tokens handed over at once, which bound the micro-batch; 0: DefaultBatch
	UBatch    int64  // tokens computed at once in prefill; 0: DefaultUBatch
	TypeK     string // type of the cached keys; "": f16
	TypeV     string // type of the cached values; "": f16

	// NoFlashAttention is for loading with flash attention off. llama.cpp's own choice on a CPU is on.
	NoFlashAttention bool

	// NoMmap is for reading the weights into memory instead of mapping the file.
	NoMmap bool

	// WindowCache is for keeping of layers with a sliding window that window alone. llama.cpp's default, and that of
	// this program, is to keep the whole context (swa_full).
	WindowCache bool

	Rules Rules // of which llama.cpp

	// Repack lists the types whose matrices llama.cpp copies into an order of its own; an empty list for none. Nil
	// stands for a build for this machine's CPU: RepackTypes(Rules), and AMX if HasAMX.
	Repack []gguf.Type

	// AMX is for a build and a CPU with AMX, for which more types are copied, before those of Repack.
	AMX bool
}

// RepackTypes lists the types whose matrices llama.cpp repacks on this machine's CPU, if it was built for it: q4_0, q4_K,
// iq4_nl and (except by the rules of Ollama) mxfp4 with AVX2 (or with NEON's dot product), q2_K with AVX-512. It mirrors
// ggml_repack_get_optimal_repack_type in
// https://github.com/ggml-org/llama.cpp/blob/0c1e57098/ggml/src/ggml-cpu/repack.cpp.
func RepackTypes(r Rules) []gguf.Type {
	var types []gguf.Type
	switch {
	case runtime.GOARCH == "amd64" && cpu.X86.HasAVX2, runtime.GOARCH == "arm64" && cpu.ARM64.HasASIMDDP:
		if types = append(types, gguf.Q4_0, gguf.Q4_K, gguf.IQ4NL); r != Ollama {
			types = append(types, gguf.MXFP4)
		}
	}
	if runtime.GOARCH == "amd64" && cpu.X86.HasAVX512F {
		types = append(types, gguf.Q2_K)
	}
	return types
}

// repackRows is the number of rows that are interleaved: a matrix of another number of rows stays as it is.
const repackRows = 8

// Memory says what loading a model into the CPU's memory takes, in bytes, by llama.cpp's own way of counting. Weights,
// cache and output are exact; the compute buffer is reckoned from a model of llama.cpp's graph. docs/ledger.md
// compares all of them with llama.cpp's figures.
type Memory struct {
	Context int64 `json:"context_tokens"` // of each sequence, as llama.cpp rounds it: up to a multiple of 256
	UBatch  int64 `json:"ubatch_tokens"`  // at most the context asked for, and the batch

	// Weights is what llama.cpp maps of the file, from the first to the last tensor that it uses from there (in a model
	// of several parts, of each); with NoMmap what it reads into memory.
	Weights  int64 `json:"weights_bytes"`
	Repacked int64 `json:"repacked_bytes"` // copies of matrices in the CPU's own order, beside the mapped file

	KV          int64 `json:"kv_bytes"`         // KV cache: KVFull + KVWindow
	KVFull      int64 `json:"kv_full_bytes"`    // of the layers that attend to the whole context
	KVWindow    int64 `json:"kv_window_bytes"`  // of the layers with a sliding window
	WindowCells int64 `json:"kv_window_tokens"` // tokens that these keep; 0: there are none
	State       int64 `json:"state_bytes"`      // what recurrent layers keep of the sequences
	Compute     int64 `json:"compute_bytes"`    // intermediate results
	Output      int64 `json:"output_bytes"`     // logits of one token of each sequence, handed out
	Total       int64 `json:"total_bytes"`      // all of the above

	// Resident is what has to be in memory while the model runs: Total without the mapped pages of matrices that
	// run from their repacked copies. The kernel can drop those pages once they were copied.
	Resident int64 `json:"resident_bytes"`

	// Mapped is what of Resident are pages of the file: with too little memory the kernel drops them and reads them again.
	Mapped int64 `json:"mapped_bytes"`
}

// Memory returns the figures, or an error if an option cannot be or a size overflows.
func (d *Description) Memory(o MemoryOptions) (Memory, error) {
	if o.Context < 0 || o.Batch < 0 || o.UBatch < 0 || max(o.Context, o.Batch, o.UBatch) > 1<<40 {
		return Memory{}, fmt.Errorf("a context of %d tokens, a batch of %d and a micro-batch of %d; want 0 to 2^40", o.Context, o.Batch, o.UBatch)
	}
	if o.Sequences < 0 || o.Sequences > MaxSequences {
		return Memory{}, fmt.Errorf("%d sequences; want 0 to %d", o.Sequences, MaxSequences)
	}
	set := func(v *int64, preset int64) {
		if *v == 0 {
			*v = preset
		}
	}
	set(&o.Context, d.NCtxTrain)
	set(&o.Sequences, 1)
	set(&o.Batch, DefaultBatch)
	set(&o.UBatch, DefaultUBatch)
	if o.TypeK == "" {
		o.TypeK = "f16"
	}
	if o.TypeV == "" {
		o.TypeV = "f16"
	}
	if o.Repack == nil {
		o.Repack, o.AMX = RepackTypes(o.Rules), o.AMX || HasAMX()
	}
	s := d.layout()
	// https://github.com/ggml-org/llama.cpp/blob/ec98e2002/src/llama-context.cpp#L123
	m := Memory{UBatch: min(o.Context*o.Sequences, o.Batch, o.UBatch)}
	m.Context, _ = checked.AlignUp(o.Context, contextStep)
	var unused int64
	m.Weights, m.Repacked, unused = d.weights(s, o)
	if err := d.cache(s, o, &m); err != nil {
		return Memory{}, err
	}
	var err error
	if m.State, err = checkedMul(d.StateBytes, o.Sequences); err != nil {
		return Memory{}, err
	}
	if m.Compute, err = d.compute(s, o, m); err != nil {
		return Memory{}, err
	}
	if m.Output, err = checkedMul(d.NVocab, 4, o.Sequences); err != nil {
		return Memory{}, err
	}
	m.Total, err = checkedSum(m.Weights, m.Repacked, m.KV, m.State, m.Compute, m.Output)
	m.Resident = m.Total - unused
	if !o.NoMmap {
		m.Mapped = m.Weights - unused
	}
	return m, err
}

const (
	contextStep = 256 // tokens; GGML_PAD(n_ctx, 256) in llama-context.cpp
	bufferAlign = 32  // bytes; TENSOR_ALIGNMENT of ggml's CPU buffers
)

// weights returns the bytes of the weights where the file lies or is read to, of the repacked copies, and how many of
// the former are not needed once the copies are made.
func (d *Description) weights(s *structure, o MemoryOptions) (plain, repacked, unused int64) {
	if s.tensors == nil {
		return d.WeightBytes, 0, 0
	}
	// Each file of a model in several parts has a mapping of its own.
	type span struct{ first, last int64 }
	var spans []span
	read, kept := int64(0), int64(0)
	for i := range s.tensors {
		t := &s.tensors[i]
		if t.unloaded {
			continue
		}
		size, _ := checked.AlignUp(t.size, bufferAlign)
		packs := slices.Contains(o.Repack, t.typ) && t.rows > 1 && t.rows%repackRows == 0 && (t.matrix || t.head)
		if amx := t.amxBytes(o.Rules); o.AMX && amx > 0 {
			packs = true
			amx, _ = checked.AlignUp(amx, bufferAlign)
			repacked += amx
		} else if packs {
			repacked += size
		}
		// A table that is looked up stays where it is, though its copy as the head was repacked.
		if !packs || t.lookup {
			for len(spans) <= t.part {
				spans = append(spans, span{math.MaxInt64, 0})
			}
			at := &spans[t.part]
			at.first, at.last = min(at.first, t.offset), max(at.last, t.offset+t.size)
			read += size
			kept += t.size
		}
	}
	if o.NoMmap {
		return read, repacked, 0
	}
	for _, at := range spans {
		plain += max(0, at.last-at.first)
	}
	if repacked > 0 {
		unused = plain - kept
	}
	return plain, repacked, unused
}

// cache fills in the KV cache: for each layer keys and values of every cell
// (https://github.com/ggml-org/llama.cpp/blob/ec98e2002/src/llama-kv-cache.cpp#L97, for windows llama-kv-cache-iswa.cpp).
func (d *Description) cache(s *structure, o MemoryOptions, m *Memory) error {
	perToken, err := d.KVBytesPerToken(o.TypeK, o.TypeV, o.Rules)
	if err != nil {
		return err
	}
	if d.NLayer > maxLayers {
		m.KV, err = checkedMul(perToken, m.Context, o.Sequences)
		m.KVFull = m.KV
		return err
	}
	k, _ := gguf.ParseType(o.TypeK)
	v, _ := gguf.ParseType(o.TypeV)
	if d.NWindowLayer > 0 {
		m.WindowCells = m.Context
		if o.WindowCache {
			cells, _ := checked.AlignUp(min(m.Context, d.Window+m.UBatch), contextStep)
			m.WindowCells = cells
		}
	}
	hybrid := d.MemoryKind() == MemoryHybrid
	widest := int64(0)
	for i := range s.layers {
		widest = max(widest, s.layers[i].v)
	}
	for i := range s.layers {
		l := &s.layers[i]
		if !l.cached && !l.bare {
			continue
		}
		vWidth := l.v
		if o.NoFlashAttention {
			vWidth = widest // values lie transposed, and all layers share the widest one's form, bare ones too
		}
		kb, err := k.RowBytes(l.k)
		if err != nil {
			return fmt.Errorf("keys of layer %d: %w", i, err)
		}
		vb, err := v.RowBytes(vWidth)
		if err != nil {
			return fmt.Errorf("values of layer %d: %w", i, err)
		}
		if s.keysHoldValues(o.Rules) {
			vb = 0
		}
		cells, sum := m.Context, &m.KVFull
		if l.window {
			cells, sum = m.WindowCells, &m.KVWindow
		}
		if o.Rules == Ollama && hybrid {
			cells *= o.Sequences // each sequence's cache has the length of all of them
		}
		n, err := checkedMul(kb+vb, cells, o.Sequences)
		if err == nil {
			*sum, err = checkedSum(*sum, n)
		}
		if err != nil {
			return err
		}
	}
	m.KV, err = checkedSum(m.KVFull, m.KVWindow)
	return err
}
