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
)

// lengthRun is a made-up run of four sizes whose scenarios differ in the length of the
// answer: each call costs fixedMS, and each token more with its position by growth.
func lengthRun(t *testing.T, gens []int, fixedMS, growth float64) *analysis.Result {
	t.Helper()
	token := func(m, pos int) float64 { return 2.5 * float64(int(1)<<m) * (1 + growth*float64(pos)) }
	rows := celltest.LengthRun(4, gens, 6, func(m, gen, rep int) float64 {
		sum := fixedMS
		for pos := range gen {
			sum += token(m, pos)
		}
		return sum * (1 + celltest.Jitter(rep)/3)
	}, func(m, pos int) int64 { return int64(1e6 * token(m, pos)) })
	r, err := analysis.Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var allLengths = []int{8, 32, 64, 128, 256}

func TestLengths(t *testing.T) {
	r := lengthRun(t, allLengths, 3, 0.0002)
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
		"| decode | cpu | 13.5 to 233.5 positions | ", "| not up to the longest |",
		"](plots/lengths_kv_decode_cpu.png)",
		"| cpu | m00 | decode | 13, 13.5 to 233.5 |",
	} {
		if !strings.Contains(section, want) {
			t.Errorf("the section does not say %q:\n%s", want, section)
		}
	}
	for _, want := range []string{
		"The scenarios' answers have 8, 32, 64, 128 and 256 tokens",
		"mixed_lengths",
		"tokens_cpu_gen256.png",
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
	md, _ := write(t, lengthRun(t, []int{64}, 3, 0))
	for _, not := range []string{"| lengths |", "mixed_lengths", "answer (tokens)", "answers of"} {
		if strings.Contains(md, not) {
			t.Errorf("with one length the report says %q", not)
		}
	}
}
