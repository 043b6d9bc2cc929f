package analysis

import (
	"slices"

	"llmscale/analysis/axes"
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// axes compares backends that differ in one setting, and finds the best number of
// threads.
func (a *analyzer) axes() {
	var samples []axes.Sample
	a.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if len(g.Rows) == 0 || k.Mode == record.ModeE2E {
			return
		}
		s := axes.Sample{Backend: k.Backend, Settings: settingsOf(g.Rows[0]), Model: m.Name, ParamsM: m.ParamsMillions, WeightType: m.WeightType,
			Scenario: k.Scenario, Mode: k.Mode, LatencyMS: cells.Latencies(g.Rows), PerMS: 1, Sequences: k.BatchSize}
		if k.Mode == record.ModeDecode {
			c := a.Cell(k.Series, m.Name, k.Scenario, k.Mode)
			if c == nil || c.MSPerToken == nil {
				return
			}
			s.PerMS = *c.GenTokens
		}
		samples = append(samples, s)
	})
	a.res.Axes = axes.Compare(samples)
	a.res.AxisTrends = axes.Trends(a.res.Axes)
	a.res.Threads = axes.FindBestThreads(samples)
	a.batches()
}

// Batch is one cell of a run whose backends decode different numbers of sequences
// together.
type Batch struct {
	Backend   string   `json:"backend"`
	BatchSize int      `json:"batch_size"`
	Model     string   `json:"model"`
	ParamsM   *float64 `json:"params_millions_effective"`
	Scenario  string   `json:"scenario"`
	N         int      `json:"n"`

	StepMS     float64         `json:"step_median_ms"`        // one decode step of all sequences
	TokensPerS float64         `json:"tokens_per_s_all"`      // decoded by all sequences
	EachPerS   float64         `json:"tokens_per_s_each"`     // by one of them
	PrefillMS  *float64        `json:"prefill_median_ms"`     // of all prompts
	Base       string          `json:"base_backend"`          // of the least batch, all else equal; "" where there is none
	StepRatio  *float64        `json:"step_ratio"`            // step over Base's
	StepCI     *stats.Interval `json:"step_ratio_ci"`         // 95 %, with what processes differ by
	AllRatio   *float64        `json:"tokens_per_s_ratio"`    // TokensPerS over Base's
	AllCI      *stats.Interval `json:"tokens_per_s_ratio_ci"` // likewise

	// Calls whose first sequence has the prompt that Base's has: how many there are, how many of them answer alike, and
	// at which token, from 0, the first of the others parts.
	Compared        int  `json:"answers_compared"`
	Same            int  `json:"answers_same"`
	FirstDifference *int `json:"answers_first_difference"`
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
		at := -1
		for i := range answer {
			if answer[i] != otherAnswer[i] {
				at = i
				break
			}
		}
		if at < 0 {
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
func (a *analyzer) batches() {
	seen := map[int]bool{}
	for _, s := range a.Series {
		seen[s.BatchSize] = true
	}
	if len(seen) < 2 {
		return
	}
	against := map[cells.Key]*axes.Comparison{}
	compared := map[string]bool{} // backends that differ from another in nothing else
	for i := range a.res.Axes {
		if c := &a.res.Axes[i]; c.Axis == cells.SettingBatchSize && c.Mode == record.ModeDecode {
			against[cells.Series{Backend: c.Backend}.Key(c.Model, c.Scenario, c.Mode)] = c
			compared[c.Backend], compared[c.BaseBackend] = true, true
		}
	}
	rows := map[cells.Key][]*runs.Row{}
	a.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if k.Mode == record.ModeDecode {
			rows[cells.Series{Backend: k.Backend}.Key(m.Name, k.Scenario, k.Mode)] = g.Rows
		}
	})
	for i := range a.Cells {
		c := &a.Cells[i]
		if c.Mode != record.ModeDecode || c.MSPerToken == nil || !(*c.MSPerToken > 0) || len(compared) > 0 && !compared[c.Backend] {
			continue
		}
		b := Batch{Backend: c.Backend, BatchSize: c.BatchSize, Model: c.Model, ParamsM: c.ParamsM, Scenario: c.Scenario, N: c.N,
			StepMS: *c.MSPerToken, EachPerS: 1e3 / *c.MSPerToken, TokensPerS: 1e3 * float64(c.BatchSize) / *c.MSPerToken}
		if p := a.Cell(c.Series(), c.Model, c.Scenario, record.ModePrefill); p != nil {
			b.PrefillMS = new(p.MedianMS)
		}
		if x := against[cells.Series{Backend: c.Backend}.Key(c.Model, c.Scenario, c.Mode)]; x != nil {
			// x.Ratio is of the time per sequence: a step has it as often as it has sequences.
			times := x.MS / x.BaseMS / x.Ratio
			b.compareAnswers(rows[cells.Series{Backend: c.Backend}.Key(c.Model, c.Scenario, c.Mode)], rows[cells.Series{Backend: x.BaseBackend}.Key(c.Model, c.Scenario, c.Mode)])
			b.Base, b.StepRatio, b.AllRatio = x.BaseBackend, stats.Finite(x.Ratio*times), stats.Finite(x.Speed())
			if ci := x.RatioCI; ci != nil {
				b.StepCI, b.AllCI = stats.NewInterval(ci.Low*times, ci.High*times), stats.NewInterval(1/ci.High, 1/ci.Low)
			}
		}
		a.res.Batches = append(a.res.Batches, b)
	}
}
