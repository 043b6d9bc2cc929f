package lengths

import (
	"fmt"
	"strconv"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
)

// prefillSection says whether what is timed as prefill grows with the prompt.
func (a *Answer) prefillSection() doc.Section {
	if len(a.PrefillLengthFits) == 0 {
		return doc.Section{}
	}
	sec := doc.Section{Title: "Prefill by length of the prompt"}
	low, high := PrefillLow, PrefillHigh
	sec.Say("log₁₀(prefill in ms) = a + b · log₁₀(prompt tokens), least squares over the medians of prompts of %d to %d tokens. The exponent b is near 1 where prefill is the evaluation of the prompt, a little more where attention weighs; near 0 it would be a cache that held the prompt already. Expected: %s to %s. The interval comes from the lengths within one process.",
		PrefillShortest, PrefillLongest, doc.Fixed(&low, 1), doc.Fixed(&high, 1))
	for _, s := range a.prefillSentences() {
		sec.Add(doc.Paragraph(s))
	}
	t := doc.Table{Head: []string{"<model", "<backend", "parameters (millions)", "lengths", "shortest (tokens)", "longest (tokens)", "calls", "exponent", "95 % within one process", "R²", "<as expected"}}
	for _, f := range a.PrefillLengthFits {
		expected := "unknown: " + doc.Text(f.Reason)
		if f.AsWork != nil {
			expected = map[bool]string{true: "yes", false: "**no**"}[*f.AsWork]
		}
		t.Rows = append(t.Rows, []string{doc.Text(f.Model), prose.Series{Series: f.Series()}.String(), doc.SizeOf(f.ParamsM), strconv.Itoa(f.NLengths), doc.NumberText(f.Shortest), doc.NumberText(f.Longest), strconv.Itoa(f.N),
			doc.Fixed(f.Exponent, 3), doc.Interval(f.ExponentT, 3), doc.Fixed(f.R2, 4), expected})
	}
	sec.Add(t)
	per := doc.Table{Head: []string{"<model", "<backend", "prompt (tokens)", "calls", "prefill (ms)", "fastest (ms)", "slowest (ms)", "ms per token"}}
	for _, p := range a.PrefillLengths {
		per.Rows = append(per.Rows, []string{doc.Text(p.Model), prose.Series{Series: p.Series()}.String(), strconv.Itoa(p.PromptTokens), strconv.Itoa(p.N), doc.Number(p.PrefillMS), doc.Number(p.MinMS), doc.Number(p.MaxMS), doc.Number(p.MSPerToken)})
	}
	sec.Fold(fmt.Sprintf("Each prompt length (%d)", len(per.Rows)), per)
	return sec
}

// prefillSentences say for each backend what its exponents show.
func (a *Answer) prefillSentences() (out []string) {
	for _, k := range prose.Measured(a.set) {
		var exponents doc.Span
		var models, off, reasons []string
		unknown := map[string][]string{} // models by reason
		for _, f := range a.PrefillLengthFits {
			if f.Backend != k.Backend || f.BatchSize != k.BatchSize {
				continue
			}
			if f.AsWork == nil {
				if unknown[f.Reason] == nil {
					reasons = append(reasons, f.Reason)
				}
				unknown[f.Reason] = append(unknown[f.Reason], doc.Text(f.Model))
				continue
			}
			models = append(models, doc.Text(f.Model))
			exponents.Add(f.Exponent)
			if !*f.AsWork {
				off = append(off, fmt.Sprintf("%s (%s)", doc.Text(f.Model), doc.Fixed(f.Exponent, 3)))
			}
		}
		if len(models) > 0 {
			s := fmt.Sprintf("On %s the exponent is %s over %s", k, exponents.Text(func(v float64) string { return doc.Fixed(&v, 3) }), doc.Count(len(models), "model", "models"))
			if len(off) == 0 {
				s += ": what is timed there **grows as the work of a prompt does**"
			} else {
				s += fmt.Sprintf("; it is **not as expected** on %s", doc.Join(off))
			}
			out = append(out, s+".")
		}
		for _, reason := range reasons {
			out = append(out, fmt.Sprintf("On %s it is **unknown** for %s: %s.", k, doc.Join(unknown[reason]), doc.Text(reason)))
		}
	}
	return out
}
