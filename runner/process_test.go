package runner

import (
	"slices"
	"strings"
	"testing"

	"llmscale/runner/record"
	"llmscale/runner/workertest"
)

// What the runtime logged about a refused load or call is on record whole and in order, and what the worker printed
// besides comes after it, once.
func TestFailuresKeepTheRuntimesLog(t *testing.T) {
	for _, where := range []string{"load", "two"} {
		p := testPlan(t, testConfig)
		_, sum, records, _ := execute(t, p, workertest.Command(t, "refusal@"+where))
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
