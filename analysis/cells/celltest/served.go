package celltest

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Served is a made-up run of native backends and of Ollama's on the same files. Of
// native, call i of a model takes (1 + jitter(i)) of the model's times.
type Served struct {
	Models, Reps, gen int
	Native, Ollama    []string
	Scenarios         []ServedScenario
	TokenMS           func(model int) float64               // native decode per token, without sampling
	GapMS             func(phase string, model int) float64 // what Ollama takes more: per token of decode, per call of prefill
	Edit              func(r *record.Record, call bool)     // of an Ollama call, and then of each of its records
}

type ServedScenario struct {
	Name   string
	Prompt int
	Text   string
}

const (
	ServedSampling = 0.05 // ms, of each token
	ServedHTTP     = 1.5  // ms, of each call
	ServedLoad     = 4.0
	ServedTokenize = 0.25
	ServedRest     = 0.2 // ms, of each token and of the first
)

func (s Served) Rows() []runs.Row {
	var rows []runs.Row
	task := 0
	backends := slices.Concat(s.Native, s.Ollama)
	for _, backend := range backends {
		for m := range s.Models {
			for _, sc := range s.Scenarios {
				for call := range s.Reps + 1 {
					rows = append(rows, s.call(backend, sc, m, call, task)...)
				}
				task++
			}
		}
	}
	for i := range rows {
		rows[i].Line = i + 1
	}
	return rows
}

func (s Served) call(backend string, sc ServedScenario, m, call, task int) []runs.Row {
	kind := cells.KindNative
	if slices.Contains(s.Ollama, backend) {
		kind = cells.KindOllama
	}
	name := fmt.Sprintf("m%02d", m)
	size := float64(int(10) << m)
	base := record.Record{
		Origin: record.Origin{SchemaVersion: 1, RunID: "r", TaskIdx: task},
		Subject: record.Subject{Scenario: sc.Name, Backend: backend, BackendKind: kind, Model: name, ModelKind: "synth",
			ModelFile: name + "-f32.gguf", ModelSHA256: new("sha of " + name), ParamsMillions: size, GenTokensTarget: s.gen, BatchSizeConfig: 1},
		Outcome: record.Outcome{CallIdx: call, IsWarmup: call == 0, Status: record.StatusOK},
	}
	base.ModelFacts = record.ModelFacts{WeightType: "f32", Architecture: "gpt2", NLayer: 2 + m, NEmbd: 64 * (m + 1), NVocab: 50257, ParamsTotal: int64(size * 1e6), BytesPerToken: int64(4e6 * size)}
	base.RuntimeFacts = record.RuntimeFacts{Device: "cpu", NThreads: new(2), NThreadsBatch: new(2), FlashAttention: "auto", NUBatch: 512, KVTypeK: "f16", UseMmap: true, LlamaCommit: "ec98e2002"}
	if call == 0 {
		base.WarmupIdx = new(0)
	} else {
		base.Rep = new(call - 1)
	}
	if sc.Text != "" {
		base.Prompt = &sc.Text
	}
	factor := 1 + Jitter(call)
	decode := s.TokenMS(m) * float64(s.gen) * factor
	prefill := s.TokenMS(m) * float64(sc.Prompt) / 8 * factor
	base.SeqLen, base.PromptTokensRaw, base.GenTokensRaw, base.GenTokens, base.BatchSize = new(sc.Prompt), new(sc.Prompt), new(s.gen), new(s.gen), new(1)
	if kind == cells.KindNative {
		sampling := ServedSampling * float64(s.gen)
		base.Measurement.PrefillMS, base.DecodeNoSampMS, base.KVDecodeMS = &prefill, &decode, new(decode+sampling)
		base.TTFTMS, base.E2EKVMS, base.E2EGapPercent = new(prefill+ServedSampling), new(prefill+decode+sampling+ServedSampling), new(0.1)
		base.FirstSamplingNS = new(int64(1e6 * ServedSampling))
		for range s.gen {
			base.TokenSamplingNS = append(base.TokenSamplingNS, int64(1e6*ServedSampling))
		}
	} else {
		prefill += s.GapMS(record.ModePrefill, m)
		decode += s.GapMS(record.ModeDecode, m) * float64(s.gen)
		total := ServedLoad + ServedTokenize + prefill + decode + ServedRest*float64(s.gen+1)
		base.Measurement.PrefillMS, base.DecodeNoSampMS, base.KVDecodeMS = &prefill, &decode, &decode
		base.TTFTMS, base.E2EKVMS = new(ServedHTTP+ServedLoad+ServedTokenize+prefill+ServedRest), new(total+ServedHTTP-0.1)
		base.E2EGapPercent, base.TokenizeMS = new(40.0), new(ServedTokenize)
		base.FlashAttention, base.KVTypeK, base.LlamaCommit = "server", "server", ""
		base.OllamaWallMS, base.OllamaTotalMS, base.OllamaLoadMS = new(total+ServedHTTP), &total, new(ServedLoad)
		base.OllamaPromptEvalMS, base.OllamaEvalMS = &prefill, &decode
		base.OllamaProjected, base.DecodeEquivMS, base.E2EEquivMS, base.GenTokensEquiv = new(false), &decode, base.E2EKVMS, new(s.gen)
		base.OllamaWeights = new("SHA of " + name)
		base.OllamaDiffers = []string{"flash_attn: the server decides"}
		for range s.gen {
			base.OllamaInterTokenNS = append(base.OllamaInterTokenNS, int64(1e6*(decode/float64(s.gen)+ServedRest)))
		}
		base.OllamaPieceNS = arrivals(*base.TTFTMS, base.OllamaInterTokenNS)
		if s.Edit != nil {
			s.Edit(&base, true)
		}
	}
	var out []runs.Row
	for _, mode := range record.Modes {
		r := runs.RowOf(base)
		r.Mode = mode
		r.LatencyMS = map[string]*float64{record.ModePrefill: r.PrefillMS, record.ModeDecode: r.KVDecodeMS, record.ModeE2E: r.E2EKVMS}[mode]
		if mode == record.ModeDecode && r.DecodeEquivMS != nil {
			r.LatencyMS = r.DecodeEquivMS
		}
		if kind == cells.KindOllama && s.Edit != nil {
			rec := r.Record()
			s.Edit(&rec, false)
			r = runs.RowOf(rec)
		}
		out = append(out, r)
	}
	return out
}

var ServedPlan = Served{Models: 5, Reps: 6, gen: 16, Native: []string{"native"}, Ollama: []string{"ollama"},
	Scenarios: []ServedScenario{{Name: "p128", Prompt: 128}, {Name: "p256", Prompt: 256}, {Name: "p512", Prompt: 512}},
	TokenMS:   func(m int) float64 { return math.Pow(2, float64(m)) },
	GapMS:     func(string, int) float64 { return 0 }}

// arrivals are the times of pieces with gaps between them.
func arrivals(firstMS float64, gaps []int64) []int64 {
	at := []int64{int64(firstMS * 1e6)}
	for _, gap := range gaps {
		at = append(at, at[len(at)-1]+gap)
	}
	return at
}

// Cached is an Edit: the server had the prompts of p128 in its cache, and that of one
// call of p256.
func Cached(r *record.Record, all bool) {
	if all || r.Scenario == "p512" || r.Scenario == "p256" && r.CallIdx != 1 {
		return
	}
	if r.Mode != record.ModeDecode {
		r.Verdict, r.VerdictReasons = new(record.VerdictInvalid), []string{"prefill: an earlier prompt of this load begins alike, so 128 of the prompt's 128 tokens were cached and not evaluated"}
		r.PrefillMS, r.OllamaPromptEvalMS, r.LatencyMS, r.TTFTMS, r.OllamaWallMS = new(1e-3), new(1e-3), new(1e-3), new(1e-3), new(1e-3)
	}
}

// Halved is an Edit: every second answer has half the length and is scaled to the whole.
func Halved(r *record.Record, all bool) {
	if !all || r.CallIdx%2 == 0 {
		return
	}
	half := *r.KVDecodeMS / 2
	r.OllamaProjected, r.DecodeEquivMS, r.KVDecodeMS, r.OllamaEvalMS = new(true), new(2*half), &half, &half
	// The 8th step gave the end-of-text token, which is not sent: 8 pieces, 7 times between them.
	r.GenTokensRaw, r.GenTokens, r.OllamaInterTokenNS, r.OllamaPieceNS, r.OllamaDoneReason = new(8), new(8), r.OllamaInterTokenNS[:7], r.OllamaPieceNS[:8], new("stop")
}
