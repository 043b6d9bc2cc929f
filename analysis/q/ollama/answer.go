// Package ollama asks what a run says of Ollama's API alone: answers that ended early
// and were scaled to the target length, how far that may be off, and the loading of
// models inside calls.
package ollama

import (
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Answer has nothing where no Ollama backend was measured.
type Answer struct {
	finding.Notes
	harness string

	Ollama *Ollama `json:"ollama,omitempty"`
}

// Ollama is what the calls of all Ollama backends say.
type Ollama struct {
	LengthLimited []scaling.Fit `json:"length_limited_fits"`
	Warmups       []Warmup      `json:"warmup_breakdown"`
	EarlyStops    []EarlyStop   `json:"early_stops"`
	Linearity     []Linearity   `json:"decode_linearity"`
	Projections   []Projection  `json:"projection_errors"`
}

// Subject is whom a row speaks of: one model as one backend served it.
type Subject struct {
	Backend string `json:"backend" doc:"name of the backend"`
	Model   string `json:"model" doc:"name of the model"`
}

// Warmup splits the warm-up's prefill into inference and model load. Times are medians.
type Warmup struct {
	Subject
	Scenario        string   `json:"scenario" doc:"name of the scenario"`
	WarmupN         int      `json:"warmup_n" unit:"calls" doc:"warm-ups"`
	WarmupInferMS   *float64 `json:"warmup_prefill_infer_median_ms" unit:"ms" doc:"prompt_eval_duration"`
	WarmupLoadMS    *float64 `json:"warmup_load_median_ms" unit:"ms" doc:"load_duration"`
	WarmupTotalMS   *float64 `json:"warmup_prefill_total_median_ms" unit:"ms" doc:"their sum"`
	MeasuredN       int      `json:"measured_n" unit:"calls" doc:"repetitions"`
	MeasuredInferMS *float64 `json:"measured_prefill_infer_median_ms" unit:"ms" doc:"prompt_eval_duration"`
	MeasuredLoadMS  *float64 `json:"measured_load_median_ms" unit:"ms" doc:"load_duration"`
	MeasuredTotalMS *float64 `json:"measured_prefill_total_median_ms" unit:"ms" doc:"their sum"`
	RatioInfer      *float64 `json:"warmup_ratio_infer_only" doc:"warm-up over measured, inference alone"`
	RatioTotal      *float64 `json:"warmup_ratio_total_including_load" doc:"warm-up over measured, with the load"`
}

// EarlyStop counts answers shorter than asked for.
type EarlyStop struct {
	Subject
	Scenario       string   `json:"scenario" doc:"name of the scenario"`
	N              int      `json:"n" unit:"calls" doc:"answers"`
	ParamsM        *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
	Target         *float64 `json:"gen_tokens_target" unit:"tokens" doc:"tokens asked for"`
	RawMedian      *float64 `json:"gen_tokens_raw_median" unit:"tokens" doc:"tokens really decoded"`
	EarlyStopRate  *float64 `json:"early_stop_rate" doc:"share of answers shorter than the target"` // 0 to 1
	DoneReasonMode string   `json:"done_reason_mode" doc:"most frequent done_reason"`
}

// Linearity is eval_ms = A + B * eval_count over one model's calls.
type Linearity struct {
	Subject
	ParamsM   *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
	N         int      `json:"n" unit:"calls" doc:"calls"`
	Target    *float64 `json:"gen_tokens_target" unit:"tokens" doc:"tokens asked for"`
	A         *float64 `json:"a_ms" unit:"ms" doc:"fixed part"`
	B         *float64 `json:"b_ms_per_token" unit:"ms/token" doc:"time per token"`
	R2        *float64 `json:"r2" doc:"R2"`
	AffineMS  *float64 `json:"affine_ms_at_target" unit:"ms" doc:"the line at the target length"`
	RawMin    *float64 `json:"gen_tokens_raw_min" unit:"tokens" doc:"shortest answer"`
	RawMedian *float64 `json:"gen_tokens_raw_median" unit:"tokens" doc:"median answer"`
	RawMax    *float64 `json:"gen_tokens_raw_max" unit:"tokens" doc:"longest answer"`
}

// Projection is the error of scaling a short answer's decode time to the target
// length in proportion: proportional less affine, at the target.
type Projection struct {
	Subject
	ParamsM  *float64         `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
	N        int              `json:"n" unit:"calls" doc:"calls"`
	MedianMS *float64         `json:"projection_error_median_ms" unit:"ms" doc:"median"`
	P95MS    stats.Percentile "json:\"projection_error_p95_ms\" unit:\"ms\" doc:\"95th percentile; `too few` below 130 calls\""
	MinMS    *float64         `json:"projection_error_min_ms" unit:"ms" doc:"least"`
	MaxMS    *float64         `json:"projection_error_max_ms" unit:"ms" doc:"greatest"`
}

// Ask asks the cells of a run.
func Ask(set *cells.Set) *Answer {
	a := &Answer{harness: set.Run.Harness}
	a.otherModels(set)
	for _, s := range set.Series {
		models := set.ModelsOf(s.Backend)
		if len(models) == 0 || models[0].BackendKind != cells.KindOllama {
			continue
		}
		if a.Ollama == nil {
			a.Ollama = &Ollama{}
		}
		a.lengthLimited(set, s)
		for _, m := range models {
			a.model(set, s, m)
		}
	}
	return a
}

func (a *Answer) model(set *cells.Set, s cells.Series, m *cells.Model) {
	out := a.Ollama
	var decodes []*runs.Row
	for _, sc := range set.Scenarios {
		if g := set.Group(s.Key(m.Name, sc, record.ModePrefill)); g != nil && len(g.Cold) > 0 {
			out.Warmups = append(out.Warmups, warmup(m, sc, g))
		}
		if rows := set.RowsOf(s, m.Name, sc, record.ModeDecode); len(rows) > 0 {
			out.EarlyStops = append(out.EarlyStops, earlyStop(m, sc, rows))
			if set.Joins(sc) {
				decodes = append(decodes, rows...)
			}
		}
	}
	if len(decodes) > 0 {
		lin, proj := linearity(m, decodes)
		out.Linearity, out.Projections = append(out.Linearity, lin), append(out.Projections, proj)
	}
}

// otherModels warns of what a server held loaded beside the model: it may have been
// at work too.
func (a *Answer) otherModels(set *cells.Set) {
	warned := map[cells.Key]bool{}
	for i := range set.Run.Rows {
		r := &set.Run.Rows[i]
		m := cells.SeriesOf(r).Key(r.Model, "", "")
		if len(r.OllamaOthers) == 0 || warned[m] {
			continue
		}
		warned[m] = true
		a.Warn("other_models", r.Backend+" "+r.Model, "the server held other models loaded: "+strings.Join(r.OllamaOthers, ", "),
			"unload them (ollama stop NAME) and measure again, if anybody may have used them meanwhile")
	}
}

// Lists are what the calls say; empty without Ollama.
func (a *Answer) Lists() Ollama {
	if a.Ollama == nil {
		return Ollama{}
	}
	return *a.Ollama
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	o := a.Lists()
	return []finding.Table{
		scaling.FitTable("scaling_fits_length_limited.csv", "The fits of decode and end-to-end over those answers alone that ran to the target length.", o.LengthLimited, "filter"),
		finding.TableOf("ollama_warmup_breakdown.csv", "Prefill of warm-ups and repetitions, without and with Ollama's load_duration.", o.Warmups, ""),
		finding.TableOf("ollama_early_stop_summary.csv", "Answers that ended before the target length.", o.EarlyStops, ""),
		finding.TableOf("ollama_decode_linearity.csv", "eval_ms = a + b * eval_count over a model's calls.", o.Linearity, ""),
		finding.TableOf("ollama_decode_projection_error.csv", "Decode time scaled in proportion to the target length, less the line's at that length.", o.Projections, ""),
	}
}
