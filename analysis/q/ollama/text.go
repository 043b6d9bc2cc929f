package ollama

import (
	"cmp"
	"fmt"
	"slices"

	"llmscale/analysis/doc"
	"llmscale/analysis/runs"
)

// Sections tell of answers that ended early, whose time was scaled.
func (a *Answer) Sections() []doc.Section {
	if a.Ollama == nil {
		return nil
	}
	early := slices.DeleteFunc(slices.Clone(a.Ollama.EarlyStops), func(e EarlyStop) bool { return e.EarlyStopRate == nil || *e.EarlyStopRate == 0 })
	sec := doc.Section{Title: fmt.Sprintf("Ollama ended answers early in %d of %d cells", len(early), len(a.Ollama.EarlyStops)), Place: "Ollama", Warned: []string{"other_models"}}
	if a.harness != runs.HarnessLLMScale {
		sec.Say("Prefill may be of one token: the server may hold the same prompt's cache.")
	}
	if len(early) > 0 {
		sec.Say("Decode of such answers is scaled to the wanted length in proportion; ollama_decode_projection_error.csv says how far that may be off.")
		slices.SortStableFunc(early, func(x, y EarlyStop) int { return cmp.Compare(*y.EarlyStopRate, *x.EarlyStopRate) })
		sec.Show(doc.TableOf(early, []doc.Column[EarlyStop]{
			{Head: "<model", Cell: func(e EarlyStop) string { return doc.Text(e.Model) }},
			{Head: "<backend", Cell: func(e EarlyStop) string { return doc.Text(e.Backend) }},
			{Head: "<scenario", Cell: func(e EarlyStop) string { return doc.Text(e.Scenario) }},
			{Head: "calls", Cell: func(e EarlyStop) string { return fmt.Sprint(e.N) }},
			{Head: "wanted (tokens)", Cell: func(e EarlyStop) string { return doc.Plain(e.Target) }},
			{Head: "median answer (tokens)", Cell: func(e EarlyStop) string { return doc.Plain(e.RawMedian) }},
			{Head: "ended early (%)", Cell: func(e EarlyStop) string { return doc.Percent(e.EarlyStopRate) }},
		}), "ollama_early_stop_summary.csv")
	}
	return []doc.Section{sec}
}
