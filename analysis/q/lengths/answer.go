// Package lengths asks how prefill grows with the prompt and decode with the positions in
// the KV cache, and where attention takes over from the weights.
package lengths

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
)

// Answer has nothing where no model was measured at several lengths.
type Answer struct {
	finding.Notes
	set *cells.Set

	Lengths []Length `json:"lengths,omitempty"`
	Laws    []Law    `json:"length_laws,omitempty"`
}

// Length is one model's time at one length.
type Length struct {
	cells.Subject
	Mode   string          `json:"mode" doc:"prefill or kv_decode"`
	Length float64         `json:"length" unit:"tokens" doc:"prefill: the prompt of one sequence; decode: mean position of the steps, over the cache before the prompt, the prompt and the answer so far"`
	N      int             `json:"n" doc:"calls"`
	MS     float64         `json:"time_ms" unit:"ms" doc:"prefill: median; decode: median of a step"`
	CI     *stats.Interval `json:"time_ci_ms" csv:"time_*_ms" unit:"ms" doc:"its 95 % interval: t over the processes, or of one by the calls' order statistics"`

	scenarios []string // that it is made of
}

// Law is how one model's time grows with the length:
//
//	prefill = fixed + token * n + attention * n^2
//	a decode step = fixed + attention * position
type Law struct {
	cells.Subject
	Mode     string  `json:"mode" doc:"prefill or kv_decode"`
	NLengths int     `json:"n_lengths" doc:"lengths measured"`
	Shortest float64 `json:"shortest" unit:"tokens" doc:"shortest length"`
	Longest  float64 `json:"longest" unit:"tokens" doc:"longest length"`
	Blocks   int     `json:"blocks" doc:"blocks that measured all lengths"`
	Basis    string  `json:"basis" doc:"of the intervals: processes (t over fits of one block each), or 'one process' (by leaving out one length at a time)"`

	Exponent    *float64        `json:"exponent" doc:"slope of log(time) over log(length), all lengths"`
	ExponentCI  *stats.Interval `json:"exponent_ci" doc:"its 95 % interval"`
	FixedMS     *float64        `json:"fixed_ms" unit:"ms" doc:"what does not depend on the length"`
	TokenMS     *float64        `json:"token_ms" unit:"ms/token" doc:"prefill: what the weights cost for each token"`
	AttentionNS *float64        `json:"attention_ns" unit:"ns" doc:"attention: of prefill for each token squared, of decode for each position"`
	Deviation   *float64        `json:"largest_deviation" doc:"largest deviation of a length from the law, as a share"`
	Share       *float64        `json:"attention_share" doc:"attention's share of the time at the longest length, by the law"`
	ShareCI     *stats.Interval `json:"attention_share_ci" doc:"its 95 % interval"`

	TakesOver     *float64 `json:"takes_over_at" unit:"tokens" doc:"length at which attention takes half of the time, by the law; extrapolated where it lies beyond the longest"`
	TakesOverLow  *float64 `json:"takes_over_low" unit:"tokens" doc:"lower end of its 95 % interval"`
	TakesOverHigh *float64 `json:"takes_over_high" unit:"tokens" doc:"upper end; empty where it has none"`
	Verdict       string   `json:"verdict" doc:"within (the measured lengths), beyond (the longest), open (the interval holds the longest), or unknown"`
	Reason        string   `json:"reason" doc:"why it is unknown"`
}

const lawsFile = "length_laws.csv"

// Verdicts.
const (
	Within  = "within"
	Beyond  = "beyond"
	Open    = "open"
	Unknown = "unknown"
)

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &Answer{set: c}
	for _, s := range c.Series {
		for _, m := range c.ModelsOf(s.Backend) {
			a.ask(s, m, prefills(c, s, m))
			a.ask(s, m, decodes(c, s, m))
		}
	}
	return a
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("lengths.csv", "Prefill by the length of the prompt, and decode by the positions in the KV cache, where a model was measured at several.", a.Lengths, ""),
		finding.TableOf(lawsFile, "How the time grows with the length, and where attention takes over from the weights: prefill = fixed + token * n + attention * n^2; a decode step = fixed + attention * position.", a.Laws, ""),
	}
}
