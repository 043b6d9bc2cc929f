package analysis

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/analysis/finding"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// Nothing is an error where no record of the run can be read, nil otherwise: an analysis would have nothing to say.
func (run *Run) Nothing() error {
	if len(run.Rows) > 0 {
		return nil
	}
	file := filepath.Join(run.Dir, "runs.jsonl")
	if n := run.Counts.Broken; n > 0 {
		why := ""
		if i := slices.IndexFunc(run.Warnings, func(w finding.Warning) bool { return w.Code == "broken_line" || w.Code == "torn_line" }); i >= 0 {
			why = fmt.Sprintf(" (%s: %s)", run.Warnings[i].Where, run.Warnings[i].Text)
		}
		return fmt.Errorf("analysis: %s has no usable record: %d lines, none of which can be read%s; mend the file from a copy, or measure again", file, n, why)
	}
	again := "start a new run"
	if run.Manifest.Text("plan_sha256") != "" { // of ours, not of the Python harness
		again = fmt.Sprintf("measure with `llmscale run --resume %s`, or %s", text.Arg(run.Dir), again)
	}
	return fmt.Errorf("analysis: %s has no usable record: nothing was measured yet; %s", file, again)
}

// Unmeasured is an error where the records are of failures alone: none was measured well, and none ran out of memory,
// which is a result.
func (r *Result) Unmeasured() error {
	if r.Counts.Used > 0 || r.Counts.ByStatus[record.StatusOOM] > 0 {
		return nil
	}
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(r.Counts.ByStatus)) {
		parts = append(parts, fmt.Sprintf("%d %s", r.Counts.ByStatus[status], status))
	}
	if r.Counts.Invalid > 0 {
		parts = append(parts, fmt.Sprintf("%d of them INVALID", r.Counts.Invalid))
	}
	return fmt.Errorf("analysis: no record is usable, so there are no figures (records: %s); the report says why", strings.Join(parts, ", "))
}
