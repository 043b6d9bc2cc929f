package analysis

import (
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/runs"
)

// The synthetic run folder is analysed once for all tests; they only read it.
var tr121Result *Result

func tr121(t testing.TB) *Result {
	t.Helper()
	if tr121Result == nil {
		run, err := runs.Load("testdata/tr121")
		if err != nil {
			t.Fatal(err)
		}
		if tr121Result, err = Analyze(run, cells.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	return tr121Result
}

func findFit(t testing.TB, r *Result, backend, mode, scenario string) *scaling.Fit {
	t.Helper()
	fits := Get[scaling.Answer](r).Fits
	for i := range fits {
		if f := &fits[i]; f.Backend == backend && f.Mode == mode && f.Scenario == scenario {
			return f
		}
	}
	t.Fatalf("no fit %s %s %s", backend, mode, scenario)
	return nil
}
