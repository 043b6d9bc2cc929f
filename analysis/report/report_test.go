package report

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"llmscale/analysis"
	"llmscale/analysis/analysistest"
	"llmscale/analysis/answer"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/runs"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// small is a run of two backends that draws quickly.
func small() analysistest.Shape {
	s := analysistest.GPT2()
	s.Models, s.Scenarios = s.Models[:5], s.Scenarios[:2]
	return s
}

// write makes a report in a folder of the test and checks what holds for every
// report.
func write(t *testing.T, r *analysis.Result) (md, page string) {
	t.Helper()
	return writeWith(t, t.TempDir(), r, nil)
}

// writeDrawn is write with figures, which take their time; file is report.md.
func writeDrawn(t *testing.T, r *analysis.Result) (md, page, file string) {
	t.Helper()
	dir := t.TempDir()
	figs, err := draw.Write(filepath.Join(dir, "analysis", "plots"), r.Figures())
	if err != nil {
		t.Fatal(err)
	}
	figs = figure.OnPaper(figs)
	md, page = writeWith(t, dir, r, figs)
	if again, pageAgain := writeWith(t, dir, r, figs); again != md || pageAgain != page {
		t.Error("the same result gave another report")
	}
	data, err := os.ReadFile(filepath.Join(dir, MarkdownFile))
	if err != nil {
		t.Fatal(err)
	}
	return md, page, string(data)
}

// unfolded is the report as Markdown with all that report.md leaves to the page.
func unfolded(t testing.TB, r *analysis.Result, dir string, figs []figure.Drawn) string {
	t.Helper()
	d := compose(r, answer.Of(r), figs)
	d.Page = ""
	md, err := d.Markdown(dir)
	if err != nil {
		t.Fatal(err)
	}
	return md
}

func writeWith(t *testing.T, dir string, r *analysis.Result, figs []figure.Drawn) (md, page string) {
	t.Helper()
	paths, err := Write(dir, r, answer.Of(r), figs)
	if err != nil {
		t.Fatal(err)
	}
	short := ""
	for file, to := range map[string]*string{paths.Markdown: &short, paths.HTML: &page} {
		if filepath.Dir(file) != dir {
			t.Errorf("%s lies outside %s", file, dir)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		*to = string(data)
	}
	if strings.Contains(short, "<details>") {
		t.Error("report.md has what is folded")
	}
	md = unfolded(t, r, dir, figs)
	for _, m := range regexp.MustCompile(`!\[[^\n]*\]\(([^)]*)\)`).FindAllStringSubmatch(md, -1) {
		if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
			t.Errorf("report.md points to a figure that is not there: %v", err)
		}
	}
	if n := strings.Count(md, "!["); n != len(figs) || strings.Count(page, "<figure") != n {
		t.Errorf("%d figures, %d in report.md, %d in report.html", len(figs), n, strings.Count(page, "<figure"))
	}
	page = ourScript.ReplaceAllString(page, "")
	for _, bad := range []string{"%!", "NaN", "+Inf", "<nil>", "raw HTML omitted"} {
		if strings.Contains(md, bad) || strings.Contains(page, bad) {
			t.Errorf("the report says %q", bad)
		}
	}
	for _, a := range r.Asked {
		says, ok := a.(interface{ Sections() []doc.Section })
		if !ok {
			continue
		}
		for _, s := range says.Sections() {
			if len(s.Blocks) > 0 && strings.Count(md, "\n## "+doc.Text(s.Title)+"\n")+strings.Count(md, "\n<summary>"+html.EscapeString(doc.Clean(s.Title))+"</summary>\n") != 1 {
				t.Errorf("%T has a section %q, which the report's order does not", a, s.Title)
			}
		}
	}
	checkPage(t, page)
	return md, page
}

// ourScript is code that the page brings; nothing foreign is in it.
var ourScript = regexp.MustCompile(`(?s)<script>.*?</script>`)

// checkPage walks the page's tags: they must close, and fetch nothing.
func checkPage(t *testing.T, page string) {
	t.Helper()
	void := map[string]bool{"meta": true, "br": true, "hr": true, "img": true}
	var open []string
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			if !errors.Is(z.Err(), io.EOF) {
				t.Fatal(z.Err())
			}
			break
		}
		tok := z.Token()
		switch kind {
		case html.StartTagToken:
			if !void[tok.Data] {
				open = append(open, tok.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != tok.Data {
				t.Fatalf("</%s> closes %v", tok.Data, open)
			}
			open = open[:len(open)-1]
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		switch tok.Data {
		case "script": // of data, which does nothing; checkPage is given no others
			if len(tok.Attr) != 1 || tok.Attr[0].Val != "application/json" {
				t.Errorf("the page has %s", tok)
			}
		case "iframe", "object", "embed", "link", "base", "form", "image", "use":
			t.Errorf("the page has <%s>", tok.Data)
		}
		for _, a := range tok.Attr {
			switch key := strings.ToLower(a.Key); {
			case strings.HasPrefix(key, "on"):
				t.Errorf("<%s> has %s", tok.Data, a.Key)
			case key == "href" && !strings.HasPrefix(a.Val, "#"), key == "src", key == "srcset", key == "xlink:href":
				t.Errorf("<%s> refers to %s", tok.Data, a.Val)
			case key == "style" && strings.Contains(a.Val, "url("):
				t.Errorf("<%s> has style %s", tok.Data, a.Val)
			}
		}
	}
	if len(open) > 0 {
		t.Errorf("never closed: %v", open)
	}
	for _, bad := range []string{"url(", "@import", "@font-face"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
}

func TestGolden(t *testing.T) {
	r := small().Result()
	r.Warnings = []finding.Warning{
		{Code: "few_sizes", Where: "native_cpu_f32 kv_decode __all__", Text: "5 sizes; the interval leans on very few points", Advice: "measure at least 8 sizes"},
		{Code: "few_sizes", Where: "native_cpu_f16 kv_decode __all__", Text: "5 sizes; the interval leans on very few points", Advice: "measure at least 8 sizes"},
	}
	analysis.Get[calls.Answer](r).Said = []calls.Said{{Backend: "native_cpu_f32", Model: "gemma3-270m", Scenario: "short", Prompt: "The capital of France is", Output: " Paris.\n\nThe capital of *Italy* is Rome."}}
	_, page, md := writeDrawn(t, r)
	if !strings.Contains(page, "<svg xmlns=") {
		t.Error("report.html has no drawing inside")
	}
	golden := filepath.Join("testdata", "report.md")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(md), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if md != string(want) {
		got := filepath.Join(t.ArtifactDir(), "report.md")
		if err := os.WriteFile(got, []byte(md), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Errorf("report.md has changed; -update accepts it\n%s", firstDifference(string(want), md))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return "want: " + w[i] + "\n got: " + g[i]
		}
	}
	return "one is longer"
}

func TestOpensWithTheAnswer(t *testing.T) {
	md, _ := write(t, small().Result())
	for _, want := range []string{
		"5 models of 0.103M to 45.2M parameters on Made-up CPU @ 2.0 GHz, 2 threads.",
		"**Latency is the first shown to change as models grow on native_cpu_f16: decode time per token is twice that at 0.103M from ",
		"native_cpu_f16 instead of native_cpu_f32: decode 1.",
		"## Latency is the first shown to change as models grow on native_cpu_f16: decode time per token is twice that at 0.103M from ",
		"## Decode on native_cpu_f16 grows with total parameters to the power 0.",
		"| prefill | native_cpu_f16 | 5 | power law | ",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

func TestOneModel(t *testing.T) {
	s := small()
	s.Models = s.Models[:1]
	md, _ := write(t, s.Result())
	for _, want := range []string{
		"## What changes first as models grow on native_cpu_f16 cannot be told",
		"## How decode on native_cpu_f16 grows with total parameters cannot be told: too few for a law: 1 size",
		"| cannot tell | 1 model of one size measured",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("one model: the report does not say %q", want)
		}
	}
	if strings.Contains(md, "to the power ") {
		t.Error("one model has an exponent")
	}
}

func TestAllFailed(t *testing.T) {
	s := small()
	for i := range s.Models {
		s.Models[i].Fails = "oom"
	}
	md, page := write(t, s.Result())
	for _, want := range []string{
		"Feasibility is the first shown to change as models grow on native_cpu_f32: models fail from 0.103M parameters on", "needs 9.3 GiB, 7.1 GiB are free; signal killed",
		"ggml_aligned_malloc: insufficient memory",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("all failed: the report does not say %q", want)
		}
	}
	if !strings.Contains(page, "ggml_aligned_malloc") {
		t.Error("report.html lacks the error output")
	}
}

// empty is the analysis of a run without records.
func empty(t *testing.T, run runs.Run) *analysis.Result {
	t.Helper()
	r, err := analysis.Analyze(&run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNoCells(t *testing.T) {
	md, _ := write(t, empty(t, runs.Run{}))
	for _, want := range []string{"**Nothing was measured that counts", "no manifest", "a machine that the manifest does not name", "The command is unknown"} {
		if !strings.Contains(md, want) {
			t.Errorf("no cells: the report does not say %q", want)
		}
	}
}

func TestHostileText(t *testing.T) {
	s := small()
	evil := []string{
		"a|b", "<script>alert(1)</script>", "x & y &lt; &#60;", "__all__ *bold* `code`", "[click](javascript:alert(1))",
		"![img](http://example.com/x.png)", "</summary></details>", "line\nbreak\r\n\n# heading", "~~~", "a\\|b", "http://example.com/auto",
	}
	s.Models, s.Scenarios = nil, s.Scenarios[:1]
	for i, name := range evil {
		s.Models = append(s.Models, analysistest.Model{Name: name, ParamsM: float64(i + 1), TokenMS: float64(i + 1), MBPerToken: 4})
	}
	s.Backends = []analysistest.Backend{{Name: "<b>|back&end</b>", Kind: "native", Speed: 1, BytesFactor: 1}}
	r := s.Result()
	r.RunName = "run <img src=x onerror=alert(1)> | &"
	analysis.Get[failures.Answer](r).Failed = []failures.Cell{{Subject: cells.Subject{Backend: evil[1], Model: evil[0]}, Scenario: evil[3], Status: "crashed", Reason: evil[4], Stderr: []string{"```", "</pre><script>", "# x"}}}
	for _, e := range evil {
		analysis.Get[calls.Answer](r).Said = append(analysis.Get[calls.Answer](r).Said, calls.Said{Backend: "b", Model: e, Scenario: e, Prompt: e, Output: e + strings.Repeat(" long", 100)})
	}
	r.Warnings = []finding.Warning{{Code: evil[3], Where: evil[0], Text: evil[1], Advice: evil[5]}}
	md, page, _ := writeDrawn(t, r)

	body, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	text := doc.Clean(textOf(body))
	for _, name := range append(evil, r.RunName, s.Backends[0].Name) {
		if !strings.Contains(text, doc.Clean(name)) {
			t.Errorf("the page does not read %q", doc.Clean(name))
		}
	}
	columns := 0
	for line := range strings.Lines(md) {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		n := len(regexp.MustCompile(`(^|[^\\])(\\\\)*\|`).FindAllString(line, -1))
		if columns == 0 {
			columns = n
		}
		if n != columns {
			t.Errorf("a row has %d bars, its table %d: %s", n, columns, line)
		}
	}
}

func textOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var sb strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		sb.WriteString(textOf(c))
	}
	return sb.String()
}

// The run folder of the Python harness has three backends, one of them Ollama.
func TestTR121(t *testing.T) {
	run, err := runs.Load(filepath.Join("..", "testdata", "tr121"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := analysis.Analyze(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	md, _ := write(t, r)
	for _, want := range []string{
		"| decode | hf_cpu_fp32 | ", "| power law | 0.291 [",
		"| cannot tell whether it grows | ",
		"gpt-oss-20b:latest", "| 0.515 [",
		"## Ollama", "TR121 harness",
		"## What changes first as models grow on hf_gpu_fp16 cannot be told\n", "| hf_gpu_fp16 | decode time per token doubles | 3.515 ms/token | cannot tell | ",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("the report of the Python harness's run does not say %q", want)
		}
	}
}

func TestErrors(t *testing.T) {
	r := small().Result()
	if _, err := Write(filepath.Join(t.TempDir(), "missing"), r, answer.Of(r), nil); err == nil || !strings.HasPrefix(err.Error(), "report: ") {
		t.Errorf("a missing folder: %v", err)
	}
	dir := t.TempDir()
	if _, err := Write(dir, r, answer.Of(r), []figure.Drawn{{Kind: tails.KindTails, PNGPath: filepath.Join(dir, "x.png"), SVGPath: filepath.Join(dir, "x.svg")}}); err == nil {
		t.Error("a figure that is not there gave no error")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("half a report was left behind: %v %v", entries, err)
	}
	svg := filepath.Join(dir, "x.svg")
	if err := os.WriteFile(svg, []byte("no drawing"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := doc.InlineSVG(doc.Picture{Drawn: figure.Drawn{SVGPath: svg}}); err == nil {
		t.Error("text passed as SVG")
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"plain-1.0/x=y": "plain-1.0/x=y", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "a\nb": "'a b'",
	} {
		if got := shellQuote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// TestRepeat: the command names what the build was made of.
func TestRepeat(t *testing.T) {
	head := `"argv":["bin/llmscale","run"],"git_head":"cafe-dirty",`
	native := func(s string) string {
		return head + `"llmscale":{"commit":"f00d","modified":false,"native":{` + s + `}}`
	}
	for _, c := range []struct{ name, manifest, commit, build, says string }{
		{"module", native(`"llama_source":"module","llama_commit":"ec98e2002","build_type":"Release","flags":"-O3 -DNDEBUG -march=native","portable":false`), "f00d", "make build", "Times differ"},
		{"package", native(`"llama_source":"package","llama_commit":"0c1e57098","build_type":"Release"`), "f00d", "make build", "Times differ"},
		{"ollama", native(`"llama_source":"ollama","llama_commit":"ec98e2002","build_type":"Release"`), "f00d", "LLAMA=ollama make build", "Times differ"},
		{"portable", native(`"llama_source":"module","build_type":"Release","flags":"-O3 -DNDEBUG -march=x86-64-v3","portable":true`), "f00d", "PORTABLE=1 make build", "Times differ"},
		{"checkout", native(`"llama_source":"checkout","llama_commit":"abc1234","build_type":"Release","portable":true`), "f00d",
			"LLAMA_CPP_DIR='<a checkout of llama.cpp commit abc1234>' PORTABLE=1 make build", "Times differ"},
		{"unknown checkout", native(`"llama_source":"checkout","llama_commit":"unknown"`), "f00d", "LLAMA_CPP_DIR='<a checkout of llama.cpp>' make build", "Times differ"},
		{"debug", native(`"llama_source":"module","build_type":"Debug","flags":"-g -march=native"`), "f00d", "CMAKE_FLAGS=-DCMAKE_BUILD_TYPE=Debug make build", "Times differ"},
		{"other flags", native(`"llama_source":"module","build_type":"Release","flags":"-fno-math-errno -O3 -DNDEBUG -march=native"`), "f00d", "make build", "other compiler flags"},
		{"options", native(`"llama_source":"package","build_type":"Release","flags":"-O3 -DNDEBUG -march=native (amx/mmq.cpp: -fno-tree-dse -fno-dse) (OPENMP=OFF REPACK=OFF)"`), "f00d",
			"CMAKE_FLAGS='-DOPENMP=OFF -DREPACK=OFF' make build", "Times differ"},
		{"several programs", native(`"llama_source":"package","build_type":"Release","flags":"-O3 -DNDEBUG -march=native (amx/mmq.cpp: -fno-dse)"`) +
			`,"programs":[{"program":"../bin/plain","path":"/x/bin/plain","build":{"llama_source":"package","build_flags":"-O3 -DNDEBUG -march=native (AMX=OFF)"}},` +
			`{"path":"/x/bin/a b","build":{"llama_source":"ollama","build_flags":"-O3 -DNDEBUG -march=x86-64-v3"}}]`, "f00d",
			"make build\nCMAKE_FLAGS=-DAMX=OFF make build BIN=/x/bin/plain\nLLAMA=ollama PORTABLE=1 make build BIN='/x/bin/a b'", "Times differ"},
		{"changed program", head + `"llmscale":{"commit":"f00d","modified":true}`, "f00d", "make build", "had changes"},
		{"no commit in the program", head + `"llmscale":{"commit":"","modified":false}`, "cafe", "make build", "had changes"},
	} {
		m, err := runs.ParseManifest([]byte("{" + c.manifest + `,"seed":"42"}`))
		if err != nil {
			t.Fatal(err)
		}
		md, _ := write(t, empty(t, runs.Run{Harness: runs.HarnessLLMScale, Manifest: m}))
		_, section, _ := strings.Cut(md, "<summary>Run it again</summary>")
		if want := "git checkout " + c.commit + "\n" + c.build + "\nbin/llmscale run\n"; !strings.Contains(section, want) || !strings.Contains(section, c.says) {
			t.Errorf("%s: %s", c.name, section)
		}
		if other := strings.Contains(section, "other compiler flags"); other != (c.says == "other compiler flags") {
			t.Errorf("%s: %s", c.name, section)
		}
		if changed := strings.Contains(section, "had changes"); changed != (c.says == "had changes") {
			t.Errorf("%s: %s", c.name, section)
		}
	}
}

func TestSettled(t *testing.T) {
	r := small().Result()
	r.Counts.Repetitions = &runs.Repetitions{Planned: 100, Measured: 80, Final: 7, Failed: 10}
	analysis.Get[calls.Answer](r).Said = []calls.Said{{Model: "m", Backend: "b", Prompt: "p", Output: strings.Repeat("é", 301)}}
	md, _ := write(t, r)
	for _, want := range []string{
		"80 of 100 planned are measured; 10 crashed, timed out or gave an error; 7 did not fit or were waived; 3 not made",
		"| m | b | p | " + strings.Repeat("é", 300) + "… |",
		"| first token (ms) |",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.103: "0.1030", 5.0367: "5.037", 123456: "123456", 12.3456: "12.35", -54.17: "-54.17", 0.00001234: "1.234e-05", 999.96: "1000",
	} {
		if got := doc.Number(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
	if got := doc.Size(0.103); got != "0.103" {
		t.Errorf("size: %s", got)
	}
	if got := doc.Text("native_cpu_f32"); got != "native_cpu_f32" {
		t.Errorf("text escapes what needs no escape: %s", got)
	}
	if doc.Text("__all__") != `\_\_all\_\_` {
		t.Errorf("text: %s", doc.Text("__all__"))
	}
}

// section is the part of a report under a heading that begins so.
func section(t *testing.T, md, title string) string {
	t.Helper()
	_, rest, ok := strings.Cut(md, "\n## "+title)
	if !ok {
		if _, rest, ok = strings.Cut(md, "\n<summary>"+title+"</summary>\n"); !ok {
			return ""
		}
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}
