package runner

import (
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"

	"llmscale/runner/machine"
	"llmscale/runner/record"
)

// What the runtime logged about a refused load or call is on record whole and in order, and what the worker printed
// besides comes after it, once.
func TestFailuresKeepTheRuntimesLog(t *testing.T) {
	for _, where := range []string{"load", "two"} {
		p := testPlan(t, testConfig)
		_, sum, records, _ := execute(t, p, testWorker(t, "refusal@"+where))
		if sum.ByStatus[record.StatusError] == 0 {
			t.Fatalf("%s: summary %+v", where, sum)
		}
		want := []string{"a warning", "first error", "fake runtime: about to fail by refusal", "second error"}
		for _, r := range records {
			if r.Status != record.StatusError {
				continue
			}
			if len(r.Stderr) < len(want) || !slices.Equal(r.Stderr[:len(want)], want) || slices.Contains(r.Stderr[len(want):], want[2]) {
				t.Errorf("%s: %s has the lines %q", where, r.CellID, r.Stderr)
			}
			if !strings.Contains(*r.Error, "first error") {
				t.Errorf("%s: the error is %q", where, *r.Error)
			}
		}
	}
}

// Whether the kernel killed a worker for memory is only said where the kernel tells.
func TestKilledWorker(t *testing.T) {
	for _, base := range []int64{-1, machine.OOMKills()} {
		want := "the kernel killed nothing for memory"
		if base < 0 {
			want = "does not count what it kills"
		}
		p, err := startWorker(Command{Path: "/bin/sleep", Args: []string{"60"}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		p.oomBase = base
		if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if f := p.died(); f.Status != record.StatusCrashed || !strings.Contains(f.Reason, want) {
			t.Errorf("%s: %q, want %q", f.Status, f.Reason, want)
		}
		p.close()
	}
}
