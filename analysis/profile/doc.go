// Package profile answers where the time of a prefill and of a decode step goes: how many kernels (on the GPU) or
// operations (on the CPU) there are, how long each kind takes, how long the device waits in between, and what is copied.
//
// It takes what was recorded, by whichever means, and knows no device. A profiled step is longer than an unprofiled
// one, so a profile states that ratio, and none of its times belongs among latencies.
package profile

import (
	"errors"
	"fmt"
)

// Kinds of activity.
const (
	Op     = "op"     // an operation of ggml's graph
	Kernel = "kernel" // on the GPU
	Memcpy = "memcpy"
	Memset = "memset"
)

// ErrNoWork is for records without any operation or kernel: they are not of a device that was idle, but of a recording
// that failed.
var ErrNoWork = errors.New("no operation or kernel was recorded")

// Input is what was recorded of one call. All times are nanoseconds of one clock.
type Input struct {
	Steps      []Step // the prefill first, then the decode steps; they do not overlap
	Activities []Activity

	Dropped      int64 // records that were lost
	Untimed      int64 // records that came without a time
	ClockErrorNS int64 // how far activities' times may be off the steps'

	// What the same call takes unprofiled; nil: not known.
	UnprofiledPrefillNS []int64 // one for each repetition
	UnprofiledTokenNS   []int64 // of decode steps, of all repetitions
}

// Step is the prefill or a decode step: from before it is submitted until the device is done with it.
type Step struct {
	StartNS, EndNS int64
	Tokens         int
}

// Activity is a piece of work: a kernel, a copy, an operation.
type Activity struct {
	Kind           string
	Name           string // of a kernel or an operation; of a copy its direction
	Class          string // what tells pieces of one name apart: the weights' type and shape; may be ""
	StartNS, EndNS int64
	Lane           string         // what works on it: "CPU", "stream 7"
	Bytes          int64          // copied or set; of an operation, of weights that it reads
	Details        map[string]any // for the trace: grid, registers, shape
}

// Profile is a call's account.
type Profile struct {
	Phases   []Phase  `json:"phases"` // prefill, decode
	Complete bool     `json:"complete"`
	Warnings []string `json:"warnings"`

	DroppedRecords int64 `json:"dropped_records"`
	UntimedRecords int64 `json:"untimed_records"`
	OutsideRecords int64 `json:"outside_records"` // in no step: between two, or before the first
	ClockErrorNS   int64 `json:"clock_error_ns"`
}

// Phase is the prefill, or all decode steps together. Times are of all its steps, unless they are called otherwise.
type Phase struct {
	Name          string `json:"name"`
	Steps         int    `json:"steps"`
	TokensPerStep int    `json:"tokens_per_step"`

	StepNS            []int64  `json:"step_ns"`
	StepMedianNS      int64    `json:"step_median_ns"`
	UnprofiledNS      *int64   `json:"unprofiled_step_median_ns"`
	ProfilingRatio    *float64 `json:"profiled_over_unprofiled_ratio"`
	WorkRatio         *float64 `json:"work_over_unprofiled_ratio"` // the sum of a step's activities, by medians
	PerStepMin        int      `json:"activities_per_step_min"`    // kernels or operations
	PerStepMax        int      `json:"activities_per_step_max"`
	WorkMedianPerStep int64    `json:"work_step_median_ns"`

	WorkNS    int64   `json:"work_ns"` // sum over activities; more than BusyNS where they overlap
	BusyNS    int64   `json:"busy_ns"` // at least one activity runs
	IdleNS    int64   `json:"idle_ns"`
	BusyShare float64 `json:"busy_share"`

	Gaps   Gaps   `json:"gaps"`
	Rows   []Row  `json:"activities"` // kernels and operations, the longest total first
	Copies []Copy `json:"copies"`     // and memory sets
}

// Row is all activities of one name and class.
type Row struct {
	Kind    string  `json:"kind"`
	Name    string  `json:"name"`
	Class   string  `json:"class"`
	Count   int     `json:"count"`
	PerStep float64 `json:"count_per_step"`
	TotalNS int64   `json:"total_ns"`
	MeanNS  float64 `json:"mean_ns"`
	Share   float64 `json:"work_share"` // of the phase's WorkNS
	Bytes   int64   `json:"bytes"`      // in all
}

// Copy is all copies in one direction, or all memory sets.
type Copy struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Count   int    `json:"count"`
	Bytes   int64  `json:"bytes"`
	TotalNS int64  `json:"total_ns"`
}

// Gaps is the time within steps in which nothing runs, the times before the first and after the last activity included.
type Gaps struct {
	Count   int      `json:"count"`
	TotalNS int64    `json:"total_ns"`
	Bins    []GapBin `json:"by_length"`
	Longest []Gap    `json:"longest"`
}

// GapBin is the gaps of at least FromNS and less than the next bin's.
type GapBin struct {
	FromNS  int64 `json:"from_ns"`
	Count   int   `json:"count"`
	TotalNS int64 `json:"total_ns"`
}

// Gap is one of them.
type Gap struct {
	Step    int    `json:"step"`     // 0 is the prefill
	StartNS int64  `json:"start_ns"` // since the step's start
	NS      int64  `json:"ns"`
	After   string `json:"after"` // "" at the step's start
	Before  string `json:"before"`
}

func (in *Input) check() error {
	if len(in.Steps) == 0 {
		return errors.New("profile: no step was recorded")
	}
	for i, s := range in.Steps {
		if s.EndNS <= s.StartNS {
			return fmt.Errorf("profile: step %d ends at %d ns, not after its start at %d ns", i, s.EndNS, s.StartNS)
		}
		if i > 0 && s.StartNS < in.Steps[i-1].EndNS {
			return fmt.Errorf("profile: step %d starts before step %d ends", i, i-1)
		}
	}
	for i := range in.Activities {
		if a := &in.Activities[i]; a.EndNS < a.StartNS {
			return fmt.Errorf("profile: %s %q ends %d ns before it starts", a.Kind, a.Name, a.StartNS-a.EndNS)
		}
	}
	return nil
}
