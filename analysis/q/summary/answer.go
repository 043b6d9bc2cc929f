// Package summary sums up the calls of a run: each cell, each model over its scenarios,
// the share of decode, what warm-ups take, and whether the phases add up.
package summary

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Answer sums up the calls of a run as a whole.
type Answer struct {
	finding.Notes
	set *cells.Set

	DecodeFractions []DecodeFraction `json:"decode_fractions"` // share of decode in end-to-end
	Warmups         []Warmup         `json:"warmups"`          // warm-up against steady state
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &Answer{set: c}
	a.decodeFractions(c)
	a.warmups(c)
	a.doubts(c)
	return a
}

// decodeFractions gives decode's share of end-to-end, for each scenario by the
// medians and over all of them by the geometric means: over those that have both, where a
// server had the prompts of some in its cache.
func (a *Answer) decodeFractions(set *cells.Set) {
	for _, s := range set.Series {
		for _, m := range set.ModelsOf(s.Backend) {
			var joined []DecodeFraction
			for _, sc := range set.Scenarios {
				prefill, decode, e2e := set.Cell(s, m.Name, sc, record.ModePrefill), set.Cell(s, m.Name, sc, record.ModeDecode), set.Cell(s, m.Name, sc, record.ModeE2E)
				if decode == nil || e2e == nil {
					continue
				}
				f := DecodeFraction{Subject: s.Of(m), Scenario: sc, GenTokens: decode.AnswerTokens(), DecodeMS: decode.MedianMS, E2EMS: e2e.MedianMS}
				if prefill != nil {
					f.PrefillMS = &prefill.MedianMS
				}
				f.Fraction = f.DecodeMS / f.E2EMS
				a.DecodeFractions = append(a.DecodeFractions, f)
				if set.Joins(sc) {
					joined = append(joined, f)
				}
			}
			if len(joined) > 0 {
				a.DecodeFractions = append(a.DecodeFractions, overAll(joined))
			}
		}
	}
}

// overAll joins scenarios. The mean over several lengths has none.
func overAll(all []DecodeFraction) DecodeFraction {
	f := all[0]
	f.Scenario = cells.AllScenarios
	var prefill []float64
	for _, x := range all {
		if f.GenTokens != nil && (x.GenTokens == nil || *x.GenTokens != *f.GenTokens) {
			f.GenTokens = nil
		}
		if x.PrefillMS != nil {
			prefill = append(prefill, *x.PrefillMS)
		}
	}
	f.DecodeMS = stats.Geomean(stats.Map(all, func(x DecodeFraction) float64 { return x.DecodeMS }))
	f.E2EMS = stats.Geomean(stats.Map(all, func(x DecodeFraction) float64 { return x.E2EMS }))
	f.Fraction = f.DecodeMS / f.E2EMS
	if f.PrefillMS = nil; len(prefill) == len(all) {
		f.PrefillMS = new(stats.Geomean(prefill))
	}
	return f
}

func (a *Answer) warmups(set *cells.Set) {
	set.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if len(g.Cold) == 0 {
			return
		}
		w := Warmup{Subject: k.Series.Of(m), Scenario: k.Scenario, Mode: k.Mode,
			WarmupN: len(g.Cold), WarmupMS: stats.MedianOf(cells.Latencies(g.Cold)),
			MeasuredN: len(g.Warm()), MeasuredMS: stats.MedianOf(cells.Latencies(g.Warm()))}
		if w.WarmupMS != nil && w.MeasuredMS != nil {
			w.Ratio = stats.Finite(*w.WarmupMS / *w.MeasuredMS)
			w.MinusMS = stats.Finite(*w.WarmupMS - *w.MeasuredMS)
		}
		a.Warmups = append(a.Warmups, w)
	})
}

// Tables are the CSV files. TR121's columns come first, under its names.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("summary_by_model_backend_mode.csv", "One row for each backend, model, scenario and mode: the summary of its calls.", a.cellRows(),
			`backend backend_kind batch_size model model_kind params_millions_effective scenario mode n
			latency_mean_ms latency_median_ms latency_p95_ms latency_p99_ms tokens_per_s_median tokens_per_s_compute_median
			tokens_total_median tokens_total_compute_median prompt_tokens_median prompt_tokens_raw_median prompt_tokens_compute_median
			gen_tokens_median gen_tokens_raw_median gen_tokens_target_median cuda_event_median_ms gpu_peak_mb_median ollama_load_ms_median
			params_millions_config_median params_millions_measured_median latency_min_ms latency_max_ms latency_stddev_ms ms_per_token_median
			e2e_gap_pct_median rss_peak_mib_max weight_type architecture n_layer n_embd params_total params_non_embedding params_active
			bytes_read_per_token disturbed_calls ttft_median_ms`,
			finding.Compute("params_millions_config_median", "1e6", "parameters as the config claims them", func(r cellRow) any { return r.ParamsMillionsConfig }),
			finding.Compute("params_millions_measured_median", "1e6", "parameters as counted", func(r cellRow) any { return r.ParamsMillionsMeasured })).Always(),
		finding.TableOf("summary_by_model_backend_mode_agg.csv", "The summary joined over scenarios: one row for each backend, model and mode.", a.set.Aggregates,
			`backend backend_kind batch_size model model_kind params_millions_effective mode n_scenarios
			latency_geomean_ms latency_median_of_medians_ms tokens_per_s_geomean tokens_per_s_compute_geomean gpu_peak_mb_median ollama_load_ms_median
			params_millions_config_median params_millions_measured_median ttft_geomean_ms`).Always(),
		finding.TableOf("hf_model_architecture.csv", "Shapes of the models, whatever runtime ran them (TR121's name is kept).", a.shapes(),
			`model config_path n_layer n_embd n_head n_inner vocab_size n_positions n_head_kv architecture params_total params_non_embedding params_active`),
		finding.TableOf("warmup_effect.csv", "Warm-ups against repetitions of the same cell.", a.Warmups,
			`backend model scenario mode warmup_n warmup_median_ms measured_n measured_median_ms warmup_to_measured_ratio warmup_minus_measured_ms
			batch_size`).Always(),
		finding.TableOf("decode_fraction.csv", "Decode's share of end-to-end: by scenario from the medians, over all of them (`__all__`) from the geometric means.", a.DecodeFractions, "").Always(),
	}
}

// cellRow is a cell with the facts of its model.
type cellRow struct {
	*cells.Cell
	facts
}

// facts lie deeper than what a cell says itself.
type facts struct{ *cells.Model }

func (a *Answer) cellRows() []cellRow {
	models := map[cells.ModelKey]*cells.Model{}
	for i := range a.set.Models {
		m := &a.set.Models[i]
		models[cells.ModelKey{Backend: m.Backend, Model: m.Name}] = m
	}
	var out []cellRow
	for i := range a.set.Cells {
		c := &a.set.Cells[i]
		out = append(out, cellRow{c, facts{models[cells.ModelKey{Backend: c.Backend, Model: c.Model}]}})
	}
	return out
}

// shapes has each model once: its shape is the same in every backend.
func (a *Answer) shapes() []*cells.Model {
	var out []*cells.Model
	seen := map[string]bool{}
	for i := range a.set.Models {
		if m := &a.set.Models[i]; m.NLayer > 0 && !seen[m.Name] {
			seen[m.Name] = true
			out = append(out, m)
		}
	}
	return out
}
