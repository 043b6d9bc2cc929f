package runner

import (
	"slices"
	"testing"

	"llmscale/runner/record"
	"llmscale/runner/workertest"
)

// While a call is in native code, Go's own threads sleep: neither its monitor nor its return of memory to the system
// takes a processor from what is timed. (The monitor alone went to sleep 60 times and more.) Of a busy machine the
// quieter half of the calls is looked at: a thread that waits for a processor keeps the monitor awake.
func TestWorkerIsQuietDuringACall(t *testing.T) {
	if testing.Short() {
		t.Skip("48 calls of 0.2 s")
	}
	_, _, records, _ := execute(t, testPlan(t, testConfig), workertest.Command(t, "blocks"))
	var counts []int64
	for _, r := range records {
		if r.InvoluntaryCtx == nil {
			t.Fatalf("%s: %s", r.CellID, *r.Error)
		}
		if r.Mode == record.ModeE2E {
			counts = append(counts, *r.InvoluntaryCtx)
		}
	}
	slices.Sort(counts)
	t.Logf("%d at the median", counts[len(counts)/2])
	if counts[len(counts)/2] > 25 {
		t.Errorf("threads of the worker went to sleep so often in each call: %d", counts)
	}
}
