package answer

import (
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// mostCaveats is how many doubts are told: the gravest.
const mostCaveats = 4

// Caveat is a doubt that bears on the answer, with what to do about it.
type Caveat struct {
	prose.Sentence
	Code   string `json:"code"`
	Advice string `json:"advice"`
}

// caveats lists them, the gravest first.
func (a *asker) caveats() {
	for _, of := range []func() *Caveat{a.wrong, a.lacks, a.states, a.lost, a.aboveCeiling, a.spoilt, a.mixed, a.notAtRest, a.oneProcess} {
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
			models = add(models, prose.Name(c.Model))
		}
	}
	if len(models) == 0 {
		return nil
	}
	return &Caveat{prose.Say("This build computes wrong results for %s: their calls count for nothing", few(models)), record.WrongResults.Code, "build against another llama.cpp, or with PORTABLE=1"}
}

// few names some of many.
func few(names []string) string {
	if len(names) > 3 {
		names = append(slices.Clone(names[:2]), "others")
	}
	return text.List(names, "and")
}

// lacks is a run folder that does not hold all of a run.
func (a *asker) lacks() *Caveat {
	for _, code := range []string{"incomplete", "torn_line", "broken_line"} { // the first says most
		for _, w := range a.r.Warnings {
			if w.Code == code && strings.HasPrefix(w.Where, "runs.jsonl") {
				return &Caveat{prose.Say("The run is not whole: %s", prose.Quoted(w.Text, "warnings.json [].text")), code, w.Advice}
			}
		}
	}
	return nil
}

// notAtRest is what else the machine did when the run began.
func (a *asker) notAtRest() *Caveat {
	var seen []prose.Sentence
	var codes []string
	for _, x := range a.r.Warnings {
		if x.Where == record.ThisMachine && !slices.Contains(codes, x.Code) {
			codes = append(codes, x.Code)
			seen = append(seen, prose.Say("%s", prose.Quoted(x.Text, "warnings.json [].text")))
		}
	}
	if len(seen) == 0 {
		return nil
	}
	further := prose.Say("")
	if len(seen) > 2 {
		seen, further = seen[:2], prose.Say(" and more")
	}
	return &Caveat{prose.Say("The machine was not at rest (%s%s)", prose.Semicolons(seen), further), "not_at_rest", "`llmscale doctor` says what to end; then measure again"}
}

// trust says whether anything failed, how many cells may be used, what to do about the
// others, and how far intervals reach.
func (a *asker) trust() {
	sum := &a.known.Sum
	s := sum.Says()
	if len(a.failed.Failed)+len(a.calls.Invalid) == 0 && sum.Cells > 0 && a.lacks() == nil {
		s = prose.Say("Nothing failed. %s", s)
	}
	if reach := sum.Reach(); reach.Text != "" {
		s = prose.Say("%s; %s", s, reach)
	}
	s = ended(s)
	if len(sum.Doubts) > 0 {
		commonest := slices.MaxFunc(sum.Doubts, func(x, y intervals.Doubt) int { return x.Cells - y.Cells }).Reason
		if r := intervals.ReasonOf(commonest); r != intervals.CallsInvalid { // of which wrong or spoilt tell
			s = prose.Say("%s %s.", s, doc.Upper(brief(r.Advice)))
		}
	}
	a.out.Trust = s
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
	why := prose.Say("%s", worst.Status)
	if worst.Status == record.StatusOOM {
		why, advice = prose.Say("did not fit into memory"), "that is a result: give it more memory, or take fewer bits per weight"
	}
	example := ", such as"
	if len(a.failed.Failed) == 1 {
		example = ":"
	}
	on := worst.Series()
	return &Caveat{prose.Say("%s gave no measurement%s %s on %s (%s)", prose.Counted(float64(len(a.failed.Failed)), "rows of analysis.json failed", "cell", "cells"), example, prose.Name(worst.Model), prose.Name(on.Title()), why), "failed", advice}
}

// states is a machine that was in two.
func (a *asker) states() *Caveat {
	s := a.known.States
	if s == nil {
		return nil
	}
	apart := prose.Say("")
	if s.Low != nil && s.High != nil {
		apart = prose.Say(", where times are %s to %s times the others", prose.Fixed(*s.Low, 2, "analysis.json machine_states.times_others_low"), prose.Fixed(*s.High, 2, "analysis.json machine_states.times_others_high"))
	}
	return &Caveat{prose.Say("The machine was in another state before %s of %s calls%s", prose.Digits(float64(s.Disturbed), "analysis.json machine_states.disturbed_calls"), prose.Digits(float64(s.Calls), "analysis.json machine_states.calls"), apart),
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
	return &Caveat{prose.Say("%s calls that count for nothing in some phase", prose.Counted(float64(n), "rows of verdicts.csv", "cell has", "cells have")), "invalid_calls", brief(a.calls.Invalid[0].Advice())}
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
	kinds := stats.Map(f.Mixed, func(s string) prose.Sentence {
		return prose.Say("%s", prose.Quoted(s, "analysis.json answers.laws[].mixed[]"))
	})
	return &Caveat{prose.Say("The law joins models of %s", prose.Join(kinds, "and")), "mixed", "read it as a trend, or measure one kind"}
}

// aboveCeiling are cells that read faster than the machine was found to.
func (a *asker) aboveCeiling() *Caveat {
	for _, w := range a.r.Warnings {
		if w.Code == "above_ceiling" {
			text, _, _ := strings.Cut(w.Text, ";")
			return &Caveat{prose.Say("%s", prose.Quoted(text, "warnings.json [].text")), w.Code, "probe again while nothing else runs (`llmscale probe`)"}
		}
	}
	return nil
}

// oneProcess is of runs that cannot say what another process would take.
func (a *asker) oneProcess() *Caveat {
	if sum := &a.known.Sum; sum.Cells == 0 || sum.OneProcess < sum.Cells {
		return nil
	}
	return &Caveat{prose.Say("One process measured each cell: intervals do not hold for another one, which may differ by some percent"), "one_process", "set replicates to 5 in the config"}
}
