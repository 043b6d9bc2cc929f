package report

import (
	"fmt"
	"strconv"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/lengths"
)

// prefillLengths says whether what is timed as prefill grows with the prompt.
func (w *writer) prefillLengths() {
	if len(analysis.Get[lengths.Answer](w.r).PrefillLengthFits) == 0 {
		return
	}
	w.doc.Section("Prefill by length of the prompt")
	low, high := lengths.PrefillLow, lengths.PrefillHigh
	w.doc.Say("log₁₀(prefill in ms) = a + b · log₁₀(prompt tokens), least squares over the medians of prompts of %d to %d tokens. The exponent b is near 1 where prefill is the evaluation of the prompt, a little more where attention weighs; near 0 it would be a cache that held the prompt already. Expected: %s to %s. The interval comes from the lengths within one process.",
		lengths.PrefillShortest, lengths.PrefillLongest, doc.Fixed(&low, 1), doc.Fixed(&high, 1))
	for _, s := range w.prefillSentences() {
		w.doc.Add(doc.Paragraph(s))
	}
	t := doc.Table{Head: []string{"<model", "<backend", "parameters (millions)", "lengths", "shortest (tokens)", "longest (tokens)", "calls", "exponent", "95 % within one process", "R²", "<as expected"}}
	for _, f := range analysis.Get[lengths.Answer](w.r).PrefillLengthFits {
		expected := "unknown: " + doc.Text(f.Reason)
		if f.AsWork != nil {
			expected = map[bool]string{true: "yes", false: "**no**"}[*f.AsWork]
		}
		t.Rows = append(t.Rows, []string{doc.Text(f.Model), series(f.Backend, f.BatchSize), doc.SizeOf(f.ParamsM), strconv.Itoa(f.NLengths), numberText(f.Shortest), numberText(f.Longest), strconv.Itoa(f.N),
			doc.Fixed(f.Exponent, 3), doc.Interval(f.ExponentT, 3), doc.Fixed(f.R2, 4), expected})
	}
	w.doc.Add(t)
	per := doc.Table{Head: []string{"<model", "<backend", "prompt (tokens)", "calls", "prefill (ms)", "fastest (ms)", "slowest (ms)", "ms per token"}}
	for _, p := range analysis.Get[lengths.Answer](w.r).PrefillLengths {
		per.Rows = append(per.Rows, []string{doc.Text(p.Model), series(p.Backend, p.BatchSize), strconv.Itoa(p.PromptTokens), strconv.Itoa(p.N), doc.Number(p.PrefillMS), doc.Number(p.MinMS), doc.Number(p.MaxMS), doc.Number(p.MSPerToken)})
	}
	w.doc.Fold(fmt.Sprintf("Each prompt length (%d)", len(per.Rows)), per)
}

// prefillSentences say for each backend what its exponents show.
func (w *writer) prefillSentences() (out []string) {
	for _, k := range w.keys() {
		var exponents span
		var models, off, reasons []string
		unknown := map[string][]string{} // models by reason
		for _, f := range analysis.Get[lengths.Answer](w.r).PrefillLengthFits {
			if f.Backend != k.backend || f.BatchSize != k.batch {
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
			exponents.add(f.Exponent)
			if !*f.AsWork {
				off = append(off, fmt.Sprintf("%s (%s)", doc.Text(f.Model), doc.Fixed(f.Exponent, 3)))
			}
		}
		if len(models) > 0 {
			s := fmt.Sprintf("On %s the exponent is %s over %s", k, exponents.text(func(v float64) string { return doc.Fixed(&v, 3) }), doc.Count(len(models), "model", "models"))
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
