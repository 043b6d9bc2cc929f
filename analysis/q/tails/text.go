package tails

import (
	"fmt"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
)

// Sections have the table and the figure of tail ratios.
func (a *Answer) Sections() []doc.Section {
	if len(a.Tails) == 0 {
		return nil
	}
	sec := doc.Section{Title: "Tails"}
	sec.Say("Times of single decoded tokens. Over all scenarios, each token is taken relative to its scenario's median; “within calls”, to its call's. A quantile is shown only where enough tokens carry it.")
	sec.Add(doc.Pictures(KindTails))
	t := doc.Table{Head: []string{"<model", "<backend", "tokens", "p90/p50", "p95/p50", "p99/p50", "p95/p50 within calls"}}
	per := doc.Table{Head: []string{"<model", "<backend", "<scenario", "tokens", "p50 (ms)", "p90 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)", "p99/p50"}}
	for _, x := range a.Tails {
		row := []string{doc.Text(x.Model), prose.Of(x.Backend, x.BatchSize).String()}
		if x.Scenario == cells.AllScenarios {
			t.Rows = append(t.Rows, append(row, fmt.Sprint(x.N), doc.Quantile(x.P90Ratio), doc.Quantile(x.P95Ratio), doc.Quantile(x.P99Ratio), doc.NumberOf(x.P95InCalls)))
			continue
		}
		per.Rows = append(per.Rows, append(row, doc.Text(x.Scenario), fmt.Sprint(x.N), doc.NumberOf(x.P50MS), doc.Quantile(x.P90MS), doc.Quantile(x.P95MS),
			doc.Quantile(x.P99MS), doc.NumberOf(x.MaxMS), doc.Quantile(x.P99Ratio)))
	}
	if len(t.Rows) > 0 {
		sec.Add(t)
	}
	a.processText(&sec)
	if len(per.Rows) > 0 {
		sec.Fold("Token times per scenario", per)
	}
	sec.Add(doc.Pictures(KindTokens))
	return []doc.Section{sec}
}

// processText has what is slow inside and between processes, where there are several.
func (a *Answer) processText(sec *doc.Section) {
	t := doc.Table{Head: []string{"<model", "<backend", "processes", "p99/p50", "95 %, approximate", "p99/p50 inside a process", "slowest process / middle one"}}
	for _, x := range a.Tails {
		if x.Processes > 1 {
			t.Rows = append(t.Rows, []string{doc.Text(x.Model), prose.Of(x.Backend, x.BatchSize).String(), fmt.Sprint(x.Processes), doc.Quantile(x.P99Ratio),
				doc.Interval(x.P99CI, 3), doc.NumberOf(x.P99Inside), doc.NumberOf(x.SlowProcess)})
		}
	}
	if len(t.Rows) > 0 {
		sec.Fold("Inside and between processes", t)
	}
}
