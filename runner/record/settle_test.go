package record

import (
	"slices"
	"testing"
)

// TestSettlement: a call is made again where something spoilt all of its modes, but not where that would do so again, and
// where records of it are missing.
func TestSettlement(t *testing.T) {
	const repetitions = 7
	ambiguous, invalid := VerdictAmbiguous, VerdictInvalid
	var s Settlement
	add := func(rep int, verdict *string, reason string, spoilt ...string) {
		for _, mode := range Modes {
			r := Outcome{Status: StatusOK, Mode: mode, Rep: &rep}
			if slices.Contains(spoilt, mode) {
				r.Verdict, r.VerdictReasons = verdict, []string{reason}
			}
			if rep == 6 && mode == ModeE2E {
				continue // torn
			}
			s.Add(4, 1, &r)
		}
	}
	add(0, nil, "")
	add(1, &invalid, OtherProgram.Text("python"), Modes...)
	add(2, &invalid, PromptCached.Text("its tokens were cached"), PromptCached.Modes...)
	add(3, &invalid, NoDecodeStep.Text("an end"), NoDecodeStep.Modes...)
	add(4, &invalid, WrongResults.Text("relative L2 0.58"), Modes...)
	add(5, &ambiguous, "who knows", Modes...)
	add(6, nil, "")
	s.Add(4, 1, &Outcome{Status: StatusOK, IsWarmup: true, Mode: ModeE2E})
	var done []int
	for rep := range repetitions {
		if s.Done(4, 1, rep) {
			done = append(done, rep)
		}
	}
	if want := []int{0, 2, 3, 4, 5}; !slices.Equal(done, want) {
		t.Errorf("done %v, want %v", done, want)
	}
	if counting, spoilt := s.Cells[4].Repetitions(); counting != 4 || spoilt != 2 {
		t.Errorf("%d count, %d are spoilt", counting, spoilt)
	}
	add(1, nil, "") // again, in a later session
	if !s.Done(4, 1, 1) || s.Done(4, 0, 0) || s.Done(3, 1, 0) || s.Stands(3) || s.Stands(4) {
		t.Errorf("%+v", s.Cells)
	}
}

// What was tried and did not fit stands; what was ruled out untried, or crashed, is tried again.
func TestFailuresThatStand(t *testing.T) {
	var s Settlement
	for task, failures := range [][]Outcome{
		{{Status: StatusCrashed}, {Status: StatusOOM, Attempted: true}, {Status: StatusCrashed}},
		{{Status: StatusOOM}},
		{{Status: StatusWaived}, {Status: StatusTimeout}},
		{{Status: StatusTimeout}, {Status: StatusError}},
	} {
		for _, r := range failures {
			s.Add(task, 0, &r)
		}
		want := []string{StatusOOM, StatusOOM, StatusWaived, StatusError}[task]
		if c := s.Cells[task]; s.Stands(task) != (task == 0) || c.Failure != want {
			t.Errorf("task %d: %+v, want %s", task, c, want)
		}
	}
}

// TestReasonsOfOldRecords has texts as versions before the declarations wrote them.
func TestReasonsOfOldRecords(t *testing.T) {
	for text, want := range map[string]*Reason{
		"prefill: the prompt's text begins as an earlier one of this load: its tokens were cached":                                 PromptCached,
		"prefill: an earlier prompt of this load begins alike, so 128 of the prompt's 128 tokens were cached and not evaluated":    PromptCached,
		"prefill: the server evaluated 3 of the prompt's 9 tokens: the rest was cached or cut off":                                 PrefillSpoilt,
		"prefill: load_duration is 900 ms of the 950 that the first load took: the server loaded the model again inside this call": PrefillSpoilt,
		"decode: the answer ended with its first token (stop), so there is no decode step to time":                                 NoDecodeStep,
		"e2e: the answer has no text: no token arrived to be timed":                                                                NoFirstToken,
		"self-check: a sequence in a batch gets other logits than alone: relative L2 1.4, above 0.1":                               WrongResults,
		"another program uses the GPU: python (PID 4711, compute, 812 MiB)":                                                        OtherProgram,
		"something that this version has never heard of":                                                                           Disturbed,
	} {
		if got := ReasonOf(text); got != want {
			t.Errorf("%q is %s, want %s", text, got.Code, want.Code)
		}
	}
	for _, r := range reasons {
		if r.Code == "" || r.Begins == "" || len(r.Modes) == 0 || r.Advice == "" {
			t.Errorf("%+v: a reason needs a code, a beginning, modes and advice", r)
		}
	}
}
