package ledger

import (
	"fmt"
	"slices"

	"llmscale/gguf"
	"llmscale/internal/checked"
)

// The compute buffer holds the intermediate results of one micro-batch. llama.cpp reserves it before the first token,
// for the largest case: a full micro-batch of which every token yields logits, over a full cache. ggml gives each
// result the place of ones that are no longer needed, so the buffer's size depends on when each is made and last
// used, and on how the holes between them fit. This file plays that through: compute lays out the results of the
// model's layers in the order in which llama.cpp computes them, and an arena places them by ggml's rules, which are
// those of any best-fit allocator:
//
//   - the inputs are placed first, all else when it is computed
//   - a result that can overwrite its argument does so, if nothing else uses that argument later
//   - anything else goes into the smallest hole that takes it, else to the end
//   - an argument is freed after its last use
//
// The layers are those of src/models/{gpt2,llama,qwen2,qwen3,gemma2-iswa,gemma3,openai-moe-iswa,phi3}.cpp and their
// mixtures of experts, and of src/llama-graph.cpp, of llama.cpp ec98e2002, with what takes no place left out: weights, views, and results that overwrite their
// argument wherever they stand (biases, norms' weights, rotary embeddings of a result of their own). Placing is as
// in https://github.com/ggml-org/llama.cpp/blob/ec98e2002/ggml/src/ggml-alloc.c#L595.

// result is one intermediate result.
type result struct {
	bytes int64
	args  []int // results and inputs that it is computed from
	over  bool  // may overwrite an argument of equal size
}

// graph collects results in the order of their computation. A result is known by its index.
type graph struct {
	results []result
	inputs  []int // indices of results that are there from the start
}

func (g *graph) input(bytes int64) int {
	g.inputs = append(g.inputs, len(g.results))
	g.results = append(g.results, result{bytes: bytes})
	return len(g.results) - 1
}

func (g *graph) fresh(bytes int64, args ...int) int {
	g.results = append(g.results, result{bytes: bytes, args: args})
	return len(g.results) - 1
}

// over is a result as large as its first argument, whose place it takes if that, or another of the size, is not
// needed any more.
func (g *graph) over(args ...int) int {
	g.results = append(g.results, result{bytes: g.results[args[0]].bytes, args: args, over: true})
	return len(g.results) - 1
}

// store is a use that leaves no result, as writing into the cache.
func (g *graph) store(args ...int) { g.fresh(0, args...) }

// size returns the bytes of the buffer in which all results find a place.
func (g *graph) size() int64 {
	uses := make([]int, len(g.results))
	at := make([]int64, len(g.results)) // place of a result
	for i := range g.results {
		for _, a := range g.results[i].args {
			uses[a]++
		}
	}
	var a arena
	isInput := make([]bool, len(g.results))
	for _, i := range g.inputs {
		at[i] = a.take(g.results[i].bytes)
		isInput[i] = true
	}
	gone := make([]bool, len(g.results)) // its place was freed or taken over
	for i := range g.results {
		r := &g.results[i]
		if isInput[i] {
			continue
		}
		taken := -1
		if r.over {
			taken = slices.IndexFunc(r.args, func(p int) bool {
				return uses[p] == 1 && !gone[p] && g.results[p].bytes == r.bytes
			})
		}
		if taken >= 0 {
			p := r.args[taken]
			at[i], gone[p] = at[p], true
		} else {
			at[i] = a.take(r.bytes)
		}
		for _, p := range r.args {
			if uses[p]--; uses[p] == 0 && !gone[p] {
				a.give(at[p], g.results[p].bytes)
				gone[p] = true
			}
		}
	}
	return a.high
}

// arena is a buffer without an end.
type arena struct {
	holes []hole // by offset, none adjacent to another; what lies behind them all is free too
	end   int64  // where that begins
	high  int64  // the largest end there ever was
}

type hole struct{ offset, bytes int64 }

func (a *arena) take(bytes int64) int64 {
	bytes, _ = checked.AlignUp(bytes, bufferAlign)
	best := -1
	for i, h := range a.holes {
		// Of equal holes the last one.
		if h.bytes >= bytes && (best < 0 || h.bytes <= a.holes[best].bytes) {
			best = i
		}
	}
	if best < 0 {
		at := a.end
		a.end += bytes
		a.high = max(a.high, a.end)
		return at
	}
	h := &a.holes[best]
	at := h.offset
	h.offset += bytes
	if h.bytes -= bytes; h.bytes == 0 {
		a.holes = slices.Delete(a.holes, best, best+1)
	}
	return at
}

func (a *arena) give(offset, bytes int64) {
	if bytes, _ = checked.AlignUp(bytes, bufferAlign); bytes == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(a.holes, offset, func(h hole, at int64) int { return int(min(1, max(-1, h.offset-at))) })
	a.holes = slices.Insert(a.holes, i, hole{offset, bytes})
	if i+1 < len(a.holes) && a.holes[i].offset+a.holes[i].bytes == a.holes[i+1].offset {
		a.holes[i].bytes += a.holes[i+1].bytes
		a.holes = slices.Delete(a.holes, i+1, i+2)
	}
	if i > 0 && a.holes[i-1].offset+a.holes[i-1].bytes == a.holes[i].offset {
		a.holes[i-1].bytes += a.holes[i].bytes
		a.holes = slices.Delete(a.holes, i, i+1)
	}
	if last := len(a.holes) - 1; a.holes[last].offset+a.holes[last].bytes == a.end {
		a.end = a.holes[last].offset
		a.holes = a.holes[:last]
	}
}

const (
	f32Bytes = 4
	f16Bytes = 2
	i32Bytes = 4
	i64Bytes = 8
)

// compute returns the bytes of the compute buffer.
func (d *Description) compute(s *structure, o MemoryOptions, m Memory) (int64, error) {
	each := max(1, (m.UBatch+o.Sequences-1)/o.Sequences) // tokens of each sequence
	if err := d.checkWidths(s, m, each*o.Sequences, o.Sequences); err != nil {
		return 0, err
	}
	g := &graph{}
	b := &builder{graph: g, d: d, s: s, sequences: o.Sequences, outputs: m.UBatch, flash: !o.NoFlashAttention, rules: o.Rules}
	b.n = each * o.Sequences
	b.cells[0], b.cells[1] = m.Context, m.WindowCells
	b.castK, b.castV = b.flash && isF32(o.TypeK), b.flash && isF32(o.TypeV)
	for i := range s.layers {
		b.widestV = max(b.widestV, s.layers[i].v)
	}
	b.build()
	return g.size(), nil
}

// checkWidths refuses shapes of which a result would be beyond 2^50 bytes, so that no sum below can overflow.
func (d *Description) checkWidths(s *structure, m Memory, tokens, sequences int64) error {
	const limit = 1 << 50
	product := func(v ...int64) error {
		if n, err := checkedMul(v...); err != nil || n > limit {
			return fmt.Errorf("a result of %d tokens would take more than 2^50 bytes; want a smaller micro-batch or context", tokens)
		}
		return nil
	}
	errs := []error{product(f32Bytes, tokens, d.NVocab), product(f32Bytes, tokens, d.NEmbd), product(f32Bytes, tokens, m.Context), product(f32Bytes, tokens, d.NExpert)}
	for i := range s.layers {
		l := &s.layers[i]
		used := max(1, d.NExpertUsed)
		errs = append(errs, product(f32Bytes, tokens, l.q), product(i64Bytes, tokens, max(l.k, l.v)), product(f32Bytes, tokens, 2, l.ff),
			product(f32Bytes, tokens, used, l.ffExpert), product(f32Bytes, tokens, used, d.NEmbd), product(f32Bytes, tokens, l.heads, d.HeadDimV),
			product(f32Bytes, tokens, l.heads, m.Context), product(f16Bytes, sequences, m.Context, max(l.k, l.v)))
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func isF32(name string) bool {
	t, err := gguf.ParseType(name)
	return err == nil && t == gguf.F32
}

// builder writes the results of a model into a graph.
type builder struct {
	*graph
	d     *Description
	s     *structure
	n     int64    // tokens of the micro-batch
	cells [2]int64 // tokens in the cache of a sequence, of layers without and with a window
	flash bool

	sequences int64 // whose tokens the micro-batch shares out; each sees the cache of its own alone
	outputs   int64 // tokens whose logits are wanted

	rules Rules

	castK, castV bool  // ggml's flash attention reads f16 and quantised caches alone: f32 is copied to f16
	widestV      int64 // of any layer

	positions int    // input, plus one: 0 is none yet
	masks     [2]int // input, or with flash attention its f16 copy, plus one
	places    [2][2]int
}

// vector is a fresh result of width f32 elements for each token.
func (b *builder) vector(width int64, args ...int) int { return b.fresh(f32Bytes*b.n*width, args...) }

func (b *builder) position() int {
	if b.positions == 0 {
		b.positions = b.input(i32Bytes*b.n) + 1
	}
	return b.positions - 1
}

func (b *builder) build() {
	d := b.d
	tokens := b.input(i32Bytes * b.n)
	if b.rules != Ollama {
		b.input(f32Bytes * b.n * d.NEmbd) // embeddings could be handed in instead of tokens
	}
	x := b.vector(d.NEmbd, tokens)
	if b.s.positions {
		x = b.over(x, b.vector(d.NEmbd, b.position()))
	}
	for i := range b.s.layers {
		l := &b.s.layers[i]
		y := -1
		if l.q > 0 {
			y = b.attention(l, b.vector(d.NEmbd, x))
		}
		if i == len(b.s.layers)-1 {
			// From here on only the tokens whose logits are wanted: all of them, in the largest case.
			wanted := b.input(i32Bytes * b.outputs)
			b.n = b.outputs
			if y >= 0 {
				y = b.vector(d.NEmbd, y, wanted)
			}
			x = b.vector(d.NEmbd, x, wanted)
		}
		if y >= 0 {
			x = b.over(y, x)
		}
		if l.ff == 0 && l.ffExpert == 0 {
			continue
		}
		normed := b.vector(d.NEmbd, x)
		y = -1
		if l.ffExpert > 0 {
			y = b.experts(l, normed)
		}
		if l.ff > 0 {
			if z := b.feedForward(l, normed); y >= 0 {
				y = b.over(y, z)
			} else {
				y = z
			}
		}
		if d.Architecture == "phi3" { // adds the other way round, so that the sum lies elsewhere
			x = b.over(x, y)
		} else {
			x = b.over(y, x)
		}
	}
	if b.s.layerNorm {
		x = b.vector(d.NEmbd, x)
	} else {
		x = b.over(x)
	}
	b.vector(d.NVocab, x)
	if b.rules != Ollama {
		b.store(x) // the last norm is handed out too
	}
}

// attention returns the layer's attention of normed, projected to the model's width.
func (b *builder) attention(l *layerShape, normed int) int {
	kind := 0
	if l.window {
		kind = 1
	}
	cells := b.cells[kind]
	var q, k, v int
	contiguous := true // the values lie as a matrix of their own
	if l.fused {
		all := b.vector(l.q+l.k+l.v, normed)
		q, k, v, contiguous = all, all, all, false
		if !b.s.positions {
			q, k = b.vector(l.q, all, b.position()), b.vector(l.k, all, b.position())
		}
	} else {
		// Rotated (or normalised first) into a fresh place: they pass through a reshape, and ggml overwrites no view.
		q = b.vector(l.q, b.vector(l.q, normed), b.position())
		if b.cells[1] > 0 {
			k = b.vector(l.k, b.vector(l.k, normed), b.position())
			v = b.vector(l.v, normed)
		} else {
			v = b.vector(l.v, normed)
			k = b.vector(l.k, b.vector(l.k, normed), b.position())
		}
	}

	// Into the cache, where an input says which cell each token takes; transposed values need that of each element.
	at := &b.places[kind]
	if at[0] == 0 {
		perToken := int64(1)
		if !b.flash {
			perToken = b.widestV
		}
		at[0] = b.input(i64Bytes*b.n) + 1
		at[1] = b.input(i64Bytes*b.n*perToken) + 1
	}
	b.store(k, at[0]-1)
	if !b.flash && !contiguous {
		v = b.vector(l.v, v)
	}
	b.store(v, at[1]-1)

	// Out of the cache: no result, unless it has to be cast.
	mask := &b.masks[kind]
	out := l.heads * b.d.HeadDimV
	if !b.flash {
		if *mask == 0 {
			*mask = b.input(f32Bytes*b.n*cells) + 1
		}
		scores := b.over(b.vector(cells*l.heads, q), *mask-1)
		return b.vector(b.d.NEmbd, b.vector(out, b.vector(out, scores)))
	}
	args := []int{q}
	if b.castK {
		args = append(args, b.fresh(f16Bytes*b.sequences*cells*l.k))
	}
	if b.castV {
		args = append(args, b.fresh(f16Bytes*b.sequences*cells*l.v))
	}
	if *mask == 0 && b.rules != Ollama {
		*mask = b.input(f16Bytes*b.n*cells) + 1
	} else if *mask == 0 {
		*mask = b.fresh(f16Bytes*b.n*cells, b.input(f32Bytes*b.n*cells)) + 1
	}
	return b.vector(b.d.NEmbd, b.vector(out, append(args, *mask-1)...))
}

func (b *builder) feedForward(l *layerShape, normed int) int {
	if !l.gated {
		return b.vector(b.d.NEmbd, b.over(b.vector(l.ff, normed)))
	}
	if l.gateIn {
		return b.vector(b.d.NEmbd, b.vector(l.ff, b.vector(2*l.ff, normed)))
	}
	gate := b.vector(l.ff, normed)
	up := b.vector(l.ff, normed)
	return b.vector(b.d.NEmbd, b.vector(l.ff, gate, up))
}

func (b *builder) experts(l *layerShape, normed int) int {
	d := b.d
	used := max(1, d.NExpertUsed)
	scores := b.vector(d.NExpert, normed)
	chosen := b.fresh(i32Bytes*b.n*d.NExpert, scores) // all experts, sorted by score
	shares := b.vector(used, scores, chosen)
	inner := b.vector(used*l.ffExpert, normed, chosen)
	if l.gated {
		inner = b.vector(used*l.ffExpert, inner, b.vector(used*l.ffExpert, normed, chosen))
	} else {
		inner = b.over(inner)
	}
	outs := b.over(b.vector(used*d.NEmbd, inner, chosen), shares)
	// The first two experts' results are added into a fresh one, the others onto that; how many there are does not
	// matter to the size.
	sum := b.vector(d.NEmbd, outs)
	if used > 2 {
		sum = b.over(sum, outs)
	}
	return sum
}
