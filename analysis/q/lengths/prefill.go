package lengths

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Thresholds of what is said about prefill by prompt length.
const (
	// PrefillShortest and PrefillLongest bound the prompts of the fit: shorter ones
	// are mostly a fixed cost, in longer ones attention grows with the square.
	PrefillShortest, PrefillLongest = 64, 1024
	// Between these exponents prefill grows as the work of a prompt does.
	PrefillLow, PrefillHigh = 0.8, 1.3
)

// PrefillLength is prefill of prompts of one length, by one backend x model.
type PrefillLength struct {
	cells.Subject
	PromptTokens int      `json:"prompt_tokens" unit:"tokens" doc:"prompt, per sequence"`
	Scenarios    []string `json:"scenarios" doc:"scenarios of this length"`
	N            int      `json:"n" unit:"calls" doc:"calls that count"`
	PrefillMS    float64  `json:"prefill_median_ms" unit:"ms" doc:"median"`
	MinMS        float64  `json:"prefill_min_ms" unit:"ms" doc:"fastest call"`
	MaxMS        float64  `json:"prefill_max_ms" unit:"ms" doc:"slowest call"`
	MSPerToken   float64  `json:"ms_per_token_median" unit:"ms/token" doc:"median over prompt_tokens"`
	Fitted       bool     `json:"in_fit" doc:"whether the length counts in the exponent: 64 to 1024 tokens"`
}

// PrefillLengthFit is log10(prefill ms) = Log10Intercept + Exponent *
// log10(prompt tokens) over the medians of the lengths.
type PrefillLengthFit struct {
	cells.Subject
	NLengths int `json:"n_lengths" doc:"prompt lengths"`
	N        int `json:"n" unit:"calls" doc:"calls"`
	Shortest int `json:"shortest_prompt_tokens" unit:"tokens" zero:"unknown" doc:"shortest prompt of the fit"`
	Longest  int `json:"longest_prompt_tokens" unit:"tokens" zero:"unknown" doc:"longest prompt of the fit"`

	Log10Intercept *float64        `json:"log10_intercept" doc:"log10 of ms at one token"`
	Exponent       *float64        `json:"exponent" doc:"1 is in proportion to the prompt"`
	ExponentT      *stats.Interval `json:"exponent_t_ci" doc:"its 95 % t-interval, over the lengths within one process"`
	R2             *float64        `json:"r2" doc:"R2, in log space"`
	AsWork         *bool           `json:"exponent_in_range" doc:"whether it lies from 0.8 to 1.3, as that of a prompt's work does"`
	Reason         string          `json:"reason" doc:"why there is no exponent"`
}

// prefillLengths says whether what is called prefill grows with the prompt. Nothing
// is said where no model was measured at two lengths that count.
func (a *asker) prefillLengths() {
	var rows []PrefillLength
	var fits []PrefillLengthFit
	several := false
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			mine, f := a.prefillOf(s, m)
			rows = append(rows, mine...)
			if f.NLengths > 0 {
				fits = append(fits, f)
			}
			several = several || f.NLengths > 1
		}
	}
	if several {
		a.out.PrefillLengths, a.out.PrefillLengthFits = rows, fits
	}
}

func (a *asker) prefillOf(s cells.Series, m *cells.Model) ([]PrefillLength, PrefillLengthFit) {
	calls := map[int][]*runs.Row{}
	scenarios := map[int][]string{}
	for _, sc := range a.Joined() {
		for _, r := range a.RowsOf(s, m.Name, sc, record.ModePrefill) {
			if r.PromptEach() == nil || *r.PromptEach() <= 0 {
				continue
			}
			n := *r.PromptEach()
			calls[n] = append(calls[n], r)
			if !slices.Contains(scenarios[n], sc) {
				scenarios[n] = append(scenarios[n], sc)
			}
		}
	}
	f := PrefillLengthFit{Subject: s.Of(m)}
	var rows []PrefillLength
	var x, y []float64
	for _, n := range slices.Sorted(maps.Keys(calls)) {
		ms := stats.Sorted(cells.Latencies(calls[n]))
		p := PrefillLength{Subject: s.Of(m),
			PromptTokens: n, Scenarios: scenarios[n], N: len(ms), PrefillMS: stats.QuantileSorted(ms, 0.5), MinMS: ms[0], MaxMS: ms[len(ms)-1],
			Fitted: n >= PrefillShortest && n <= PrefillLongest}
		p.MSPerToken = p.PrefillMS / float64(n*s.BatchSize)
		rows = append(rows, p)
		if !p.Fitted {
			continue
		}
		if f.NLengths == 0 {
			f.Shortest = n
		}
		f.NLengths, f.N, f.Longest = f.NLengths+1, f.N+p.N, n
		x, y = append(x, math.Log10(float64(n))), append(y, math.Log10(p.PrefillMS))
	}
	f.fit(x, y)
	return rows, f
}

func (f *PrefillLengthFit) fit(x, y []float64) {
	if f.NLengths < minLengths {
		f.Reason = fmt.Sprintf("%s of %d to %d tokens; an exponent takes %d", words.Counted(f.NLengths, "prompt length", "prompt lengths"), PrefillShortest, PrefillLongest, minLengths)
		return
	}
	l, ok := stats.OLS(x, y)
	if !ok {
		f.Reason = "no line can be fitted to these lengths"
		return
	}
	t := stats.TQuantile(l.N - 2)
	f.Log10Intercept, f.Exponent, f.R2 = stats.Finite(l.A), stats.Finite(l.B), stats.Finite(l.R2)
	f.ExponentT = stats.NewInterval(l.B-t*l.SEB, l.B+t*l.SEB)
	f.AsWork = new(l.B >= PrefillLow && l.B <= PrefillHigh)
}
