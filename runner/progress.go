package runner

import "time"

// Phase is what a run is doing right now.
type Phase string

// Phases, in the order in which a run comes to them.
const (
	PhaseProbe   Phase = "probe"  // of a device, before the first cell
	PhaseWrite   Phase = "write"  // a transient model
	PhaseImport  Phase = "import" // a model to a server
	PhaseLoad    Phase = "load"
	PhaseWarmup  Phase = "warm-up"
	PhaseMeasure Phase = "measure"
)

// Status is a run's state between two calls, for showing.
type Status struct {
	Cell      string // model/backend/scenario; model/backend while loading, the device while probing
	Phase     Phase
	Index     int // of the warm-up or repetition, from 1
	Of        int
	Share     float64       // of the load or the probe
	CallsDone int           // acknowledged: their records are on the disk
	Calls     int           // in the whole plan
	Remaining time.Duration // estimate; 0 while there is nothing to go by
}

// Progress hears how a run goes on. Its methods are called between timed calls,
// never during one, and should return quickly.
type Progress interface {
	// Update shows what comes next.
	Update(Status)
	// Stored acknowledges a call: its records are on the disk.
	Stored(cell string, replicate, callIdx int, status string)
	// Note says one line that should stay visible, such as a failed cell.
	Note(line string)
}

// eta guesses the remaining time from the work done so far.
type eta struct {
	total, done float64 // in Job.weight's unit
	measuring   time.Duration
}

func (e *eta) add(weight float64, took time.Duration) {
	e.done += weight
	e.measuring += took
}

// skip counts work that will not be done.
func (e *eta) skip(weight float64) { e.total -= weight }

func (e *eta) remaining() time.Duration {
	if e.done == 0 {
		return 0
	}
	left := max(e.total-e.done, 0)
	return time.Duration(float64(e.measuring) * left / e.done)
}
