package crosscheck

import (
	"fmt"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Parts take the time of a call through Ollama's API apart, beside the same
// work done natively. Times are medians over the calls that have all of them, ran to
// the target length and count as end-to-end times.
type Parts struct {
	Subject
	GenTokens *float64 `json:"gen_tokens" unit:"tokens" doc:"tokens decoded"`

	N            int      `json:"ollama_n" unit:"calls" doc:"calls through Ollama"`
	WallMS       *float64 `json:"wall_ms" unit:"ms" doc:"client: from before the request to the end of the stream"`
	HTTPMS       *float64 `json:"http_ms" unit:"ms" doc:"wall less total_duration: HTTP and the client"`
	LoadMS       *float64 `json:"scheduling_ms" unit:"ms" doc:"load_duration of a model that is loaded: scheduling, and reading the metadata of its file again"`
	TokenizeMS   *float64 `json:"tokenize_ms" unit:"ms" doc:"the same text by this program's own tokeniser, in place of the server's, which is not told; empty where it was not timed and is in rest_ms"`
	PromptEvalMS *float64 `json:"prompt_eval_ms" unit:"ms" doc:"prompt_eval_duration"`
	EvalMS       *float64 `json:"eval_ms" unit:"ms" doc:"eval_duration"`
	RestMS       *float64 `json:"rest_ms" unit:"ms" doc:"what is left of total_duration: sampling, making text, JSON, the way between the server and its runner process"`
	PartsMS      *float64 `json:"parts_ms" unit:"ms" doc:"the sum of these medians, from http_ms on"`
	PartsOfWall  *float64 `json:"parts_over_wall" doc:"parts_ms / wall_ms: the parts of each call add up, their medians nearly"`

	NativeN          int      `json:"native_n" unit:"calls" doc:"native calls"`
	NativeE2EMS      *float64 `json:"native_e2e_ms" unit:"ms" doc:"native: median e2e_kv_ms"`
	NativePrefillMS  *float64 `json:"native_prefill_ms" unit:"ms" doc:"native: median prefill"`
	NativeDecodeMS   *float64 `json:"native_decode_ms" unit:"ms" doc:"native: median decode without sampling"`
	NativeSamplingMS *float64 `json:"native_sampling_ms" unit:"ms" doc:"native: median of the sums of first_sampling_ns and token_sampling_ns"`

	AddedMS        *float64 `json:"added_ms" unit:"ms" doc:"wall_ms less native_e2e_ms"`
	AddedPerToken  *float64 `json:"added_ms_per_token" unit:"ms/token" doc:"the same over gen_tokens"`
	ComputeAddedMS *float64 `json:"compute_added_ms" unit:"ms" doc:"of it: prompt_eval_ms and eval_ms less native's prefill and decode"`
	AroundAddedMS  *float64 `json:"around_added_ms" unit:"ms" doc:"of it: everything else less native's sampling"`
	RestPerToken   *float64 `json:"rest_and_http_ms_per_token" csv:"http_and_rest_ms_per_token" unit:"ms/token" doc:"http_ms and rest_ms over gen_tokens: what each token costs beside computing"`
	Reason         string   `json:"reason" doc:"why there are no parts"`
}

// callParts are those of one call, in ms.
type callParts struct{ wall, http, load, tokenize, promptEval, eval, rest float64 }

// partsOf takes a call apart; ok is false where a part is missing or the answer
// ended early, so that it is of other work than native's.
func partsOf(r *runs.Row) (p callParts, ok bool) {
	for _, v := range []*float64{r.OllamaWallMS, r.OllamaTotalMS, r.OllamaLoadMS, r.OllamaPromptEvalMS, r.OllamaEvalMS} {
		if v == nil || *v < 0 || !(*v < runs.MaxLatencyMS) {
			return p, false
		}
	}
	if r.OllamaProjected != nil && *r.OllamaProjected {
		return p, false
	}
	p = callParts{wall: *r.OllamaWallMS, http: *r.OllamaWallMS - *r.OllamaTotalMS, load: *r.OllamaLoadMS, promptEval: *r.OllamaPromptEvalMS, eval: *r.OllamaEvalMS}
	if r.TokenizeMS != nil {
		p.tokenize = *r.TokenizeMS
	}
	p.rest = *r.OllamaTotalMS - p.load - p.promptEval - p.eval - p.tokenize
	return p, true
}

// takeApart says where the time of a call through Ollama goes.
func (a *Answer) takeApart(set *cells.Set, p *served, scenario string) {
	ollama, native := set.RowsOf(p.ollama, p.o.Name, scenario, record.ModeE2E), set.RowsOf(p.native, p.n.Name, scenario, record.ModeE2E)
	if len(ollama) == 0 || len(native) == 0 {
		return
	}
	g := Parts{Subject: p.in(scenario), GenTokens: cells.MedianField(native, func(r *runs.Row) *float64 { return cells.Float(r.AnswerTokens()) })}
	g.native(native)
	g.ollama(ollama)
	g.added()
	a.Parts = append(a.Parts, g)
}

// native takes native's calls apart.
func (g *Parts) native(rows []*runs.Row) {
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

func (g *Parts) ollama(rows []*runs.Row) {
	var parts []callParts
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
	of := func(f func(callParts) float64) *float64 { return stats.MedianOf(stats.Map(parts, f)) }
	g.WallMS = of(func(p callParts) float64 { return p.wall })
	g.HTTPMS = of(func(p callParts) float64 { return p.http })
	g.LoadMS = of(func(p callParts) float64 { return p.load })
	g.PromptEvalMS = of(func(p callParts) float64 { return p.promptEval })
	g.EvalMS = of(func(p callParts) float64 { return p.eval })
	g.RestMS = of(func(p callParts) float64 { return p.rest })
	sum := *g.HTTPMS + *g.LoadMS + *g.PromptEvalMS + *g.EvalMS + *g.RestMS
	if tokenized == g.N {
		g.TokenizeMS = of(func(p callParts) float64 { return p.tokenize })
		sum += *g.TokenizeMS
	}
	g.PartsMS = stats.Finite(sum)
	g.PartsOfWall = stats.Ratio(g.PartsMS, g.WallMS)
}

// added sets the two beside each other.
func (g *Parts) added() {
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
	g.AddedPerToken = stats.Ratio(g.AddedMS, g.GenTokens)
	compute := plus(g.PromptEvalMS, g.EvalMS)
	g.ComputeAddedMS = minus(compute, plus(g.NativePrefillMS, g.NativeDecodeMS))
	g.AroundAddedMS = minus(minus(g.WallMS, compute), g.NativeSamplingMS)
	g.RestPerToken = stats.Ratio(plus(g.HTTPMS, g.RestMS), g.GenTokens)
}
