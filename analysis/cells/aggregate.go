package cells

import "llmscale/analysis/stats"

// AllScenarios is the scenario name of rows that join all scenarios of a run, of
// several depths those of the least.
const AllScenarios = "__all__"

// Aggregate joins one backend x model x mode over its scenarios.
type Aggregate struct {
	Subject
	ModelKind string `json:"model_kind" doc:"how the model came in"`
	Mode      string `json:"mode" doc:"prefill, kv_decode or e2e_kv"`

	NScenarios        int      `json:"n_scenarios" doc:"scenarios joined"`
	Scenarios         []string `json:"scenarios"`
	GeomeanMS         float64  `json:"latency_geomean_ms" unit:"ms" doc:"geometric mean of the scenario medians"`
	MedianOfMediansMS float64  `json:"latency_median_of_medians_ms" unit:"ms" doc:"median of the scenario medians"`
	TokensPerS        *float64 `json:"tokens_per_s_geomean" unit:"tokens/s" doc:"geometric mean of the scenarios' throughput"`
	TokensPerSCompute *float64 `json:"tokens_per_s_compute_geomean" unit:"tokens/s" doc:"the same, counting padding"`
	GPUPeakMB         *float64 `json:"gpu_peak_mb_median" unit:"MiB" doc:"peak device memory"`
	OllamaLoadMS      *float64 `json:"ollama_load_ms_median" unit:"ms" doc:"Ollama's load_duration"`
	ParamsMConfig     *float64 `json:"params_millions_config_median" unit:"1e6" doc:"parameters as the config claims them"`
	ParamsMMeasured   *float64 `json:"params_millions_measured_median" unit:"1e6" doc:"parameters as counted"`
	MSPerToken        *float64 `json:"ms_per_token_geomean,omitempty"` // decode only: of the scenario medians that are known
	TTFTMS            *float64 `json:"ttft_ms_geomean" csv:"ttft_geomean_ms" unit:"ms" doc:"prefill: geometric mean of the scenarios' median times to the first token"`
	PrefillColdMS     *float64 `json:"prefill_cold_ms_geomean,omitempty"` // prefill after the pause between calls; nil unless every scenario has it

	Calls        int      `json:"calls_fewest"`                    // in a scenario
	RSSPeakMiB   *float64 `json:"rss_peak_mib_max,omitempty"`      // of the worker
	WeightGBPerS *float64 `json:"weights_read_gb_per_s,omitempty"` // decode only: weight bytes read, in 1e9 bytes per second
}

// OneSize reports whether all models that gave a measurement have one known size.
func OneSize(all []Aggregate) bool {
	sizes := map[float64]bool{}
	for _, g := range all {
		if g.ParamsM == nil {
			return false
		}
		sizes[*g.ParamsM] = true
	}
	return len(sizes) == 1
}

type aggregateKey struct {
	Series
	model, mode string
}

// aggregate joins the cells of each backend, model and mode over scenarios.
func (set *Set) aggregate() {
	byKey := map[aggregateKey][]Cell{}
	for _, c := range set.Cells {
		if set.Joins(c.Scenario) {
			k := aggregateKey{c.Series(), c.Model, c.Mode}
			byKey[k] = append(byKey[k], c)
		}
	}
	for _, s := range set.Series {
		for _, m := range set.ModelsOf(s.Backend) {
			for _, mode := range set.Modes {
				cells := byKey[aggregateKey{s, m.Name, mode}]
				if len(cells) == 0 {
					continue
				}
				medians := stats.Map(cells, func(c Cell) float64 { return c.MedianMS })
				g := Aggregate{
					Subject: s.Of(m), ModelKind: m.Kind, Mode: mode, NScenarios: len(cells),
					GeomeanMS: stats.Geomean(medians), MedianOfMediansMS: stats.Median(medians),
					TokensPerS:        stats.Finite(stats.Geomean(cellField(cells, func(c *Cell) *float64 { return c.TokensPerS }))),
					TokensPerSCompute: stats.Finite(stats.Geomean(cellField(cells, func(c *Cell) *float64 { return c.TokensPerSCompute }))),
					GPUPeakMB:         stats.MedianOf(cellField(cells, func(c *Cell) *float64 { return c.GPUPeakMB })),
					MSPerToken:        stats.Finite(stats.Geomean(cellField(cells, func(c *Cell) *float64 { return c.MSPerToken }))),
					OllamaLoadMS:      stats.MedianOf(cellField(cells, func(c *Cell) *float64 { return c.OllamaLoadMS })),
					ParamsMConfig:     m.ParamsMillionsConfig, ParamsMMeasured: m.ParamsMillionsMeasured,
				}
				if ttft := cellField(cells, func(c *Cell) *float64 { return c.TTFTMS }); len(ttft) == len(cells) {
					g.TTFTMS = stats.Finite(stats.Geomean(ttft))
				}
				if cold := cellField(cells, func(c *Cell) *float64 { return c.PrefillColdMS }); len(cold) == len(cells) {
					g.PrefillColdMS = stats.Finite(stats.Geomean(cold))
				}
				if g.MSPerToken != nil && m.BytesPerToken > 0 {
					g.WeightGBPerS = new(float64(m.BytesPerToken) / 1e6 / *g.MSPerToken)
				}
				for i := range cells {
					g.add(&cells[i])
				}
				set.Aggregates = append(set.Aggregates, g)
			}
		}
	}
}

// add takes a cell into what is listed, counted and compared.
func (g *Aggregate) add(c *Cell) {
	g.Scenarios = append(g.Scenarios, c.Scenario)
	if g.Calls == 0 || c.N < g.Calls {
		g.Calls = c.N
	}
	g.RSSPeakMiB = stats.Larger(g.RSSPeakMiB, c.RSSPeakMiB)
}
