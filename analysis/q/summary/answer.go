// Package summary sums up the calls of a run: each cell, each model over its scenarios,
// the share of decode, what warm-ups take, and whether the phases add up.
package summary

import (
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Answer sums up the calls of a run as a whole.
type Answer struct {
	finding.Notes
	set *cells.Set

	DecodeFractions []DecodeFraction `json:"decode_fractions"` // share of decode in end-to-end
	Warmups         []Warmup         `json:"warmups"`          // warm-up against steady state
	WarmupRatios    []WarmupRatio    `json:"warmup_ratios"`    // the same joined over models and scenarios
	Phases          *PhaseSum        `json:"phases"`           // whether the phases add up; nil without end-to-end times of their own
}

// asker puts the answer together.
type asker struct {
	*cells.Set
	out *Answer
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &asker{c, &Answer{set: c}}
	a.decodeFractions()
	a.warmups()
	a.warmupRatios()
	a.phaseSum()
	a.doubts()
	return a.out
}

// decodeFractions gives decode's share of end-to-end, for each scenario by the
// medians and over all of them by the geometric means.
func (a *asker) decodeFractions() {
	type key struct {
		cells.Series
		model, scenario string
	}
	type parts struct{ prefill, decode, e2e, gen *float64 }
	found := map[key]parts{}
	put := func(k key, mode string, ms float64, gen *float64) {
		p := found[k]
		switch mode {
		case record.ModePrefill:
			p.prefill = &ms
		case record.ModeDecode:
			p.decode, p.gen = &ms, gen
		case record.ModeE2E:
			p.e2e = &ms
		}
		found[k] = p
	}
	for _, c := range a.Cells {
		put(key{c.Series(), c.Model, c.Scenario}, c.Mode, c.MedianMS, c.AnswerTokens())
	}
	// Over all scenarios: over those that have both, where a server had the prompts
	// of some in its cache.
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			var prefill, decode, e2e []float64
			all := parts{}
			for _, sc := range a.Joined() {
				p := found[key{s, m.Name, sc}]
				if p.decode == nil || p.e2e == nil {
					continue
				}
				if len(decode) == 0 {
					all.gen = p.gen
				} else if all.gen != nil && (p.gen == nil || *p.gen != *all.gen) {
					all.gen = nil // the mean over several lengths has none
				}
				decode, e2e = append(decode, *p.decode), append(e2e, *p.e2e)
				if p.prefill != nil {
					prefill = append(prefill, *p.prefill)
				}
			}
			if len(decode) == 0 {
				continue
			}
			all.decode, all.e2e = new(stats.Geomean(decode)), new(stats.Geomean(e2e))
			if len(prefill) == len(decode) {
				all.prefill = new(stats.Geomean(prefill))
			}
			found[key{s, m.Name, cells.AllScenarios}] = all
		}
	}
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			for _, sc := range append(slices.Clone(a.Scenarios), cells.AllScenarios) {
				p := found[key{s, m.Name, sc}]
				if p.decode == nil || p.e2e == nil {
					continue
				}
				a.out.DecodeFractions = append(a.out.DecodeFractions, DecodeFraction{
					Subject:  s.Of(m),
					Scenario: sc, GenTokens: p.gen, PrefillMS: p.prefill, DecodeMS: *p.decode, E2EMS: *p.e2e,
					Fraction: *p.decode / *p.e2e,
				})
			}
		}
	}
}

func (a *asker) warmups() {
	a.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if len(g.Cold) == 0 {
			return
		}
		w := Warmup{Backend: k.Backend, BatchSize: k.BatchSize, Model: m.Name, Scenario: k.Scenario, Mode: k.Mode,
			WarmupN: len(g.Cold), WarmupMS: stats.MedianOf(cells.Latencies(g.Cold)),
			MeasuredN: len(g.Warm()), MeasuredMS: stats.MedianOf(cells.Latencies(g.Warm()))}
		if w.WarmupMS != nil && w.MeasuredMS != nil {
			w.Ratio = stats.Finite(*w.WarmupMS / *w.MeasuredMS)
			w.MinusMS = stats.Finite(*w.WarmupMS - *w.MeasuredMS)
		}
		a.out.Warmups = append(a.out.Warmups, w)
	})
}

// phaseSum checks over the whole run that the phases add up to the end-to-end
// time. TR121's end-to-end time is their sum, which proves nothing; Ollama's is the
// client's, and what it has more than the phases is no error (see ollamaGaps).
func (a *asker) phaseSum() {
	if a.Run.Harness == runs.HarnessTR121 {
		return
	}
	var gaps []float64
	largest, where := -1.0, ""
	a.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if k.Mode != record.ModeE2E || m.BackendKind == cells.KindOllama {
			return
		}
		for _, r := range g.Rows {
			e2e, ok := r.Latency()
			if !ok || r.PrefillMS == nil || r.KVDecodeMS == nil {
				continue
			}
			gap := stats.Finite(100 * math.Abs(e2e-(*r.PrefillMS+*r.KVDecodeMS)) / e2e)
			if gap == nil {
				continue
			}
			gaps = append(gaps, *gap)
			if *gap > largest {
				largest, where = *gap, strings.Join([]string{k.Backend, m.Name, k.Scenario}, " ")
			}
		}
	})
	if len(gaps) > 0 {
		a.out.Phases = &PhaseSum{N: len(gaps), MedianPercent: stats.Median(gaps), LargestPercent: largest, Where: where}
	}
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
		finding.TableOf("decode_fraction.csv", "Decode's share of end-to-end: by scenario from the medians, over all of them (`__all__`) from the geometric means.", a.DecodeFractions,
			`backend backend_kind batch_size model params_millions_effective scenario gen_tokens_target
			prefill_median_ms kv_decode_median_ms e2e_kv_median_ms decode_fraction`).Always(),
	}
}

// cellRow is a cell with the facts of its model.
type cellRow struct {
	*cells.Cell
	*cells.Model
}

func (a *Answer) cellRows() []cellRow {
	models := map[cells.ModelKey]*cells.Model{}
	for i := range a.set.Models {
		m := &a.set.Models[i]
		models[cells.ModelKey{Backend: m.Backend, Model: m.Name}] = m
	}
	var out []cellRow
	for i := range a.set.Cells {
		c := &a.set.Cells[i]
		out = append(out, cellRow{c, models[cells.ModelKey{Backend: c.Backend, Model: c.Model}]})
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
