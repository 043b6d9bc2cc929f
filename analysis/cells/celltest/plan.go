package celltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Plan describes a synthetic llmscale run: ladders of models, of which decode
// takes perToken(i) ms for model i.
type Plan struct {
	Models, Reps, Gen int
	Backends          []string
	Scenarios         []string
	PerToken          func(model int) float64
	Tail              func(model int) float64 // factor of each tenth token; nil: none
	Fails             func(model int) string  // status of all of its cells; nil or "": ok
	Facts             func(model int, f *record.ModelFacts)
}

// Ladder is eight sizes, each twice the one before, with decode time in
// proportion to size to the power 0.8.
var Ladder = Plan{Models: 8, Reps: 7, Gen: 64, Backends: []string{"cpu"}, Scenarios: []string{"p1", "p9"},
	PerToken: func(m int) float64 { return math.Pow(math.Pow(2, float64(m)), 0.8) }}

// Rows makes the run's records, shuffled as a run is.
func (p Plan) Rows(seed uint64) []runs.Row {
	rng := rand.New(rand.NewPCG(seed, 1))
	var rows []runs.Row
	task := 0
	for _, backend := range p.Backends {
		for m := range p.Models {
			for _, scenario := range p.Scenarios {
				for call := range p.Reps + 1 {
					rows = append(rows, p.Call(rng, backend, scenario, m, call, task)...)
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

func (p Plan) Call(rng *rand.Rand, backend, scenario string, m, call, task int) []runs.Row {
	params := int64(5e6) << m
	base := record.Record{
		Origin: record.Origin{SchemaVersion: 1, RunID: "r", TaskIdx: task},
		Subject: record.Subject{Scenario: scenario, Backend: backend, BackendKind: "native",
			Model: fmt.Sprintf("m%02d", m), ModelKind: "synth", ParamsMillions: float64(params) / 1e6, GenTokensTarget: p.Gen, BatchSizeConfig: 1},
		Outcome: record.Outcome{CallIdx: call, IsWarmup: call == 0, Status: record.StatusOK},
	}
	base.ModelFacts = record.ModelFacts{WeightType: "f32", Architecture: "gpt2", NLayer: 2 + m, NEmbd: 64 * (m + 1), NHead: 2, NVocab: 50257,
		ParamsTotal: params, ParamsNonEmbedding: params / 4 * 3, ParamsActive: params, BytesPerToken: 4 * params}
	base.RuntimeFacts = record.RuntimeFacts{Device: "cpu", NThreads: new(2), LlamaCommit: "c"}
	if p.Facts != nil {
		p.Facts(m, &base.ModelFacts)
	}
	if call == 0 {
		base.WarmupIdx = new(0)
	} else {
		base.Rep = new(call - 1)
	}
	if p.Fails != nil && p.Fails(m) != "" {
		base.Status, base.Error, base.Signal = p.Fails(m), new("no room"), new("SIGKILL")
	} else {
		prefill := p.PerToken(m) * 3
		decode := 0.0
		for i := range p.Gen {
			ms := p.PerToken(m) * (1 + 0.02*rng.Float64())
			if p.Tail != nil && i%10 == 9 {
				ms *= p.Tail(m)
			}
			base.TokenNS = append(base.TokenNS, int64(ms*1e6))
			decode += ms
		}
		base.Measurement.PrefillMS, base.KVDecodeMS, base.E2EKVMS = new(prefill), new(decode), new(prefill+decode)
		base.E2EGapPercent, base.RSSPeakMiB, base.LogitsFinite = new(0.1), new(100.0), new(true)
		base.SeqLen, base.PromptTokensRaw, base.GenTokensRaw, base.GenTokens, base.BatchSize = new(9), new(9), new(p.Gen), new(p.Gen), new(1)
	}
	return Modes(base)
}

// Modes are the records of a call, with what each mode has of its times.
func Modes(base record.Record) []runs.Row {
	var out []runs.Row
	for _, mode := range record.Modes {
		r := runs.RowOf(base)
		r.Mode = mode
		switch {
		case r.Status != record.StatusOK:
		case mode == record.ModePrefill:
			r.LatencyMS, r.TokensTotal = r.PrefillMS, r.PromptTokensRaw
		case mode == record.ModeDecode:
			r.LatencyMS, r.TokensTotal = r.KVDecodeMS, r.GenTokensRaw
		case mode == record.ModeE2E:
			r.LatencyMS, r.TokensTotal = r.E2EKVMS, new(*r.PromptTokensRaw+*r.GenTokensRaw)
		}
		out = append(out, r)
	}
	return out
}

// Blocks makes the run's records of so many blocks, each with times of its own, by
// which multiplies every time of a record. Calls have a canary of 2 and 3 ms.
func (p Plan) Blocks(blocks int, by func(block int, r *runs.Row) float64) (rows []runs.Row) {
	for b := range blocks {
		for _, r := range p.Rows(uint64(b) + 1) {
			r.Replicate, r.Line, r.OrderIdx = b, len(rows)+1, len(rows)/len(record.Modes)
			r.StartedAt = 1e9 + 10*float64(r.OrderIdx)
			r.CanaryReadMS, r.CanaryComputeMS = new(2.0), new(3.0)
			if by != nil && r.OK() {
				Stretch(&r, by(b, &r))
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// Stretch multiplies all times of a record.
func Stretch(r *runs.Row, by float64) {
	for _, ms := range []**float64{&r.LatencyMS, &r.PrefillMS, &r.KVDecodeMS, &r.E2EKVMS} {
		if *ms != nil {
			*ms = new(**ms * by)
		}
	}
	r.TokenNS = slices.Clone(r.TokenNS) // the modes of a call share it
	for i := range r.TokenNS {
		r.TokenNS[i] = int64(float64(r.TokenNS[i]) * by)
	}
}
