package policy

import (
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Batch is one cell of a run whose backends decode different numbers of sequences
// together.
type Batch struct {
	cells.Subject
	Scenario string `json:"scenario" doc:"name of the scenario"`
	N        int    `json:"n" unit:"calls" doc:"calls"`

	StepMS     float64   `json:"step_median_ms" unit:"ms" doc:"one decode step of all sequences"`
	TokensPerS float64   `json:"tokens_per_s_all" unit:"tokens/s" doc:"decoded by all sequences"`
	EachPerS   float64   `json:"tokens_per_s_each" unit:"tokens/s" doc:"by one of them"`
	PrefillMS  *float64  `json:"prefill_median_ms" unit:"ms" doc:"prefill of all prompts"`
	Base       string    `json:"base_backend" doc:"backend of the least batch, all else equal"` // "" where there is none
	StepRatio  *float64  `json:"step_ratio" doc:"step over that backend's"`
	StepCI     *Interval `json:"step_ratio_ci" doc:"its 95 % interval, with what processes differ by"`
	AllRatio   *float64  `json:"tokens_per_s_ratio" doc:"tokens_per_s_all over that backend's"`
	AllCI      *Interval `json:"tokens_per_s_ratio_ci" doc:"its 95 % interval, likewise"`

	Compared        int  `json:"answers_compared" unit:"calls" doc:"whose first sequence has the prompt that the same call of that backend has"`
	Same            int  `json:"answers_same" unit:"calls" doc:"of these, whose first sequence answers with the same tokens"`
	FirstDifference *int `json:"answers_first_difference" unit:"tokens" doc:"the first token, from 0, at which one of the others parts"`
}

// compareAnswers holds the first sequence of each call against that of the same call of another batch.
func (b *Batch) compareAnswers(rows, base []*runs.Row) {
	byCall := map[int]*runs.Row{}
	for _, r := range base {
		byCall[r.CallIdx] = r
	}
	for _, r := range rows {
		prompt, answer := firstSequence(r)
		other, otherAnswer := []int32(nil), []int32(nil)
		if x := byCall[r.CallIdx]; x != nil {
			other, otherAnswer = firstSequence(x)
		}
		if prompt == nil || answer == nil || !slices.Equal(prompt, other) || len(answer) != len(otherAnswer) {
			continue
		}
		b.Compared++
		at := 0
		for at < len(answer) && answer[at] == otherAnswer[at] {
			at++
		}
		if at == len(answer) {
			b.Same++
		} else if b.FirstDifference == nil || at < *b.FirstDifference {
			b.FirstDifference = &at
		}
	}
}

// firstSequence is the prompt and the answer of a call's first sequence; nil where the record does not hold them.
func firstSequence(r *runs.Row) (prompt, answer []int32) {
	if r.SeqLen == nil || r.GenTokensRaw == nil || len(r.PromptTokenIDs) < *r.SeqLen || len(r.OutputTokenIDs) < *r.GenTokensRaw {
		return nil, nil
	}
	return r.PromptTokenIDs[:*r.SeqLen], r.OutputTokenIDs[:*r.GenTokensRaw]
}

// batches lists decode by the number of sequences, where it varies.
func (a *asker) batches() {
	if len(a.Series) == 0 || !slices.ContainsFunc(a.Series, func(s cells.Series) bool { return s.BatchSize != a.Series[0].BatchSize }) {
		return
	}
	against := map[cells.Key]*Comparison{}
	compared := map[cells.Series]bool{} // those that differ from another in nothing else
	for i := range a.out.Axes {
		if c := &a.out.Axes[i]; c.Axis == cells.SettingBatchSize && c.Mode == record.ModeDecode {
			against[c.this] = c
			compared[c.this.Series], compared[c.base.Series] = true, true
		}
	}
	a.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		c := a.Cell(k.Series, k.Model, k.Scenario, k.Mode)
		if k.Mode != record.ModeDecode || c == nil || c.MSPerToken == nil || !(*c.MSPerToken > 0) || len(compared) > 0 && !compared[k.Series] {
			return
		}
		b := Batch{Subject: k.Series.Of(m), Scenario: k.Scenario, N: c.N,
			StepMS: *c.MSPerToken, EachPerS: 1e3 / *c.MSPerToken, TokensPerS: 1e3 * float64(k.BatchSize) / *c.MSPerToken}
		if p := a.Cell(k.Series, k.Model, k.Scenario, record.ModePrefill); p != nil {
			b.PrefillMS = new(p.MedianMS)
		}
		if x := against[k]; x != nil {
			// x.Ratio is of the time per sequence: a step has it as often as it has sequences.
			times := x.MS / x.BaseMS / x.Ratio
			b.compareAnswers(g.Rows, a.Group(x.base).Rows)
			b.Base, b.StepRatio, b.AllRatio = x.BaseBackend, stats.Finite(x.Ratio*times), stats.Finite(1/x.Ratio)
			if ci := x.RatioCI; ci != nil {
				b.StepCI, b.AllCI = stats.NewInterval(ci.Low*times, ci.High*times), stats.NewInterval(1/ci.High, 1/ci.Low)
			}
		}
		a.out.Batches = append(a.out.Batches, b)
	})
}
