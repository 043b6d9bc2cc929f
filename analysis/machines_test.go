package analysis

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/ranking"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// clustered has the rows of six blocks, each on the machine that on names.
func clustered(p celltest.Plan, on func(r *runs.Row) string, by func(block int, r *runs.Row) float64) []runs.Row {
	rows := p.Blocks(6, by)
	for i := range rows {
		rows[i].MachineID = new(on(&rows[i]))
	}
	return rows
}

func clusterAnalysis(t *testing.T, rows []runs.Row) *Result {
	t.Helper()
	r, err := Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTypesAreNotMixed: what two types of machine measured is in no fit, law, contrast or ranking together, and each type has
// the exponent that it has alone. The other type is ten times as slow, and its exponent half as large.
func TestTypesAreNotMixed(t *testing.T) {
	plan := celltest.Ladder
	plan.Backends = []string{"cpu", "other"}
	other := func(b int, r *runs.Row) float64 {
		if b < 3 {
			return 1
		}
		return 10 / plan.PerToken(int(r.Model[2]-'0')) * math.Sqrt(plan.PerToken(int(r.Model[2]-'0')))
	}
	rows := clustered(plan, func(r *runs.Row) string { return fmt.Sprintf("%dtype-n", r.Replicate/3) }, other)
	for i := range rows {
		if rows[i].Backend == "other" {
			rows[i].FlashAttention = "on"
		}
	}
	r := clusterAnalysis(t, rows)
	for _, f := range Get[scaling.Answer](r).Fits {
		want := map[bool]float64{true: .8, false: .4}[strings.Contains(f.Backend, "@unnamed-0type")]
		if f.Scenario != cells.AllScenarios || f.Mode != record.ModeDecode {
			continue
		}
		if f.Slope == nil || *f.Slope < want-.02 || *f.Slope > want+.02 || f.NModels != 8 {
			t.Errorf("%s: slope %v of %d models, want %.1f", f.Backend, f.Slope, f.NModels, want)
		}
	}
	types := func(what string, backends ...string) {
		if _, kind, _ := strings.Cut(backends[0], "@"); kind == "" || !strings.HasSuffix(backends[1], "@"+kind) {
			t.Errorf("%s joins %v", what, backends)
		}
	}
	for _, c := range Get[policy.Answer](r).Axes {
		types("axes.csv", c.BaseBackend, c.Backend)
	}
	for _, c := range Get[ranking.Answer](r).Crossings {
		types("crossings.csv", c.Base, c.Backend)
	}
	if n := len(Get[policy.Answer](r).Axes); n == 0 {
		t.Error("flash attention on one type is not compared with none on that type")
	}
	for _, c := range r.Cells {
		if c.Replicates != 3 {
			t.Errorf("%+v", c)
		}
	}
}

// TestConfounded: where models were measured on different machines, fits and laws say so; where each block was measured
// whole, and where one machine measured all, they do not.
func TestConfounded(t *testing.T) {
	for what, c := range map[string]struct {
		on   func(r *runs.Row) string
		want bool
	}{
		"by models":   {func(r *runs.Row) string { return fmt.Sprint("type-", r.Model[2]/2) }, true},
		"by blocks":   {func(r *runs.Row) string { return fmt.Sprint("type-", r.Replicate/2) }, false},
		"one machine": {func(r *runs.Row) string { return "type-n" }, false},
		"dealt out":   {func(r *runs.Row) string { return fmt.Sprint("type-", (int(r.Model[2])+r.Replicate)%3) }, false},
	} {
		r := clusterAnalysis(t, clustered(celltest.Ladder, c.on, nil))
		said := strings.Contains(strings.Join(celltest.Codes(r.Warnings), " "), "mixed_machines")
		mixed := 0
		for _, f := range Get[laws.Answer](r).Answers.Laws {
			mixed += len(f.Mixed)
		}
		if said != c.want || (mixed > 0) != c.want {
			t.Errorf("%s: warned %v, laws %d", what, said, mixed)
		}
	}
}
