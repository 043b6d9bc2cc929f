package ledger

import "strings"

// Component is one line of a model's ledger: a part of the model, with what it holds and what it costs. Over all
// components each column adds up to the Description's figure of the same meaning.
type Component struct {
	Name         string `json:"component"`
	Params       int64  `json:"params"`               // elements of the weights; a tied head's are the token embedding's
	ParamsActive int64  `json:"params_active"`        // those that one token passes through: experts by used/total
	Bytes        int64  `json:"bytes"`                // in the file, without padding
	BytesRead    int64  `json:"bytes_read_per_token"` // of the weights, for one decoded token at batch size 1
}

const (
	headComponent   = "output head"
	expertComponent = "experts"
	otherComponent  = "other"
)

// componentNames lists the components in the order in which a token meets them.
var componentNames = []string{"token embedding", "position embedding", "attention", "recurrent", "feed-forward", "router", expertComponent, "norms", headComponent, otherComponent}

// Components returns the ledger in the order in which a token meets the parts; parts that the model does not have
// are left out, except the output head. It is nil for a Description that Describe did not make.
//
//   - attention: projections with their biases, and sinks
//   - recurrent: what makes and mixes the state of state-space layers, RWKV and short convolutions
//   - feed-forward: the dense one, and experts that work on every token
//   - experts: the routed ones; router: what chooses among them
//   - norms: of every kind, those inside attention too
//   - output head: a tied one has no weights of its own, but is read whole
//   - other: rope factors and whatever the names do not tell
func (d *Description) Components() []Component {
	var out []Component
	for _, c := range d.components {
		if c.Bytes > 0 || c.BytesRead > 0 || c.Name == headComponent {
			out = append(out, c)
		}
	}
	return out
}

type ledger struct {
	components []Component
	index      map[string]int
}

func newLedger() *ledger {
	l := &ledger{index: map[string]int{}}
	for i, name := range componentNames {
		l.components = append(l.components, Component{Name: name})
		l.index[name] = i
	}
	return l
}

func (l *ledger) add(name string, params, active, bytes, read int64) {
	c := &l.components[l.index[name]]
	c.Params += params
	c.ParamsActive += active
	c.Bytes += bytes
	c.BytesRead += read
}

// component tells by a tensor's name where it belongs. The names are those of llama.cpp's
// gguf-py/gguf/constants.py, TENSOR_NAMES.
func component(name string) string {
	_, part := layerOf(name)
	has := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(part, p) {
				return true
			}
		}
		return false
	}
	switch {
	case isForeign(name), IsRopeTable(name):
		return otherComponent
	case name == "position_embd.weight":
		return "position embedding"
	case lookupTables[name]:
		return "token embedding"
	case name == "output.weight", name == "output.bias":
		return headComponent
	case strings.Contains(part, "norm"):
		return "norms"
	case isExpert(name):
		return expertComponent
	case has("ffn_gate_inp", "exp_probs_b"):
		return "router"
	case has("attn_"):
		return "attention"
	case isRecurrent(name):
		return "recurrent"
	case has("ffn_", "channel_mix_"):
		return "feed-forward"
	}
	return otherComponent
}

// isRecurrent tells whether a tensor belongs to a layer that keeps a state instead of keys and values (Mamba, RWKV,
// short convolutions).
func isRecurrent(name string) bool {
	return strings.Contains(name, ".ssm_") || strings.Contains(name, ".time_mix_") || strings.Contains(name, ".shortconv.")
}

// isForeign tells whether a tensor belongs to an encoder of images or sound, in a file that holds it beside the
// language model.
func isForeign(name string) bool {
	return strings.HasPrefix(name, "v.") || strings.HasPrefix(name, "mm.") || strings.HasPrefix(name, "a.")
}
