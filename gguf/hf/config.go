package hf

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// config is what config.json says, with GPT2Config's defaults for what it does not say.
type config struct {
	layers, width, heads, inner, positions, rows int64
	epsilon                                      float64
	tied                                         bool // the head is the token embedding unless the weights say otherwise
	specials                                     map[string]int64
	tokenizerClass                               string
	path                                         string
}

// tanhGELUs are transformers' names of the activation that llama.cpp's gpt2 computes, GELU in its tanh
// approximation: 0.5x(1+tanh(sqrt(2/pi)(x+0.044715x³))).
var tanhGELUs = []string{"gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"}

// Limits on the shape.
const (
	maxLayers = 512 // LLAMA_MAX_LAYERS
	maxWidth  = 1 << 20
	maxVocab  = 1 << 20 // our own: no vocabulary comes near it, and each token takes memory
)

func (m *Model) readConfig() error {
	o, err := m.object("config.json", false)
	if err != nil {
		return err
	}
	c := &m.config
	c.path = o.path

	modelType, err := o.text("", "model_type")
	if err != nil {
		return err
	}
	if modelType != "gpt2" {
		return o.fail("model_type", `"gpt2", the only one that this converter knows`, "it is %s", strconv.Quote(modelType))
	}
	for _, f := range []struct {
		into      *int64
		byDefault int64
		names     []string
	}{
		{&c.layers, 12, []string{"n_layer", "num_hidden_layers"}},
		{&c.width, 768, []string{"n_embd", "hidden_size"}},
		{&c.heads, 12, []string{"n_head", "num_attention_heads"}},
		{&c.rows, 50257, []string{"vocab_size"}},
		{&c.inner, 0, []string{"n_inner"}},
		{&c.positions, 0, []string{"n_positions", "max_position_embeddings"}},
	} {
		if *f.into, err = o.integer(f.byDefault, f.names...); err != nil {
			return err
		}
	}
	if c.positions == 0 { // n_ctx is its name in the oldest files; beside n_positions transformers ignores it
		if c.positions, err = o.integer(1024, "n_ctx"); err != nil {
			return err
		}
	}
	if c.inner == 0 {
		c.inner = 4 * c.width
	}
	switch {
	case c.layers > maxLayers:
		return o.fail("n_layer", "at most 512, llama.cpp's limit", "it is %d", c.layers)
	case c.rows > maxVocab:
		return o.fail("vocab_size", "at most 2^20", "it is %d", c.rows)
	case c.width > maxWidth || c.width%c.heads != 0:
		return o.fail("n_embd", "a multiple of the heads, at most 2^20", "it is %d with %d heads", c.width, c.heads)
	}
	return m.readBehaviour(o)
}

// readBehaviour checks the fields that change what is computed.
func (m *Model) readBehaviour(o object) error {
	c := &m.config
	activation, err := o.text("gelu_new", "activation_function")
	if err != nil {
		return err
	}
	if !slices.Contains(tanhGELUs, activation) {
		return o.fail("activation_function", `"gelu_new" or "gelu_pytorch_tanh": llama.cpp computes GPT-2 with the tanh approximation of GELU`, "it is %q", activation)
	}
	for _, f := range []struct {
		name string
		want bool // also the default
		why  string
	}{
		{"scale_attn_weights", true, "true: llama.cpp always divides attention scores by the root of the head size"},
		{"scale_attn_by_inverse_layer_idx", false, "false: llama.cpp does not scale attention by layer"},
		{"add_cross_attention", false, "false: llama.cpp's GPT-2 has no cross-attention"},
		{"is_encoder_decoder", false, "false: llama.cpp's GPT-2 is a decoder alone"},
	} {
		v, err := o.boolean(f.want, f.name)
		if err != nil {
			return err
		}
		if v != f.want {
			return o.fail(f.name, f.why, "it is %v", v)
		}
	}
	// reorder_and_upcast_attn scales the keys before the product instead of the scores after it, in float32: the
	// same function, rounded elsewhere. Only together with a scaling by layer, refused above, was it ever needed.
	if _, err := o.boolean(false, "reorder_and_upcast_attn"); err != nil {
		return err
	}
	for _, name := range []string{"quantization_config", "pruned_heads"} {
		if v := o.fields[name]; v != nil && string(v) != "null" && show(v) != "{}" {
			return o.fail(name, "a model with all its weights as floating-point numbers", "it is %s", show(v))
		}
	}
	if _, v, err := o.value("layer_norm_epsilon"); err != nil {
		return err
	} else if c.epsilon = 1e-5; v != nil {
		if json.Unmarshal(v, &c.epsilon) != nil || !(c.epsilon > 0) || float32(c.epsilon) == 0 || float32(c.epsilon) > math.MaxFloat32 {
			return o.fail("layer_norm_epsilon", "a positive number such as 1e-05", "it is %s", show(v))
		}
	}
	if c.tied, err = o.boolean(true, "tie_word_embeddings"); err != nil {
		return err
	}
	if c.tokenizerClass, err = o.text("", "tokenizer_class"); err != nil {
		return err
	}
	c.specials = map[string]int64{}
	for _, name := range specialNames {
		// An id, a list of ids of which the first is the usual one, or nothing; what else there is, is no id.
		v, ok := o.fields[name+"_token_id"]
		if !ok && (name == "bos" || name == "eos") {
			c.specials[name] = 50256 // GPT2Config's default
		}
		var list []int64
		var id int64
		if json.Unmarshal(v, &id) == nil && string(v) != "null" {
			c.specials[name] = id
		} else if json.Unmarshal(v, &list) == nil && len(list) > 0 {
			c.specials[name] = list[0]
		}
	}
	return nil
}
