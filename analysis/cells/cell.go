package cells

import (
	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

func (c *Cell) Series() Series { return Series{c.Backend, c.BatchSize} }

// Spread is the standard deviation over the mean; 0 for one sample, of which
// nothing is known.
func (c *Cell) Spread() float64 {
	if c.StdDevMS == nil {
		return 0
	}
	return *c.StdDevMS / c.MeanMS
}

func Latencies(rows []*runs.Row) []float64 {
	return stats.Map(rows, func(r *runs.Row) float64 { ms, _ := r.Latency(); return ms })
}

// MedianField is the median of a field over the records that have it.
func MedianField(rows []*runs.Row, field func(*runs.Row) *float64) *float64 {
	var xs []float64
	for _, r := range rows {
		if v := field(r); v != nil && stats.Finite(*v) != nil {
			xs = append(xs, *v)
		}
	}
	return stats.MedianOf(xs)
}

func Float(v *int) *float64 {
	if v == nil {
		return nil
	}
	return new(float64(*v))
}

// promptCompute counts the prompt tokens that were computed, padding included:
// batch * seq_len, as TR121.
func promptCompute(r *runs.Row) *float64 {
	if r.SeqLen != nil {
		return new(float64(r.Sequences() * *r.SeqLen))
	}
	return Float(r.PromptTokensRaw)
}

func tokensCompute(r *runs.Row) *float64 {
	prompt := promptCompute(r)
	switch r.Mode {
	case record.ModePrefill:
		return prompt
	case record.ModeE2E:
		gen := r.AnswerTokens()
		if prompt == nil || gen == nil {
			return nil
		}
		return new(*prompt + float64(r.Sequences()**gen))
	}
	return Float(r.TokensTotal)
}

// promptTokens counts the prompt's own tokens over the batch.
func promptTokens(r *runs.Row) *float64 {
	gen := r.AnswerTokens()
	switch {
	case r.Mode == record.ModePrefill && r.TokensTotal != nil:
		return Float(r.TokensTotal)
	case r.Mode == record.ModeE2E && r.TokensTotal != nil && gen != nil:
		return new(float64(*r.TokensTotal - r.Sequences()**gen))
	}
	return Float(r.PromptTokensRaw)
}

func rate(tokens *float64, r *runs.Row) *float64 {
	ms, ok := r.Latency()
	if tokens == nil || !ok {
		return nil
	}
	return new(*tokens / (ms / 1000))
}

func known(xs []*float64) []float64 {
	var out []float64
	for _, x := range xs {
		if x != nil {
			out = append(out, *x)
		}
	}
	return out
}

func cellField(cells []Cell, f func(*Cell) *float64) []float64 {
	var out []*float64
	for i := range cells {
		out = append(out, f(&cells[i]))
	}
	return known(out)
}

// Values are a field's, of the calls that have it as a time.
func Values(rows []*runs.Row, field func(*runs.Row) *float64) []float64 {
	var out []float64
	for _, r := range rows {
		if v := field(r); v != nil && *v > runs.MinLatencyMS && *v < runs.MaxLatencyMS {
			out = append(out, *v)
		}
	}
	return out
}

// AnswerTokens is the number of tokens per sequence that a record's decode time
// stands for; 0 where it is unknown.
func AnswerTokens(r *runs.Row) int {
	if gen := r.AnswerTokens(); gen != nil {
		return max(0, *gen)
	}
	return max(0, r.GenTokensTarget)
}

// PromptEach is the length of one sequence's prompt; nil where it is unknown.
func (c *Cell) PromptEach() *float64 {
	if c.PromptTokens == nil {
		return nil
	}
	return new(*c.PromptTokens / float64(max(1, c.BatchSize)))
}

// AnswerTokens is the number of tokens per sequence that the cell's decode time
// stands for; nil where it is unknown.
func (c *Cell) AnswerTokens() *float64 {
	if c.GenTokens != nil {
		return c.GenTokens
	}
	return c.GenTokensTarget
}

func RawTokens(r *runs.Row) *float64 { return Float(r.GenTokensRaw) }

func Target(r *runs.Row) *float64 {
	if r.GenTokensTarget <= 0 {
		return nil
	}
	return new(float64(r.GenTokensTarget))
}

// Cell summarises the calls of one backend x model x scenario x mode.
type Cell struct {
	Backend     string   `json:"backend"`
	BackendKind string   `json:"backend_kind"`
	BatchSize   int      `json:"batch_size"`
	Model       string   `json:"model"`
	ModelKind   string   `json:"model_kind"`
	ParamsM     *float64 `json:"params_millions_effective"`
	Scenario    string   `json:"scenario"`
	Mode        string   `json:"mode"`
	Depth       int      `json:"depth,omitempty"` // tokens in the KV cache before the call
	Pace        string   `json:"pace,omitempty"`  // hot or cold; "" of runs before there was either

	N           int              `json:"n"`
	LatenciesMS []float64        `json:"latencies_ms"` // raw, in run order
	MeanMS      float64          `json:"latency_mean_ms"`
	MedianMS    float64          `json:"latency_median_ms"`
	MinMS       float64          `json:"latency_min_ms"`
	MaxMS       float64          `json:"latency_max_ms"`
	StdDevMS    *float64         `json:"latency_stddev_ms"` // nil for one sample
	P95MS       stats.Percentile `json:"latency_p95_ms"`
	P99MS       stats.Percentile `json:"latency_p99_ms"`

	TokensPerS        *float64 `json:"tokens_per_s_median"`
	TokensPerSCompute *float64 `json:"tokens_per_s_compute_median"` // counts padding, as TR121
	TokensTotal       *float64 `json:"tokens_total_median"`
	TokensCompute     *float64 `json:"tokens_total_compute_median"`
	PromptTokens      *float64 `json:"prompt_tokens_median"`
	PromptTokensRaw   *float64 `json:"prompt_tokens_raw_median"`
	PromptCompute     *float64 `json:"prompt_tokens_compute_median"`
	GenTokens         *float64 `json:"gen_tokens_median"`
	GenTokensRaw      *float64 `json:"gen_tokens_raw_median"`
	GenTokensTarget   *float64 `json:"gen_tokens_target_median"`
	CUDAEventMS       *float64 `json:"cuda_event_median_ms"`
	GPUPeakMB         *float64 `json:"gpu_peak_mb_median"` // MiB
	OllamaLoadMS      *float64 `json:"ollama_load_ms_median"`
	E2EGapPercent     *float64 `json:"e2e_gap_pct_median"`  // e2e rows only; not of Ollama's, which hold HTTP and sampling
	RSSPeakMiB        *float64 `json:"rss_peak_mib_max"`    // over the cell's calls
	MSPerToken        *float64 `json:"ms_per_token_median"` // decode: median latency / target tokens
	TTFTMS            *float64 `json:"ttft_ms_median"`      // prefill rows only: prefill and the first argmax

	PrefillColdMS *float64 `json:"prefill_cold_ms_median,omitempty"` // prefill rows of pace hot: the first prefill after the pause between calls
}

func (set *Set) summarise() {
	set.EachCell(func(k Key, m *Model, g *Group) {
		if len(g.Rows) == 0 {
			return
		}
		ms := Latencies(g.Rows)
		s := stats.Sorted(ms)
		c := Cell{
			Backend: k.Backend, BackendKind: m.BackendKind, BatchSize: k.BatchSize, Model: m.Name, ModelKind: m.Kind,
			ParamsM: m.ParamsMillions, Scenario: k.Scenario, Mode: k.Mode, Depth: g.Rows[0].DepthTokens(), Pace: g.Rows[0].PaceText(),
			N: len(ms), LatenciesMS: ms,
			MeanMS: stat.Mean(ms, nil), MedianMS: stats.QuantileSorted(s, 0.5), MinMS: s[0], MaxMS: s[len(s)-1],
			P95MS: stats.PercentileSorted(s, 0.95, stats.NeedP95), P99MS: stats.PercentileSorted(s, 0.99, stats.NeedP99),

			TokensPerS: MedianField(g.Rows, func(r *runs.Row) *float64 {
				if r.TokensPerS != nil {
					return r.TokensPerS
				}
				return rate(Float(r.TokensTotal), r)
			}),
			TokensPerSCompute: MedianField(g.Rows, func(r *runs.Row) *float64 { return rate(tokensCompute(r), r) }),
			TokensTotal:       MedianField(g.Rows, func(r *runs.Row) *float64 { return Float(r.TokensTotal) }),
			TokensCompute:     MedianField(g.Rows, tokensCompute),
			PromptTokens:      MedianField(g.Rows, promptTokens),
			PromptTokensRaw:   MedianField(g.Rows, func(r *runs.Row) *float64 { return Float(r.PromptTokensRaw) }),
			PromptCompute:     MedianField(g.Rows, promptCompute),
			GenTokens:         MedianField(g.Rows, func(r *runs.Row) *float64 { return Float(r.AnswerTokens()) }),
			GenTokensRaw:      MedianField(g.Rows, RawTokens),
			GenTokensTarget:   MedianField(g.Rows, Target),
			CUDAEventMS:       MedianField(g.Rows, func(r *runs.Row) *float64 { return r.CUDAEventMS }),
			GPUPeakMB:         MedianField(g.Rows, func(r *runs.Row) *float64 { return r.GPUPeakMB }),
			OllamaLoadMS:      MedianField(g.Rows, func(r *runs.Row) *float64 { return r.OllamaLoadMS }),
		}
		if len(ms) > 1 {
			c.StdDevMS = stats.Finite(stat.StdDev(ms, nil))
		}
		if k.Mode == record.ModeE2E && m.BackendKind != KindOllama {
			c.E2EGapPercent = MedianField(g.Rows, func(r *runs.Row) *float64 { return r.E2EGapPercent })
		}
		if k.Mode == record.ModePrefill {
			c.TTFTMS = MedianField(g.Rows, func(r *runs.Row) *float64 { return r.TTFTMS })
			c.PrefillColdMS = MedianField(g.Rows, func(r *runs.Row) *float64 { return r.PrefillColdMS })
		}
		for _, r := range g.Rows {
			if v := r.RSSPeakMiB; v != nil && (c.RSSPeakMiB == nil || *v > *c.RSSPeakMiB) {
				c.RSSPeakMiB = v
			}
		}
		if k.Mode == record.ModeDecode && c.GenTokens != nil && *c.GenTokens > 0 {
			c.MSPerToken = new(c.MedianMS / *c.GenTokens)
		}
		set.cells[k] = len(set.Cells)
		set.Cells = append(set.Cells, c)
	})
}
