package plottest

import (
	"encoding/json"
	"fmt"
	"math"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// answers makes up what the analysis says about one backend.
func (s Shape) answers(r *analysis.Result, fits *scaling.Answer, b Backend) {
	for _, mode := range record.Modes {
		a := scaling.SlopeAnswer{Series: cells.Series{Backend: b.Name, BatchSize: 1}, Mode: mode, Verdict: "unknown", Why: "too few models"}
		for _, f := range fits.Fits {
			if f.Backend != b.Name || f.Mode != mode || f.Scenario != cells.AllScenarios {
				continue
			}
			a.NModels = f.NModels
			if !f.OK || f.SlopeT == nil {
				continue
			}
			a.Slope, a.CI, a.R2, a.MostInfluential = f.Slope, f.SlopeT, f.R2, f.MostInfluential
			a.Doubling = new(math.Pow(2, *f.Slope))
			a.Verdict, a.Why = "grows", "the 95 % interval of the slope lies above 0"
			for _, l := range f.LeaveOneOut {
				if l.Dropped == f.MostInfluential {
					a.SlopeWithout = l.Slope
				}
			}
		}
		fits.Answers.Slopes = append(fits.Answers.Slopes, a)
	}
	t := tails.Trend{Series: cells.Series{Backend: b.Name, BatchSize: 1}, Verdict: "unknown", Why: "fewer than 3 models with enough tokens"}
	for _, x := range analysis.Get[tails.Answer](r).Tails {
		if x.Backend == b.Name && x.Scenario == cells.AllScenarios && x.P99Ratio.Value != nil {
			if t.NModels++; t.NModels == 1 {
				t.SmallestModel, t.SmallestRatio = x.Model, x.P99Ratio.Value
			}
			t.LargestModel, t.LargestRatio = x.Model, x.P99Ratio.Value
			if t.WorstRatio == nil || *x.P99Ratio.Value > *t.WorstRatio {
				t.WorstModel, t.WorstRatio = x.Model, x.P99Ratio.Value
			}
		}
	}
	if t.NModels >= 3 {
		t.Quantile, t.Rho, t.P, t.Verdict, t.Why = "p99_over_p50", new(0.22), new(0.57), "no_trend", "Spearman p is above 0.05"
	}
	analysis.Get[tails.Answer](r).Answers.Tails = append(analysis.Get[tails.Answer](r).Answers.Tails, t)

	f := firstchange.Feasibility{Series: cells.Series{Backend: b.Name, BatchSize: 1}, Verdict: "all_ran"}
	for _, m := range s.Models {
		switch {
		case m.Fails == "":
			f.ModelsOK++
			f.LargestOK, f.LargestOKM = m.Name, &m.ParamsM
		case m.Fails == record.StatusWaived:
			f.ModelsWaived++
		default:
			if f.ModelsFailed++; f.ModelsFailed == 1 {
				f.SmallestFailed, f.SmallestFailM, f.Status, f.Verdict = m.Name, &m.ParamsM, m.Fails, "some_failed"
			}
		}
	}
	if len(s.Models) == 0 {
		f.Verdict = "unknown"
	}
	analysis.Get[firstchange.Answer](r).Answers.Feasibility = append(analysis.Get[firstchange.Answer](r).Answers.Feasibility, f)

	c := firstchange.Change{Series: cells.Series{Backend: b.Name, BatchSize: 1}, Verdict: "unknown", Unknown: []string{"latency", "tails"}, Why: "fewer than two sizes ran", Rule: "made up"}
	if f.ModelsOK > 1 {
		x, y := s.Models[0], s.Models[1]
		c.Verdict, c.AmongSeen, c.Unknown = "latency", "latency", nil
		c.Base, c.BaseM, c.Before, c.Model, c.ParamsM, c.StepRatio = x.Name, &s.Models[0].ParamsM, x.Name, y.Name, &s.Models[1].ParamsM, new(y.ParamsM/x.ParamsM)
		times, step := y.TokenMS/x.TokenMS, y.ParamsM/x.ParamsM
		c.Why = fmt.Sprintf("decode on %s takes %.2f times as long as on %s, the smallest measured, at %.3g times its size (1.55 times for each doubling of size); no size between the two was measured, so that it may have happened anywhere between them", y.Name, times, x.Name, step)
		c.Aspects = []firstchange.AspectChange{
			{Aspect: "latency", Verdict: "changed", Model: y.Name, ParamsM: c.ParamsM, Why: c.Why},
			{Aspect: "tails", Verdict: "not_shown", Why: "p95/p50 of the token times within a call is at most 1.02 times the least of the smaller models, on " + y.Name + ", and a change is more than 1.25 times"},
			{Aspect: "feasibility", Verdict: "not_shown", Why: "no model failed for its size"},
		}
		c.Steps = []firstchange.ChangeStep{{From: x.Name, To: y.Name, ParamsM: c.ParamsM, SizeGrowth: &step, SizeTotal: &step, LatencyGrowth: &times, LatencyTotal: &times,
			LatencyDoubling: new(math.Pow(times, math.Ln2/math.Log(step))), TailRise: new(1.02), Changed: []string{"latency"}}}
		c.Rule = "latency: decode more than 2 times that of the smallest model; tails: p95/p50 within a call more than 1.25 times the least of the smaller models; feasibility: a cell fails"
	}
	analysis.Get[firstchange.Answer](r).Answers.FirstChange = append(analysis.Get[firstchange.Answer](r).Answers.FirstChange, c)
}

func manifest(s Shape) runs.Manifest {
	doc := map[string]any{
		"run_id": "20260101_120000", "run_name": "made-up", "argv": []string{"bin/llmscale", "sweep", "--config", "configs/made up.yaml"},
		"config_path": "configs/made up.yaml", "config_sha256": "6f1ed002ab5595859014ebf0951522d9", "git_head": "0123456789abcdef", "seed": "42",
		"repetitions": s.Reps, "warmup_repetitions": 1, "gen_tokens": s.GenTokens, "task_count": len(s.Models) * len(s.Backends) * len(s.Scenarios),
		"records_expected": len(s.Models) * len(s.Backends) * len(s.Scenarios) * s.Reps * 3, "run_state": "completed",
		"platform": map[string]any{"os": "linux", "machine": "amd64", "processor": "Made-up CPU @ 2.0 GHz", "go": "go1.26.0"},
		"environment": map[string]any{"os": "linux", "kernel": "6.1.0", "arch": "amd64", "cpu": "Made-up CPU @ 2.0 GHz", "logical_cores": 2, "physical_cores": 1,
			"memory_bytes": int64(8 << 30), "l3_cache_bytes": 33 << 20, "cpu_governor": "", "openmp_variables": map[string]string{}},
		"llmscale": map[string]any{"llama_commit": "ec98e2002", "llama_source": "module", "compiler": "GNU 12.2.0", "build_type": "Release", "flags": "-O3 -DNDEBUG -march=native",
			"system_info": "AVX2 = 1 | AVX512 = 1", "portable": false},
		"sessions": []any{map[string]any{"started_at_unix": 1767268800.5, "ended_at_unix": 1767269100.0, "load_average_1m": 0.1}},
	}
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err) // the map above is JSON
	}
	m, err := runs.ParseManifest(data)
	if err != nil {
		panic(err)
	}
	return m
}
