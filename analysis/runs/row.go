package runs

import "llmscale/runner/record"

// Row is one line of runs.jsonl: llmscale's record, and the field that only the
// TR121 harness writes.
type Row struct {
	record.Record
	Line int `json:"-"` // in runs.jsonl, from 1

	ParamsMillionsMeasured *float64 `json:"params_millions_measured"`
}

// GenTokens is the number of tokens per sequence that the record's decode time
// stands for: of an answer that was scaled to its target, the target's.
func (r *Row) AnswerTokens() *int {
	if r.DecodeEquivMS != nil && r.GenTokensEquiv != nil {
		return r.GenTokensEquiv
	}
	return r.GenTokens
}

// PromptEach is the length of one sequence's prompt.
func (r *Row) PromptEach() *int {
	if r.PromptTokensRaw == nil {
		return nil
	}
	return new(*r.PromptTokensRaw / r.Sequences())
}

// Latency is the record's time, if it is one.
func (r *Row) Latency() (ms float64, ok bool) {
	if r.LatencyMS == nil || !(*r.LatencyMS > MinLatencyMS) || !(*r.LatencyMS < MaxLatencyMS) {
		return 0, false
	}
	return *r.LatencyMS, true
}

// Pace is hot or cold; "" where there was neither.
func (r *Row) PaceText() string {
	if r.Pace == nil {
		return ""
	}
	return *r.Pace
}

// Depth is how many positions of the KV cache were in use before the call; older
// records have none.
func (r *Row) DepthTokens() int { return max(0, r.Depth) }

// standing orders records of one planned measurement: a failure, a call that was
// spoilt, one that counts.
func (r *Row) standing() int {
	switch {
	case !r.OK():
		return 0
	case r.Invalid():
		return 1
	}
	return 2
}

// Bounds of what can be a time, in ms: a femtosecond and 30,000 years. Between
// them no mean, ratio or square of times overflows.
const (
	MinLatencyMS = 1e-12
	MaxLatencyMS = 1e15
)
