package crosscheck

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

func ask(t *testing.T, s celltest.Served) *Answer {
	t.Helper()
	return Ask(celltest.Set(t, s.Rows()))
}

func find(t *testing.T, r *Answer, model, scenario, phase string) *Comparison {
	t.Helper()
	for i := range r.Comparisons {
		if c := &r.Comparisons[i]; c.Model == model && c.Scenario == scenario && c.Phase == phase {
			return c
		}
	}
	t.Fatalf("no %s %s %s among %d", model, scenario, phase, len(r.Comparisons))
	return nil
}

// TestCrosscheck: 20 % more for each token of decode, and a prefill that is the same.
func TestCrosscheck(t *testing.T) {
	p := celltest.ServedPlan
	p.GapMS = func(phase string, m int) float64 {
		if phase == record.ModePrefill {
			return 0
		}
		return 0.2 * p.TokenMS(m)
	}
	r := ask(t, p)
	if n := len(r.Comparisons); n != 5*3*2 {
		t.Fatalf("%d comparisons", n)
	}
	c := find(t, r, "m03", "p256", record.ModeDecode)
	celltest.Near(t, "native ms", c.NativeMS, 8*16, 1e-9)
	celltest.Near(t, "Ollama ms", c.Counters.MS, 8*16*1.2, 1e-9)
	celltest.Near(t, "ratio", c.Counters.Ratio, 1.2, 1e-9)
	if ci := c.Counters.RatioCI; ci == nil || ci.Low > 1.2 || ci.High < 1.2 || ci.Low < 1.15 || ci.High > 1.25 || c.Counters.Reason != "" {
		t.Errorf("%+v", c.Counters)
	}
	if !c.Counters.Stands() || c.Counters.N != 6 || c.NativeN != 6 || *c.GenTokens != 16 || *c.PromptTokens != 256 || *c.Projected != 0 {
		t.Errorf("%+v", c)
	}
	celltest.Near(t, "client ms", c.Client.MS, 16*(8*1.2+celltest.ServedRest), 1e-6)
	celltest.Near(t, "client's native ms", c.Client.NativeMS, 16*(8+celltest.ServedSampling), 1e-9)
	celltest.Near(t, "client ratio", c.Client.Ratio, (8*1.2+celltest.ServedRest)/(8+celltest.ServedSampling), 1e-6)
	if c.SameWeights == nil || !*c.SameWeights || !slices.Equal(c.Differ, []string{"flash_attn: the server decides"}) || len(c.RecordsDiffer) != 0 {
		t.Errorf("%v %q %q", c.SameWeights, c.Differ, c.RecordsDiffer)
	}
	if c.Bench.N != 0 || c.BenchRun != nil || c.Bench.Reason != "llama-bench did not measure this" {
		t.Errorf("%+v", c.Bench)
	}
	f := find(t, r, "m03", "p256", record.ModePrefill)
	celltest.Near(t, "prefill ratio", f.Counters.Ratio, 1, 1e-12)
	if f.Counters.Stands() || f.Counters.Excludes() || f.Projected != nil {
		t.Errorf("%+v", f.Counters)
	}
	celltest.Near(t, "ttft", f.Client.MS, 256+celltest.ServedHTTP+celltest.ServedLoad+celltest.ServedTokenize+celltest.ServedRest, 1e-9)

	// The same run gives the same figures, and another seed other intervals about them.
	again := ask(t, p)
	x, _ := json.Marshal(r.Comparisons)
	y, _ := json.Marshal(again.Comparisons)
	if string(x) != string(y) {
		t.Error("two analyses of one run differ")
	}
}

// TestCrosscheckPairs: which series are compared.
func TestCrosscheckPairs(t *testing.T) {
	p := celltest.ServedPlan
	p.Models, p.Native, p.Ollama = 2, []string{"native_a", "native_b"}, []string{"ollama_a", "ollama_b"}
	names := func(rows []runs.Row) string {
		r := Ask(celltest.Set(t, rows))
		seen := map[string]int{}
		for _, c := range r.Comparisons {
			seen[c.Native+" "+c.Ollama+" "+c.Model]++
		}
		return fmt.Sprint(seen)
	}
	all := names(p.Rows())
	if all != "map[native_a ollama_a m00:6 native_a ollama_a m01:6 native_a ollama_b m00:6 native_a ollama_b m01:6 native_b ollama_a m00:6 native_b ollama_a m01:6 native_b ollama_b m00:6 native_b ollama_b m01:6]" {
		t.Error(all)
	}
	rows := p.Rows()
	for i := range rows {
		r := &rows[i]
		switch {
		case r.Backend == "native_b" && r.Model == "m00":
			r.ModelSHA256 = new("another file")
		case r.Backend == "native_b":
			r.ModelSHA256 = nil // too large to be tried: not known to be the same
		case r.Backend == "ollama_b":
			r.Device = "cuda"
		}
	}
	if got := names(rows); got != "map[native_a ollama_a m00:6 native_a ollama_a m01:6]" {
		t.Error(got)
	}
	// As many threads with as many, where there are such; otherwise with what there is.
	rows = p.Rows()
	for i := range rows {
		if r := &rows[i]; strings.HasSuffix(r.Backend, "_b") && (r.Model == "m00" || r.BackendKind == cells.KindOllama) {
			r.NThreads, r.NThreadsBatch = new(1), new(1)
		}
	}
	if got := names(rows); got != "map[native_a ollama_a m00:6 native_a ollama_a m01:6 native_a ollama_b m01:6 native_b ollama_a m01:6 native_b ollama_b m00:6 native_b ollama_b m01:6]" {
		t.Error(got)
	}
	// Without Ollama, nothing.
	q := celltest.ServedPlan
	q.Ollama = nil
	r := Ask(celltest.Set(t, q.Rows()))
	if r.Comparisons != nil || r.Parts != nil || r.Greedy != nil || r.GapLaws != nil {
		t.Error("a cross-check without Ollama")
	}
}

// TestCrosscheckInvalid: a cached prompt spoils prefill, and decode counts; spoilt
// records reach no figure.
func TestCrosscheckInvalid(t *testing.T) {
	p := celltest.ServedPlan
	p.Edit = celltest.Cached

	r := ask(t, p)
	c := find(t, r, "m02", "p128", record.ModePrefill)
	if c.Counters.N != 0 || c.Counters.Ratio != nil || c.Counters.Reason == "" || c.NativeN != 6 {
		t.Errorf("%+v", c)
	}
	if c := find(t, r, "m02", "p256", record.ModePrefill); c.Counters.N != 5 || *c.Counters.MS < 1 {
		t.Errorf("%+v", c)
	}
	if c := find(t, r, "m02", "p128", record.ModeDecode); c.Counters.N != 6 || math.Abs(*c.Counters.Ratio-1) > 1e-9 {
		t.Errorf("%+v", c)
	}
	for _, g := range r.Parts {
		if g.Scenario == "p128" || *g.WallMS < 1 {
			t.Errorf("INVALID calls are taken apart: %+v", g)
		}
	}
}

// TestCrosscheckReasons: what has no ratio, or no interval, says why.
func TestCrosscheckReasons(t *testing.T) {
	p := celltest.ServedPlan
	p.Models, p.Reps = 1, 2
	r := ask(t, p)
	if c := find(t, r, "m00", "p128", record.ModeDecode); c.Counters.Ratio == nil || c.Counters.RatioCI != nil || c.Counters.Reason != "2 calls on one side; an interval takes 3" {
		t.Errorf("%+v", c.Counters)
	}
	p.Reps = 6
	p.Edit = func(r *record.Record, all bool) {
		r.GenTokensEquiv, r.PromptTokensRaw = new(15), new(100)
	}
	r = ask(t, p)
	if c := find(t, r, "m00", "p128", record.ModeDecode); c.Counters.Ratio != nil || !strings.Contains(c.Counters.Reason, "native decoded 16 tokens, Ollama's time stands for 15") {
		t.Errorf("%+v", c.Counters)
	}
	if c := find(t, r, "m00", "p128", record.ModePrefill); c.Counters.Ratio != nil || !strings.Contains(c.Counters.Reason, "128 prompt tokens, Ollama counts 100") {
		t.Errorf("%+v", c.Counters)
	}
}

// TestCrosscheckProjected: answers of half the length stand for the whole one.
func TestCrosscheckProjected(t *testing.T) {
	p := celltest.ServedPlan
	p.Models = 1
	p.Edit = celltest.Halved

	r := ask(t, p)
	c := find(t, r, "m00", "p128", record.ModeDecode)
	celltest.Near(t, "ratio", c.Counters.Ratio, 1, 1e-9)
	celltest.Near(t, "share", c.Projected, 0.5, 0)
	celltest.Near(t, "client", c.Client.MS, 16*(1+celltest.ServedRest), 1e-5)
}

// TestGapLaws: a cost of each token, or one in proportion to the work, or both.
func TestGapLaws(t *testing.T) {
	for _, tt := range []struct {
		fixed, share float64
		verdict      string
	}{{0.3, 0, "fixed"}, {0, 0.25, "proportional"}, {0.3, 0.25, "both"}, {0, 0, "not_identified"}} {
		p := celltest.ServedPlan
		p.GapMS = func(phase string, m int) float64 {
			if phase == record.ModePrefill {
				return 0
			}
			return tt.fixed + tt.share*p.TokenMS(m)
		}
		r := ask(t, p)
		if len(r.GapLaws) != 2*2 {
			t.Fatalf("%d laws", len(r.GapLaws))
		}
		for _, l := range r.GapLaws {
			if l.Phase != record.ModeDecode || l.Clock != ClockCounters {
				continue
			}
			if l.Verdict != tt.verdict || l.NModels != 5 || l.NativeMinMS != 1 || math.Abs(l.NativeMaxMS-16) > 1e-9 {
				t.Errorf("%+v", l)
			}
			celltest.Near(t, "fixed", l.FixedMS, tt.fixed, 1e-9)
			celltest.Near(t, "share", l.Share, tt.share, 1e-9)
		}
	}
	// A model without one scenario has another mean, and is left out of the one over all.
	q := celltest.ServedPlan
	q.GapMS = func(string, int) float64 { return 0.3 }
	rows := slices.DeleteFunc(q.Rows(), func(r runs.Row) bool { return r.Model == "m04" && r.Scenario == "p512" })
	for _, l := range Ask(celltest.Set(t, rows)).GapLaws {
		if l.Scenario != cells.AllScenarios || l.NModels != 4 {
			t.Errorf("%+v", l)
		}
		if l.Clock == ClockCounters && l.Phase == record.ModeDecode && (l.Verdict != "fixed" || math.Abs(*l.FixedMS-0.3) > 1e-9) {
			t.Errorf("%+v", l)
		}
	}
	// Two sizes show no law.
	p := celltest.ServedPlan
	p.Models = 2
	for _, l := range ask(t, p).GapLaws {
		if l.Verdict != "unknown" || l.FixedMS != nil || !strings.Contains(l.Why, "a line takes 3") {
			t.Errorf("%+v", l)
		}
	}
}

// TestOllamaGap: the parts are those that the calls were made of.
func TestOllamaGap(t *testing.T) {
	p := celltest.ServedPlan
	p.GapMS = func(phase string, m int) float64 {
		if phase == record.ModePrefill {
			return 3
		}
		return 0.5
	}
	r := ask(t, p)
	if len(r.Parts) != 5*3 {
		t.Fatalf("%d rows", len(r.Parts))
	}
	g := r.Parts[0] // m00, p128
	for name, x := range map[string]struct {
		got  *float64
		want float64
	}{
		"http": {g.HTTPMS, celltest.ServedHTTP}, "scheduling": {g.LoadMS, celltest.ServedLoad}, "tokenising": {g.TokenizeMS, celltest.ServedTokenize}, "prompt": {g.PromptEvalMS, 16 + 3},
		"eval": {g.EvalMS, 16 * 1.5}, "rest": {g.RestMS, 17 * celltest.ServedRest}, "sum": {g.PartsMS, celltest.ServedHTTP + celltest.ServedLoad + celltest.ServedTokenize + 19 + 24 + 17*celltest.ServedRest}, "over wall": {g.PartsOfWall, 1},
		"native": {g.NativeE2EMS, 32 + 17*celltest.ServedSampling}, "native prefill": {g.NativePrefillMS, 16}, "native decode": {g.NativeDecodeMS, 16}, "native sampling": {g.NativeSamplingMS, 17 * celltest.ServedSampling},
		"compute": {g.ComputeAddedMS, 3 + 8}, "around": {g.AroundAddedMS, celltest.ServedHTTP + celltest.ServedLoad + celltest.ServedTokenize + 17*celltest.ServedRest - 17*celltest.ServedSampling},
		"per token": {g.RestPerToken, (celltest.ServedHTTP + 17*celltest.ServedRest) / 16},
	} {
		celltest.Near(t, name, x.got, x.want, 1e-9)
	}
	celltest.Near(t, "added", g.AddedMS, *g.ComputeAddedMS+*g.AroundAddedMS, 1e-9)
	celltest.Near(t, "added per token", g.AddedPerToken, *g.AddedMS/16, 1e-9)
	// Where tokenising was not timed, it is in the rest.
	p.Edit = func(r *record.Record, all bool) { r.TokenizeMS = nil }
	g = ask(t, p).Parts[0]
	celltest.Near(t, "rest with tokenising", g.RestMS, 17*celltest.ServedRest+celltest.ServedTokenize, 1e-9)
	celltest.Near(t, "sum", g.PartsOfWall, 1, 1e-9)
	if g.TokenizeMS != nil {
		t.Error("a time of tokenising")
	}
	p.Edit = func(r *record.Record, all bool) { r.OllamaTotalMS = nil }
	if g = ask(t, p).Parts[0]; g.WallMS != nil || g.Reason == "" || g.AddedMS != nil {
		t.Errorf("%+v", g)
	}
}
