package runner

import "llmscale/runner/record"

// Summary says how a run ended.
type Summary struct {
	Cells       int            // planned
	ByStatus    map[string]int // cells
	Calls       int            // planned
	Kept        int            // of them, in all sessions: measured, with their records on the disk
	Interrupted bool
	Records     int // lines written in this session

	Remeasured int // processes that blocks were added for, in all sessions
	Disturbed  int // cells that lack undisturbed processes nevertheless
}

// Failed is the number of cells that should have been measured and were not:
// everything but ok and waived.
func (s Summary) Failed() int {
	n := 0
	for status, count := range s.ByStatus {
		if status != record.StatusOK && status != record.StatusWaived {
			n += count
		}
	}
	return n
}
