// Package ledger says what a model is and what it costs, from its file's header alone: its shape, its parameters and
// bytes by component, what one token reads, and what loading it takes by llama.cpp's own way of counting.
//
// A model is what its tensor table says, never what its file is called: [Describe] counts from the table.
package ledger

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"llmscale/gguf"
	"llmscale/internal/checked"
)

// Description is what the tensor table and the metadata say about a model. A field of the shape is 0 where the
// file does not say; Notes then tells what follows from that.
type Description struct {
	Architecture string `json:"architecture"` // as general.architecture, for instance "gpt2"
	Name         string `json:"name"`         // as general.name; may be empty

	NLayer    int64 `json:"n_layer"`
	NEmbd     int64 `json:"n_embd"`      // width
	NHead     int64 `json:"n_head"`      // attention heads; the most of any layer where layers differ
	NHeadKV   int64 `json:"n_head_kv"`   // key/value heads; the most of any layer where layers differ
	HeadDim   int64 `json:"head_dim"`    // elements of one head's key
	HeadDimV  int64 `json:"head_dim_v"`  // elements of one head's value
	NFF       int64 `json:"n_ff"`        // inner width of the dense feed-forward; the most of any layer
	NVocab    int64 `json:"n_vocab"`     // entries of the vocabulary
	NCtxTrain int64 `json:"n_ctx_train"` // tokens of context that the model was made for

	NExpert     int64 `json:"n_expert"`      // experts per layer; 0 in a dense model
	NExpertUsed int64 `json:"n_expert_used"` // experts that each token passes through

	Window       int64 `json:"sliding_window_tokens,omitempty"`  // tokens that some layers attend to; 0: all attend to all
	NWindowLayer int64 `json:"n_layer_sliding_window,omitempty"` // how many layers these are

	NPredictLayer int64 `json:"n_layer_predict,omitempty"` // of the layers, the last, which predict further tokens and run in no decode step

	// HeadsKV has the key/value heads that each layer keeps in the cache where they differ, otherwise it is nil. A layer
	// that does not run, keeps a state or uses the keys and values of another has 0.
	HeadsKV []int64 `json:"n_head_kv_per_layer,omitempty"`

	ParamsTotal        int64 `json:"params_total"`         // elements of all weights; a tied head counts once
	ParamsNonEmbedding int64 `json:"params_non_embedding"` // less token and position embeddings and an untied head
	ParamsActive       int64 `json:"params_active"`        // total with expert weights scaled by used/total, less what no decode step reads
	TiedHead           bool  `json:"tied_head"`            // the token embedding is also the output head

	WeightType  string           `json:"weight_type"`  // the type that holds most weight bytes, for instance "q8_0"
	WeightTypes map[string]int64 `json:"weight_types"` // bytes by type
	WeightBytes int64            `json:"weight_bytes"` // bytes of all tensors, without padding
	FileBytes   int64            `json:"file_bytes"`

	// BytesReadPerToken is the weight bytes that decoding one token at batch size 1 must read: one row of each
	// embedding table, the output head whole (a tied table thus counts whole, and one row more for the lookup),
	// expert weights by used/total, everything else whole but what no decode step reads (prediction layers, classifiers,
	// ...). The KV cache is not in it.
	BytesReadPerToken int64 `json:"bytes_read_per_token"`

	// StateBytes is what recurrent layers keep of a sequence, however long it is.
	StateBytes int64 `json:"state_bytes,omitempty"`

	// Notes says what had to be assumed because the file does not state it.
	Notes []string `json:"notes,omitempty"`

	components []Component
	structure  *structure // nil unless Describe made it
	refusal    string     // DecodeRefusal's, from the metadata
	recurrent  bool       // some layers keep a state
}

// Describe counts parameters and bytes from the tensor table and takes the shape from the metadata. It fails only
// if the file states no architecture or states a value of a wrong type or an impossible size; what is merely
// absent is 0 and has a note.
func Describe(f *gguf.File) (Description, error) {
	d := Description{WeightTypes: map[string]int64{}, FileBytes: f.Size}
	var err error
	if d.Architecture, err = f.Text("general.architecture"); err != nil {
		return d, err
	}
	if d.Name, err = f.Text("general.name"); err != nil && !errors.Is(err, gguf.ErrNoKey) {
		return d, err
	}
	heads, headsKV, err := d.shape(f)
	if err != nil {
		return d, err
	}
	if err := d.examineAttention(f); err != nil {
		return d, err
	}
	if err := d.examine(f, heads, headsKV); err != nil {
		return d, err
	}
	d.count(f)
	d.place(f)
	d.noteArchitecture()
	return d, nil
}

// BitsPerWeight is what one parameter takes in the file, on average over all of them; 0 for a file without any.
func (d *Description) BitsPerWeight() float64 {
	if d.ParamsTotal == 0 {
		return 0
	}
	return 8 * float64(d.WeightBytes) / float64(d.ParamsTotal)
}

func (d *Description) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// shape takes the hyper-parameters from the metadata, under keys that begin with the architecture's name.
// It returns the heads as the file lists them.
func (d *Description) shape(f *gguf.File) (heads, headsKV []int64, err error) {
	// list reads a key that holds one number or one for each layer; nil if absent.
	list := func(name string) []int64 {
		key := d.Architecture + "." + name
		v, e := f.Ints(key)
		if e != nil {
			if err == nil && !errors.Is(e, gguf.ErrNoKey) {
				err = e
			}
			return nil
		}
		for _, x := range v {
			// No real shape comes near 2^31, and below it no product of three can overflow unnoticed.
			if (x < 0 || x > 1<<31) && err == nil {
				kv, _ := f.KV(key)
				err = &gguf.FormatError{Path: f.Path, Offset: kv.Offset, What: fmt.Sprintf("key %q is %d", key, x), Want: "0 to 2^31"}
			}
		}
		return v
	}
	one := func(name string) int64 { return largest(list(name)) }

	d.NLayer = one("block_count")
	d.NEmbd = one("embedding_length")
	d.NCtxTrain = one("context_length")
	d.NFF = one("feed_forward_length")
	d.NExpert = one("expert_count")
	d.NExpertUsed = one("expert_used_count")
	heads = list("attention.head_count")
	headsKV = list("attention.head_count_kv")
	d.HeadDim = one("attention.key_length")
	d.HeadDimV = one("attention.value_length")
	vocab := one("vocab_size")
	if err != nil {
		return nil, nil, err
	}

	d.NHead = largest(heads)
	if headsKV == nil {
		headsKV = heads // without grouped-query attention each head has its own keys
	}
	d.NHeadKV = largest(headsKV)
	if len(headsKV) > 1 && int64(len(headsKV)) != d.NLayer {
		kv, ok := f.KV(d.Architecture + ".attention.head_count_kv")
		if !ok {
			kv, _ = f.KV(d.Architecture + ".attention.head_count")
		}
		return nil, nil, &gguf.FormatError{Path: f.Path, Offset: kv.Offset, What: fmt.Sprintf("key %q has %d entries", kv.Key, len(headsKV)), Want: fmt.Sprintf("one for each of the %d layers", d.NLayer)}
	}
	for _, n := range headsKV {
		if n != d.NHeadKV {
			d.HeadsKV = headsKV
			break
		}
	}
	// NHead, not the first layer's: a hybrid model's first layer may have no attention.
	if d.NHead > 0 {
		if d.HeadDim == 0 {
			d.HeadDim = d.NEmbd / d.NHead
		}
		if d.HeadDimV == 0 {
			d.HeadDimV = d.NEmbd / d.NHead
		}
	}
	if t, ok := f.Tensor("token_embd.weight"); ok && len(t.Dims) == 2 {
		d.NVocab = t.Dims[1]
	} else if d.NVocab = vocab; vocab == 0 {
		if kv, ok := f.KV("tokenizer.ggml.tokens"); ok {
			d.NVocab = kv.Count
		}
	}
	for _, m := range []struct {
		value int64
		key   string
	}{{d.NLayer, "block_count"}, {d.NEmbd, "embedding_length"}, {d.NHead, "attention.head_count"}, {d.NCtxTrain, "context_length"}} {
		if m.value == 0 {
			d.note("the file has no %s.%s: figures that need it are 0", d.Architecture, m.key)
		}
	}
	return heads, headsKV, nil
}

func largest(v []int64) int64 {
	m := int64(0)
	for _, x := range v {
		m = max(m, x)
	}
	return m
}

// lookupTables names the tables of which a decode step reads one row.
var lookupTables = map[string]bool{
	"token_embd.weight":           true,
	"position_embd.weight":        true,
	"token_types.weight":          true,
	"per_layer_token_embd.weight": true, // Gemma 3n
}

func (d *Description) count(f *gguf.File) {
	_, untied := f.Tensor("output.weight")
	_, embeds := f.Tensor("token_embd.weight")
	d.TiedHead = embeds && !untied
	used, total := d.NExpertUsed, d.NExpert
	expertNote := false
	foreign, oldMXFP4 := 0, 0
	var idle idleTensors
	ledger := newLedger()
	for i := range f.Tensors {
		t := &f.Tensors[i]
		// The reader proved that the tensors' data lie in the file without overlap, so the byte sums cannot
		// overflow; elements are below 6 per byte (iq1_s), for which the limit of 2^60 bytes leaves room.
		d.WeightBytes += t.Size
		d.WeightTypes[t.Type.String()] += t.Size

		params, read := t.Elements, t.Size
		if IsRopeTable(t.Name) {
			params = 0
		}
		whole := params
		d.ParamsTotal += params
		if !lookupTables[t.Name] && t.Name != "output.weight" {
			d.ParamsNonEmbedding += params
		}
		if isExpert(t.Name) {
			if n := expertsIn(t, total); n > 0 && used > 0 && used <= total {
				chosen := min(used, n)
				params, read = share(params, chosen, n), share(read, chosen, n)
			} else if !expertNote {
				expertNote = true
				d.note("expert_used_count is %d and expert_count %d: expert weights are counted as if all were used", used, total)
			}
		}
		reason, _ := d.idle(t.Name)
		if reason != "" {
			params = 0
			if !isForeign(t.Name) { // which have a note of their own
				idle.add(t, reason)
			}
		}
		d.ParamsActive += params
		if lookupTables[t.Name] {
			rows := int64(1)
			for _, n := range t.Dims[1:] {
				rows *= n
			}
			read = t.Size / rows
			if t.Name == "token_embd.weight" && d.TiedHead {
				d.BytesReadPerToken += t.Size
				ledger.add(headComponent, 0, 0, 0, t.Size)
			}
		}
		if reason != "" {
			read = 0
		}
		if isForeign(t.Name) {
			foreign++
		}
		if t.Type == gguf.MXFP4Ollama {
			oldMXFP4++
		}
		d.recurrent = d.recurrent || isRecurrent(t.Name)
		d.BytesReadPerToken += read
		ledger.add(component(t.Name), whole, params, t.Size, read)
	}
	d.components = ledger.components
	if oldMXFP4 > 0 {
		d.note("%d tensors are of type mxfp4_ollama, as in the first gpt-oss files of Ollama's library: llama.cpp refuses the file", oldMXFP4)
	}
	if d.recurrent && recurrences[d.Architecture] == nil {
		d.note("some layers are recurrent: what they keep of the past is not counted, and the memory's figures do not hold")
	}
	if idle.n > 0 {
		d.note("%s", idle.note())
	}
	if foreign > 0 {
		d.note("%d tensors are for images or sound (v.*, mm.*, a.*), as in files made for Ollama's own engine: llama.cpp refuses the file", foreign)
	}
	for name, n := range d.WeightTypes {
		best := d.WeightTypes[d.WeightType]
		if n > best || n == best && (d.WeightType == "" || name < d.WeightType) {
			d.WeightType = name
		}
	}
}

// IsRopeTable tells whether a tensor holds factors of rotary embeddings ("rope_freqs.weight", "rope_factors_long.weight",
// in some files one for each layer): a table computed from the configuration, not weights.
func IsRopeTable(name string) bool {
	return strings.HasPrefix(name, "rope_f") || strings.Contains(name, ".rope_f")
}

// RopeElements counts the elements of a file's rope tables, which llama.cpp counts as parameters.
func RopeElements(f *gguf.File) (n int64) {
	for i := range f.Tensors {
		if t := &f.Tensors[i]; IsRopeTable(t.Name) {
			n += t.Elements
		}
	}
	return n
}

// isExpert tells whether a tensor holds weights of routed experts: all of a layer's in one tensor
// ("blk.3.ffn_up_exps.weight"), or, in older files, one each ("blk.3.ffn_up.7.weight"). Shared experts (_shexp)
// and the router (ffn_gate_inp) work on every token.
func isExpert(name string) bool {
	if strings.Contains(name, "_exps.") || strings.Contains(name, "_chexps.") {
		return !strings.Contains(name, "norm")
	}
	p := strings.Split(name, ".")
	return len(p) == 5 && p[0] == "blk" && strings.HasPrefix(p[2], "ffn_") && p[3] != "" && strings.Trim(p[3], "0123456789") == ""
}

// expertsIn is how many experts' weights a tensor holds: the last of its dimensions, which is the model's number but
// for what groups of experts share (_chexps); total where a tensor is one expert's.
func expertsIn(t *gguf.Tensor, total int64) int64 {
	if strings.Contains(t.Name, "_chexps.") {
		return t.Dims[len(t.Dims)-1]
	}
	return total
}

// share returns n*used/total without overflow, for 0 < used <= total.
func share(n, used, total int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(used))
	q, _ := bits.Div64(hi, lo, uint64(total))
	return int64(q)
}

// KVBytesPerToken returns the bytes that one token takes in the KV cache when keys are stored as typeK and values
// as typeV ("f16", "q8_0", ...): over the layers, heads_kv * head_dim of each. Layers with a sliding window count
// like the others, as in llama.cpp unless its swa_full is turned off. Where compressed keys hold the values (MLA), rules
// says whether values are cached too.
func (d *Description) KVBytesPerToken(typeK, typeV string, rules Rules) (int64, error) {
	k, err := gguf.ParseType(typeK)
	if err != nil {
		return 0, err
	}
	v, err := gguf.ParseType(typeV)
	if err != nil {
		return 0, err
	}
	s := d.layout()
	layer := func(l *layerShape) (int64, error) {
		kb, err := k.RowBytes(l.k)
		if err != nil {
			return 0, fmt.Errorf("keys of %d heads of %d elements: %w", l.k/max(1, d.HeadDim), d.HeadDim, err)
		}
		vb, err := v.RowBytes(l.v)
		if err != nil {
			return 0, fmt.Errorf("values of %d heads of %d elements: %w", l.v/max(1, d.HeadDimV), d.HeadDimV, err)
		}
		if s.keysHoldValues(rules) {
			vb = 0
		}
		return checkedSum(kb, vb)
	}
	if d.NLayer > maxLayers { // which llama.cpp would not load
		n, err := layer(&layerShape{k: d.NHeadKV * d.HeadDim, v: d.NHeadKV * d.HeadDimV})
		if err != nil {
			return 0, err
		}
		return checkedMul(n, d.NLayer)
	}
	sum := int64(0)
	for i := range s.layers {
		if !s.layers[i].cached {
			continue
		}
		n, err := layer(&s.layers[i])
		if err == nil {
			sum, err = checkedSum(sum, n)
		}
		if err != nil {
			return 0, err
		}
	}
	return sum, nil
}

var errTooLarge = errors.New("the size does not fit into 63 bits")

func checkedMul(v ...int64) (int64, error) {
	p := int64(1)
	for _, x := range v {
		var ok bool
		if p, ok = checked.Mul(p, x); !ok {
			return 0, errTooLarge
		}
	}
	return p, nil
}

func checkedSum(v ...int64) (int64, error) {
	s := int64(0)
	for _, x := range v {
		if s += x; s < 0 {
			return 0, errTooLarge
		}
	}
	return s, nil
}
