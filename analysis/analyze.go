package analysis

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
)

// resultSchema counts incompatible changes of Result.
const resultSchema = 2

func (d *DeviceCell) series() cells.Series {
	return cells.Series{Backend: d.Backend, BatchSize: d.BatchSize}
}

type analyzer struct {
	*cells.Set
	res *Result
}

// Analyze computes everything that run says. It changes nothing in run, and the
// same run and options give the same Result.
func Analyze(run *runs.Run, opt cells.Options) (*Result, error) {
	set, err := cells.New(run, opt)
	if err != nil {
		return nil, err
	}
	a := &analyzer{Set: set,
		res: &Result{SchemaVersion: resultSchema, Harness: run.Harness, Options: set.Opt, Axis: set.Axis, Manifest: run.Manifest,
			RunID: run.Manifest.Text("run_id"), RunName: run.Manifest.Text("run_name")},
	}
	if a.res.RunID == "" && len(run.Rows) > 0 {
		a.res.RunID = run.Rows[0].RunID
	}
	a.eventGaps()
	a.device()
	a.res.Asked = ask(a.Set)
	for _, answer := range a.res.Asked {
		a.Warnings = append(a.Warnings, answer.Warnings()...)
	}
	a.res.Counts, a.res.Models, a.res.Cells, a.res.Aggregates, a.res.Warnings = a.Counts, a.Models, a.Cells, a.Aggregates, a.Warnings
	return a.res, nil
}
