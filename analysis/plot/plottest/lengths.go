package plottest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// LengthPrompt is the length of all prompts of Lengths, in tokens.
const LengthPrompt = 16

// Lengths makes up a run of one backend whose scenarios differ in the length of
// the answer, and analyses it. Each call costs fixedMS and each token the model's
// TokenMS, which a position multiplies by 1 + growth * position; noise is the
// standard deviation of a call's factor.
func Lengths(models []Model, gens []int, reps int, fixedMS, growth, noise float64) (*analysis.Result, error) {
	rng := rand.New(rand.NewPCG(7, 121))
	s := Shape{Models: models, Backends: []Backend{{Name: "native_cpu_q4_0", Kind: "native"}}, Reps: reps, GenTokens: 64}
	for _, gen := range gens {
		s.Scenarios = append(s.Scenarios, Scenario{Name: fmt.Sprintf("gen%d", gen), Prompt: LengthPrompt})
	}
	run := &runs.Run{Harness: runs.HarnessLLMScale, Manifest: manifest(s)}
	task := 0
	for _, m := range models {
		for i, gen := range gens {
			for rep := range reps {
				base := record.Record{
					Origin: record.Origin{SchemaVersion: record.SchemaVersion, RunID: "20260101_120000", TaskIdx: task},
					Outcome: record.Outcome{CallIdx: rep, Rep: &rep,
						Status: record.StatusOK},
					Subject: record.Subject{Scenario: s.Scenarios[i].Name, Backend: s.Backends[0].Name, BackendKind: "native", Model: m.Name, ModelKind: "synth",
						ParamsMillions: m.ParamsM, GenTokensTarget: gen, BatchSizeConfig: 1},
				}
				base.WeightType, base.Architecture, base.NLayer, base.NEmbd = "q4_0", "llama", 12, 768
				base.ParamsTotal, base.BytesPerToken = int64(m.ParamsM*1e6), int64(m.MBPerToken*1e6)
				base.Device, base.NThreads = "cpu", new(2)
				factor := math.Exp(noise * rng.NormFloat64())
				prefill, decode := m.TokenMS*4*factor, fixedMS*factor
				for pos := range gen {
					ms := m.TokenMS * (1 + growth*float64(pos)) * factor
					decode += ms
					base.TokenNS = append(base.TokenNS, int64(ms*1e6))
				}
				base.PrefillMS, base.KVDecodeMS, base.E2EKVMS = new(prefill), new(decode), new(prefill+decode)
				base.BatchSize, base.SeqLen, base.PromptTokensRaw = new(1), new(LengthPrompt), new(LengthPrompt)
				base.GenTokens, base.GenTokensRaw = &gen, &gen
				for mode, of := range map[string]struct {
					ms     *float64
					tokens int
				}{
					record.ModePrefill: {base.PrefillMS, LengthPrompt},
					record.ModeDecode:  {base.KVDecodeMS, gen},
					record.ModeE2E:     {base.E2EKVMS, LengthPrompt + gen},
				} {
					r := runs.RowOf(base)
					r.Mode, r.LatencyMS, r.TokensTotal = mode, of.ms, new(of.tokens)
					run.Rows = append(run.Rows, r)
				}
			}
			task++
		}
	}
	return analysis.Analyze(run, cells.Options{})
}
