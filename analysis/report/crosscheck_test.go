package report

import (
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/analysistest"
	"llmscale/analysis/figure/draw"
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
	body := section(t, md, "Cross-check with Ollama")
	says(t, body,
		"**Decode**, native_cpu_f32 and ollama_cpu_f32: by Ollama's own counters Ollama takes 1.0", "over 3 models and 4 scenarios (12 comparisons)",
		"By the client's clock, with scheduling, sampling and HTTP, it takes", "llama-bench takes",
		"**Prefill**, native_cpu_f32 and ollama_cpu_f32", "over 3 models and 3 scenarios (9 comparisons); the interval excludes 1 in 9 of 9", "Not comparable: 3 (21 repetitions are INVALID)",
		"**Wall time** of a call through ollama_cpu_f32", "HTTP and the client take 0.", "scheduling and reading the metadata of the file again 4.",
		"**Greedy answers** of native_cpu_f32 and ollama_cpu_f32 to 3 prompts of text: equal in 2, different in 1 (earliest: gpt2-100m, short, from token 2 on).",
		"the server of ollama_cpu_f32 says that it loads the very file that native measured for 3 models",
		"**Decode**, native_cpu_f32 and ollama_cpu_f32: over 3 sizes, in means over the scenarios, the gap is a **fixed cost**, 0.", "- gpt2-5m: p128 **1.", " ms per token; ",
		"**Prefill**, native_cpu_f32 and ollama_cpu_f32: over 3 sizes, in means over the scenarios, the gap is **in proportion to the work**, +", "% of native's time",
		"| decode, ms per token | counters | all | native_cpu_f32 and ollama_cpu_f32 | 3 |",
		"- flash_attn: the server's OLLAMA_FLASH_ATTENTION decides", "llama.cpp: llama-bench",
		"](plots/crosscheck_native_cpu_f32_ollama_cpu_f32.png)",
		"| model | parameters (millions) | scenario | prompt (tokens) | native (ms) | Ollama's counters (ms) | ratio | 95 % within one process | client's clock (ms) | ratio | 95 % within one process | llama-bench (ms) | ratio | 95 % within one process | calls (native, Ollama, client) | tests of llama-bench |",
		"| sum of parts / wall |", `| differs | 2 of 4 | 0 | 2 | " a" | " an" |`)
	says(t, section(t, md, "The answer"), "**Repeated prompts**: the server of ollama_cpu_f32 had prompts of short in its cache, so that prefill and end-to-end time of 21 repetitions are **INVALID** and left out of everything here; their decode counts",
		"3 cells have no prefill figure",
		"- **Cross-check** with Ollama on the same files, on this machine, by its own counters: native_cpu_f32 and ollama_cpu_f32: decode takes 1.0", "times native's time, prefill 1.28", "llama-bench takes 0.9")
	says(t, section(t, md, "Calls that do not count"), "- Give the scenario prompt_tokens in place of a prompt", "| short | prefill and end-to-end | 7 | 0 | 7, none in prefill and end-to-end | prefill: an earlier prompt")
	says(t, section(t, md, "Models"), "On ollama_cpu_f32 prefill and decode are the server's own counters")
	says(t, section(t, md, "Ollama"), "is INVALID, and in no figure")
	if strings.Contains(md, "may be times of one token") || strings.Contains(md, "phases_d") {
		t.Error("the report says what does not hold here")
	}
	if !strings.Contains(page, `id="cross-check-with-ollama"`) {
		t.Error("report.html lacks the section")
	}
}

// TestCrosscheckAgrees: nothing is said to be off where nothing is.
func TestCrosscheckAgrees(t *testing.T) {
	md, _ := write(t, served(t, analysistest.Served{HTTPMS: 1, LoadMS: 5, RestMS: 0.1, Banned: true}))
	body := section(t, md, "Cross-check with Ollama")
	says(t, body, "No gap by Ollama's own counters is larger than 10 % with an interval that excludes 1.", "not comparable in 3, where Ollama was told to repeat no token")
	for _, not := range []string{"llama-bench", "fixed cost**", "the server's processes –"} {
		if strings.Contains(body, not) {
			t.Errorf("the report says %q", not)
		}
	}
	if md, _ = write(t, small().Result()); strings.Contains(md, "Cross-check") {
		t.Error("a cross-check without Ollama")
	}
}
