package analysis

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/ollama"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/summary"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/q/weights"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// TestDepthsAreNotJoined: what joins scenarios says the same with scenarios at depth
// 4096 beside those at 0 as without them. The run has weight types, an Ollama
// server, prompts and answers of several lengths.
func TestDepthsAreNotJoined(t *testing.T) {
	var rows []runs.Row
	for seed := uint64(0); len(rows) == 0 || rows[len(rows)-1].CallIdx < 4 || rows[len(rows)-1].WeightType == "q0"; seed++ {
		rows = smallRun(rand.New(rand.NewPCG(seed, 9)))
	}
	without, with := analyzeRows(t, rows), analyzeRows(t, deepened(rows, 4096))
	if len(with.Cells) != 2*len(without.Cells) || len(Get[lengths.Answer](with).Laws) == 0 {
		t.Fatalf("%d cells, %d without the deep ones; %d laws of lengths", len(with.Cells), len(without.Cells), len(Get[lengths.Answer](with).Laws))
	}
	joint := func(r *Result) map[string]any {
		out := map[string]any{"aggregates": r.Aggregates, "weight types": Get[weights.Answer](r).WeightTypes,
			"first change": Get[firstchange.Answer](r).Changes,
			"linearity":    Get[ollama.Answer](r).Ollama.Linearity, "projections": Get[ollama.Answer](r).Ollama.Projections, "correlations": Get[scaling.Answer](r).Correlations, "two predictors": Get[scaling.Answer](r).TwoPredictors}
		put := func(kind, scenario string, v any) {
			if scenario == cells.AllScenarios {
				list, _ := out[kind].([]any)
				out[kind] = append(list, v)
			}
		}
		for _, f := range Get[scaling.Answer](r).Fits {
			put("fits", f.Scenario, f)
		}
		for _, f := range Get[scaling.Answer](r).OffsetFits {
			put("offset fits", f.Scenario, f)
		}
		for _, f := range Get[laws.Answer](r).Answers.Laws {
			put("laws", f.Scenario, f.Told)
		}
		for _, f := range Get[tails.Answer](r).Tails {
			put("tails", f.Scenario, f)
		}
		for _, f := range Get[summary.Answer](r).DecodeFractions {
			put("decode fractions", f.Scenario, f)
		}
		for _, p := range Get[policy.Answer](r).Policies {
			put("policies", p.Scenario, p)
		}
		for _, f := range Get[crosscheck.Answer](r).GapLaws {
			put("gap laws", f.Scenario, f)
		}
		for _, f := range Get[ollama.Answer](r).Ollama.LengthLimited {
			put("length-limited fits", f.Scenario, f)
		}
		var shown []any
		for _, l := range Get[lengths.Answer](r).Laws {
			if l.Mode == record.ModePrefill {
				shown = append(shown, l)
			}
		}
		out["prefill lengths"] = shown
		return out
	}
	want, got := joint(without), joint(with)
	for kind, w := range want {
		x, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		y, err := json.Marshal(got[kind])
		if err != nil {
			t.Fatal(err)
		}
		if len(x) < 10 {
			t.Errorf("%s: nothing to compare: %s", kind, x)
		}
		if string(x) != string(y) {
			t.Errorf("%s: with deep scenarios\n%.2000s\nwithout\n%.2000s", kind, y, x)
		}
	}
}

// TestDeepFailures: that a model does not fit with a full cache is no change at its
// size of what the walk over sizes compares.
func TestDeepFailures(t *testing.T) {
	p := celltest.Plan{Models: 4, Reps: 5, Gen: 40, Backends: []string{"cpu"}, Scenarios: []string{"a"}, PerToken: func(int) float64 { return 1 }}
	rows := deepened(p.Rows(1), 4096)
	for i := range rows {
		if r := &rows[i]; r.Depth > 0 && r.Model == "m03" {
			r.Status, r.Error, r.LatencyMS = record.StatusOOM, new("no room"), nil
		}
	}
	res := analyzeRows(t, rows)
	if c := Get[firstchange.Answer](res).Of(cells.Series{Backend: "cpu", BatchSize: 1}, "", "feasibility"); c.Verdict != firstchange.Never || len(Get[failures.Answer](res).Failed) != 1 {
		t.Errorf("%+v; %d failed", c, len(Get[failures.Answer](res).Failed))
	}
}

// TestOtherWaysAreNotJoined: weight types are not compared across programs, builds
// under one name, paces, affinities or batches.
func TestOtherWaysAreNotJoined(t *testing.T) {
	for what, change := range celltest.OtherWays {
		rows := celltest.TypeRun([]string{"f32", "f16", "q4_0"}, []float64{4000, 2000, 500}, func(mb float64) float64 { return mb / 100 })
		if r := weights.Ask(celltest.Set(t, rows)); len(r.WeightTypes) != 3 {
			t.Fatalf("%d types compared", len(r.WeightTypes))
		}
		for i := range rows {
			if rows[i].WeightType == "f16" {
				change(&rows[i])
			}
		}
		r := analyzeRows(t, rows)
		if len(Get[weights.Answer](r).WeightTypes) != 0 {
			t.Errorf("%s: types compared: %+v", what, Get[weights.Answer](r).WeightTypes)
		}
		for _, c := range Get[policy.Answer](r).Axes {
			if c.BaseBackend == "cpu_f16" || c.Backend == "cpu_f16" {
				t.Errorf("%s: compared: %+v", what, c)
			}
		}
	}
}

// TestPromptsOfABatch: a prompt's length is that of one sequence.
func TestPromptsOfABatch(t *testing.T) {
	rows := celltest.LengthRun(1, []int{10, 20, 40}, 4, celltest.Affine(0, 1), nil)
	for i := range rows {
		r := &rows[i]
		prompt := map[int]int{10: 64, 20: 128, 40: 256}[r.GenTokensTarget]
		r.BatchSize, r.PromptTokensRaw, r.SeqLen = new(8), new(8*prompt), new(prompt)
		if r.Mode == record.ModePrefill {
			r.TokensTotal = new(8 * prompt)
		}
	}
	res := analyzeRows(t, rows)
	if all := Get[lengths.Answer](res).Lengths; len(all) != 3 || all[0].Length != 64 || all[1].Length != 128 || all[2].Length != 256 {
		t.Errorf("%+v", all)
	}
	if p := res.Cells[0].PromptEach(); p == nil || *p != 64 {
		t.Errorf("%+v", res.Cells[0])
	}
}

// deepened has each scenario of the rows again at a depth, where everything takes
// three times as long.
func deepened(rows []runs.Row, depth int) []runs.Row {
	out := slices.Clone(rows)
	for i := range rows {
		r := runs.RowOf(rows[i].Record())
		r.Scenario, r.Depth, r.TaskIdx = r.Scenario+"_deep", depth, r.TaskIdx+1000
		times := func(v *float64) *float64 {
			if v == nil {
				return nil
			}
			return new(3 * *v)
		}
		r.LatencyMS, r.KVDecodeMS, r.DecodeNoSampMS, r.E2EKVMS, r.TTFTMS = times(r.LatencyMS), times(r.KVDecodeMS), times(r.DecodeNoSampMS), times(r.E2EKVMS), times(r.TTFTMS)
		r.PrefillMS, r.OllamaPromptEvalMS, r.DecodeEquivMS = times(r.PrefillMS), times(r.OllamaPromptEvalMS), times(r.DecodeEquivMS)
		r.TokenNS = slices.Clone(r.TokenNS)
		for i := range r.TokenNS {
			r.TokenNS[i] *= int64(1 + 2*i) // a tail, too
		}
		r.Line = len(out) + 1
		out = append(out, r)
	}
	return out
}
