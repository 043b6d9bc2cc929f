package lengths

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// Verdict says whether the decode time per token depends on the length of
// the answer. Ratio is the median of the longest answers over the shortest's, CI
// its interval from their calls, which are of one process.
type Verdict struct {
	cells.Subject
	PromptTokens int             `json:"prompt_tokens"`
	Depth        int             `json:"depth,omitempty"` // tokens in the KV cache before the prompt
	NLengths     int             `json:"n_lengths"`
	Shortest     int             `json:"shortest_gen_tokens"`
	Longest      int             `json:"longest_gen_tokens"`
	Ratio        float64         `json:"ms_per_token_ratio"`
	CI           *stats.Interval `json:"ms_per_token_ratio_ci"` // 95 %
	Basis        string          `json:"basis"`                 // processes, or one process
	Tolerance    float64         `json:"tolerance"`             // within which of 1 the ratio counts as the same
	Verdict      string          `json:"verdict"`               // same, grows, falls, not_identified or unknown
	Why          string          `json:"why"`
}
