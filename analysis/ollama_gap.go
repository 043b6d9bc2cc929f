package analysis

import (
	"fmt"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// OllamaGap takes the time of a call through Ollama's API apart, beside the same
// work done natively. Times are medians over the calls that have all of them, ran to
// the target length and count as end-to-end times.
type OllamaGap struct {
	Native    string   `json:"native_backend"`
	Ollama    string   `json:"ollama_backend"`
	BatchSize int      `json:"batch_size"`
	Model     string   `json:"model"`
	ParamsM   *float64 `json:"params_millions_effective"`
	Scenario  string   `json:"scenario"`
	GenTokens *float64 `json:"gen_tokens"`

	N            int      `json:"ollama_n"`
	WallMS       *float64 `json:"wall_ms"`        // client: from before the request to the end of the stream
	HTTPMS       *float64 `json:"http_ms"`        // wall less total_duration
	LoadMS       *float64 `json:"scheduling_ms"`  // load_duration of a loaded model: scheduling, and reading the metadata of its file again
	TokenizeMS   *float64 `json:"tokenize_ms"`    // the prompt by our own tokeniser; nil: not timed, and in RestMS
	PromptEvalMS *float64 `json:"prompt_eval_ms"` // prompt_eval_duration
	EvalMS       *float64 `json:"eval_ms"`        // eval_duration
	RestMS       *float64 `json:"rest_ms"`        // of total_duration: sampling, making text, JSON, the way between server and runner
	PartsMS      *float64 `json:"parts_ms"`       // the sum of these medians
	PartsOfWall  *float64 `json:"parts_over_wall"`

	NativeN          int      `json:"native_n"`
	NativeE2EMS      *float64 `json:"native_e2e_ms"`
	NativePrefillMS  *float64 `json:"native_prefill_ms"`
	NativeDecodeMS   *float64 `json:"native_decode_ms"` // without sampling
	NativeSamplingMS *float64 `json:"native_sampling_ms"`

	AddedMS        *float64 `json:"added_ms"`                   // wall less native end to end
	AddedPerToken  *float64 `json:"added_ms_per_token"`         // over GenTokens
	ComputeAddedMS *float64 `json:"compute_added_ms"`           // of it: prompt_eval and eval less native prefill and decode
	AroundAddedMS  *float64 `json:"around_added_ms"`            // of it: all other parts less native sampling
	RestPerToken   *float64 `json:"rest_and_http_ms_per_token"` // HTTP and the rest, which hold what each token costs beside computing
	Reason         string   `json:"reason"`                     // why there are no parts
}

// ollamaParts are those of one call, in ms.
type ollamaParts struct{ wall, http, load, tokenize, promptEval, eval, rest float64 }

// partsOf takes a call apart; ok is false where a part is missing or the answer
// ended early, so that it is of other work than native's.
func partsOf(r *runs.Row) (p ollamaParts, ok bool) {
	for _, v := range []*float64{r.OllamaWallMS, r.OllamaTotalMS, r.OllamaLoadMS, r.OllamaPromptEvalMS, r.OllamaEvalMS} {
		if v == nil || *v < 0 || !(*v < runs.MaxLatencyMS) {
			return p, false
		}
	}
	if r.OllamaProjected != nil && *r.OllamaProjected {
		return p, false
	}
	p = ollamaParts{wall: *r.OllamaWallMS, http: *r.OllamaWallMS - *r.OllamaTotalMS, load: *r.OllamaLoadMS, promptEval: *r.OllamaPromptEvalMS, eval: *r.OllamaEvalMS}
	if r.TokenizeMS != nil {
		p.tokenize = *r.TokenizeMS
	}
	p.rest = *r.OllamaTotalMS - p.load - p.promptEval - p.eval - p.tokenize
	return p, true
}

// ollamaGaps says where the time of a call through Ollama goes.
func (a *analyzer) ollamaGaps() {
	for _, p := range a.pairs() {
		for _, sc := range a.Scenarios {
			ollama, native := a.RowsOf(p.ollama, p.o.Name, sc, record.ModeE2E), a.RowsOf(p.native, p.n.Name, sc, record.ModeE2E)
			if len(ollama) == 0 || len(native) == 0 {
				continue
			}
			g := OllamaGap{Native: p.native.Backend, Ollama: p.ollama.Backend, BatchSize: p.native.BatchSize, Model: p.n.Name, ParamsM: p.n.ParamsMillions, Scenario: sc,
				GenTokens: cells.MedianField(native, func(r *runs.Row) *float64 { return cells.Float(r.AnswerTokens()) })}
			g.native(native)
			g.ollama(ollama)
			g.added()
			a.res.OllamaGaps = append(a.res.OllamaGaps, g)
		}
	}
}

// native takes native's calls apart.
func (g *OllamaGap) native(rows []*runs.Row) {
	g.NativeN = len(rows)
	g.NativeE2EMS = cells.MedianField(rows, func(r *runs.Row) *float64 { return r.E2EKVMS })
	g.NativePrefillMS, g.NativeDecodeMS = cells.MedianField(rows, prefillMS), cells.MedianField(rows, decodeNoSamplingMS)
	g.NativeSamplingMS = cells.MedianField(rows, func(r *runs.Row) *float64 {
		if len(r.TokenSamplingNS) == 0 || r.FirstSamplingNS == nil {
			return nil
		}
		sum := *r.FirstSamplingNS
		for _, ns := range r.TokenSamplingNS {
			sum += ns
		}
		return new(float64(sum) / 1e6)
	})
}

func (g *OllamaGap) ollama(rows []*runs.Row) {
	var parts []ollamaParts
	tokenized := 0
	for _, r := range rows {
		if p, ok := partsOf(r); ok {
			parts = append(parts, p)
			if r.TokenizeMS != nil {
				tokenized++
			}
		}
	}
	if g.N = len(parts); g.N == 0 {
		g.Reason = fmt.Sprintf("of %s none has all parts and ran to the target length", words.Counted(len(rows), "call", "calls"))
		return
	}
	of := func(f func(ollamaParts) float64) *float64 { return stats.MedianOf(stats.Map(parts, f)) }
	g.WallMS = of(func(p ollamaParts) float64 { return p.wall })
	g.HTTPMS = of(func(p ollamaParts) float64 { return p.http })
	g.LoadMS = of(func(p ollamaParts) float64 { return p.load })
	g.PromptEvalMS = of(func(p ollamaParts) float64 { return p.promptEval })
	g.EvalMS = of(func(p ollamaParts) float64 { return p.eval })
	g.RestMS = of(func(p ollamaParts) float64 { return p.rest })
	sum := *g.HTTPMS + *g.LoadMS + *g.PromptEvalMS + *g.EvalMS + *g.RestMS
	if tokenized == g.N {
		g.TokenizeMS = of(func(p ollamaParts) float64 { return p.tokenize })
		sum += *g.TokenizeMS
	}
	g.PartsMS = stats.Finite(sum)
	g.PartsOfWall = ratio(g.PartsMS, g.WallMS)
}

// added sets the two beside each other.
func (g *OllamaGap) added() {
	minus := func(x, y *float64) *float64 {
		if x == nil || y == nil {
			return nil
		}
		return stats.Finite(*x - *y)
	}
	plus := func(x, y *float64) *float64 {
		if x == nil || y == nil {
			return nil
		}
		return stats.Finite(*x + *y)
	}
	g.AddedMS = minus(g.WallMS, g.NativeE2EMS)
	g.AddedPerToken = ratio(g.AddedMS, g.GenTokens)
	compute := plus(g.PromptEvalMS, g.EvalMS)
	g.ComputeAddedMS = minus(compute, plus(g.NativePrefillMS, g.NativeDecodeMS))
	g.AroundAddedMS = minus(minus(g.WallMS, compute), g.NativeSamplingMS)
	g.RestPerToken = ratio(plus(g.HTTPMS, g.RestMS), g.GenTokens)
}
