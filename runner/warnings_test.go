package runner

import (
	"slices"
	"strings"
	"testing"

	"llmscale/runner/machine"
	"llmscale/runner/workertest"
)

func TestWarningsAreSaidOnceAndKept(t *testing.T) {
	p := testPlan(t, testConfig)
	r, dir := newRun(t, p, workertest.Command(t, ""))
	q := r.Progress.(*quiet)
	early := Warning{Code: "early", Where: "here", Text: "seen before the run", Advice: "look"}
	late := Warning{Code: "late", Text: "seen while it ran"}
	r.warn(early)
	r.warn(early)
	if err := r.begin(); err != nil {
		t.Fatal(err)
	}
	r.warn(late)
	if want := []string{"warning: here: seen before the run (look)", "warning: seen while it ran"}; !slices.Equal(q.notes, want) {
		t.Errorf("notes %q, want %q", q.notes, want)
	}
	// Both are on the disk already: a coordinator that is killed now has lost none.
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Warnings; !slices.Equal(got, []Warning{early, late}) {
		t.Errorf("the manifest has %+v", got)
	}
	// A later session says it again, and keeps it once.
	again := &Run{Plan: p, Progress: &quiet{}, Manifest: m, Store: r.Store}
	again.warn(late)
	other := Warning{Code: "late", Text: "another"}
	again.warn(other)
	if notes := again.Progress.(*quiet).notes; len(notes) != 2 || !strings.Contains(notes[0], late.Text) {
		t.Errorf("notes of the later session: %q", notes)
	}
	if got := m.Warnings; !slices.Equal(got, []Warning{early, late, other}) {
		t.Errorf("after a resume the manifest has %+v", got)
	}
	if err := r.Store.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestConditionsBecomeWarnings: what bears on a run is said before its first call, kept in its manifest, and no more
// than once where it is as before.
func TestConditionsBecomeWarnings(t *testing.T) {
	p := testPlan(t, testConfig)
	r, dir := newRun(t, p, workertest.Command(t, ""))
	r.Conditions = []machine.Condition{{Code: "cpu_governor", What: "CPU frequency", Found: "governor powersave", Do: "mend it"}, {What: "load", Found: "none"}}
	first := &firstNotes{}
	r.Progress = first
	finish(t, r)
	want := Warning{Code: "cpu_governor", Where: "this machine", Text: "CPU frequency: governor powersave", Advice: "mend it"}
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Warnings; !slices.Contains(got, want) {
		t.Errorf("the manifest has %+v", got)
	}
	if len(first.before) != 1 || !strings.Contains(first.before[0], "governor powersave (mend it)") {
		t.Errorf("said before the first call: %q", first.before)
	}
}

// firstNotes keeps what is said before the first call is stored.
type firstNotes struct {
	quiet
	before []string
}

func (f *firstNotes) Note(line string) {
	if len(f.stored) == 0 {
		f.before = append(f.before, line)
	}
	f.quiet.Note(line)
}
