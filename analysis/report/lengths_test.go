package report

import (
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/analysistest"
	"llmscale/analysis/figure/draw"
)

// lengthRun is a made-up run of four sizes and five lengths of the answer. noise
// is the standard deviation of a call's factor.
func lengthRun(t *testing.T, gens []int, fixedMS, growth, noise float64) *analysis.Result {
	t.Helper()
	models := []analysistest.Model{{Name: "llama-32m", ParamsM: 32, TokenMS: 2.5, MBPerToken: 18}, {Name: "llama-62m", ParamsM: 62, TokenMS: 5, MBPerToken: 35},
		{Name: "llama-134m", ParamsM: 134, TokenMS: 11, MBPerToken: 75}, {Name: "llama-296m", ParamsM: 296, TokenMS: 24, MBPerToken: 166}}
	r, err := analysistest.Lengths(models, gens, 6, fixedMS, growth, noise)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var allLengths = []int{8, 32, 64, 128, 256}

func TestLengths(t *testing.T) {
	r := lengthRun(t, allLengths, 3, 0.0002, 0.004)
	dir := t.ArtifactDir() // -artifacts keeps the page for a look
	figs, err := draw.Write(filepath.Join(dir, "plots"), r.Figures())
	if err != nil {
		t.Fatal(err)
	}
	md, page := writeWith(t, dir, r, figs)
	_, section, ok := strings.Cut(md, "## Decode by length of the answer\n")
	if !ok {
		t.Fatal("no section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, want := range []string{
		"within 5 % of 1",
		"Within the longest answers on native_cpu_q4_0, each 100 positions change the time of one step by +1.95 % on llama-32m, +1.95 % on llama-62m",
		"From answers of 8 to 256 tokens at prompts of 16 tokens, decode time per token on native_cpu_q4_0 **does not depend** on the length within 5 % on llama-134m and llama-296m; it falls by **10.",
		"](plots/decode_length_native_cpu_q4_0.png)",
		"| model | backend | parameters (millions) | prompt (tokens) | answer (tokens) | calls | decode (ms) | decode (ms/token) | ratio to the shortest | decode share (%) |",
		"| llama-32m | native_cpu_q4_0 | 32 | 16 | 8 | 6 | 23.",
		"| llama-296m | native_cpu_q4_0 | 16 | 5 | 30 | ",
		"warning position_bias",
	} {
		if !strings.Contains(section, want) {
			t.Errorf("the section does not say %q:\n%s", want, section)
		}
	}
	for _, want := range []string{
		"| answer length | 8, 32, 64, 128 and 256 tokens, by scenario |",
		"The scenarios' answers have 8, 32, 64, 128 and 256 tokens",
		"mixed_lengths",
		"prompt (tokens) | answer (tokens) |",
		"tokens_native_cpu_q4_0_gen256.png",
		"answers 256: longer contexts",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if !strings.Contains(page, `id="decode-by-length-of-the-answer"`) {
		t.Error("report.html lacks the section")
	}
}

func TestLengthWords(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		gens                   []int
		fixedMS, growth, noise float64
		want                   []string
	}{
		{"grows", allLengths, 0, 0.002, 0.004, []string{"native_cpu_q4_0 grows by **2", ", on this machine, within one process."}},
		{"noise", allLengths, 0, 0, 0.3, []string{"whether decode time per token on native_cpu_q4_0 depends on the length is **unknown** on this machine: llama-32m (the ratio's 95 % interval within one process is "}},
		{"two short lengths", []int{8, 32}, 0, 0, 0.004, []string{"does not depend** on the length within 5 % on llama-32m, llama-62m, llama-134m and llama-296m, on this machine, within one process.",
			"line: 2 lengths; a line takes 3; later positions: the longest answers have 32 tokens; a slope along positions takes 64"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			md, _ := write(t, lengthRun(t, tt.gens, tt.fixedMS, tt.growth, tt.noise))
			for _, want := range tt.want {
				if !strings.Contains(md, want) {
					t.Errorf("the report does not say %q", want)
				}
			}
		})
	}
	md, _ := write(t, lengthRun(t, []int{64}, 3, 0, 0.004))
	for _, not := range []string{"Decode by length", "mixed_lengths", "answer (tokens)", "answers of"} {
		if strings.Contains(md, not) {
			t.Errorf("with one length the report says %q", not)
		}
	}
}
