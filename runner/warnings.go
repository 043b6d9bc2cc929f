package runner

import (
	"slices"

	"llmscale/runner/record"
)

// Warning is a doubt about the figures of a run that was seen while it ran.
type Warning = record.Warning

// warn says a warning once in a session and keeps it in the manifest, where the analysis finds it. It must not be
// called during a timed call.
func (r *Run) warn(w Warning) {
	if r.warned[w] {
		return
	}
	if r.warned == nil {
		r.warned = map[Warning]bool{}
	}
	r.warned[w] = true
	r.Progress.Note("warning: " + w.String())
	if slices.Contains(r.Manifest.Warnings, w) {
		return // an earlier session's
	}
	r.Manifest.Warnings = append(r.Manifest.Warnings, w)
	if r.begun {
		// A run that is killed must not lose its doubts. The run's end writes the manifest again, and reports an error.
		_ = r.Manifest.Write(r.Store)
	}
}

// warnOfMachine puts what bears on the figures of this session on record, before the first of them.
func (r *Run) warnOfMachine() {
	for _, c := range r.Conditions {
		if !c.Good() {
			r.warn(Warning{Code: c.Code, Where: record.ThisMachine, Text: c.What + ": " + c.Found, Advice: c.Do})
		}
	}
}
