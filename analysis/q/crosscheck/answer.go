// Package crosscheck sets models as Ollama served them beside the same files as the
// native backend and llama-bench ran them: times, where the time of a call goes, and
// what was answered.
package crosscheck

import (
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// Answer has nothing without a native and an Ollama backend that ran the same file.
type Answer struct {
	finding.Notes

	Comparisons []Comparison `json:"ollama_crosscheck,omitempty"` // phases by Ollama, native and llama-bench
	GapLaws     []GapLaw     `json:"ollama_gap_laws,omitempty"`   // how the gaps grow with the work
	Parts       []Parts      `json:"ollama_gap,omitempty"`        // where the time of a call through Ollama goes
	Greedy      []Greedy     `json:"ollama_greedy,omitempty"`     // answers of both, token by token
}

// Pair is a native and an Ollama backend.
type Pair struct {
	Native    string `json:"native_backend" doc:"name of the native backend"`
	Ollama    string `json:"ollama_backend" doc:"name of the Ollama backend"`
	BatchSize int    `json:"batch_size" unit:"sequences" doc:"sequences decoded together"`
}

// Names are those of both, for a reader.
func (p Pair) Names() string { return prose.Of(p.Native, p.BatchSize).String() + " and " + p.server() }

// server is Ollama's name, for a reader.
func (p Pair) server() string { return prose.Of(p.Ollama, p.BatchSize).String() }

// Subject is whom a row speaks of: one model in one scenario, as a pair ran it.
type Subject struct {
	Pair
	Model    string   `json:"model" doc:"name of the model"`
	ParamsM  *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
	Scenario string   `json:"scenario" doc:"name of the scenario"`
}

// served is a model as a native and an Ollama backend ran it.
type served struct {
	native, ollama cells.Series
	n, o           *cells.Model
}

func (p *served) in(scenario string) Subject {
	return Subject{Pair{p.native.Backend, p.ollama.Backend, p.native.BatchSize}, p.n.Name, p.n.ParamsMillions, scenario}
}

// Ask asks the cells of a run.
func Ask(set *cells.Set) *Answer {
	a := &Answer{}
	ran := measured(set)
	for _, p := range alike(set) {
		for _, sc := range set.Scenarios {
			a.compare(set, &p, sc, ran)
			a.takeApart(set, &p, sc)
			a.compareAnswers(set, &p, sc)
		}
	}
	a.gapLaws(set)
	return a
}

// alike lists what can be compared: the same file, by name and hash, on the same
// device, in the same batches; with the same threads where a native backend has them.
func alike(set *cells.Set) []served {
	var out []served
	matched := map[cells.Key]bool{} // Ollama's, by a native backend of as many threads
	for _, s := range set.Series {
		for _, t := range set.Series {
			if s.BatchSize != t.BatchSize {
				continue
			}
			for _, m := range set.ModelsOf(s.Backend) {
				o := set.Model(t.Backend, m.Name)
				if m.BackendKind != cells.KindNative || m.SHA256 == "" || o == nil || o.BackendKind != cells.KindOllama || o.Device != m.Device || o.SHA256 != m.SHA256 {
					continue
				}
				out = append(out, served{s, t, m, o})
				if m.Threads == o.Threads {
					matched[t.Key(o.Name, "", "")] = true
				}
			}
		}
	}
	return slices.DeleteFunc(out, func(p served) bool { return p.n.Threads != p.o.Threads && matched[p.ollama.Key(p.o.Name, "", "")] })
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	pair := "native_backend ollama_backend batch_size "
	return []finding.Table{
		finding.TableOf("ollama_crosscheck.csv", "Each phase as Ollama's HTTP API, the native backend and llama-bench measured it, for the same file (SHA-256) on the same device. Only calls that count.", a.Comparisons,
			pair+`model params_millions_effective scenario phase
			prompt_tokens ollama_prompt_tokens gen_tokens native_n native_median_ms
			ollama_n ollama_median_ms ollama_over_native ollama_over_native_ci_low ollama_over_native_ci_high ollama_reason
			native_with_sampling_median_ms
			client_n client_median_ms client_over_native client_over_native_ci_low client_over_native_ci_high client_reason
			llama_bench_n llama_bench_median_ms llama_bench_over_native llama_bench_over_native_ci_low llama_bench_over_native_ci_high
			llama_bench_reason llama_bench_depth llama_bench_commit llama_bench_differs
			ollama_projected_share ollama_weights_equal ollama_settings_differ records_differ`,
			slices.Concat(
				besides("ollama", "Ollama's own counters (prompt_eval_duration, or eval_duration scaled to the target length), which hold no sampling", "native_median_ms", func(c *Comparison) *Beside { return &c.Counters }),
				besides("client", "the client's clock through Ollama (to the first piece of text, or from there to the last, for as many steps as the target has)", "native_with_sampling_median_ms", func(c *Comparison) *Beside { return &c.Client }),
				besides("llama_bench", "llama-bench on the same file", "native_median_ms", func(c *Comparison) *Beside { return &c.Bench }),
				[]finding.Computed[Comparison]{finding.Compute("native_with_sampling_median_ms", "ms", "native: median ttft_ms, or kv_decode_ms, which hold sampling", func(c Comparison) any { return c.Client.NativeMS })})...),
		finding.TableOf("ollama_gap_laws.csv", "Ollama less native = fixed_ms + share_of_native * native's time over the sizes, weighted with one over native's time squared; per token for decode, per call for prefill.", a.GapLaws,
			pair+`scenario phase clock n_models native_ms_min native_ms_max gap_ms_min gap_ms_max
			fixed_ms fixed_t_ci_ms_low fixed_t_ci_ms_high share_of_native share_of_native_t_ci_low share_of_native_t_ci_high verdict why`),
		finding.TableOf("ollama_gap.csv", "Where the time of a call through Ollama goes, beside the same work done natively: medians over the calls that have all parts, ran to the target length and count as end-to-end times.", a.Parts,
			pair+`model params_millions_effective scenario gen_tokens
			ollama_n wall_ms http_ms scheduling_ms tokenize_ms prompt_eval_ms eval_ms rest_ms parts_ms parts_over_wall
			native_n native_e2e_ms native_prefill_ms native_decode_ms native_sampling_ms
			added_ms added_ms_per_token compute_added_ms around_added_ms http_and_rest_ms_per_token reason`),
		finding.TableOf("ollama_greedy.csv", "What a model answers to prompts of text by greedy decoding: native's tokens looked up one by one in Ollama's text, but for one leading blank that only one side has.", a.Greedy,
			pair+"model params_millions_effective scenario verdict native_tokens tokens_compared tokens_lost why"),
	}
}

// besides are the columns of one clock's time and its ratio.
func besides(stem, what, against string, of func(*Comparison) *Beside) []finding.Computed[Comparison] {
	column := func(name, unit, doc string, value func(*Beside) any) finding.Computed[Comparison] {
		return finding.Compute(stem+name, unit, doc, func(c Comparison) any { return value(of(&c)) })
	}
	end := func(name string, value func(*stats.Interval) float64) finding.Computed[Comparison] {
		return column("_over_native_ci_"+name, "", "95 % interval of the ratio (by calls alone where the run has one process of each), "+map[string]string{"low": "lower end", "high": "upper end"}[name], func(b *Beside) any {
			if b.RatioCI == nil {
				return nil
			}
			return value(b.RatioCI)
		})
	}
	return []finding.Computed[Comparison]{
		column("_n", "calls", what+": calls that count and have it", func(b *Beside) any { return b.N }),
		column("_median_ms", "ms", "median", func(b *Beside) any { return b.MS }),
		column("_over_native", "", "its ratio to "+against, func(b *Beside) any { return b.Ratio }),
		end("low", func(i *stats.Interval) float64 { return i.Low }),
		end("high", func(i *stats.Interval) float64 { return i.High }),
		column("_reason", "", "why there is no ratio or no interval", func(b *Beside) any { return b.Reason }),
	}
}
