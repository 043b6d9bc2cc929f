package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/gguf"
)

// idle tells of a tensor that no decode step reads why that is; "" for one that is read. Unloaded are those that
// llama.cpp leaves in the file. The rules are those of llama.cpp ec98e2002, src/llama-model.cpp and src/models.
func (d *Description) idle(name string) (reason string, unloaded bool) {
	layer, part := layerOf(name)
	matrix, _, _ := strings.Cut(part, ".")
	arch := d.Architecture
	switch {
	case isForeign(name):
		return "of an encoder of images or sound", true
	case layer >= d.NLayer && d.NLayer > 0:
		return "of layers behind the last, with which llama.cpp refuses the file", true
	case d.NPredictLayer > 0 && layer >= d.NLayer-d.NPredictLayer:
		return "of layers that predict further tokens", true
	case matrix == "cls" || matrix == "dense_2" || matrix == "dense_3":
		return "for classes and embeddings", false
	case matrix == "rope_factors_long":
		return "for contexts longer than the trained one, instead of those for shorter ones", false
	case strings.HasPrefix(matrix, "vis_") && arch == "cogvlm":
		return "for what images become", false
	case (matrix == "attn_k" || matrix == "attn_v" || matrix == "attn_k_norm") && d.sharesCache(layer):
		return "of keys and values of layers that use those of others", false
	case matrix == "time_mix_v0" || matrix == "time_mix_v1" || matrix == "time_mix_v2":
		if layer == 0 && (arch == "rwkv7" || arch == "arwkv7") {
			return "of the first layer, which has no values to mix in", false
		}
	case matrix == "bskcn_tv" && !d.structure.skips:
		return "for skipped layers, of which there are none", false
	case matrix == "attn_output" && arch == "deci" && layer < int64(len(d.structure.ff)) && d.structure.ff[layer] == 0:
		return "of layers without a feed-forward, whose attention llama.cpp leaves out", false
	}
	return "", false
}

// sharesCache tells whether a layer attends to the keys and values of another.
func (d *Description) sharesCache(layer int64) bool {
	return layer >= d.structure.ownCaches
}

// layerOf cuts "blk.3.attn_q.weight" into 3 and "attn_q.weight"; the layer is -1 if the tensor belongs to none.
func layerOf(name string) (layer int64, part string) {
	if rest, ok := strings.CutPrefix(name, "blk."); ok {
		if number, part, ok := strings.Cut(rest, "."); ok {
			if n, err := strconv.ParseInt(number, 10, 32); err == nil && n >= 0 {
				return n, part
			}
		}
	}
	return -1, name
}

// idleTensors collects what no step reads, for a note.
type idleTensors struct {
	n, bytes int64
	reasons  []string
}

func (i *idleTensors) add(t *gguf.Tensor, reason string) {
	i.n++
	i.bytes += t.Size
	if !slices.Contains(i.reasons, reason) {
		i.reasons = append(i.reasons, reason)
	}
}

func (i *idleTensors) note() string {
	return fmt.Sprintf("%d tensors of together %d bytes are read by no decode step: those %s", i.n, i.bytes, strings.Join(i.reasons, "; "))
}
