package failures

import (
	"fmt"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// statuses in the order in which the title has them, and what it says of cells.
var statuses = []struct{ status, says string }{
	{record.StatusOOM, "did not fit in memory"},
	{record.StatusCrashed, "crashed"},
	{record.StatusTimeout, "timed out"},
	{record.StatusError, "gave an error"},
	{record.StatusWaived, "cannot run on this machine"},
}

// failure is what several cells have in common.
type failure struct {
	prose.Series
	model, status, why string
}

func failureOf(f Cell) failure {
	why := doc.Clean(f.Reason)
	if f.Signal != "" {
		why += "; signal " + f.Signal
	}
	if f.ExitCode != nil {
		why += fmt.Sprintf("; exit code %d", *f.ExitCode)
	}
	return failure{prose.Of(f.Backend, f.BatchSize), f.Model, f.Status, strings.TrimPrefix(why, "; ")}
}

// Sections list what did not run, with reasons.
func (a *Answer) Sections() []doc.Section {
	if len(a.Failed) == 0 {
		return nil
	}
	_, by := stats.GroupBy(a.Failed, func(f Cell) string { return f.Status })
	var title []string
	for _, s := range statuses {
		if n := len(by[s.status]); n > 0 {
			title = append(title, fmt.Sprintf("%s %s", doc.Count(n, "cell", "cells"), s.says))
		}
	}
	sec := doc.Section{Title: strings.Join(title, ", "), Place: "What failed or did not fit"}
	failures, of := stats.GroupBy(a.Failed, failureOf)
	t := doc.Table{Wrap: true, Head: []string{"<model", "parameters (millions)", "<backend", "<status", "failed calls", "ok calls", "<scenarios", "<reason"}}
	for _, f := range failures {
		failed, ok := 0, 0
		var scenarios []string
		for _, c := range of[f] {
			failed, ok, scenarios = failed+c.Calls, ok+c.OKCalls, append(scenarios, c.Scenario)
		}
		t.Rows = append(t.Rows, []string{doc.Text(f.model), doc.SizeOf(of[f][0].ParamsM), f.String(), doc.Text(f.status), fmt.Sprint(failed), fmt.Sprint(ok), doc.Text(strings.Join(scenarios, ", ")), doc.OrNone(f.why)})
	}
	sec.Show(t, "")
	var stderr strings.Builder
	for _, f := range a.Failed {
		if len(f.Stderr) > 0 {
			fmt.Fprintf(&stderr, "%s / %s / %s\n    %s\n", doc.Clean(f.Model), doc.Clean(f.Backend), doc.Clean(f.Scenario), strings.Join(stats.Map(f.Stderr, doc.Clean), "\n    "))
		}
	}
	if stderr.Len() > 0 {
		sec.Fold("Last lines of the workers' error output", doc.Code(stderr.String()))
	}
	return []doc.Section{sec}
}
