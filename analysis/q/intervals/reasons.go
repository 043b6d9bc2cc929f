package intervals

import (
	"fmt"
	"slices"

	"llmscale/analysis/canary"
	"llmscale/runner/record"
)

// Reason is something that speaks against the figures of a cell.
type Reason struct {
	Code   string
	Means  string // what was seen
	Advice string // what to do about it

	Meanwhile bool // it is what else went on on the machine, not how the cell was measured
}

var reasons []*Reason

func declare(r Reason) *Reason {
	reasons = append(reasons, &r)
	return &r
}

// Bounds of the reasons. docs/statistics.md says where they come from.
const (
	manyCalls   = 0.25 // share of a cell's calls; two of them at least
	steadyShift = 0.03 // change of a call's time within a process
	rankCalls   = 10   // calls of one process whose order can be judged alone
	cpuLost     = 0.05 // share of the computing threads' time
	cpuOthers   = 0.10 // the same of what other programs used, which is counted in ticks
	starved     = 0.50 // share above which a cell is INVALID
)

// What can speak against a cell: a closed list.
var (
	CallsInvalid = declare(Reason{"calls_invalid", fmt.Sprintf("more than %.0f %% of its calls are INVALID, or none counts", 100*manyCalls),
		"see verdicts.csv for what spoilt them", false})
	CallsAmbiguous = declare(Reason{"calls_ambiguous", fmt.Sprintf("more than %.0f %% of its calls are AMBIGUOUS", 100*manyCalls),
		"see the verdict_reasons of its records", false})
	Disturbed = declare(Reason{"disturbed", fmt.Sprintf("the machine was in another state before some of its calls, and without them fewer than %d of its processes remain", canary.FewestProcesses),
		"resume the run, or measure again: the canary did the same known work each time, so that it was the machine that changed", true})
	CPUWait = declare(Reason{"cpu_wait", fmt.Sprintf("its threads waited for a processor for more than %.0f %% of their time", 100*cpuLost),
		"end other programs, or give the backend fewer threads than there are free processors", true})
	CPUStolen = declare(Reason{"cpu_stolen", fmt.Sprintf("the hypervisor gave more than %.0f %% of its processors' time to others", 100*cpuLost),
		"measure on a machine of its own, or at another hour: nothing inside this one can help", true})
	CPUOthers = declare(Reason{"cpu_others", fmt.Sprintf("other programs used processors that its threads needed, for more than %.0f %% of their time", 100*cpuOthers),
		"end them; `llmscale doctor` names what is at work", true})
	CPUThrottled = declare(Reason{"cpu_throttled", fmt.Sprintf("the control group's quota stopped it for more than %.0f %% of the time", 100*cpuLost),
		"raise the quota (cpu.max), or give the backend no more threads than it grants", true})
	NotSteady = declare(Reason{"not_steady", fmt.Sprintf("its calls get faster or slower within a process, by %.0f %% or more", 100*steadyShift),
		"raise warmup_repetitions until the first timed call is as fast as the last", false})
	Wide = declare(Reason{"wide_interval", "its interval reaches farther to one side than target_ci asks for",
		"raise time_budget_min, so that blocks are added until it is as narrow", false})
	NoInterval = declare(Reason{"no_interval", "too few calls for an interval: it takes two processes, or three calls",
		"set replicates to 5", false})
)

// Reasons are all that there are.
func Reasons() []*Reason { return slices.Clone(reasons) }

// ReasonOf is the reason of a code; nil for none of the list.
func ReasonOf(code string) *Reason {
	if i := slices.IndexFunc(reasons, func(r *Reason) bool { return r.Code == code }); i >= 0 {
		return reasons[i]
	}
	return nil
}

// judgement is a verdict that grows worse as reasons are found.
type judgement struct {
	verdict string
	reasons []string
}

func (j *judgement) doubt(r *Reason, verdict string) {
	if !slices.Contains(j.reasons, r.Code) {
		j.reasons = append(j.reasons, r.Code)
	}
	if j.verdict != record.VerdictInvalid {
		j.verdict = verdict
	}
}

// many reports whether k of n calls are more than a cell bears: a share of them, and
// not one alone unless there is no other.
func many(k, n int) bool {
	return k > 0 && float64(k) > manyCalls*float64(n) && (k > 1 || n == 1)
}

// above doubts a share of time: AMBIGUOUS above bound, INVALID above starved.
func (j *judgement) above(r *Reason, share *float64, bound float64) {
	switch {
	case share == nil || *share <= bound:
	case *share > starved:
		j.doubt(r, record.VerdictInvalid)
	default:
		j.doubt(r, record.VerdictAmbiguous)
	}
}
