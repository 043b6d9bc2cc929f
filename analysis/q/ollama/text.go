package ollama

import (
	"fmt"

	"llmscale/analysis/doc"
	"llmscale/analysis/runs"
)

// Sentences are none: the opening of a report speaks of times.
func (a *Answer) Sentences() []string { return nil }

// Sections are the report's.
func (a *Answer) Sections() []doc.Section {
	o := a.Ollama
	if o == nil {
		return nil
	}
	sec := doc.Section{Title: "Ollama"}
	cached := "Its prefill is fast where the server still holds the same prompt's cache, so prefill times here may be times of one token."
	if a.harness == runs.HarnessLLMScale {
		cached = "Prefill of prompts that the server may have had in its cache is INVALID, and in no figure."
	}
	sec.Say("Ollama may stop before the wanted number of tokens; its decode time is then scaled in proportion. These tables say how often that happened and how far it may be off. %s", cached)
	stops := doc.Table{Head: []string{"<model", "<backend", "<scenario", "calls", "wanted (tokens)", "median answer (tokens)", "stopped early (%)", "<reason, most often"}}
	for _, e := range o.EarlyStops {
		stops.Rows = append(stops.Rows, []string{doc.Text(e.Model), doc.Text(e.Backend), doc.Text(e.Scenario), fmt.Sprint(e.N), doc.Plain(e.Target), doc.Plain(e.RawMedian), doc.Percent(e.EarlyStopRate), doc.OrNone(e.DoneReasonMode)})
	}
	if len(stops.Rows) > 0 {
		sec.Fold("Answers that stopped early", stops)
	}
	linear := doc.Table{Head: []string{"<model", "<backend", "calls", "fixed (ms)", "per token (ms)", "R²", "at the wanted length (ms)"}}
	for _, l := range o.Linearity {
		linear.Rows = append(linear.Rows, []string{doc.Text(l.Model), doc.Text(l.Backend), fmt.Sprint(l.N), doc.NumberOf(l.A), doc.NumberOf(l.B), doc.Fixed(l.R2, 3), doc.NumberOf(l.AffineMS)})
	}
	if len(linear.Rows) > 0 {
		sec.Fold("Decode time against answer length", linear)
	}
	errs := doc.Table{Head: []string{"<model", "<backend", "calls", "median (ms)", "p95 (ms)", "smallest (ms)", "largest (ms)"}}
	for _, p := range o.Projections {
		errs.Rows = append(errs.Rows, []string{doc.Text(p.Model), doc.Text(p.Backend), fmt.Sprint(p.N), doc.NumberOf(p.MedianMS), doc.Quantile(p.P95MS), doc.NumberOf(p.MinMS), doc.NumberOf(p.MaxMS)})
	}
	if len(errs.Rows) > 0 {
		sec.Fold("Error of scaling in proportion", errs)
	}
	warm := doc.Table{Head: []string{"<model", "<backend", "<scenario", "warm-up prefill (ms)", "warm-up load (ms)", "steady prefill (ms)", "steady load (ms)", "ratio, inference", "ratio, with load"}}
	for _, u := range o.Warmups {
		warm.Rows = append(warm.Rows, []string{doc.Text(u.Model), doc.Text(u.Backend), doc.Text(u.Scenario), doc.NumberOf(u.WarmupInferMS), doc.NumberOf(u.WarmupLoadMS), doc.NumberOf(u.MeasuredInferMS), doc.NumberOf(u.MeasuredLoadMS), doc.Fixed(u.RatioInfer, 2), doc.Fixed(u.RatioTotal, 2)})
	}
	if len(warm.Rows) > 0 {
		sec.Fold("Warm-up of prefill and model load", warm)
	}
	return []doc.Section{sec}
}
