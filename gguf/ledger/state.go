package ledger

import (
	"errors"

	"llmscale/gguf"
	"llmscale/internal/checked"
)

// hyper are hyper-parameters that a Description does not show, and needs for its layers.
type hyper struct {
	predictLayers int64   // at the end, that predict further tokens
	ff            []int64 // the feed-forward's width, one or one for each layer

	conv, inner, state, groups int64 // of a state-space model's layer
	wkvHead, tokenShifts       int64 // of RWKV
	shortConv                  int64 // tokens that a short convolution sees

	windowKey, windowValue int64 // elements of a head's key and value in layers with a window; 0: as in the others

	latentKey int64 // elements of a head's key before it is compressed (MLA); 0: it is not
}

const predictLayersKey = "nextn_predict_layers"

func (h *hyper) read(f *gguf.File, arch string) error {
	h.tokenShifts = 2 // llama_hparams' own preset
	for _, k := range []struct {
		to   *int64
		name string
	}{
		{&h.predictLayers, predictLayersKey}, {&h.conv, "ssm.conv_kernel"}, {&h.inner, "ssm.inner_size"}, {&h.state, "ssm.state_size"},
		{&h.groups, "ssm.group_count"}, {&h.wkvHead, "wkv.head_size"}, {&h.tokenShifts, "token_shift_count"}, {&h.shortConv, "shortconv.l_cache"},
		{&h.latentKey, "attention.key_length_mla"}, {&h.windowKey, "attention.key_length_swa"}, {&h.windowValue, "attention.value_length_swa"},
	} {
		key := arch + "." + k.name
		v, err := f.IntWithin(key, 0, 1<<31, "0 to 2^31")
		switch {
		case errors.Is(err, gguf.ErrNoKey):
			continue
		case err != nil:
			return err
		}
		*k.to = v
	}
	if arch == "mamba" || arch == "jamba" {
		h.groups = 0 // for these llama.cpp does not ask
	}
	var err error
	if h.ff, err = f.Ints(arch + ".feed_forward_length"); errors.Is(err, gguf.ErrNoKey) {
		err = nil
	}
	return err
}

// addState adds what one layer keeps for a sequence, in f32: the last columns of its convolution or the last tokens,
// and the state proper (llama_hparams::n_embd_r and n_embd_s,
// https://github.com/ggml-org/llama.cpp/blob/ec98e2002/src/llama-hparams.cpp#L120).
func (d *Description) addState(h *hyper) error {
	var recent, state int64
	var err error
	switch {
	case h.wkvHead > 0:
		recent, err = checkedMul(h.tokenShifts, d.NEmbd)
		state = d.NEmbd * h.wkvHead
	case h.shortConv > 0:
		recent = d.NEmbd * (h.shortConv - 1)
	default:
		width := int64(0)
		if width, err = checkedMul(2, h.groups, h.state); err == nil {
			recent, err = checkedMul(max(0, h.conv-1), h.inner+width)
		}
		state = h.state * h.inner
	}
	for _, elements := range []int64{recent, state} {
		bytes := int64(0)
		if err == nil {
			bytes, err = checkedMul(f32Bytes, elements)
		}
		if err == nil {
			bytes, _ = checked.AlignUp(bytes, bufferAlign)
			d.StateBytes, err = checkedSum(d.StateBytes, bytes)
		}
	}
	return err
}
