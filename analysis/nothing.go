package analysis

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Nothing is an error where no record of the run can be read, nil otherwise: an analysis would have nothing to say.
func (run *Run) Nothing() error {
	if len(run.Rows) > 0 {
		return nil
	}
	file := filepath.Join(run.Dir, "runs.jsonl")
	if n := run.Counts.Broken; n > 0 {
		why := ""
		if i := slices.IndexFunc(run.Warnings, func(w Warning) bool { return w.Code == "broken_line" || w.Code == "torn_line" }); i >= 0 {
			why = fmt.Sprintf(" (%s: %s)", run.Warnings[i].Where, run.Warnings[i].Text)
		}
		return fmt.Errorf("analysis: %s has no usable record: %d lines, none of which can be read%s; mend the file from a copy, or measure again", file, n, why)
	}
	again := "start a new run"
	if run.Manifest.Text("plan_sha256") != "" { // of ours, not of the Python harness
		again = fmt.Sprintf("measure with `llmscale run --resume %s`, or %s", run.Dir, again)
	}
	return fmt.Errorf("analysis: %s has no usable record: nothing was measured yet; %s", file, again)
}
