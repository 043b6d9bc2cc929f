package crosscheck

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Tolerance is the share by which a ratio may be off 1 before the report looks at the
// gap, where the ratio's interval excludes 1. docs/statistics.md says why.
const Tolerance = 0.10

// Comparison sets one phase of one model in one scenario, as Ollama's HTTP API
// measured it, beside the same as the native backend and llama-bench did. Only the
// same file (by its SHA-256) on the same kind of device is compared.
type Comparison struct {
	Subject
	Phase        string   `json:"phase" doc:"prefill or kv_decode"`
	PromptTokens *float64 `json:"prompt_tokens" unit:"tokens" doc:"prompt as native evaluated it"`
	OllamaPrompt *float64 `json:"ollama_prompt_tokens" unit:"tokens" doc:"prompt as Ollama counts it"`
	GenTokens    *float64 `json:"gen_tokens" unit:"tokens" doc:"tokens decoded"`

	NativeN  int      `json:"native_n" unit:"calls" doc:"native calls that count"`
	NativeMS *float64 `json:"native_median_ms" unit:"ms" doc:"native: median prefill_ms, or decode_no_sampling_ms"`
	// Counters are Ollama's own: prompt_eval_duration, or eval_duration scaled to the
	// target. Neither they nor NativeMS hold sampling.
	Counters Beside `json:"counters"`
	// Client is by the client's clock: to the first piece of text, or from there to the
	// last; it is compared with native times that hold sampling.
	Client   Beside     `json:"client"`
	Bench    Beside     `json:"llama_bench"`
	BenchRun *BenchFact `json:"llama_bench_run" csv:"+"` // nil where there is none

	Projected     *float64 `json:"ollama_projected_share" doc:"decode: share of calls whose answer ended early and was scaled to the target"`
	SameWeights   *bool    `json:"ollama_weights_equal" doc:"whether the server says that it loads this very file; empty where it does not say"`
	Differ        []string `json:"ollama_settings_differ" sep:"; " doc:"settings that are not, or not known to be, native's"`
	RecordsDiffer []string `json:"records_differ" sep:"; " doc:"settings in which the records of the two differ"`
}

// Beside is a time and its ratio to the native one.
type Beside struct {
	N        int             `json:"n"`
	MS       *float64        `json:"median_ms"`
	NativeMS *float64        `json:"native_median_ms"` // what it is compared with
	Ratio    *float64        `json:"ratio"`            // of the medians, to the native one
	RatioCI  *stats.Interval `json:"ratio_ci"`         // 95 %
	Basis    string          `json:"basis"`            // of it: processes, or the calls of one process on either side
	Reason   string          `json:"reason"`           // why there is no ratio, or no interval
}

// BenchFact says which of llama-bench's lines were compared.
type BenchFact struct {
	Depth  int      `json:"n_depth" csv:"llama_bench_depth" unit:"tokens" doc:"positions of the KV cache in use before; 0 for decode where llama-bench did not run at the prompt's length"`
	Commit string   `json:"build_commit" csv:"llama_bench_commit" doc:"its llama.cpp"`
	Differ []string `json:"differ" csv:"llama_bench_differs" sep:"; " doc:"its settings that are not native's"`
}

// phases are the phases that Ollama's counters time.
var phases = []string{record.ModePrefill, record.ModeDecode}

// measured has the cells with repetitions that gave a measurement, whatever their verdict.
func measured(set *cells.Set) map[cells.Key]bool {
	out := map[cells.Key]bool{}
	for i := range set.Run.Rows {
		if r := &set.Run.Rows[i]; r.OK() && !r.IsWarmup {
			out[cells.SeriesOf(r).Key(r.Model, r.Scenario, r.Mode)] = true
		}
	}
	return out
}

// compare sets Ollama's phases beside native's.
func (a *Answer) compare(set *cells.Set, p *served, scenario string, ran map[cells.Key]bool) {
	for _, phase := range phases {
		if ran[p.native.Key(p.n.Name, scenario, phase)] && ran[p.ollama.Key(p.o.Name, scenario, phase)] {
			a.Comparisons = append(a.Comparisons, comparison(set, p, scenario, phase))
		}
	}
}

func comparison(set *cells.Set, p *served, scenario, phase string) Comparison {
	native, ollama := set.RowsOf(p.native, p.n.Name, scenario, phase), set.RowsOf(p.ollama, p.o.Name, scenario, phase)
	c := Comparison{Subject: p.in(scenario), Phase: phase,
		PromptTokens: cells.MedianField(native, func(r *runs.Row) *float64 { return cells.Float(r.PromptTokensRaw) }),
		OllamaPrompt: cells.MedianField(ollama, func(r *runs.Row) *float64 { return cells.Float(r.PromptTokensRaw) }),
		GenTokens:    cells.MedianField(native, func(r *runs.Row) *float64 { return cells.Float(r.AnswerTokens()) })}

	compute, client, counters, wall := prefillMS, ttftMS, promptEvalMS, firstTokenMS
	if phase == record.ModeDecode {
		compute, client, counters, wall = decodeNoSamplingMS, kvDecodeMS, decodeEquivMS, arrivalMS
		c.Projected = projectedShare(ollama)
	}
	ns := cells.TimesOf(native, compute)
	c.NativeN, c.NativeMS = len(ns.All), stats.Finite(ns.Typical())
	unequal := c.unequal(ollama)
	c.Counters = beside(ns, cells.TimesOf(ollama, counters), unequal)
	c.Client = beside(cells.TimesOf(native, client), cells.TimesOf(ollama, wall), unequal)
	if len(native) > 0 {
		c.bench(set.Run.LlamaBench, native[0], ns)
	}
	for _, r := range ollama {
		for _, d := range r.OllamaDiffers {
			if !slices.Contains(c.Differ, d) {
				c.Differ = append(c.Differ, d)
			}
		}
		if r.OllamaWeights != nil {
			same := strings.EqualFold(*r.OllamaWeights, p.n.SHA256)
			if c.SameWeights == nil || *c.SameWeights {
				c.SameWeights = &same
			}
		}
	}
	if len(native) > 0 && len(ollama) > 0 {
		c.RecordsDiffer = toldApart(native[0], ollama[0])
	}
	return c
}

// toldApart lists the settings in which two records of a model differ, where both tell
// them. What a server decides it does not tell.
func toldApart(native, ollama *runs.Row) (out []string) {
	n, o := cells.SettingsOf(native), cells.SettingsOf(ollama)
	untold := func(label string) bool {
		return slices.Contains([]string{"", "0", "unknown"}, label) || strings.HasPrefix(label, record.ByServer)
	}
	for _, name := range n.Differing(o) {
		x, y := n.Get(name).Label, o.Get(name).Label
		if name != cells.SettingKind && x != y && !untold(x) && !untold(y) {
			out = append(out, fmt.Sprintf("%s: native %s, Ollama %s", name, x, y))
		}
	}
	return out
}

// unequal says why the two did not do the same work; "" where they did.
func (c *Comparison) unequal(ollama []*runs.Row) string {
	gen := cells.MedianField(ollama, func(r *runs.Row) *float64 { return cells.Float(r.AnswerTokens()) })
	switch {
	case c.Phase == record.ModeDecode && gen != nil && c.GenTokens != nil && *gen != *c.GenTokens:
		return fmt.Sprintf("native decoded %g tokens, Ollama's time stands for %g", *c.GenTokens, *gen)
	case c.Phase == record.ModePrefill && c.OllamaPrompt != nil && c.PromptTokens != nil && *c.OllamaPrompt != *c.PromptTokens:
		return fmt.Sprintf("native evaluated %g prompt tokens, Ollama counts %g", *c.PromptTokens, *c.OllamaPrompt)
	}
	return ""
}

func prefillMS(r *runs.Row) *float64          { return r.PrefillMS }
func ttftMS(r *runs.Row) *float64             { return r.TTFTMS }
func kvDecodeMS(r *runs.Row) *float64         { return r.KVDecodeMS }
func decodeNoSamplingMS(r *runs.Row) *float64 { return r.DecodeNoSampMS }
func promptEvalMS(r *runs.Row) *float64       { return r.OllamaPromptEvalMS }
func decodeEquivMS(r *runs.Row) *float64      { return r.DecodeEquivMS }

// arrivalMS is the client's time of the decode steps, for as many as
// kv_decode_ms_equiv stands for: from the first piece of text to the last. Where a
// piece is several tokens, the first or last step may be missing in it.
func arrivalMS(r *runs.Row) *float64 {
	at, gen := r.OllamaPieceNS, r.AnswerTokens()
	if len(at) < 2 || gen == nil || r.GenTokensRaw == nil {
		return nil
	}
	steps := *r.GenTokensRaw
	if r.OllamaDoneReason != nil && *r.OllamaDoneReason == "stop" {
		steps-- // the last one gave the end-of-text token, which is not sent
	}
	if steps < 1 {
		return nil
	}
	return new(float64(at[len(at)-1]-at[0]) / 1e6 / float64(steps) * float64(*gen))
}

// firstTokenMS is the client's time to the first token, where each piece of text is
// a token: otherwise the first piece may have waited for a second one.
func firstTokenMS(r *runs.Row) *float64 {
	if len(r.OllamaInterTokenNS) == 0 {
		return nil
	}
	return r.TTFTMS
}

func projectedShare(rows []*runs.Row) *float64 {
	known, projected := 0, 0
	for _, r := range rows {
		if r.OllamaProjected != nil {
			known++
			if *r.OllamaProjected {
				projected++
			}
		}
	}
	if known == 0 {
		return nil
	}
	return new(float64(projected) / float64(known))
}

// beside compares times with native ones. unequal is why they cannot be.
func beside(native, other cells.Times, unequal string) Beside {
	b := Beside{N: len(other.All), MS: stats.Finite(other.Typical()), NativeMS: stats.Finite(native.Typical())}
	switch {
	case len(other.All) == 0:
		b.Reason = "no call counts that has this time"
	case len(native.All) == 0:
		b.Reason = "no native call counts that has this time"
	case unequal != "":
		b.Reason = unequal
	default:
		ratio, ci, basis := cells.Ratio([]cells.Times{native}, []cells.Times{other})
		b.Ratio, b.RatioCI, b.Basis = stats.Finite(ratio), ci, basis
		if n := min(len(native.All), len(other.All)); basis == "" {
			b.Reason = fmt.Sprintf("%s on one side; an interval takes %d", words.Counted(n, "call", "calls"), stats.MinRatioCalls)
		}
	}
	return b
}

// bench adds what llama-bench measured of the same file: of several tests those
// with the fewest settings that differ, all of their repetitions together.
func (c *Comparison) bench(lines []runs.LlamaBench, native *runs.Row, nativeMS cells.Times) {
	prompt, gen := 0, 0
	if native.PromptTokensRaw != nil {
		prompt = *native.PromptTokensRaw
	}
	if n := native.AnswerTokens(); n != nil {
		gen = *n
	}
	find := func(depth int) (all []*runs.LlamaBench) {
		for i := range lines {
			b := &lines[i]
			work := b.Prompt == prompt && b.Gen == 0
			if c.Phase == record.ModeDecode {
				work = b.Gen == gen && b.Prompt == 0
			}
			if work && b.Depth == depth && b.RunsOn(native) {
				all = append(all, b)
			}
		}
		return all
	}
	if native.Sequences() > 1 {
		c.Bench.Reason = fmt.Sprintf("llama-bench decodes one sequence, native %d", native.Sequences())
		return
	}
	depth := native.DepthTokens()
	if c.Phase == record.ModeDecode {
		depth += prompt // decode goes on behind the prompt
	}
	all := find(depth)
	if len(all) == 0 && depth > 0 && native.DepthTokens() == 0 {
		depth = 0
		all = find(depth)
	}
	if len(all) == 0 {
		c.Bench.Reason = "llama-bench did not measure this"
		return
	}
	best := slices.MinFunc(all, func(x, y *runs.LlamaBench) int { return len(x.Differs(native)) - len(y.Differs(native)) })
	c.BenchRun = &BenchFact{Depth: depth, Commit: best.Commit, Differ: best.Differs(native)}
	var ms []float64
	for _, b := range all {
		if b.Commit == best.Commit && slices.Equal(b.Differs(native), c.BenchRun.Differ) {
			ms = append(ms, b.MS...)
		}
	}
	c.Bench = beside(nativeMS, cells.Times{All: ms}, "")
}
