package hf

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"llmscale/gguf"
)

// tensor is one of the GGUF file's tensors and where its weights come from.
type tensor struct {
	name   string
	source *source
	dims   []int64 // as GGUF counts them, the fastest-varying first

	// transposed: the source is the weight of a Conv1D, [in, out] in row-major order, of which llama.cpp wants the
	// rows to be outputs.
	transposed bool

	plain bool // f32 whatever the type asked for
}

// buffers are the attention masks that older versions of transformers saved among the weights. They are computed
// from the context length and hold nothing that was learned.
var buffers = regexp.MustCompile(`^h\.[0-9]+\.attn\.(bias|masked_bias)$`)

// plan finds the source of each tensor that the configuration asks for and refuses what is missing, left over or
// of a wrong shape or type.
func (m *Model) plan(sources map[string]*source) ([]tensor, error) {
	c := &m.config
	p := &planner{left: maps.Clone(sources)}
	p.matrix("token_embd.weight", "wte.weight", c.rows, c.width)
	p.add("position_embd.weight", "wpe.weight", tensor{plain: true}, c.positions, c.width)
	p.norm("output_norm", "ln_f", c.width)
	embedding, head := sources["wte.weight"], sources["lm_head.weight"]
	if head != nil {
		p.matrix("output.weight", "lm_head.weight", c.rows, c.width)
	}
	for i := range c.layers {
		blk, h := fmt.Sprintf("blk.%d.", i), fmt.Sprintf("h.%d.", i)
		p.norm(blk+"attn_norm", h+"ln_1", c.width)
		p.conv(blk+"attn_qkv", h+"attn.c_attn", c.width, 3*c.width)
		p.conv(blk+"attn_output", h+"attn.c_proj", c.width, c.width)
		p.norm(blk+"ffn_norm", h+"ln_2", c.width)
		p.conv(blk+"ffn_up", h+"mlp.c_fc", c.width, c.inner)
		p.conv(blk+"ffn_down", h+"mlp.c_proj", c.inner, c.width)
	}
	if p.err == nil {
		p.err = m.complete(p)
	}
	if p.err != nil {
		return nil, p.err
	}
	if head == nil {
		if !c.tied {
			return nil, &Error{c.path, `field "tie_word_embeddings"`, "it is false, but the weights have no lm_head.weight", "a head in the weights, or true"}
		}
		return p.tensors, nil
	}
	same, err := equal(embedding, head)
	if err != nil {
		return nil, err
	}
	if same { // llama.cpp uses the token embedding where there is no head
		p.tensors = slices.DeleteFunc(p.tensors, func(t tensor) bool { return t.source == head })
	}
	return p.tensors, nil
}

// complete refuses tensors that are missing or that the model has no use for.
func (m *Model) complete(p *planner) error {
	more := func(n int) string {
		if n > 0 {
			return fmt.Sprintf(" and %d more", n)
		}
		return ""
	}
	if n := len(p.missing); n > 0 {
		w := p.missing[0]
		return &Error{m.dir, fmt.Sprintf("tensor %q", w.source.name), "the weights do not have it" + more(n-1),
			fmt.Sprintf("shape %v: does config.json belong to these weights?", w.source.shape)}
	}
	for _, name := range slices.Sorted(maps.Keys(p.left)) {
		if buffers.MatchString(name) {
			delete(p.left, name)
		}
	}
	if n := len(p.left); n > 0 {
		s := p.left[slices.Min(slices.Collect(maps.Keys(p.left)))]
		return s.fail(fmt.Sprintf("only what a GPT-2 of %d layers has", m.config.layers), "a tensor of shape %v that the model has no place for%s", s.shape, more(n-1))
	}
	return nil
}

// planner collects tensors in the order of the file.
type planner struct {
	left    map[string]*source // not used yet
	tensors []tensor
	missing []tensor // their sources have the name and shape that is wanted
	err     error    // the first
}

func (p *planner) matrix(to, from string, rows, columns int64) {
	p.add(to, from, tensor{}, rows, columns)
}

func (p *planner) norm(to, from string, n int64) {
	p.add(to+".weight", from+".weight", tensor{plain: true}, n)
	p.add(to+".bias", from+".bias", tensor{plain: true}, n)
}

func (p *planner) conv(to, from string, in, out int64) {
	p.add(to+".weight", from+".weight", tensor{transposed: true}, in, out)
	p.add(to+".bias", from+".bias", tensor{plain: true}, out)
}

// add wants a tensor of the given shape, the slowest-varying dimension first as in the source.
func (p *planner) add(to, from string, t tensor, shape ...int64) {
	t.name = to
	t.dims = slices.Clone(shape)
	if !t.transposed {
		slices.Reverse(t.dims)
	}
	s := p.left[from]
	if s == nil {
		t.source = &source{name: from, shape: shape}
		p.missing = append(p.missing, t)
		return
	}
	delete(p.left, from)
	t.source = s
	p.tensors = append(p.tensors, t)
	if p.err != nil {
		return
	}
	switch _, known := elementBytes[s.dtype]; {
	case !slices.Equal(s.shape, shape):
		p.err = s.fail(fmt.Sprintf("%v, as config.json has it", shape), "its shape is %v", s.shape)
	case !known:
		p.err = s.fail("floating-point weights: F32, F16, BF16 or F64", "its elements are %s", s.dtype)
	default:
		_, p.err = s.data() // refuses views that do not lie in order
	}
}

// equal tells whether two tensors of one shape hold the same numbers, whatever the types.
func equal(a, b *source) (bool, error) {
	if a.file == b.file && a.offset == b.offset && a.dtype == b.dtype {
		return true, nil
	}
	ra, err := newDecoder(a)
	if err != nil {
		return false, err
	}
	rb, err := newDecoder(b)
	if err != nil {
		return false, err
	}
	x, y := make([]float32, chunkWeights), make([]float32, chunkWeights)
	for ra.left > 0 {
		n := min(chunkWeights, ra.left)
		if err := ra.read(x[:n]); err != nil {
			return false, err
		}
		if err := rb.read(y[:n]); err != nil {
			return false, err
		}
		if !slices.Equal(x[:n], y[:n]) {
			return false, nil
		}
	}
	return true, nil
}

// types gives each tensor the type that it has in a file of type t, and lists those that could not have it.
func (m *Model) types(t gguf.Type) (specs []gguf.Spec, fallback []string) {
	for _, x := range m.tensors {
		typ := t
		if x.plain {
			typ = gguf.F32
		} else if _, err := t.RowBytes(x.dims[0]); err != nil {
			typ = gguf.F16
			fallback = append(fallback, x.name)
		}
		specs = append(specs, gguf.Spec{Name: x.name, Type: typ, Dims: x.dims})
	}
	return specs, fallback
}
