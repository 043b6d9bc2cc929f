package protocol

import (
	"fmt"

	"llmscale/runner/record"
)

// How far a batch's logits may be from those of its tokens one by one, as self_check_rel_l2 counts it. docs/measuring.md
// has what rounding gives and what a wrong kernel does. In a mixture rounding may choose another expert.
const (
	SelfCheckBound        = 0.1
	SelfCheckBoundMixture = 0.6
)

// SelfCheckSpec asks for a self-check.
type SelfCheckSpec struct {
	BudgetS float64 `json:"budget_s"` // that the tokens of a prompt may take one by one
	Bound   float64 `json:"bound"`    // beyond which the results are wrong
}

// SelfCheckTokens is how many tokens are compared: more than the 32 from which on kernels for large batches are used.
const SelfCheckTokens = 40

// SelfCheck is whether the runtime computes the same with a batch of tokens as with the same tokens one by one.
type SelfCheck struct {
	RelL2     float64 `json:"rel_l2"`     // of the last token's logits
	Tokens    int     `json:"tokens"`     // that were evaluated in both ways
	SameToken bool    `json:"same_token"` // both find the same one likeliest
	Bound     float64 `json:"bound"`      // beyond which RelL2 is that of a wrong result
	Skipped   string  `json:"skipped"`    // why there is none; then nothing else is set
}

// Wrong says what is wrong with the runtime's results, "" if nothing is known to be.
func (s *SelfCheck) Wrong() string {
	if s == nil || s.Skipped != "" || s.RelL2 <= s.Bound {
		return ""
	}
	prefers := "and prefers another token"
	if s.SameToken {
		prefers = "though it prefers the same token"
	}
	return fmt.Sprintf("a batch of %d tokens gives other logits than the same tokens one by one: relative L2 %.2g, above %g, %s", s.Tokens, s.RelL2, s.Bound, prefers)
}

// BatchCheck is whether the runtime computes the same for sequences together as for each alone. They are fed random tokens,
// whichever they would choose, so that a step at which two tokens are nearly as likely does not part them.
type BatchCheck struct {
	RelL2           float64 `json:"rel_l2"`           // of the logits after the last step; the largest of all sequences
	Sequences       int     `json:"sequences"`        // that were decoded alone too
	FirstDifference *int    `json:"first_difference"` // first step, from 0, at which one would choose another token; nil: none
	Bound           float64 `json:"bound"`            // beyond which RelL2 is that of a wrong result
	Skipped         string  `json:"skipped"`          // why there is none; then nothing else is set
}

// Of a batch's check.
const (
	BatchCheckPrompt = 8 // tokens
	BatchCheckSteps  = 8
)

func (b *BatchCheck) wrong() string {
	if b == nil || b.Skipped != "" || b.RelL2 <= b.Bound {
		return ""
	}
	return fmt.Sprintf("a sequence in a batch gets other logits than alone: relative L2 %.2g, above %g", b.RelL2, b.Bound)
}

// Note puts the check on record.
func (s *SelfCheck) Note(rec *record.Record) {
	if s != nil && s.Skipped == "" {
		rec.SelfCheckRelL2, rec.SelfCheckTokens = &s.RelL2, &s.Tokens
	}
}

func (b *BatchCheck) Note(rec *record.Record) {
	if b != nil && b.Skipped == "" {
		rec.BatchCheckRelL2, rec.BatchCheckSequences, rec.BatchFirstDifference = &b.RelL2, &b.Sequences, b.FirstDifference
	}
}
