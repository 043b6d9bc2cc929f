package regimes

import (
	"math"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// work is what one measured time of a cell pays for: a step of decode, or a prefill.
type work struct {
	tokens   float64 // of all sequences
	passes   float64 // through the weights: of a prefill one for each micro-batch
	weights  float64 // multiplied in one pass; 0: not known, nor are operations
	ops      float64 // of multiplying with weights, in all passes
	attend   float64 // operations of attention, in all passes
	weightsB int64   // that one pass reads
	kvB      int64   // that one pass reads: the mean over the answer's steps, or over the prompt's positions
}

// workOf counts a cell's work; ok is false where the records lack a count. Each step
// of decode reads the weights once, whatever the batch, and each sequence's KV cache up
// to the step's own position. Of a prompt the output head is computed for the last
// token alone, as llama.cpp does where no other token's logits are asked for. A dense
// token costs 2 operations for each weight and 4 for each position, layer and value of
// the query (Hoffmann et al. 2022, appendix F).
func workOf(m *cells.Model, c *cells.Cell, r *runs.Row) (w work, ok bool) {
	prompt := c.PromptTokensRaw
	if m.BytesPerToken <= 0 || prompt == nil || *prompt <= 0 {
		return w, false
	}
	sequences := float64(c.BatchSize)
	idle := float64(max(0, m.ParamsTotal-m.ParamsActive)) // experts that a token leaves out
	if m.ParamsActive <= 0 {
		idle = 0
	}
	head := float64(m.NVocab) * float64(m.NEmbd)
	blocks := max(0, float64(m.ParamsNonEmbedding)-idle)
	if m.ParamsNonEmbedding <= 0 {
		blocks = max(0, float64(m.ParamsTotal)-idle-head)
	}
	width := float64(m.NEmbd)
	if r.HeadDim > 0 && m.NHead > 0 {
		width = float64(m.NHead * r.HeadDim)
	}
	attention := 4 * float64(m.NLayer) * width // operations for each position that a token looks at
	w.weightsB = m.BytesPerToken
	if blocks > 0 && m.NLayer > 0 {
		w.weights = blocks + head
	}
	if c.Mode == record.ModeDecode {
		gen := c.AnswerTokens()
		if gen == nil || *gen <= 0 {
			return w, false
		}
		positions := (float64(c.Depth)+(*gen+1)/2)*sequences + *prompt
		w.tokens, w.passes = sequences, 1
		w.ops, w.attend = 2*w.weights*sequences, attention*positions
		w.kvB = int64(float64(m.KVBytesPerToken) * positions)
		return w, true
	}
	each := *prompt / sequences
	w.tokens, w.passes = *prompt, 1
	if r.NUBatch > 0 {
		w.passes = math.Ceil(*prompt / float64(r.NUBatch))
	}
	positions := (float64(c.Depth) + (each+1)/2) * *prompt // that all tokens look at
	if w.weights > 0 {
		w.ops, w.attend = 2*(blocks**prompt+head*sequences), attention*positions
	}
	w.kvB = int64(float64(m.KVBytesPerToken) * positions / each)
	return w, true
}
