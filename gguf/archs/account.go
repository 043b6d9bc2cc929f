package archs

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"llmscale/gguf/ledger"
)

//go:embed accounts.jsonl accounts-ollama.jsonl
var accountsText embed.FS

// AccountsFile is the file, in this package's folder, of what the llama.cpp that rules names tells.
func AccountsFile(rules ledger.Rules) string {
	if rules == ledger.Ollama {
		return "accounts-ollama.jsonl"
	}
	return "accounts.jsonl"
}

// Account is what llama.cpp tells of a small model after loading it, making a context for it, and decoding.
type Account struct {
	Model string `json:"model"` // its name

	// Refused is llama.cpp's reason, or this program's, why it got no further than the figures below.
	Refused string `json:"refused,omitempty"`

	Params    int64 `json:"params"`     // of all tensors, rope tables among them
	SizeBytes int64 `json:"size_bytes"` // of all tensors
	NLayer    int64 `json:"n_layer"`
	NEmbd     int64 `json:"n_embd"`
	NHeadKV   int64 `json:"n_head_kv"` // of the first layer
	NVocab    int64 `json:"n_vocab"`
	NCtxTrain int64 `json:"n_ctx_train"`

	Memory string `json:"memory,omitempty"` // kind of memory that a context has: none, kv, recurrent or hybrid

	WeightBytes      int64    `json:"weight_bytes"`       // mapped
	CacheBytes       int64    `json:"cache_bytes"`        // for Context tokens in f16: keys and values, and states
	WindowCacheBytes int64    `json:"window_cache_bytes"` // for WindowContext tokens, where layers with a sliding window keep that alone
	PlainCacheBytes  int64    `json:"plain_cache_bytes"`  // as CacheBytes, without flash attention
	ComputeBytes     int64    `json:"compute_bytes"`      // for Context tokens
	ReadBytes        int64    `json:"read_bytes"`         // of the weights, in one decode step
	Unread           []string `json:"unread,omitempty"`   // tensors that no decode step reads, with a * for all layers that have them
}

// The accounts are for contexts of so many tokens, of which UBatch are computed at once. WindowContext is beyond every
// window that llama.cpp presets.
const (
	Context       = 512
	WindowContext = 10240
	UBatch        = 64
)

// Accounts returns what the llama.cpp that rules names told, by the models' names.
func Accounts(rules ledger.Rules) (map[string]Account, error) {
	out := map[string]Account{}
	file := AccountsFile(rules)
	text, err := accountsText.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if line == "" {
			continue
		}
		var a Account
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		out[a.Model] = a
	}
	return out, nil
}
