package failures

import (
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// fail makes all modes of a call fail.
func fail(rows []runs.Row, model string, call int, status, why string) {
	for i := range rows {
		if r := &rows[i]; r.Model == model && r.CallIdx == call {
			r.Status, r.Error, r.LatencyMS = status, new(why), nil
		}
	}
}

var plan = celltest.Plan{Models: 3, Reps: 3, Gen: 8, Backends: []string{"cpu"}, Scenarios: []string{"a"}, PerToken: func(m int) float64 { return float64(m + 1) }}

// TestFailed: calls are counted, not their rows; the gravest of a cell's statuses
// stands for it, with that call's reason.
func TestFailed(t *testing.T) {
	rows := plan.Rows(1)
	fail(rows, "m01", 2, record.StatusTimeout, "after 60 s")
	fail(rows, "m01", 1, record.StatusCrashed, "  the worker died\n")
	fail(rows, "m02", 3, record.StatusError, "no such tensor")
	for i := range rows {
		if r := &rows[i]; r.Status == record.StatusCrashed {
			r.Signal, r.ExitCode, r.Stderr = new("segmentation fault"), new(139), []string{"ggml <b>: no room"}
		}
	}
	a := Ask(celltest.Set(t, rows))
	if len(a.Failed) != 2 {
		t.Fatalf("%+v", a.Failed)
	}
	c := a.Failed[0]
	if c.Model != "m01" || c.Scenario != "a" || c.Status != record.StatusCrashed || c.Reason != "the worker died" || c.Signal != "segmentation fault" || *c.ExitCode != 139 || c.Calls != 2 || c.OKCalls != 2 {
		t.Errorf("%+v", c)
	}
	if c := a.Failed[1]; c.Model != "m02" || c.Status != record.StatusError || c.Calls != 1 || c.OKCalls != 3 || c.Signal != "" || c.ExitCode != nil {
		t.Errorf("%+v", c)
	}
	if ws := a.Warnings(); len(ws) != 1 || ws[0].Code != "failed_cell" || ws[0].Where != "cpu m02 a" || !strings.Contains(ws[0].Text, "no such tensor") {
		t.Errorf("warnings %+v", ws)
	}
	page := celltest.Markdown(t, a.Sections()...)
	for _, want := range []string{"## 1 cell crashed, 1 cell gave an error", "| m01 |", "| crashed | 2 | 2 | a | the worker died; signal segmentation fault; exit code 139 |", "no such tensor", "ggml <b>: no room"} {
		if !strings.Contains(page, want) {
			t.Errorf("the section lacks %q:\n%s", want, page)
		}
	}
}

// TestGravest: memory before crashes, a crash before a timeout, all before what the
// machine cannot run.
func TestGravest(t *testing.T) {
	order := []string{record.StatusOOM, record.StatusCrashed, record.StatusTimeout, record.StatusError, record.StatusWaived}
	for i, worse := range order {
		for _, better := range order[i+1:] {
			for _, both := range [][]string{{worse, better}, {better, worse}} {
				rows := plan.Rows(1)
				fail(rows, "m00", 1, both[0], "of "+both[0])
				fail(rows, "m00", 2, both[1], "of "+both[1])
				if got := Ask(celltest.Set(t, rows)).Failed; len(got) != 1 || got[0].Status != worse || got[0].Reason != "of "+worse {
					t.Errorf("%v: %+v", both, got)
				}
			}
		}
	}
}
