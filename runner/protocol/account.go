package protocol

import (
	"fmt"
	"strings"

	"llmscale/gguf/ledger"
	"llmscale/runner/record"
)

// Expect is what the plan says of a model's file, for the worker to hold against the runtime's own account of what it
// loaded. What the two count differently, each for a reason of its own, has a field here.
type Expect struct {
	Architecture string `json:"architecture"`
	Params       int64  `json:"params_total"`
	RopeParams   int64  `json:"rope_params"` // elements of rope tables, which are no parameters: the runtime counts all tensors
	Bytes        int64  `json:"weight_bytes"`
	Tensors      int    `json:"n_tensors"`
	Unused       int    `json:"n_tensors_unused"` // of them those that the runtime may leave out, all or none
	Layers       int64  `json:"n_layer"`
	NCtxTrain    int64  `json:"n_ctx_train"`
	NVocab       int64  `json:"n_vocab"`
	Memory       string `json:"memory"` // kind of memory that a context of the model has: kv, recurrent or hybrid
}

// Account is what a runtime says of a model that it has loaded and of the context that it made. Nil and -1 stand for
// what it does not tell.
type Account struct {
	Architecture           string
	Params, Bytes          int64 // of all tensors of the file
	Tensors                int   // that it made of them
	Layers                 int64 // those that predict further tokens among them
	NCtxTrain, NVocab      int64
	HasEncoder, HasDecoder bool
	Memory                 string // ledger.MemoryNone, ...
	Causal                 *bool
	Logits                 *bool
	Pools                  bool // tokens are pooled into one embedding
}

// Refusal says why decoding token by token from a cache means nothing for the model, by what the runtime made of it;
// "" if nothing speaks against it. See ledger.Description.DecodeRefusal for what the file says before.
func (a *Account) Refusal() string {
	no := func(b *bool) bool { return b != nil && !*b }
	switch {
	case a.HasEncoder:
		return "it has an encoder: a prompt is encoded before anything is decoded, which this program does not do"
	case !a.HasDecoder:
		return "it has no decoder"
	case a.Pools:
		return "it only embeds: its tokens are pooled into one embedding"
	case no(a.Causal):
		return "its attention is not causal: every token sees those behind it, so that no cache of earlier ones can be kept"
	case a.Memory == ledger.MemoryNone:
		return "it keeps nothing of the text before: llama.cpp makes no memory for it"
	case no(a.Logits):
		return "it only embeds: it has no logits of a next token"
	}
	return ""
}

// Refused is a model for which there is no prefill and decode to time.
func Refused(model, why string) *record.Failure {
	return record.Failf(record.StatusError, "%s cannot be measured: %s", model, why)
}

// Check compares what the plan says of a model with the runtime's account. The error is a *record.Failure: figures beside
// another model's name, size or cache are wrong however well they were measured.
func (e *Expect) Check(file string, a *Account) error {
	if why := a.Refusal(); why != "" {
		return Refused(file, why)
	}
	if e.Tensors == 0 {
		return nil // a load without a plan
	}
	var differ []string
	compare := func(what string, planned, loaded any) {
		if planned != loaded {
			differ = append(differ, fmt.Sprintf("%s %v, llama.cpp has %v", what, planned, loaded))
		}
	}
	compare("architecture", e.Architecture, a.Architecture)
	compare("parameters", e.Params+e.RopeParams, a.Params)
	compare("bytes of weights", e.Bytes, a.Bytes)
	// Newer llama.cpp keeps the layers that predict further tokens for contexts that draft with them, and leaves them
	// out of all others: then all of them are there.
	if a.Tensors >= 0 && a.Tensors != e.Tensors {
		compare("tensors in use", e.Tensors-e.Unused, a.Tensors)
	}
	compare("layers", e.Layers, a.Layers)
	compare("trained context", e.NCtxTrain, a.NCtxTrain)
	compare("vocabulary", e.NVocab, a.NVocab)
	compare("memory", e.Memory, a.Memory)
	if len(differ) == 0 {
		return nil
	}
	return record.Failf(record.StatusError, "llama.cpp loaded something else than was planned of %s. The plan says: %s. "+
		"Look at it with `llmscale inspect`: metadata that contradict the tensors need a new conversion; if they do not, this program misunderstands the file: please report it",
		file, strings.Join(differ, "; "))
}
