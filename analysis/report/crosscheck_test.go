package report

import (
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/analysistest"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/q/crosscheck"
)

func served(t *testing.T, s analysistest.Served) *analysis.Result {
	t.Helper()
	r, err := analysistest.Ollama([]analysistest.Model{{Name: "gpt2-5m", ParamsM: 5.037, TokenMS: 1, MBPerToken: 20}, {Name: "gpt2-25m", ParamsM: 25.016, TokenMS: 4, MBPerToken: 98.6},
		{Name: "gpt2-100m", ParamsM: 96.088, TokenMS: 16, MBPerToken: 381}}, s, 7)
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

// TestCrosscheck: a fixed cost of each step, a prefill of 30 % more work, and a
// scenario that repeats its prompt.
func TestCrosscheck(t *testing.T) {
	r := served(t, analysistest.Served{StepMS: 0.4, PrefillShare: 0.3, HTTPMS: 1, LoadMS: 5, RestMS: 0.1, Bench: true})
	dir := t.ArtifactDir() // -artifacts keeps the page for a look
	figs, err := draw.Write(filepath.Join(dir, "plots"), r.Figures())
	if err != nil {
		t.Fatal(err)
	}
	md, page := writeWith(t, dir, r, figs)
	unlabelled(t, md)
	body := section(t, md, "Ollama takes 1.0")
	says(t, body, "The same files through both, 95 % intervals within one process. Greedy answers are equal in 2 of 3 prompts.",
		"| backends | phase | Ollama's counters, times native | off by more than 10 % | client's clock | llama-bench | the gap is |",
		"| native_cpu_f32 and ollama_cpu_f32 | decode | 1.0", "| native_cpu_f32 and ollama_cpu_f32 | prefill | 1.2", "| 9 of 12 | ",
		"| a fixed cost: 0.", "| in proportion to the work: +")
	says(t, celltest.Markdown(t, analysis.Get[crosscheck.Answer](r).Sections()...), "ollama_cpu_f32: HTTP and the client take 0.", "scheduling 4.", "Against native's end-to-end time a call takes ",
		"- flash_attn: the server's OLLAMA_FLASH_ATTENTION decides", "llama.cpp: llama-bench")
	says(t, section(t, md, "The answer"), "](plots/crosscheck_native_cpu_f32_ollama_cpu_f32.png)", "**Through Ollama, of gpt2-100m", " and prefill takes 1.3", "times native's time", "- 3 cells have calls that count for nothing")
	says(t, md, "| INVALID: prompt cached | 3 cells | prefill: an earlier prompt", "| give the scenario prompt_tokens in place of a prompt")
	says(t, section(t, md, "Models"), "On ollama_cpu_f32 prefill and decode are the server's own counters")
	if strings.Contains(md, "may be times of one token") || strings.Contains(md, "phases_d") {
		t.Error("the report says what does not hold here")
	}
	if !strings.Contains(page, "times as long as native in decode, 1.") {
		t.Error("report.html lacks the section")
	}
}

// TestCrosscheckAgrees: nothing is said to be off where nothing is.
func TestCrosscheckAgrees(t *testing.T) {
	md, _ := write(t, served(t, analysistest.Served{HTTPMS: 1, LoadMS: 5, RestMS: 0.1, Banned: true}))
	body := section(t, md, "Ollama takes ")
	says(t, body, "| 0 of 12 |", "not comparable in 3, where Ollama was told to repeat no token", "| not told from none |")
	for _, not := range []string{"llama-bench", "a fixed cost", "in proportion"} {
		if strings.Contains(body, not) {
			t.Errorf("the report says %q", not)
		}
	}
	if md, _ = write(t, small().Result()); strings.Contains(md, "Ollama takes") {
		t.Error("a cross-check without Ollama")
	}
}
