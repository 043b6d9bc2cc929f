package analysis

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/runner/record"
)

// InvalidCell is a backend x model x scenario of which calls were judged INVALID
// and left out of every figure.
type InvalidCell struct {
	Backend     string   `json:"backend"`
	BackendKind string   `json:"backend_kind"`
	BatchSize   int      `json:"batch_size"`
	Model       string   `json:"model"`
	ParamsM     *float64 `json:"params_millions_effective"`
	Scenario    string   `json:"scenario"`
	Repetitions int      `json:"invalid_repetitions"`
	Warmups     int      `json:"invalid_warmups"`
	Valid       int      `json:"valid_repetitions"` // 0: the cell has no figure
	Reasons     []string `json:"reasons"`           // distinct, in run order
}

// invalid reports whether something spoilt the call.
func (r *Row) invalid() bool { return r.Verdict != nil && *r.Verdict == record.VerdictInvalid }

// counts reports whether the call gave figures that may be used.
func (r *Row) counts() bool { return r.ok() && !r.invalid() }

// standing orders records of one planned measurement: a failure, a call that was
// spoilt, one that counts.
func (r *Row) standing() int {
	switch {
	case !r.ok():
		return 0
	case r.invalid():
		return 1
	}
	return 2
}

// verdicts lists the cells that have INVALID calls.
func (a *analyzer) verdicts() {
	type tally struct {
		spoilt, valid map[callID]bool
		reasons       []string
	}
	tallies := map[scenarioKey]*tally{}
	for i := range a.run.Rows {
		r := &a.run.Rows[i]
		if !r.ok() {
			continue
		}
		t := tallies[r.scenarioKey()]
		if t == nil {
			t = &tally{spoilt: map[callID]bool{}, valid: map[callID]bool{}}
			tallies[r.scenarioKey()] = t
		}
		if !r.invalid() {
			t.valid[r.callID()] = true
			continue
		}
		t.spoilt[r.callID()] = true
		for _, reason := range r.VerdictReasons {
			if reason = strings.TrimSpace(reason); reason != "" && !slices.Contains(t.reasons, reason) {
				t.reasons = append(t.reasons, reason)
			}
		}
	}
	a.eachScenario(func(at scenarioKey, m *Model) {
		t := tallies[at]
		if t == nil || len(t.spoilt) == 0 {
			return
		}
		c := InvalidCell{Backend: at.backend, BackendKind: m.BackendKind, BatchSize: at.batch, Model: m.Name, ParamsM: m.ParamsMillions, Scenario: at.scenario, Reasons: t.reasons}
		for x := range t.spoilt {
			if x.warmup {
				c.Warmups++
			} else {
				c.Repetitions++
			}
		}
		for x := range t.valid {
			if !x.warmup && !t.spoilt[x] {
				c.Valid++
			}
		}
		a.res.Invalid = append(a.res.Invalid, c)
		a.warn("invalid_calls", strings.Join([]string{at.backend, m.Name, at.scenario}, " "), c.text(), invalidAdvice)
	})
}

// invalidAdvice holds for every reason that there is: all are other programs, or
// a device that was not this run's alone.
const invalidAdvice = "end what disturbed them (the reasons name it), or choose another GPU with CUDA_VISIBLE_DEVICES, and go on with --resume, which makes these calls again"

func (c *InvalidCell) text() string {
	s := fmt.Sprintf("%s left out as INVALID", countOf(c.Repetitions, "repetition", "repetitions"))
	if c.Warmups > 0 {
		s = fmt.Sprintf("%s and %s left out as INVALID", countOf(c.Repetitions, "repetition", "repetitions"), countOf(c.Warmups, "warm-up", "warm-ups"))
	}
	switch {
	case c.Valid == 0 && c.Repetitions > 0:
		s += "; no repetition is left, so that the cell has no figure"
	default:
		s += fmt.Sprintf("; %d of %d repetitions count", c.Valid, c.Valid+c.Repetitions)
	}
	if len(c.Reasons) > 0 {
		s += ": " + strings.Join(c.Reasons, "; ")
	}
	return s
}
