package failures

import (
	"fmt"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
)

// Sections list what did not run, with reasons.
func (a *Answer) Sections() []doc.Section {
	sec := doc.Section{Title: "What failed or did not fit"}
	if len(a.Failed) == 0 {
		if a.counts.Used == 0 {
			sec.Say("Unknown: no record says that a cell ran or failed.")
			return []doc.Section{sec}
		}
		if a.counts.Invalid > 0 {
			sec.Say("Nothing: every cell with a record ran. Calls that something spoilt are listed below.")
			return []doc.Section{sec}
		}
		sec.Say("Nothing: every cell with a record gave measurements.")
		return []doc.Section{sec}
	}
	t := doc.Table{Wrap: true, Head: []string{"<model", "<backend", "parameters (millions)", "<scenario", "<status", "failed calls", "ok calls", "<reason"}}
	var stderr strings.Builder
	for _, f := range a.Failed {
		reason := doc.Clean(f.Reason)
		if f.Signal != "" {
			reason = strings.TrimPrefix(reason+"; signal "+f.Signal, "; ")
		}
		if f.ExitCode != nil {
			reason = strings.TrimPrefix(fmt.Sprintf("%s; exit code %d", reason, *f.ExitCode), "; ")
		}
		t.Rows = append(t.Rows, []string{doc.Text(f.Model), prose.Of(f.Backend, f.BatchSize).String(), doc.SizeOf(f.ParamsM), doc.Text(f.Scenario), doc.Text(f.Status), fmt.Sprint(f.Calls), fmt.Sprint(f.OKCalls), doc.OrNone(reason)})
		if len(f.Stderr) > 0 {
			fmt.Fprintf(&stderr, "%s / %s / %s\n", doc.Clean(f.Model), doc.Clean(f.Backend), doc.Clean(f.Scenario))
			for _, line := range f.Stderr {
				fmt.Fprintf(&stderr, "    %s\n", doc.Clean(line))
			}
		}
	}
	sec.Say("A cell that did not fit in memory is a result, not an error. “waived” is what this machine cannot run at all.")
	sec.Add(t)
	if stderr.Len() > 0 {
		sec.Fold("Last lines of the workers' error output", doc.Code(stderr.String()))
	}
	return []doc.Section{sec}
}
