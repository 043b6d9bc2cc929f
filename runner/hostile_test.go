package runner

import (
	"slices"
	"strings"
	"testing"

	"llmscale/internal/text"
	"llmscale/runner/store"
	"llmscale/runner/workertest"
)

// TestHostileWords: what a runtime says of a file, in an error and on stderr, goes on record and is told without the
// control characters that the file has put into it.
func TestHostileWords(t *testing.T) {
	p := testPlan(t, testConfig)
	r, dir := newRun(t, p, workertest.Command(t, "hostile@two"))
	finish(t, r)
	const reason = `key \x1b]0;x\a\u202e; second line`
	failed := 0
	for _, rec := range readRecords(t, dir) {
		if rec.Error == nil {
			continue
		}
		failed++
		// The worker's pipe is JSON, which has no byte that is no UTF-8. What it wrote to stderr may be here later than its
		// answer is.
		want := []string{`tensor \x1b[2J`, `müll \x1b[2J\u202e` + "\ufffd"}
		if *rec.Error != reason || len(rec.Stderr) < 2 || !slices.Equal(rec.Stderr[:2], want) {
			t.Errorf("%s: %q\n%q\nwant %q", rec.CellID, *rec.Error, rec.Stderr, want)
		}
		if all := strings.Join(rec.Stderr, ""); text.Safe(all) != all {
			t.Errorf("%s: %q", rec.CellID, rec.Stderr)
		}
	}
	notes := strings.Join(r.Progress.(*quiet).notes, "\n")
	if failed == 0 || !strings.Contains(notes, reason) || text.SafeLines(notes) != notes {
		t.Errorf("%d failed: %q", failed, notes)
	}
	for _, row := range readCSV(t, dir+"/"+store.MetricsFile) {
		if line := strings.Join(row, ","); text.Safe(line) != line {
			t.Errorf("in metrics.csv: %q", line)
		}
	}
}
