package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"llmscale/gguf"
)

// structure is what loading a model depends on beyond the plain figures of a Description: its layers, and where each
// tensor lies and what is done with it.
type structure struct {
	layers    []layerShape // those that run: prediction layers are left out
	tensors   []placement
	positions bool    // learned positions are added to the embedding; there is no rotary embedding
	ff        []int64 // the feed-forward's width by the metadata: one, or one for each layer
	latent    bool    // keys hold values too, compressed (MLA)
	skips     bool    // layers take in the results of earlier ones (Solar)
	ownCaches int64   // layers from the first that cache; those behind use what others cache
	layerNorm bool    // norms subtract the mean; ggml computes these, unlike RMS norms, into a new place
}

// maxLayers is llama.cpp's LLAMA_MAX_LAYERS: it loads no model that has more.
const maxLayers = 512

// layerShape is what one layer computes, in elements for each token.
type layerShape struct {
	window  bool  // attends to a sliding window alone
	cached  bool  // has keys and values of its own in the cache
	bare    bool  // has none, and a place in the cache all the same
	state   bool  // keeps a state instead, or beside them
	heads   int64 // attention heads
	q, k, v int64 // widths of queries, keys and values
	fused   bool  // one matrix computes all three

	ff       int64 // inner width of the dense or shared feed-forward; 0: none
	gated    bool
	gateIn   bool  // gate and up are one matrix
	ffExpert int64 // inner width of one expert; 0: none
}

// placement is a tensor as the loader sees it.
type placement struct {
	typ          gguf.Type
	part         int   // of the model's files
	offset, size int64 // bytes in that file
	columns      int64 // ne[0]
	rows         int64 // ne[1]: 1 for a vector
	matrix       bool  // enters a matrix multiplication, alone or as an expert's
	experts      bool  // it is of experts
	head         bool  // is the output head, by itself or also
	lookup       bool  // rows of it are looked up
	unloaded     bool  // llama.cpp leaves it in the file
}

// windows returns the tokens of the sliding window and for each layer whether it has one; nil where none has.
func (d *Description) windows(f *gguf.File) (int64, []bool, error) {
	p, ok := windowPatterns[d.Architecture]
	if !ok || p.onlyLayers > 0 && d.NLayer != p.onlyLayers {
		return 0, nil, nil
	}
	tokens, err := f.IntWithin(d.Architecture+".attention.sliding_window", 0, 1<<31, "0 to 2^31")
	switch {
	case errors.Is(err, gguf.ErrNoKey):
		if p.needsKey {
			return 0, nil, nil
		}
		tokens = p.preset
	case err != nil:
		return 0, nil, err
	case tokens == 0:
		return 0, nil, nil
	case p.ignoresKey:
		tokens = p.preset
	}
	layers := make([]bool, min(d.NLayer, maxLayers))
	if kv, ok := f.KV(d.Architecture + windowPatternKey); ok {
		stated, err := f.IntsOrBools(kv.Key)
		switch {
		case err != nil:
			return 0, nil, err
		case kv.IsArray():
			for i := range min(len(layers), len(stated)) {
				layers[i] = stated[i] != 0
			}
			return tokens, layers, nil
		case stated[0] > 0:
			p.period = stated[0]
		}
	}
	for i := range layers {
		at := int64(i) % p.period
		layers[i] = p.fullFirst && at != 0 || !p.fullFirst && at != p.period-1
	}
	return tokens, layers, nil
}

// examine fills in the windows and the structure's layers. heads and headsKV have one entry, or one for each layer.
func (d *Description) examine(f *gguf.File, heads, headsKV []int64) error {
	tokens, windows, err := d.windows(f)
	if err != nil {
		return err
	}
	d.Window = tokens
	for _, w := range windows {
		if w {
			d.NWindowLayer++
		}
	}
	s := &structure{}
	d.structure = s
	_, s.positions = f.Tensor("position_embd.weight")
	_, s.layerNorm = f.Tensor("output_norm.bias")
	for _, key := range []string{".attention.block_skip_connection.2", ".attention.block_skip_connection.3"} {
		on, err := f.Ints(d.Architecture + key)
		s.skips = s.skips || err == nil && largest(on) > 0
	}
	h := hyper{}
	if err := h.read(f, d.Architecture); err != nil {
		return err
	}
	if d.NPredictLayer = h.predictLayers; d.NPredictLayer > d.NLayer {
		kv, _ := f.KV(d.Architecture + "." + predictLayersKey)
		return &gguf.FormatError{Path: f.Path, Offset: kv.Offset, What: fmt.Sprintf("key %q is %d", kv.Key, d.NPredictLayer), Want: fmt.Sprintf("at most the %d layers", d.NLayer)}
	}
	s.ff, s.latent = h.ff, h.latentKey > 0
	if s.ownCaches, err = d.ownCaches(f); err != nil {
		return err
	}
	kind, err := d.recurrence(f)
	if err != nil {
		return err
	}
	s.layers = make([]layerShape, 0, min(d.NLayer-d.NPredictLayer, maxLayers))
	of := func(list []int64, i int) int64 {
		if i < len(list) {
			return list[i]
		}
		return largest(list)
	}
	own := make([]int64, cap(s.layers)) // key/value heads that each layer caches
	for i := range own {
		out := func(name string) int64 {
			if t, ok := f.Tensor("blk." + strconv.Itoa(i) + "." + name + ".weight"); ok && len(t.Dims) > 1 {
				return t.Dims[1]
			}
			return 0
		}
		n, kv := of(heads, i), of(headsKV, i)
		l := layerShape{heads: n, cached: kv > 0}
		attends := true
		if kind != nil {
			attends, l.state = kind(int64(i), kv, of(h.ff, i))
			l.cached = l.cached && attends
		}
		if attends {
			l.q, l.k, l.v = n*d.HeadDim, kv*d.HeadDim, kv*d.HeadDimV
		}
		if i < len(windows) {
			l.window = windows[i]
		}
		if l.window && h.windowKey > 0 {
			l.q, l.k = n*h.windowKey, kv*h.windowKey
		}
		if l.window && h.windowValue > 0 {
			l.v = kv * h.windowValue
		}
		l.cached = l.cached && int64(i) < s.ownCaches
		l.bare = kv == 0 && kind == nil && d.NHeadKV > 0 && known[d.Architecture]
		if l.cached {
			own[i] = kv
		}
		if l.state {
			if err := d.addState(&h); err != nil {
				return err
			}
		}
		l.fused = out("attn_qkv") > 0
		l.gated = out("ffn_gate") > 0 || out("ffn_gate_exps") > 0 || out("ffn_gate_up_exps") > 0
		l.ff = max(out("ffn_up"), out("ffn_up_shexp"))
		l.ffExpert = max(out("ffn_up_exps"), out("ffn_gate_up_exps")/2)
		if l.ff > 0 && l.ff == 2*d.NFF && !l.gated {
			l.ff, l.gated, l.gateIn = d.NFF, true, true
		}
		s.layers = append(s.layers, l)
	}
	for i, n := range own {
		if n != of(headsKV, i) || len(own) < int(d.NLayer) && d.NLayer <= maxLayers {
			d.HeadsKV = append(own, make([]int64, max(0, int(min(d.NLayer, maxLayers))-len(own)))...)
			break
		}
	}
	return nil
}

// keysHoldValues tells whether no values are cached, as the compressed keys hold them.
func (s *structure) keysHoldValues(r Rules) bool { return s.latent && r != Ollama }

// place fills in where the structure's tensors lie.
func (d *Description) place(f *gguf.File) {
	s := d.structure
	s.tensors = make([]placement, len(f.Tensors))
	for i := range f.Tensors {
		t := &f.Tensors[i]
		p := placement{typ: t.Type, part: t.Part, offset: t.Offset, size: t.Size, rows: 1, lookup: lookupTables[t.Name]}
		if len(t.Dims) > 0 {
			p.columns = t.Dims[0]
		}
		if len(t.Dims) > 1 {
			p.rows = t.Dims[1]
		}
		p.experts = isExpert(t.Name)
		// BitNet multiplies with the table itself, of which no copy is made as the head.
		p.head = t.Name == "output.weight" || t.Name == "token_embd.weight" && d.TiedHead && d.Architecture != "bitnet"
		_, p.unloaded = d.idle(t.Name)
		dims := len(t.Dims)
		for dims > 1 && t.Dims[dims-1] == 1 {
			dims-- // as ggml_n_dims counts
		}
		weight := strings.HasSuffix(t.Name, ".weight") && !p.lookup
		p.matrix = weight && (dims == 2 && !isExpert(t.Name) || dims == 3 && isExpert(t.Name))
		s.tensors[i] = p
	}
}

// layout is the structure, or what is assumed of it.
func (d *Description) layout() *structure {
	if d.structure == nil {
		return d.assumed()
	}
	return d.structure
}

// assumed is the structure of a Description that was not read from a file: equal layers with a gate.
func (d *Description) assumed() *structure {
	s := &structure{layers: make([]layerShape, min(d.NLayer, maxLayers))}
	for i := range s.layers {
		l := layerShape{heads: d.NHead, q: d.NHead * d.HeadDim, k: d.NHeadKV * d.HeadDim, v: d.NHeadKV * d.HeadDimV, cached: true, gated: true}
		if d.NExpert > 0 {
			l.ffExpert = d.NFF
		} else {
			l.ff = d.NFF
		}
		s.layers[i] = l
	}
	return s
}
