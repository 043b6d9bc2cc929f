package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Sizes of made-up series, in millions.
var (
	gpt2Sizes   = []float64{0.102714, 5.03672, 11.18, 25.016064, 45.1712, 51.475968, 74.824704, 96.08832, 124.439808}
	ladderSizes = []float64{4.852, 8.738, 14.41, 32.51, 62.03, 133.9, 296.3, 555.6, 1176, 2343, 4734, 9896, 20390}
)

func evenly(n int, factor float64) (out []float64) {
	for i := range n {
		out = append(out, 5*math.Pow(factor, float64(i)))
	}
	return out
}

// madeUp is a series of models of which the true time is known.
type madeUp struct {
	sizes   []float64 // millions of parameters
	ms      func(x float64) float64
	calls   int
	callSD  float64 // relative scatter of one call
	modelSD float64 // relative scatter of a model about the law, the same for all of its calls
}

// rows are the records of a series, as the loader gives them.
func (m madeUp) rows(rng *rand.Rand) (out []runs.Row) {
	for i, x := range m.sizes {
		params := int64(math.Round(x * 1e6))
		own := m.ms(x) * math.Exp(m.modelSD*rng.NormFloat64())
		for call := range m.calls {
			ms, rep := own*math.Exp(m.callSD*rng.NormFloat64()), call
			r := runs.RowOf(record.Record{
				Origin: record.Origin{SchemaVersion: 1, RunID: "made-up", TaskIdx: i},
				Subject: record.Subject{Scenario: "p", Backend: "cpu", BackendKind: "native",
					Model: fmt.Sprintf("m%02d", i), ParamsMillions: x, GenTokensTarget: 32},
				Outcome: record.Outcome{CallIdx: call, Rep: &rep, Status: record.StatusOK, Mode: record.ModeDecode},
			})
			r.Line = len(out) + 1
			r.ModelFacts = record.ModelFacts{WeightType: "f32", Architecture: "llama", NLayer: 2 + i*i%5, NEmbd: 64, ParamsTotal: params, ParamsNonEmbedding: params, ParamsActive: params, BytesPerToken: 4 * params}
			gen := 32
			r.KVDecodeMS, r.LatencyMS, r.GenTokens, r.GenTokensRaw = &ms, &ms, &gen, &gen
			out = append(out, r)
		}
	}
	return out
}

// analyze takes a series through the analysis.
func (m madeUp) analyze(t testing.TB, rng *rand.Rand) *analysis.Result {
	t.Helper()
	r, err := analysis.Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: m.rows(rng)}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
