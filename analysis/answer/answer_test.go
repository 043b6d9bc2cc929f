package answer

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

var update = flag.Bool("update", false, "rewrite testdata")

// ask analyses records, and checks what holds for every answer.
func ask(t *testing.T, run *runs.Run) (*analysis.Result, *Answer) {
	t.Helper()
	r, err := analysis.Analyze(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	a := Of(r)
	check(t, r, a)
	return r, a
}

func check(t *testing.T, r *analysis.Result, a *Answer) {
	t.Helper()
	checkNumbers(t, r, a)
	plain := a.Terminal(false, "/a/path/report.html")
	lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
	if len(lines) > Lines {
		t.Errorf("%d lines:\n%s", len(lines), plain)
	}
	for _, l := range lines {
		if w := text.Width(l); w > Columns {
			t.Errorf("%d columns: %q", w, l)
		}
		if strings.Contains(l, "%!") || strings.Contains(l, "\x1b") || strings.Contains(l, "NaN") || strings.Contains(l, "  .") || strings.Contains(l, " :") {
			t.Errorf("%q", l)
		}
	}
	if bold := a.Terminal(true, ""); !strings.Contains(bold, "\x1b[1mThe answer\x1b[0m") {
		t.Errorf("no bold heading:\n%s", bold)
	}
	words := 0
	for _, b := range a.Opening() {
		if cited, is := b.(doc.Cited); is {
			b = stats.Map(cited, func(c doc.Citation) string { return c.Text })
		}
		words += len(strings.Fields(fmt.Sprint(b)))
	}
	gravest := 0 // which is told in any case
	if len(a.Caveats) > 0 {
		gravest = len(strings.Fields(a.Caveats[0].Text))
	}
	if words > mostWords+gravest+4 { // marks of lists
		t.Errorf("%d words before the figure: %v", words, a.Opening())
	}
	md, err := a.Markdown()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## The answer", "## What to change"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	if len(a.Changes) > mostChanges || len(a.Caveats) > mostCaveats || len(a.Table.Rows) > mostRows || len(a.Verdict) == 0 || len(a.Verdict) > 3 {
		t.Errorf("%d changes, %d caveats, %d rows, %d sentences", len(a.Changes), len(a.Caveats), len(a.Table.Rows), len(a.Verdict))
	}
}

// committed are runs of which each asks something else.
var committed = []struct{ dir, kind string }{
	{"2026-11-23-ladder-xeon-2-cores", Sizes},
	{"2026-11-30-blocks-epyc-2-cores", Sizes},
	{"2026-11-30-threads-epyc-2-cores", Settings},
	{"2026-11-30-memory-wall-epyc-2-cores", Wall},
	{"2026-11-23-ollama-check-xeon-2-cores", Engines},
	{"2026-11-30-batches-epyc-2-cores", Settings},
	{"2026-11-30-builds-epyc-2-cores", Settings},
	{"2026-11-30-pace-epyc-2-cores", Settings},
}

// TestCommitted: the answers of committed runs are those in testdata, to be read aloud.
// Every number in them is found.
func TestCommitted(t *testing.T) {
	for _, c := range committed {
		t.Run(c.dir, func(t *testing.T) {
			run, err := runs.Load(filepath.Join("../../results", c.dir))
			if err != nil {
				t.Fatal(err)
			}
			r, a := ask(t, run)
			if a.Kind != c.kind {
				t.Errorf("it is for %s, want %s", a.Kind, c.kind)
			}
			questions(t, a)
			oneLead(t, r, a)
			file, got := filepath.Join("testdata", c.dir+".txt"), a.Terminal(false, "report.html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("it says\n%s\nand not, as in %s,\n%s", got, file, want)
			}
		})
	}
}

// questions holds a terminal's answer to the six that readers ask: which regime, how many
// threads, what a smaller type would buy, the largest model within the objective, what
// went wrong, and whether figures can be trusted.
func questions(t *testing.T, a *Answer) {
	t.Helper()
	flat := strings.Join(strings.Fields(a.Terminal(false, "")), " ")
	opens := func(what, s string) {
		if words := strings.Fields(s); len(words) == 0 || !strings.Contains(flat, strings.Join(words[:min(len(words), 9)], " ")) {
			t.Errorf("%s: no %q in\n%s", what, s, flat)
		}
	}
	if !strings.Contains(a.said(), "bound") && !strings.Contains(a.said(), "memory wall") {
		t.Errorf("no regime: %s", a.said())
	}
	opens("objective", a.Goal.Text)
	opens("trust", a.Trust.Text)
	for setting, word := range map[string]string{cells.SettingThreads: "threads", cells.SettingDType: "weight"} {
		answered := false
		for _, c := range a.Changes {
			if c.Setting == setting && !answered {
				answered = true
				opens(setting, c.Text)
			}
		}
		for _, s := range a.Advice {
			if strings.Contains(s.Text, word) || strings.HasPrefix(s.Text, "Of what can be set otherwise") {
				answered = true
				opens(setting, s.Text)
			}
		}
		if !answered {
			t.Errorf("nothing on %s: %+v, %+v", setting, a.Changes, a.Advice)
		}
	}
}

var ofBackend = regexp.MustCompile(` on ([A-Za-z][^ :(;.,]*_[^ :(;.,]*)`)

// oneLead holds every heading that names a backend, and the answer, to the one that leads.
func oneLead(t *testing.T, r *analysis.Result, a *Answer) {
	t.Helper()
	lead, _ := prose.Lead(r.Set)
	said := []string{a.said(), a.Goal.Text}
	if a.Law != nil {
		said = append(said, a.Law.Text)
	}
	for _, q := range r.Asked {
		if s, ok := q.(interface{ Sections() []doc.Section }); ok {
			for _, sec := range s.Sections() {
				said = append(said, sec.Title)
			}
		}
	}
	for _, s := range said {
		for _, m := range ofBackend.FindAllStringSubmatch(s, -1) {
			if m[1] != lead.Title() {
				t.Errorf("%s leads, and it says: %s", lead.Title(), s)
			}
		}
	}
}

// TestPriceOfABatch: beside the tokens per second of a batch stands what each sequence
// pays for them.
func TestPriceOfABatch(t *testing.T) {
	run, err := runs.Load("../../results/2026-11-30-batches-epyc-2-cores")
	if err != nil {
		t.Fatal(err)
	}
	_, a := ask(t, run)
	const price = ", each sequence waiting "
	if !strings.Contains(a.Changes[0].Text, price) || !strings.Contains(a.said(), price) {
		t.Errorf("%s\n%s", a.Changes[0].Text, a.said())
	}
}

// TestPublished: TR121's run has an answer too.
func TestPublished(t *testing.T) {
	run, err := runs.Load("../testdata/tr121")
	if err != nil {
		t.Fatal(err)
	}
	ask(t, run)
}

func madeUp(rows []runs.Row) *runs.Run {
	return &runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}
}

// threads makes a run of one model or more under several numbers of threads.
func threads(models int, speed map[int]float64) (rows []runs.Row) {
	for n := 1; n <= len(speed); n++ {
		p := celltest.Plan{Models: models, Reps: 6, Gen: 16, Backends: []string{fmt.Sprintf("cpu_t%d", n)}, Scenarios: []string{"a"},
			PerToken: func(m int) float64 { return float64(int(5)<<m) / speed[n] }}
		for _, r := range p.Blocks(5, nil) {
			r.NThreads, r.NThreadsBatch, r.Line = new(n), new(n), len(rows)+1
			rows = append(rows, r)
		}
	}
	return rows
}

// TestNotWhole: a folder that lacks records says so first, and not that nothing failed.
func TestNotWhole(t *testing.T) {
	run := &runs.Run{Harness: runs.HarnessLLMScale, Rows: celltest.Ladder.Blocks(3, nil)}
	run.Warnings = []finding.Warning{{Code: "torn_line", Where: "runs.jsonl:9", Text: "the last line is incomplete", Advice: "resume"},
		{Code: "incomplete", Where: "runs.jsonl", Text: "of 9 planned repetitions 4 were not made", Advice: "finish it"}}
	_, a := ask(t, run)
	if text := a.Terminal(false, ""); strings.Contains(text, "Nothing failed") || !strings.Contains(text, "- The run is not whole: of 9 planned repetitions 4 were not made. Finish it.") {
		t.Error(text)
	}
	if opening := fmt.Sprint(a.Opening()); !strings.Contains(opening, "The run is not whole") {
		t.Error(opening)
	}
}

func TestKinds(t *testing.T) {
	ladder := celltest.Ladder.Blocks(5, nil)
	plan := celltest.Ladder
	plan.Fails = func(int) string { return record.StatusCrashed }
	dead := plan.Rows(1)
	plan.Fails = func(m int) string {
		if m == 7 {
			return record.StatusOOM
		}
		return ""
	}
	full := plan.Blocks(5, nil)
	served := celltest.ServedPlan
	served.GapMS = func(string, int) float64 { return 1 }
	token := func(m, pos int) float64 { return 2.5 * float64(m+1) * (1 + 0.002*float64(pos)) }
	lengths := celltest.LengthRun(2, []int{64, 256, 1024, 2048}, 6, func(m, gen, rep int) float64 {
		sum := 3.0
		for pos := range gen {
			sum += token(m, pos)
		}
		return sum
	}, func(m, pos int) int64 { return int64(1e6 * token(m, pos)) })
	gpu := celltest.GpuRun(func(r *runs.Row) {
		if r.Model == "m02" {
			r.NGPULayers = 1
		}
	})
	for _, c := range []struct {
		name string
		rows []runs.Row
		kind string
		says []string
		not  []string
	}{
		{"sizes", ladder, Sizes, []string{"Latency changes first as models grow: decode time per token is twice that at 5M from", "power law over total parameters has the exponent 0.800", "Not varied: threads (try `-t 1,2,4`) and weight types (try `--types f32,f16,q8_0,q4_0`)", "Nothing failed. All 48 cells are VALID; 95 % intervals reach"}, nil},
		{"a model that did not fit", full, Sizes, []string{"m07 (640M) did not fit into memory", "2 cells gave no measurement, such as m07 on cpu (did not fit into memory). That is a result"}, []string{"behind the memory wall", "(oom)", "Nothing failed"}},
		{"nothing", dead, Unmeasured, []string{"Nothing was measured that counts", "crashed"}, []string{"What was measured"}},
		{"one model", threads(1, map[int]float64{1: 1}), OneModel, []string{"m00 decodes a token in", "Not varied: threads", "others are not predicted (cpu_t1 has too few models of one architecture in f32)"}, []string{"Which law"}},
		{"threads that help", threads(1, map[int]float64{1: 1, 2: 1.8}), Settings, []string{"Of what was varied, threads matters most: with threads 2 decode is 1.80 times as fast as with 1 [", "- threads 2 instead of 1: decode 1.80 times as fast [", "], prefill 1.80 times"}, []string{"Keep"}},
		{"threads that harm", threads(1, map[int]float64{1: 1, 2: .5}), Settings, []string{"Keep threads 1: with threads 2 decode is 0.50 times as fast as with 1 ["}, []string{"instead of"}},
		{"threads that do nothing", threads(1, map[int]float64{1: 1, 2: 1}), Settings, []string{"No setting that was varied changes a time by more than 10 %", "nothing that was varied is shown", "Not varied: weight types"}, []string{"instead of"}},
		{"threads at several sizes", threads(4, map[int]float64{1: 1, 2: 1.8}), Settings, []string{"at 40M (faster at all 4 sizes)"}, nil},
		{"lengths", lengths, Lengths, []string{"Attention takes half of a decode step from 49"}, []string{"What changes first"}},
		{"engines", served.Rows(), Engines, []string{"Through Ollama, of m04 (160M), decode takes", "native's time"}, nil},
		{"layers on the CPU", gpu, Wall, []string{"models are whole in its memory up to m01", "m02 (20M) is the first with layers elsewhere"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, a := ask(t, madeUp(c.rows))
			got := a.Terminal(false, "")
			if a.Kind != c.kind {
				t.Errorf("it is for %s, want %s", a.Kind, c.kind)
			}
			flat := strings.Join(strings.Fields(got), " ")
			for _, want := range c.says {
				if !strings.Contains(flat, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			for _, bad := range c.not {
				if strings.Contains(flat, bad) {
					t.Errorf("%q in\n%s", bad, got)
				}
			}
		})
	}
}

// TestFits: whatever a run has, its answer fits, and names cannot act on a terminal.
func TestFits(t *testing.T) {
	many := celltest.Plan{Models: 30, Reps: 4, Gen: 8, Backends: []string{"native_cpu_with_a_very_long_name_that_no_table_holds_q4_0", "日本語のとても長い名前のバックエンド"}, Scenarios: []string{"a", "b"},
		PerToken: func(m int) float64 { return float64(m + 1) }}
	rows := many.Rows(1)
	for i := range rows {
		r := &rows[i]
		r.Model = strings.Repeat("模型", 20) + r.Model + "\x1b[2J\u202e.gguf"
		r.ParamsMillions, r.ParamsTotal = float64(10+r.NLayer), int64(10+r.NLayer)*1e6
		r.WeightType = "a_weight_type_of_many_letters"
	}
	_, a := ask(t, madeUp(rows))
	if got := a.Terminal(false, ""); !strings.Contains(got, "further rows: analysis/"+aggregates) || strings.Count(got, "..") < 3 {
		t.Errorf("names and rows are not shortened:\n%s", got)
	}
	if a.Table.Rows[0].Model == a.Table.Rows[1].Model || a.Table.Of != 60 {
		t.Errorf("rows %+v", a.Table)
	}
}
