package analysistest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
)

// LengthPrompt is the length of all prompts of Lengths, in tokens.
const LengthPrompt = 16

// Lengths makes up a run of one backend whose scenarios differ in the length of
// the answer, and analyses it. Each call costs fixedMS and each token the model's
// TokenMS, which a position multiplies by 1 + growth * position; noise is the
// standard deviation of a call's factor.
func Lengths(models []Model, gens []int, reps int, fixedMS, growth, noise float64) (*analysis.Result, error) {
	rng := rand.New(rand.NewPCG(7, 121))
	s := Shape{Models: models, Backends: []Backend{{Name: "native_cpu_q4_0", Kind: "native", BytesFactor: 1}}, Reps: reps, GenTokens: 64}
	for _, gen := range gens {
		s.Scenarios = append(s.Scenarios, Scenario{Name: fmt.Sprintf("gen%d", gen), Prompt: LengthPrompt})
	}
	run := &runs.Run{Harness: runs.HarnessLLMScale, Manifest: manifest(s)}
	task := 0
	for _, m := range models {
		for i, gen := range gens {
			for rep := range reps {
				base := s.record(s.Backends[0], m, s.Scenarios[i], gen)
				base.TaskIdx, base.CallIdx, base.Rep = task, rep, &rep
				base.WeightType, base.Architecture = "q4_0", "llama"
				factor := math.Exp(noise * rng.NormFloat64())
				prefill, decode := m.TokenMS*4*factor, fixedMS*factor
				for pos := range gen {
					ms := m.TokenMS * (1 + growth*float64(pos)) * factor
					decode += ms
					base.TokenNS = append(base.TokenNS, int64(ms*1e6))
				}
				base.PrefillMS, base.KVDecodeMS, base.E2EKVMS = new(prefill), new(decode), new(prefill+decode)
				run.Rows = append(run.Rows, modes(base)...)
			}
			task++
		}
	}
	return analysis.Analyze(run, cells.Options{})
}
