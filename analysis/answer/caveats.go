package answer

import (
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// mostCaveats is how many doubts are told: the gravest.
const mostCaveats = 4

// Caveat is a doubt that bears on the answer, with what to do about it.
type Caveat struct {
	Sentence
	Code   string `json:"code"`
	Advice string `json:"advice"`
}

// caveats lists them, the gravest first.
func (a *asker) caveats() {
	for _, of := range []func() *Caveat{a.wrong, a.states, a.doubtful, a.lost, a.aboveCeiling, a.spoilt, a.mixed, a.notAtRest, a.oneProcess} {
		if c := of(); c != nil && len(a.out.Caveats) < mostCaveats {
			a.out.Caveats = append(a.out.Caveats, *c)
		}
	}
}

// wrong are builds that compute wrong results.
func (a *asker) wrong() *Caveat {
	var models []string
	for _, c := range a.calls.Invalid {
		if c.Wrong() {
			models = add(models, name(c.Model))
		}
	}
	if len(models) == 0 {
		return nil
	}
	return &Caveat{say("This build computes wrong results for %s: their calls count for nothing", few(models)), record.WrongResults.Code, "build against another llama.cpp, or with PORTABLE=1"}
}

// few names some of many.
func few(names []string) string {
	if len(names) > 3 {
		names = append(slices.Clone(names[:2]), "others")
	}
	return text.List(names, "and")
}

// notAtRest is what else the machine did when the run began.
func (a *asker) notAtRest() *Caveat {
	var seen []Sentence
	var codes []string
	for _, x := range a.r.Warnings {
		if x.Where == record.ThisMachine && !slices.Contains(codes, x.Code) {
			codes = append(codes, x.Code)
			seen = append(seen, say("%s", quote(x.Text, "warnings.json [].text")))
		}
	}
	if len(seen) == 0 {
		return nil
	}
	further := say("")
	if len(seen) > 2 {
		seen, further = seen[:2], say(" and more")
	}
	return &Caveat{say("The machine was not at rest (%s%s)", semicolons(seen), further), "not_at_rest", "`llmscale doctor` says what to end; then measure again"}
}

// doubtful counts the cells that are not VALID, with the commonest reason.
func (a *asker) doubtful() *Caveat {
	sum := &a.known.Sum
	if sum.Ambiguous+sum.Invalid == 0 || len(sum.Doubts) == 0 {
		return nil
	}
	commonest := slices.MaxFunc(sum.Doubts, func(x, y intervals.Doubt) int { return x.Cells - y.Cells }).Reason
	if commonest == intervals.CallsInvalid.Code && len(a.calls.Invalid) > 0 {
		return nil // which wrong or spoilt tell
	}
	var parts []Sentence
	if sum.Ambiguous > 0 {
		parts = append(parts, say("%s AMBIGUOUS", digits(float64(sum.Ambiguous), "analysis.json cells_judged.ambiguous")))
	}
	if sum.Invalid > 0 {
		parts = append(parts, say("%s INVALID", digits(float64(sum.Invalid), "analysis.json cells_judged.invalid")))
	}
	s := say("Cells in doubt: %s of %s (most often: %s)", join(parts, "and"), digits(float64(sum.Cells), "analysis.json cells_judged.cells"), words(commonest))
	if 2*sum.Invalid > sum.Cells {
		s = say("Do not use these numbers. %s", s)
	}
	return &Caveat{s, commonest, brief(intervals.ReasonOf(commonest).Advice)}
}

// lost are cells without a measurement.
func (a *asker) lost() *Caveat {
	if len(a.failed.Failed) == 0 {
		return nil
	}
	worst := a.failed.Failed[0]
	for _, f := range a.failed.Failed[1:] {
		if cells.Severity(f.Status) < cells.Severity(worst.Status) {
			worst = f
		}
	}
	advice := "the page says why; `--resume` tries again what did not run out of memory"
	if worst.Status == record.StatusOOM {
		advice = "that is a result: it did not fit into memory"
	}
	example := ", such as"
	if len(a.failed.Failed) == 1 {
		example = ":"
	}
	return &Caveat{say("%s gave no measurement%s %s (%s)", counted(float64(len(a.failed.Failed)), "rows of analysis.json failed", "cell", "cells"), example, name(worst.Model), worst.Status), "failed", advice}
}

// states is a machine that was in two.
func (a *asker) states() *Caveat {
	s := a.known.States
	if s == nil {
		return nil
	}
	apart := say("")
	if s.Low != nil && s.High != nil {
		apart = say(", where times are %s to %s times the others", fixed(*s.Low, 2, "analysis.json machine_states.times_others_low"), fixed(*s.High, 2, "analysis.json machine_states.times_others_high"))
	}
	return &Caveat{say("The machine was in another state before %s of %s calls%s", digits(float64(s.Disturbed), "analysis.json machine_states.disturbed_calls"), digits(float64(s.Calls), "analysis.json machine_states.calls"), apart),
		"two_states", "resume the run, or measure on processors of your own"}
}

// spoilt are calls that do not count.
func (a *asker) spoilt() *Caveat {
	n := 0
	for _, c := range a.calls.Invalid {
		if c.Wrong() {
			return nil // which is told
		}
		if c.Repetitions > 0 {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return &Caveat{say("%s calls that count for nothing in some phase", counted(float64(n), "rows of verdicts.csv", "cell has", "cells have")), "invalid_calls", brief(a.calls.Invalid[0].Advice())}
}

// brief is the first clause of an advice.
func brief(advice string) string {
	advice, _, _ = strings.Cut(advice, "; ")
	advice, _, _ = strings.Cut(advice, ": ")
	advice, _, _ = strings.Cut(advice, ", so that ")
	return advice
}

// mixed are models of several kinds in one law.
func (a *asker) mixed() *Caveat {
	f := a.laws.Main(a.lead, record.ModeDecode)
	if f == nil || f.Law == nil || len(f.Mixed) == 0 {
		return nil
	}
	kinds := stats.Map(f.Mixed, func(s string) Sentence { return say("%s", quote(s, "analysis.json answers.laws[].mixed[]")) })
	return &Caveat{say("The law joins models of %s", join(kinds, "and")), "mixed", "read it as a trend, or measure one kind"}
}

// aboveCeiling are cells that read faster than the machine was found to.
func (a *asker) aboveCeiling() *Caveat {
	for _, w := range a.r.Warnings {
		if w.Code == "above_ceiling" {
			text, _, _ := strings.Cut(w.Text, ";")
			return &Caveat{say("%s", quote(text, "warnings.json [].text")), w.Code, "probe again while nothing else runs (`llmscale probe`)"}
		}
	}
	return nil
}

// oneProcess is of runs that cannot say what another process would take.
func (a *asker) oneProcess() *Caveat {
	if sum := &a.known.Sum; sum.Cells == 0 || sum.OneProcess < sum.Cells {
		return nil
	}
	return &Caveat{say("One process measured each cell: intervals do not hold for another one, which may differ by some percent"), "one_process", "set replicates to 5 in the config"}
}
