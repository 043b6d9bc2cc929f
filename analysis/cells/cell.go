package cells

import (
	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

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

// typical is what a time of the records is typically, as Times.Typical has it, so that
// it can stand beside a cell's latency.
func typical(rows []*runs.Row, field func(*runs.Row) *float64) *float64 {
	return stats.Finite(TimesOf(rows, field).Typical())
}

// typicalRate is the rate at which the typical call runs: that of its time.
func typicalRate(rows []*runs.Row, perSecond func(*runs.Row) *float64) *float64 {
	ms := typical(rows, func(r *runs.Row) *float64 {
		if v := perSecond(r); v != nil {
			return new(1000 / *v)
		}
		return nil
	})
	if ms == nil {
		return nil
	}
	return new(1000 / *ms)
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

// cellField are the values of a field, of the cells that have it.
func cellField(cells []Cell, f func(*Cell) *float64) (out []float64) {
	for i := range cells {
		if v := f(&cells[i]); v != nil {
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
	Subject
	ModelKind string `json:"model_kind" doc:"how the model came in"`
	Scenario  string `json:"scenario" doc:"name of the scenario"`
	Mode      string `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	Depth     int    `json:"depth,omitempty"` // tokens in the KV cache before the call
	Pace      string `json:"pace,omitempty"`  // hot or cold; "" of runs before there was either

	N           int              `json:"n" unit:"calls" doc:"calls that means and medians are made of"`
	Disturbed   int              `json:"disturbed_calls,omitempty" unit:"calls" doc:"calls behind a canary far off, which are in least, greatest and percentiles, and left out of means and medians where enough processes have others"`
	Replicates  int              `json:"replicates"`   // processes that the median is made of, one in each block
	LatenciesMS []float64        `json:"latencies_ms"` // raw, in run order
	MeanMS      float64          `json:"latency_mean_ms" unit:"ms" doc:"arithmetic mean"`
	MedianMS    float64          `json:"latency_median_ms" unit:"ms" doc:"median; of several replicates the geometric mean of their medians"`
	MinMS       float64          `json:"latency_min_ms" unit:"ms" doc:"fastest call"`
	MaxMS       float64          `json:"latency_max_ms" unit:"ms" doc:"slowest call"`
	StdDevMS    *float64         `json:"latency_stddev_ms" unit:"ms" doc:"sample standard deviation"`
	P95MS       stats.Percentile `json:"latency_p95_ms" unit:"ms" doc:"95th percentile; 'too few' below 130 calls"`
	P99MS       stats.Percentile `json:"latency_p99_ms" unit:"ms" doc:"99th percentile; 'too few' below 662 calls"`

	TokensPerS        *float64 `json:"tokens_per_s_median" unit:"tokens/s" doc:"throughput of the typical call: tokens over latency_median_ms where all calls have as many"`
	TokensPerSCompute *float64 `json:"tokens_per_s_compute_median" unit:"tokens/s" doc:"the same, counting padding"`
	TokensTotal       *float64 `json:"tokens_total_median" unit:"tokens" doc:"tokens of the mode, over the batch"`
	TokensCompute     *float64 `json:"tokens_total_compute_median" unit:"tokens" doc:"the same, counting padding"`
	PromptTokens      *float64 `json:"prompt_tokens_median" unit:"tokens" doc:"prompt tokens, over the batch"`
	PromptTokensRaw   *float64 `json:"prompt_tokens_raw_median" unit:"tokens" doc:"prompt tokens as the backend reports them"`
	PromptCompute     *float64 `json:"prompt_tokens_compute_median" unit:"tokens" doc:"batch size times prompt length"`
	GenTokens         *float64 `json:"gen_tokens_median" unit:"tokens" doc:"tokens that the latency stands for, per sequence"`
	GenTokensRaw      *float64 `json:"gen_tokens_raw_median" unit:"tokens" doc:"tokens really decoded, per sequence"`
	GenTokensTarget   *float64 `json:"gen_tokens_target_median" unit:"tokens" doc:"tokens asked for"`
	CUDAEventMS       *float64 `json:"cuda_event_median_ms" unit:"ms" doc:"device time, as latency_median_ms"`
	GPUPeakMB         *float64 `json:"gpu_peak_mb_median" unit:"MiB" doc:"peak device memory"`
	OllamaLoadMS      *float64 `json:"ollama_load_ms_median" unit:"ms" doc:"Ollama's load_duration"`
	E2EGapPercent     *float64 `json:"e2e_gap_pct_median" unit:"%" doc:"end-to-end against prefill + decode; not through Ollama, where HTTP and sampling lie between"`
	RSSPeakMiB        *float64 `json:"rss_peak_mib_max" unit:"MiB" doc:"peak resident set of the worker"`
	MSPerToken        *float64 `json:"ms_per_token_median" unit:"ms/token" doc:"decode: median latency over the tokens it stands for"`
	TTFTMS            *float64 `json:"ttft_ms_median" csv:"ttft_median_ms" unit:"ms" doc:"prefill: time to the first token, which is prefill and the first argmax; as latency_median_ms"`

	PrefillColdMS *float64 `json:"prefill_cold_ms_median,omitempty"` // prefill rows of pace hot: the first prefill after the pause between calls
}

func (set *Set) summarise() {
	set.EachCell(func(k Key, m *Model, g *Group) {
		if len(g.Rows) == 0 {
			return
		}
		ms := Latencies(g.Rows)
		s := stats.Sorted(Latencies(g.All))
		c := Cell{
			Subject: k.Series.Of(m), ModelKind: m.Kind, Scenario: k.Scenario, Mode: k.Mode, Depth: g.Rows[0].DepthTokens(), Pace: g.Rows[0].PaceText(),
			N: len(ms), Replicates: len(g.Processes()), LatenciesMS: ms,
			MeanMS: stat.Mean(ms, nil), MedianMS: g.Times().Typical(), MinMS: s[0], MaxMS: s[len(s)-1],
			P95MS: stats.PercentileSorted(s, 0.95, stats.NeedP95), P99MS: stats.PercentileSorted(s, 0.99, stats.NeedP99),

			TokensPerS: typicalRate(g.Rows, func(r *runs.Row) *float64 {
				if r.TokensPerS != nil {
					return r.TokensPerS
				}
				return rate(Float(r.TokensTotal), r)
			}),
			TokensPerSCompute: typicalRate(g.Rows, func(r *runs.Row) *float64 { return rate(tokensCompute(r), r) }),
			TokensTotal:       MedianField(g.Rows, func(r *runs.Row) *float64 { return Float(r.TokensTotal) }),
			TokensCompute:     MedianField(g.Rows, tokensCompute),
			PromptTokens:      MedianField(g.Rows, promptTokens),
			PromptTokensRaw:   MedianField(g.Rows, func(r *runs.Row) *float64 { return Float(r.PromptTokensRaw) }),
			PromptCompute:     MedianField(g.Rows, promptCompute),
			GenTokens:         MedianField(g.Rows, func(r *runs.Row) *float64 { return Float(r.AnswerTokens()) }),
			GenTokensRaw:      MedianField(g.Rows, RawTokens),
			GenTokensTarget:   MedianField(g.Rows, Target),
			CUDAEventMS:       typical(g.Rows, func(r *runs.Row) *float64 { return r.CUDAEventMS }),
			GPUPeakMB:         MedianField(g.Rows, func(r *runs.Row) *float64 { return r.GPUPeakMB }),
			OllamaLoadMS:      MedianField(g.Rows, func(r *runs.Row) *float64 { return r.OllamaLoadMS }),
		}
		if g.Disturbed != nil {
			c.Disturbed = *g.Disturbed
		}
		if len(ms) > 1 {
			c.StdDevMS = stats.Finite(stat.StdDev(ms, nil))
		}
		if k.Mode == record.ModeE2E && m.BackendKind != KindOllama {
			c.E2EGapPercent = MedianField(g.Rows, func(r *runs.Row) *float64 { return r.E2EGapPercent })
		}
		if k.Mode == record.ModePrefill {
			c.TTFTMS = typical(g.Rows, func(r *runs.Row) *float64 { return r.TTFTMS })
			c.PrefillColdMS = typical(g.Rows, func(r *runs.Row) *float64 { return r.PrefillColdMS })
		}
		for _, r := range g.Rows {
			c.RSSPeakMiB = stats.Larger(c.RSSPeakMiB, r.RSSPeakMiB)
		}
		if k.Mode == record.ModeDecode && c.GenTokens != nil && *c.GenTokens > 0 {
			c.MSPerToken = new(c.MedianMS / *c.GenTokens)
		}
		set.cells[k] = len(set.Cells)
		set.Cells = append(set.Cells, c)
	})
}
