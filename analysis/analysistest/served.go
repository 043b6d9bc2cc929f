package analysistest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Served says what Ollama takes more than native in a made-up run of both.
type Served struct {
	StepMS       float64 // each decode step, whatever the model
	PrefillShare float64 // of native's prefill
	HTTPMS       float64 // each call
	LoadMS       float64 // each call
	RestMS       float64 // each token
	Banned       bool    // Ollama was told not to repeat tokens
	Bench        bool    // llama-bench measured the models too
}

// Ollama makes up a run of the same files natively and through Ollama's API, and
// analyses it. Its scenario short repeats one text, which the server has in its
// cache; the others are random prompts.
func Ollama(models []Model, s Served, reps int) (*analysis.Result, error) {
	const gen = 32
	text := "Once upon a time"
	scenarios := []Scenario{{"short", 9}, {"p128", 128}, {"p256", 256}, {"p512", 512}}
	rng := rand.New(rand.NewPCG(11, 121))
	shape := Shape{Models: models, Scenarios: scenarios, Reps: reps, GenTokens: gen,
		Backends: []Backend{{Name: "native_cpu_f32", Kind: "native"}, {Name: "ollama_cpu_f32", Kind: "ollama"}}}
	run := &runs.Run{Harness: runs.HarnessLLMScale, Manifest: manifest(shape)}
	noisy := func(ms float64) float64 { return ms * math.Exp(0.02*rng.NormFloat64()) }
	task := 0
	for _, b := range shape.Backends {
		for _, m := range models {
			for _, sc := range scenarios {
				for call := range reps + 1 {
					base := record.Record{
						Origin: record.Origin{SchemaVersion: record.SchemaVersion, RunID: "20260101_120000", TaskIdx: task},
						Outcome: record.Outcome{CallIdx: call, IsWarmup: call == 0,
							Status: record.StatusOK, Attempted: true},
						Subject: record.Subject{Scenario: sc.Name, Backend: b.Name, BackendKind: b.Kind, Model: m.Name, ModelKind: "synth", ModelFile: m.Name + "-f32.gguf", ModelSHA256: new("5ha " + m.Name),
							ParamsMillions: m.ParamsM, GenTokensTarget: gen, BatchSizeConfig: 1},
					}
					base.WeightType, base.Architecture, base.NLayer, base.NEmbd = "f32", "gpt2", 12, 768
					base.ParamsTotal, base.BytesPerToken = int64(m.ParamsM*1e6), int64(m.MBPerToken*1e6)
					base.Device, base.NThreads, base.NThreadsBatch, base.FlashAttention, base.KVTypeK, base.NUBatch = "cpu", new(2), new(2), "auto", "f16", 512
					if call == 0 {
						base.WarmupIdx = new(0)
					} else {
						base.Rep = new(call - 1)
					}
					base.BatchSize, base.SeqLen, base.PromptTokensRaw = new(1), new(sc.Prompt), new(sc.Prompt)
					base.GenTokens, base.GenTokensRaw = new(gen), new(gen)
					if sc.Name == "short" {
						base.Prompt, base.OutputText = &text, new(" there was a king")
						base.OutputPieces = []string{" there", " was", " a", " king"}
					}
					prefill, decode := noisy(m.TokenMS*float64(sc.Prompt)/6), noisy(m.TokenMS*gen)
					if b.Kind == "native" {
						const sampling = 0.02
						base.LlamaCommit = "ec98e2002"
						base.PrefillMS, base.DecodeNoSampMS, base.KVDecodeMS = &prefill, &decode, new(decode+gen*sampling)
						base.TTFTMS, base.E2EKVMS, base.FirstSamplingNS = new(prefill+sampling), new(prefill+decode+(gen+1)*sampling), new(int64(sampling*1e6))
						for range gen {
							base.TokenNS, base.TokenSamplingNS = append(base.TokenNS, int64(decode/gen*1e6)), append(base.TokenSamplingNS, int64(sampling*1e6))
						}
					} else {
						prefill *= 1 + s.PrefillShare
						decode += noisy(s.StepMS) * gen
						rest, tokenize := noisy(s.RestMS)*(gen+1), 0.1
						load, http := noisy(s.LoadMS), noisy(s.HTTPMS)
						total := load + tokenize + prefill + decode + rest
						base.PrefillMS, base.DecodeNoSampMS, base.KVDecodeMS = &prefill, &decode, &decode
						base.TTFTMS, base.E2EKVMS, base.TokenizeMS = new(total-decode-rest+rest/(gen+1)+http), new(total+http), &tokenize
						base.OllamaWallMS, base.OllamaTotalMS, base.OllamaLoadMS, base.OllamaPromptEvalMS, base.OllamaEvalMS = new(total+http), &total, &load, &prefill, &decode
						base.OllamaProjected, base.DecodeEquivMS, base.E2EEquivMS, base.GenTokensEquiv = new(false), &decode, base.E2EKVMS, new(gen)
						base.OllamaWeights = base.ModelSHA256
						base.OllamaDiffers = []string{"flash_attn: the server's OLLAMA_FLASH_ATTENTION decides, and no answer tells it", "kv_type: the server's OLLAMA_KV_CACHE_TYPE decides"}
						base.OllamaPieceNS = []int64{int64(*base.TTFTMS * 1e6)}
						for i := range gen {
							base.OllamaPieceNS = append(base.OllamaPieceNS, base.OllamaPieceNS[i]+int64((decode/gen+rest/(gen+1))*1e6))
							base.OllamaInterTokenNS = append(base.OllamaInterTokenNS, int64((decode/gen+rest/(gen+1))*1e6))
						}
						if s.Banned {
							base.OllamaNotes = []string{"repeats were banned in this answer of more than 30 tokens"}
						} else if base.OutputText != nil && m.Name == models[len(models)-1].Name {
							base.OutputPieces = []string{"there", " was", " an", " old"}
							base.OutputText = new("there was an old")
							base.OllamaInterTokenNS = base.OllamaInterTokenNS[:gen]
						}
					}
					for _, mode := range record.Modes {
						r := runs.RowOf(base)
						r.Mode = mode
						r.LatencyMS = map[string]*float64{record.ModePrefill: r.PrefillMS, record.ModeDecode: r.KVDecodeMS, record.ModeE2E: r.E2EKVMS}[mode]
						if b.Kind == "ollama" && sc.Name == "short" && call > 0 && mode != record.ModeDecode {
							r.Verdict = new(record.VerdictInvalid)
							r.VerdictReasons = []string{"prefill: an earlier prompt of this load begins alike, so 8 of the prompt's 9 tokens were cached and not evaluated"}
						}
						run.Rows = append(run.Rows, r)
					}
				}
				if s.Bench && b.Kind == "native" {
					l := runs.LlamaBench{Line: task + 1, ModelFile: m.Name + "-f32.gguf", Threads: 2, Backends: "CPU", Commit: "0c1e57098", FlashAttn: "auto", KVTypeK: "f16", NUBatch: 512}
					p, d := l, l
					p.Prompt, d.Gen, d.Depth = sc.Prompt, gen, sc.Prompt
					for range reps {
						p.MS, d.MS = append(p.MS, noisy(m.TokenMS*float64(sc.Prompt)/6)), append(d.MS, noisy(m.TokenMS*gen))
					}
					run.LlamaBench = append(run.LlamaBench, p, d)
				}
				task++
			}
		}
	}
	r, err := analysis.Analyze(run, cells.Options{})
	if err != nil {
		return nil, fmt.Errorf("analysistest: %w", err)
	}
	return r, nil
}
