package analysis

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
)

// resultSchema counts incompatible changes of Result.
const resultSchema = 2

// Analyze computes everything that run says. It changes nothing in run, and the
// same run and options give the same Result.
func Analyze(run *runs.Run, opt cells.Options) (*Result, error) {
	set, err := cells.New(run, opt)
	if err != nil {
		return nil, err
	}
	r := &Result{SchemaVersion: resultSchema, Harness: run.Harness, Options: set.Opt, Axis: set.Axis, Set: set, Manifest: run.Manifest,
		RunID: run.Manifest.Text("run_id"), RunName: run.Manifest.Text("run_name"), Asked: ask(set)}
	if r.RunID == "" && len(run.Rows) > 0 {
		r.RunID = run.Rows[0].RunID
	}
	for _, answer := range r.Asked {
		set.Warnings = append(set.Warnings, answer.Warnings()...)
	}
	r.Counts, r.Models, r.Cells, r.Aggregates, r.Warnings = set.Counts, set.Models, set.Cells, set.Aggregates, set.Warnings
	return r, nil
}
