package failures

import (
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
)

// Cell is a backend x model x scenario of which calls gave no measurement.
type Cell struct {
	cells.Subject
	Scenario string   `json:"scenario"`
	Status   string   `json:"status"` // oom, crashed, timeout, waived or error
	Reason   string   `json:"reason"`
	Signal   string   `json:"signal"`
	ExitCode *int     `json:"exit_code"`
	Stderr   []string `json:"stderr_tail"`
	Calls    int      `json:"failed_calls"` // calls, not rows: a failed call leaves a row for each mode
	OKCalls  int      `json:"ok_calls"`     // calls of the cell that did give one
}

// failures lists the cells that have failed calls.
func (a *Answer) failures(set *cells.Set) {
	rows := set.ByScenario()
	set.EachScenario(func(at cells.ScenarioKey, m *cells.Model) {
		var worst *runs.Row
		failed, ok := map[cells.CallID]bool{}, map[cells.CallID]bool{}
		for _, r := range rows[at] {
			if r.OK() {
				ok[cells.CallIDOf(r)] = true
				continue
			}
			failed[cells.CallIDOf(r)] = true
			if worst == nil || cells.Severity(r.Status) < cells.Severity(worst.Status) {
				worst = r
			}
		}
		if worst == nil {
			return
		}
		f := Cell{Subject: at.Of(m), Scenario: at.Scenario, Status: worst.Status, ExitCode: worst.ExitCode, Stderr: worst.Stderr, Calls: len(failed), OKCalls: len(ok)}
		if worst.Error != nil {
			f.Reason = strings.TrimSpace(*worst.Error)
		}
		if worst.Signal != nil {
			f.Signal = *worst.Signal
		}
		a.Failed = append(a.Failed, f)
	})
}
