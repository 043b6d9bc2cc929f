package ollama

import (
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// TestTR121: the answers of its run that ended early, and what its loads took.
func TestTR121(t *testing.T) {
	run, err := runs.Load("../../testdata/tr121")
	if err != nil {
		t.Fatal(err)
	}
	set, err := cells.New(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := Ask(set).Ollama
	if o == nil || len(o.EarlyStops) != 15 || len(o.Warmups) != 15 || len(o.Linearity) != 5 || len(o.LengthLimited) != 8 {
		t.Fatalf("%+v", o)
	}
	for _, e := range o.EarlyStops {
		early := e.Scenario != "medium" && e.Model != "gpt-oss-20b:latest"
		if (*e.EarlyStopRate == 1) != early || (e.DoneReasonMode == "stop") != early {
			t.Errorf("%+v", e)
		}
	}
	for _, f := range o.LengthLimited { // medium alone was never stopped early
		if f.OK != (f.Scenario == "medium") {
			t.Errorf("%s %s: %v %s", f.Mode, f.Scenario, f.OK, f.Reason)
		}
	}
	if w := o.Warmups[0]; math.Abs(*w.RatioInfer-2) > 1e-9 || *w.WarmupLoadMS != 4000 {
		t.Errorf("%+v", w)
	}
	lin := o.Linearity[0]
	if lin.N != 9 || *lin.RawMin != 10 || *lin.RawMax != 64 || lin.B == nil || o.Projections[0].MinMS == nil {
		t.Errorf("%+v %+v", lin, o.Projections[0])
	}
}

// TestLinearityOfSeveralTargets: there is a line over answers of all lengths, and
// no projection to a target that is not one.
func TestLinearityOfSeveralTargets(t *testing.T) {
	var rows []*runs.Row
	for i, n := range []int{10, 20, 40} {
		r := new(runs.RowOf(record.Record{}))
		r.GenTokensRaw, r.KVDecodeMS, r.GenTokensTarget = new(n), new(3+2*float64(n)), 64
		if i == 2 {
			r.GenTokensTarget = 128
		}
		rows = append(rows, r)
	}
	lin, proj := linearity(&cells.Model{}, rows)
	celltest.Near(t, "fixed ms", lin.A, 3, 1e-9)
	celltest.Near(t, "ms per token", lin.B, 2, 1e-9)
	if lin.Target != nil || lin.AffineMS != nil || proj.MedianMS != nil {
		t.Errorf("%+v %+v", lin, proj)
	}
	lin, proj = linearity(&cells.Model{}, rows[:2])
	if lin.A != nil || lin.Target == nil { // two calls: no line
		t.Errorf("%+v %+v", lin, proj)
	}
}

// TestOtherModels: one warning for each model, and none of Ollama without Ollama.
func TestOtherModels(t *testing.T) {
	p := celltest.ServedPlan
	p.Models = 2
	p.Edit = func(r *record.Record, call bool) {
		if r.Model == "m01" {
			r.OllamaOthers = []string{"x:latest", "y:latest"}
		}
	}
	ws := Ask(celltest.Set(t, p.Rows())).Warnings()
	if len(ws) != 1 || ws[0].Code != "other_models" || ws[0].Where != "ollama m01" || !strings.Contains(ws[0].Text, "x:latest, y:latest") {
		t.Errorf("%+v", ws)
	}
	p.Ollama = nil
	if a := Ask(celltest.Set(t, p.Rows())); a.Ollama != nil || len(a.Sections()) != 0 {
		t.Errorf("%+v", a)
	}
}
