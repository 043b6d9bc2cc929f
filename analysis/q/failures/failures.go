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
func (a *asker) failures() {
	type tally struct {
		worst      *runs.Row
		failed, ok map[cells.CallID]bool
	}
	tallies := map[cells.ScenarioKey]*tally{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		t := tallies[cells.ScenarioKeyOf(r)]
		if t == nil {
			t = &tally{failed: map[cells.CallID]bool{}, ok: map[cells.CallID]bool{}}
			tallies[cells.ScenarioKeyOf(r)] = t
		}
		if r.OK() {
			t.ok[cells.CallIDOf(r)] = true
			continue
		}
		t.failed[cells.CallIDOf(r)] = true
		if t.worst == nil || cells.Severity(r.Status) < cells.Severity(t.worst.Status) {
			t.worst = r
		}
	}
	a.EachScenario(func(at cells.ScenarioKey, m *cells.Model) {
		t := tallies[at]
		if t == nil || t.worst == nil {
			return
		}
		f := Cell{Subject: at.Of(m), Scenario: at.Scenario,
			Status: t.worst.Status, ExitCode: t.worst.ExitCode, Stderr: t.worst.Stderr,
			Calls: len(t.failed), OKCalls: len(t.ok)}
		if t.worst.Error != nil {
			f.Reason = strings.TrimSpace(*t.worst.Error)
		}
		if t.worst.Signal != nil {
			f.Signal = *t.worst.Signal
		}
		a.out.Failed = append(a.out.Failed, f)
	})
}
