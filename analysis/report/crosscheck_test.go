package report

import (
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// served is a made-up run of the same files natively and through Ollama, of three sizes and
// three prompts; the first is a text, which the server has in its cache.
func served(t *testing.T, gap func(phase string, m int) float64, edit func(r *record.Record, call bool), bench bool) *analysis.Result {
	t.Helper()
	p := celltest.ServedPlan
	p.Models, p.GapMS = 3, gap
	p.Scenarios = append([]celltest.ServedScenario{{Name: "p128", Prompt: 128, Text: "Once upon a time"}}, p.Scenarios[1:]...)
	p.Edit = func(r *record.Record, call bool) {
		celltest.Cached(r, call)
		if edit != nil {
			edit(r, call)
		}
	}
	run := &runs.Run{Harness: runs.HarnessLLMScale, Rows: p.Rows()}
	for i := range run.Rows {
		r := &run.Rows[i]
		if r.Prompt != nil && r.OutputText == nil {
			r.OutputText, r.OutputPieces = new(" there was a king"), []string{" there", " was", " a", " king"}
		}
		if bench && r.BackendKind == cells.KindNative && r.Mode == record.ModeDecode {
			l := runs.LlamaBench{ModelFile: r.ModelFile, Threads: 2, Backends: "CPU", Commit: "0c1e57098", FlashAttn: "auto", KVTypeK: "f16", NUBatch: 512}
			prefill, decode := l, l
			prefill.Prompt, prefill.MS = *r.PromptTokensRaw, []float64{*r.PrefillMS}
			decode.Gen, decode.Depth, decode.MS = *r.GenTokensRaw, *r.PromptTokensRaw, []float64{*r.DecodeNoSampMS}
			run.LlamaBench = append(run.LlamaBench, prefill, decode)
		}
	}
	r, err := analysis.Analyze(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func says(t *testing.T, body string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(body, want) {
			t.Errorf("the report does not say %q:\n%s", want, body)
		}
	}
}

// TestCrosscheck: a fixed cost of each step, a prefill of more work, another answer of the
// largest model, and a scenario that repeats its prompt.
func TestCrosscheck(t *testing.T) {
	r := served(t, func(phase string, m int) float64 {
		if phase == record.ModePrefill {
			return 16 * celltest.ServedPlan.TokenMS(m)
		}
		return 0.4
	}, func(r *record.Record, call bool) {
		if call && r.Model == "m02" && r.Prompt != nil {
			r.OutputText = new("there was an old")
		}
	}, true)
	dir := t.ArtifactDir() // -artifacts keeps the page for a look
	figs, err := draw.Write(filepath.Join(dir, "plots"), r.Figures())
	if err != nil {
		t.Fatal(err)
	}
	md, page := writeWith(t, dir, r, figs)
	unlabelled(t, md)
	says(t, section(t, md, "Ollama takes 1."), "The same files through both, 95 % intervals within one process. Greedy answers are equal in 2 of 3 prompts.",
		"| backends | phase | Ollama's counters, times native | off by more than 10 % | client's clock | llama-bench | the gap is |",
		"| native and ollama | decode | 1.1", "| native and ollama | prefill | 1.2", "| a fixed cost: 0.4", "| in proportion to the work: +", "| 6 of 9 |")
	says(t, page, "flash_attn: the server decides", "llama.cpp: llama-bench", "times as long as native in decode, 1.")
	says(t, section(t, md, "The answer"), "](plots/crosscheck_native_ollama.png)", "**Through Ollama, of m02", " and prefill takes 1.", "times native's time", "- 6 cells have calls that count for nothing")
	says(t, md, "| INVALID: prompt cached | 6 cells | prefill: an earlier prompt", "| give the scenario prompt_tokens in place of a prompt")
	says(t, section(t, md, "Models"), "On ollama prefill and decode are the server's own counters")
	if strings.Contains(md, "may be times of one token") || strings.Contains(md, "phases_d") {
		t.Error("the report says what does not hold here")
	}
}

// TestCrosscheckAgrees: nothing is said to be off where nothing is.
func TestCrosscheckAgrees(t *testing.T) {
	md, _ := write(t, served(t, func(string, int) float64 { return 0 }, func(r *record.Record, call bool) {
		r.OllamaNotes = []string{record.RepeatsBanned + " in this answer of more than 30 tokens"}
	}, false))
	body := section(t, md, "Ollama takes ")
	says(t, body, "| 0 of 9 |", "not comparable in 3, where Ollama was told to repeat no token", "| not told from none |")
	for _, not := range []string{"llama-bench", "a fixed cost", "in proportion"} {
		if strings.Contains(body, not) {
			t.Errorf("the report says %q", not)
		}
	}
	if md, _ = write(t, small().Result()); strings.Contains(md, "Ollama takes") {
		t.Error("a cross-check without Ollama")
	}
}
