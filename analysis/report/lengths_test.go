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
	_, section, ok := strings.Cut(md, "tokens attention takes less than half of the time\n")
	if !ok {
		t.Fatal("no section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, want := range []string{
		"| decode | native_cpu_q4_0 | 20.5 to 240.5 positions | ", "| not up to the longest |",
		"](plots/lengths_kv_decode_native_cpu_q4_0.png)",
		"| native_cpu_q4_0 | llama-32m | decode | 13, 20.5 to 240.5 |",
	} {
		if !strings.Contains(section, want) {
			t.Errorf("the section does not say %q:\n%s", want, section)
		}
	}
	for _, want := range []string{
		"The scenarios' answers have 8, 32, 64, 128 and 256 tokens",
		"mixed_lengths",
		"tokens_native_cpu_q4_0_gen256.png",
		"answers have at most 256 tokens: longer contexts",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if !strings.Contains(page, `<h2 id="lengths">Up to `) {
		t.Error("report.html lacks the section")
	}
}

func TestOneLength(t *testing.T) {
	md, _ := write(t, lengthRun(t, []int{64}, 3, 0, 0.004))
	for _, not := range []string{"| lengths |", "mixed_lengths", "answer (tokens)", "answers of"} {
		if strings.Contains(md, not) {
			t.Errorf("with one length the report says %q", not)
		}
	}
}
