package weights

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
)

// Verdict says which weight type of a model is fastest, and whether
// decode time follows the bytes that a token reads. A type in Slower is bound by
// computing (dequantising), not by memory.
type Verdict struct {
	Work
	NTypes    int      `json:"n_types"`
	Base      string   `json:"base_weight_type"`
	Decode    Fastest  `json:"decode"`
	Prefill   *Fastest `json:"prefill"`   // of the longest prompt; nil where a type lacks it
	Tolerance float64  `json:"tolerance"` // of Slower and Faster
	Slower    []string `json:"slower"`    // than their bytes by more than Tolerance
	Faster    []string `json:"faster"`    // than their bytes by more than Tolerance
	Open      []string `json:"open"`      // neither, nor within Tolerance
	Verdict   string   `json:"verdict"`   // follows, slower, faster, not_identified or unknown
	Why       string   `json:"why"`

	of *Comparison
}

// Fastest puts the weight types of a model in order. Ratios are of times;
// intervals are of 95 %, from the scatter of the calls of one process each.
type Fastest struct {
	Scenario       string          `json:"scenario"`      // or AllScenarios
	PromptTokens   *float64        `json:"prompt_tokens"` // nil over AllScenarios
	Type           string          `json:"weight_type"`   // the fastest
	MS             float64         `json:"ms"`            // decode: per token
	BaseRatio      float64         `json:"base_ratio"`    // of the type with most bytes to the fastest
	BaseRatioCI    *stats.Interval `json:"base_ratio_ci"` // nil where they are the same
	Next           string          `json:"next_weight_type"`
	NextRatio      float64         `json:"next_ratio"` // of the next to the fastest
	NextRatioCI    *stats.Interval `json:"next_ratio_ci"`
	Slowest        string          `json:"slowest_weight_type"`
	SlowestRatio   float64         `json:"slowest_ratio"` // of the slowest to the type with most bytes
	SlowestRatioCI *stats.Interval `json:"slowest_ratio_ci"`
	Basis          string          `json:"basis"` // of the intervals: processes, or one process of each type
}

// verdict names the fastest types and says whether decode follows the bytes.
func (w *Comparison) verdict() Verdict {
	out := Verdict{of: w, Work: w.Work, NTypes: w.Fit.NTypes, Base: w.Base, Tolerance: Tolerance, Verdict: "unknown"}
	last := len(w.Types[0].Times) - 1
	decode := w.fastest(last, func(t *Times) (*float64, []cells.Times) { return &t.DecodeMS, t.decode })
	out.Decode = *decode
	// The longest prompt: prefill of a short one is decode under another name.
	longest := -1
	for i := range last {
		p := w.Types[0].Times[i].PromptTokens
		if p != nil && (longest < 0 || *p > *w.Types[0].Times[longest].PromptTokens) {
			longest = i
		}
	}
	if longest >= 0 {
		out.Prefill = w.fastest(longest, func(t *Times) (*float64, []cells.Times) { return t.PrefillMS, t.prefill })
	}
	switch {
	case out.NTypes < minVerdict:
		out.Why = fmt.Sprintf("%s; a verdict takes %d, because dequantising and a fixed cost of each token look alike with fewer", words.Counted(out.NTypes, "weight type", "weight types"), minVerdict)
		return out
	case w.SharedFixedMS == nil:
		out.Why = fmt.Sprintf("the types' ratios have no interval: that takes %d calls of each scenario, and types of different bytes", stats.MinRatioCalls)
		return out
	}
	for i := range w.Types[1:] {
		t := &w.Types[i+1]
		ci := t.OverBytesCI
		switch {
		case ci.Low > 1+Tolerance:
			out.Slower = append(out.Slower, w.Name(t))
		case ci.High < 1-Tolerance:
			out.Faster = append(out.Faster, w.Name(t))
		case ci.Low < 1-Tolerance || ci.High > 1+Tolerance:
			out.Open = append(out.Open, w.Name(t))
		}
	}
	within := prose.Within(out.Decode.Basis)
	rate := fmt.Sprintf("the rate of %s, %.3g GB/s, with at most %.3g ms per token that all types share", w.Base, w.Types[0].All().GBPerS, *w.SharedFixedMS)
	switch {
	case len(out.Slower) > 0:
		out.Verdict, out.Why = "slower", fmt.Sprintf("the 95 %% interval%s lies more than %.0f %% above what the bytes take at %s", within, 100*Tolerance, rate)
	case len(out.Faster) > 0:
		out.Verdict, out.Why = "faster", fmt.Sprintf("the 95 %% interval%s lies more than %.0f %% below what the bytes take at %s: that type is not bound by memory, or the lighter ones stay in a cache", within, 100*Tolerance, rate)
	case len(out.Open) == 0:
		out.Verdict, out.Why = "follows", fmt.Sprintf("every type's 95 %% interval%s lies within %.0f %% of what its bytes take at %s", within, 100*Tolerance, rate)
	default:
		out.Verdict, out.Why = "not_identified", fmt.Sprintf("the interval%s of %s reaches beyond %.0f %% of what the bytes take at %s", within, strings.Join(out.Open, ", "), 100*Tolerance, rate)
	}
	return out
}

// fastest puts the types in order of one time, that of Times[at]; nil where one
// lacks it.
func (w *Comparison) fastest(at int, of func(*Times) (ms *float64, calls []cells.Times)) *Fastest {
	type timed struct {
		t     *Type
		ms    float64
		calls []cells.Times
	}
	var all []timed
	for i := range w.Types {
		ms, calls := of(&w.Types[i].Times[at])
		if ms == nil {
			return nil
		}
		all = append(all, timed{&w.Types[i], *ms, calls})
	}
	base := all[0]
	slices.SortStableFunc(all, func(x, y timed) int { return cmp.Compare(x.ms, y.ms) })
	first, next, last := all[0], all[1], all[len(all)-1]
	out := &Fastest{Scenario: w.Types[0].Times[at].Scenario, PromptTokens: w.Types[0].Times[at].PromptTokens,
		Type: w.Name(first.t), MS: first.ms, Next: w.Name(next.t), Slowest: w.Name(last.t)}
	out.NextRatio, out.NextRatioCI, out.Basis = cells.Ratio(first.calls, next.calls)
	if out.BaseRatio = 1; first.t != base.t {
		out.BaseRatio, out.BaseRatioCI, _ = cells.Ratio(first.calls, base.calls)
	}
	if out.SlowestRatio = 1; last.t != base.t {
		out.SlowestRatio, out.SlowestRatioCI, _ = cells.Ratio(base.calls, last.calls)
	}
	return out
}
