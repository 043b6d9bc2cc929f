// Package analysistest makes up a run's analysis for the tests of the packages that
// draw and write it. Nothing in it was measured.
package analysistest

import (
	"math"
	"math/rand/v2"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Shape of a made-up run. The zero value has no models.
type Shape struct {
	Models    []Model
	Backends  []Backend
	Scenarios []Scenario
	Reps      int
	GenTokens int
	Seed      uint64
}

// Model is a size of the made-up ladder.
type Model struct {
	Name       string
	ParamsM    float64
	TokenMS    float64 // decode time per token at speed 1
	MBPerToken float64 // at 4 bytes per weight
	Fails      string  // status of all its calls, "" for ok
}

// Backend is a runtime of the made-up run.
type Backend struct {
	Name, Kind  string
	Speed       float64 // decode time is divided by it
	BytesFactor float64 // of MBPerToken
}

// Scenario is a prompt of the made-up run.
type Scenario struct {
	Name   string
	Prompt int // tokens
}

// GPT2 is a run of the GPT-2 ladder, as the default config plans it, with decode
// times near a power law.
func GPT2() Shape {
	return Shape{
		Models: []Model{
			{"tiny-gpt2", 0.103, 0.04, 0.41, ""}, {"gpt2-5m", 5.037, 1.25, 20.0, ""}, {"gpt2-1m", 11.18, 2.7, 44, ""},
			{"gpt2-25m", 25.016, 5.4, 98.6, ""}, {"gpt2-45m", 45.171, 9.3, 178.6, ""}, {"gpt2-50m", 51.476, 10.4, 203.8, ""},
			{"gpt2-75m", 74.825, 14.6, 296.2, ""}, {"gpt2-100m", 96.088, 18.2, 381.2, ""}, {"gpt2", 124.44, 23.0, 494.6, ""},
		},
		Backends:  []Backend{{"native_cpu_f32", "native", 1, 1}, {"native_cpu_f16", "native", 1.7, 0.5}},
		Scenarios: []Scenario{{"micro", 1}, {"short", 9}, {"medium", 17}},
		Reps:      7, GenTokens: 64, Seed: 42,
	}
}

// Result makes up such a run and analyses it, the same for the same shape.
func (s Shape) Result() *analysis.Result {
	rng := rand.New(rand.NewPCG(s.Seed, 121))
	run := &runs.Run{Harness: runs.HarnessLLMScale, Manifest: manifest(s)}
	task := 0
	for _, b := range s.Backends {
		for _, m := range s.Models {
			for _, sc := range s.Scenarios {
				for call := range s.Reps + 1 {
					base := s.record(b, m, sc, s.GenTokens)
					base.TaskIdx, base.CallIdx = task, call
					if base.IsWarmup = call == 0; base.IsWarmup {
						base.WarmupIdx = new(0)
					} else {
						base.Rep = new(call - 1)
					}
					run.Rows = append(run.Rows, s.call(base, b, m, sc, rng)...)
				}
				task++
			}
		}
	}
	n := len(run.Rows)
	run.Counts = runs.Counts{Lines: n, Records: n, ByStatus: map[string]int{}, Expected: &n}
	for i := range run.Rows {
		run.Counts.ByStatus[run.Rows[i].Status]++
	}
	run.Settle()
	r, err := analysis.Analyze(run, cells.Options{Bootstrap: 100})
	if err != nil {
		panic(err) // the options above are valid
	}
	return r
}

// record is a call of a shape's cell without what it measured.
func (s Shape) record(b Backend, m Model, sc Scenario, gen int) record.Record {
	base := record.Record{
		Origin:  record.Origin{SchemaVersion: record.SchemaVersion, RunID: "20260101_120000"},
		Outcome: record.Outcome{Status: record.StatusOK, Attempted: true},
		Subject: record.Subject{Scenario: sc.Name, Backend: b.Name, BackendKind: b.Kind, Model: m.Name, ModelKind: "synth", ModelSource: "synth:" + m.Name, ModelFile: m.Name + ".gguf",
			ParamsMillions: m.ParamsM, GenTokensTarget: gen, BatchSizeConfig: 1},
	}
	params := int64(m.ParamsM * 1e6)
	base.ModelFacts = record.ModelFacts{WeightType: "f32", Architecture: "gpt2", NLayer: 12, NEmbd: 768, NHead: 12, ParamsTotal: params, ParamsActive: params,
		WeightBytes: int64(m.MBPerToken * b.BytesFactor * 1.1e6), BytesPerToken: int64(m.MBPerToken * b.BytesFactor * 1e6), KVBytesPerToken: 36864}
	base.Device, base.NThreads, base.LlamaCommit = "cpu", new(2), "ec98e2002"
	base.BatchSize, base.SeqLen, base.PromptTokensRaw = new(1), new(sc.Prompt), new(sc.Prompt)
	base.GenTokens, base.GenTokensRaw = &gen, &gen
	return base
}

// call makes up the times of a call: the records of its modes.
func (s Shape) call(base record.Record, b Backend, m Model, sc Scenario, rng *rand.Rand) []runs.Row {
	if m.Fails != "" {
		base.Status, base.Error, base.Signal, base.Stderr = m.Fails, new("needs 9.3 GiB, 7.1 GiB are free"), new("killed"), []string{"ggml_aligned_malloc: insufficient memory"}
		return celltest.Modes(base)
	}
	step := m.TokenMS / b.Speed
	if base.IsWarmup {
		step *= 1.3
	}
	prefill := step * (0.6 + 0.35*float64(sc.Prompt)) * math.Exp(rng.NormFloat64()*0.03)
	decode := 0.0
	for i := range s.GenTokens {
		t := step * (1 + 0.0008*float64(i)) * math.Exp(rng.NormFloat64()*0.02)
		if rng.Float64() < 0.03 {
			t *= 1 + rng.ExpFloat64()*0.4
		}
		base.TokenNS = append(base.TokenNS, int64(t*1e6))
		decode += t
	}
	base.PrefillMS, base.KVDecodeMS, base.E2EKVMS = &prefill, &decode, new((prefill+decode)*1.0002)
	base.TTFTMS, base.E2EGapPercent, base.RSSPeakMiB = new(prefill*1.01), new(0.02), new(60+m.ParamsM*4)
	return celltest.Modes(base)
}
