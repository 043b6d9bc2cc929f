package analysis

import (
	"slices"
	"strings"

	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// severity orders what a cell's failed calls say; the first of these counts.
var severity = []string{record.StatusOOM, record.StatusCrashed, record.StatusTimeout, record.StatusError}

func severityOf(status string) int {
	if status == record.StatusWaived {
		return len(severity) + 1
	}
	if i := slices.Index(severity, status); i >= 0 {
		return i
	}
	return len(severity)
}

// failures lists the cells that have failed calls.
func (a *analyzer) failures() {
	type tally struct {
		worst      *runs.Row
		failed, ok map[callID]bool
	}
	tallies := map[scenarioKey]*tally{}
	for i := range a.run.Rows {
		r := &a.run.Rows[i]
		t := tallies[scenarioKeyOf(r)]
		if t == nil {
			t = &tally{failed: map[callID]bool{}, ok: map[callID]bool{}}
			tallies[scenarioKeyOf(r)] = t
		}
		if r.OK() {
			t.ok[callIDOf(r)] = true
			continue
		}
		t.failed[callIDOf(r)] = true
		if t.worst == nil || severityOf(r.Status) < severityOf(t.worst.Status) {
			t.worst = r
		}
	}
	a.eachScenario(func(at scenarioKey, m *Model) {
		t := tallies[at]
		if t == nil || t.worst == nil {
			return
		}
		f := FailedCell{Backend: at.backend, BatchSize: at.batch, Model: m.Name, ParamsM: m.ParamsMillions, Scenario: at.scenario,
			Status: t.worst.Status, ExitCode: t.worst.ExitCode, Stderr: t.worst.Stderr,
			Calls: len(t.failed), OKCalls: len(t.ok)}
		if t.worst.Error != nil {
			f.Reason = strings.TrimSpace(*t.worst.Error)
		}
		if t.worst.Signal != nil {
			f.Signal = *t.worst.Signal
		}
		a.res.Failed = append(a.res.Failed, f)
	})
}
