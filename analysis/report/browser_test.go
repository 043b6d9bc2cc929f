package report

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"llmscale/analysis"
	"llmscale/analysis/analysistest"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure/draw"
)

// lacking skips the test, or fails it where LLMSCALE_TEST_BROWSER says that all is there.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("LLMSCALE_TEST_BROWSER") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// browser is a page of one headless browser, which is offline, and what was wrong in it.
func browser(t *testing.T) (ctx context.Context, wrong func() []string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		lacking(t, "there is no chromium: scripts/setup browser")
	}
	if doc.Charts() == "" {
		lacking(t, "the chart library is not in this program: scripts/charts")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1200, 900),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"))
	alloc, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(alloc)
	t.Cleanup(end)
	var lock sync.Mutex
	var seen []string
	err = chromedp.Listen(ctx, func(event any) {
		lock.Lock()
		defer lock.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, "file://") || !strings.HasSuffix(e.Request.URL, "/"+HTMLFile) {
				seen = append(seen, "a request: "+e.Request.URL)
			}
		case *runtime.EventExceptionThrown:
			seen = append(seen, "an exception: "+e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			seen = append(seen, fmt.Sprintf("the console: %v", e.Args))
		case *log.EventEntryAdded:
			seen = append(seen, "the log: "+e.Entry.Text)
		case *page.EventJavascriptDialogOpening:
			seen = append(seen, "a dialog: "+e.Message)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	call(t, ctx, log.Enable, cdp.Empty{})
	call(t, ctx, network.Enable, network.EnableParams{})
	return ctx, func() []string {
		lock.Lock()
		defer lock.Unlock()
		return seen
	}
}

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

func call[P, R any](t *testing.T, ctx context.Context, command cdp.Command[P, R], params P) {
	t.Helper()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		t.Fatal(err)
	}
}

// js is the value of an expression in the page.
func js[T any](t *testing.T, ctx context.Context, format string, a ...any) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](fmt.Sprintf(format, a...), chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// act does something in the page.
func act(t *testing.T, ctx context.Context, format string, a ...any) {
	t.Helper()
	js[bool](t, ctx, "("+format+", true)", a...)
}

// frame waits until the page has drawn what became of the last step.
func frame(t *testing.T, ctx context.Context) {
	t.Helper()
	js[bool](t, ctx, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

func quoted(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// hostile is a model's name that would run, if it could end the element that it stands in.
const hostile = `</script><script>alert("model")</script>`

// livePage writes the report of a run, with its tables.
func livePage(t *testing.T) (url, tables string) {
	t.Helper()
	s := small()
	s.Models = append(slices.Clone(s.Models), analysistest.Model{Name: hostile, ParamsM: 90, TokenMS: 9, MBPerToken: 180})
	r := s.Result()
	dir := t.TempDir()
	tables = filepath.Join(dir, "analysis")
	if err := analysis.Write(tables, r); err != nil {
		t.Fatal(err)
	}
	figs, err := draw.Write(filepath.Join(tables, "plots"), r.Figures())
	if err != nil {
		t.Fatal(err)
	}
	_, text := writeWith(t, dir, r, figs)
	if !doc.Live([]byte(text)) {
		t.Fatal("the page does not say that it draws its figures")
	}
	return "file://" + filepath.Join(dir, HTMLFile), tables
}

// column is a value of a table, in the row in which others have these.
func column(t *testing.T, file, name string, where map[string]string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) int { return slices.Index(rows[0], name) }
rows:
	for _, row := range rows[1:] {
		for column, v := range where {
			if row[at(column)] != v {
				continue rows
			}
		}
		return row[at(name)]
	}
	t.Fatalf("%s has no row %v", file, where)
	return ""
}

// TestSort: cells sort by what they say, whatever unit, suffix or comma they have. What is
// not known comes last, up and down.
func TestSort(t *testing.T) {
	ctx, _ := browser(t)
	d := &doc.Document{Title: "sorted"}
	columns := []struct {
		head   string
		sorted []string
	}{
		{"<size", []string{"900k", "1.2M", "1.1B", "1.79B or more"}},
		{"<time", []string{"800 µs", "12 ms", "1.2 s", "2 min"}},
		{"calls", []string{"12", "900", "1,024", "1,000,000"}},
		{"<memory", []string{"512 B", "300 kB", "512 MiB", "2 GiB"}},
		{"<ratio (95 %)", []string{"-1.5 (-2 to -1)", "0.891 (0.8 to 0.95)", "1.02", "10.5 (9 to 11)"}},
		{"p", []string{"< 0.001", "0.02", "0.3", "1"}},
		{"<name", []string{"7b-chat", "13b-chat", "2026-11-30", "m"}},
		{"rate", []string{"1e-05", "0.5", "3 %", "40 %"}},
	}
	table := doc.Table{Rows: [][]string{nil, nil, nil, nil, nil}}
	for _, c := range columns {
		table.Head = append(table.Head, c.head)
		for i, row := range []string{c.sorted[2], doc.Unknown, c.sorted[0], c.sorted[3], c.sorted[1]} {
			table.Rows[i] = append(table.Rows[i], row)
		}
	}
	d.Add(table)
	page, err := d.HTML("")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), HTMLFile)
	if err := os.WriteFile(file, page, 0o644); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.Navigate("file://"+file))
	for i, c := range columns {
		click := func() []string {
			return js[[]string](t, ctx, `(t => (t.tHead.rows[0].cells[%[1]d].querySelector("button").click(), [...t.tBodies[0].rows].map(r => r.cells[%[1]d].textContent.replace("\u00a0", " "))))(document.querySelector("table"))`, i)
		}
		if got, want := click(), append(slices.Clone(c.sorted), doc.Unknown); !slices.Equal(got, want) {
			t.Errorf("%s up: %q, want %q", c.head, got, want)
		}
		down := slices.Clone(c.sorted)
		slices.Reverse(down)
		if got, want := click(), append(down, doc.Unknown); !slices.Equal(got, want) {
			t.Errorf("%s down: %q, want %q", c.head, got, want)
		}
	}
}

// TestBrowser opens a page in a real browser, from its file and without a network.
func TestBrowser(t *testing.T) {
	ctx, wrong := browser(t)
	url, tables := livePage(t)
	do(t, ctx, chromedp.Navigate(url))
	act(t, ctx, `document.querySelectorAll("details").forEach(d => d.open = true)`)
	frame(t, ctx)

	// A figure of all backends, in which each point has a name.
	const box = `[...document.querySelectorAll("figure.chart")].find(f => f.textContent.includes("all scenarios") && f.querySelector("script").textContent.includes('"overview_kv_decode"'))`
	const chart = `echarts.getInstanceByDom(` + box + `.querySelector(".plot"))`

	t.Run("a point tells the value of the CSV file", func(t *testing.T) {
		for _, model := range []string{"gpt2-25m", hostile} {
			at := js[[]float64](t, ctx, `(() => {
				const figure = JSON.parse(%[1]s.querySelector("script").textContent), chart = %[2]s;
				const p = figure.panels[0].layers.find(l => l.name.startsWith("native_cpu_f32")).points.find(p => p.name === %[3]s);
				%[1]s.scrollIntoView();
				const at = chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [Math.log10(p.x), Math.log10(p.y)]);
				const box = chart.getDom().getBoundingClientRect();
				return [box.x + at[0], box.y + at[1]];
			})()`, box, chart, quoted(t, model))
			do(t, ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
			frame(t, ctx)
			said := js[string](t, ctx, `%s.querySelector(".tip")?.innerText ?? ""`, box)
			ms, err := strconv.ParseFloat(column(t, filepath.Join(tables, "summary_by_model_backend_mode_agg.csv"), "latency_geomean_ms",
				map[string]string{"model": model, "backend": "native_cpu_f32", "mode": "kv_decode"}), 64)
			if err != nil {
				t.Fatal(err)
			}
			point := func(name string) string {
				return column(t, filepath.Join(tables, "figures.csv"), name, map[string]string{"figure": "overview_kv_decode", "series": "native_cpu_f32: 6 models", "point": model})
			}
			shown := func(name string) string {
				v, err := strconv.ParseFloat(point(name), 64)
				if err != nil {
					t.Fatal(err)
				}
				return doc.Number(v)
			}
			for _, want := range []string{model, doc.Number(ms) + " ms", "native_cpu_f32", "total parameters", "95 % interval: " + shown("low") + " to " + shown("high") + " ms", "calls: " + point("n"), "verdict: " + point("verdict")} {
				if !strings.Contains(said, want) {
					t.Errorf("the tooltip says %q, want %q in it", said, want)
				}
			}
		}
	})
	t.Run("what answers to the mouse shows it", func(t *testing.T) {
		over := func(what string) string {
			return js[string](t, ctx, `getComputedStyle(%s).cursor`, what)
		}
		if c := over(box + `.querySelector(".plot > div")`); c != "pointer" { // the mouse is on a point still
			t.Errorf("the cursor on a point is %s", c)
		}
		do(t, ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 2, 2))
		if c := over(box + `.querySelector(".legend button")`); c != "pointer" {
			t.Errorf("the cursor on an entry of the legend is %s", c)
		}
	})
	t.Run("a chart is an application, the legend's entries are switches", func(t *testing.T) {
		plot := js[[]string](t, ctx, `(p => [p.getAttribute("role"), p.getAttribute("tabindex"), p.getAttribute("aria-roledescription"), p.getAttribute("aria-label")])(%s.querySelector(".plot"))`, box)
		if !slices.Equal(plot[:3], []string{"application", "0", "chart"}) || !strings.Contains(plot[3], "Decode time against model size") || !strings.HasSuffix(plot[3], "The arrow keys go from point to point.") {
			t.Errorf("the plot is %q", plot)
		}
		entry := js[[]string](t, ctx, `(e => (e.focus(), [e.tagName, e.getAttribute("aria-pressed"), e.parentElement.getAttribute("role"), e.parentElement.getAttribute("aria-label"), String(document.activeElement === e)]))(%s.querySelector(".legend .key"))`, box)
		if !slices.Equal(entry, []string{"BUTTON", "true", "group", "Legend", "true"}) {
			t.Errorf("an entry of the legend is %q", entry)
		}
	})
	t.Run("arrows walk over the points", func(t *testing.T) {
		act(t, ctx, `%s.querySelector(".plot").focus()`, box)
		do(t, ctx, chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
		said := js[string](t, ctx, `%s.querySelector(".said").textContent`, box)
		if !strings.Contains(said, " ms") || !strings.Contains(said, "total parameters") {
			t.Errorf("the second point is told as %q", said)
		}
		do(t, ctx, chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
		if again := js[string](t, ctx, `%s.querySelector(".said").textContent`, box); again != said {
			t.Errorf("the second point from the end on is told as %q, from the start on as %q", again, said)
		}
	})
	t.Run("the legend hides a series", func(t *testing.T) {
		const drawn = chart + `.getOption().series.length`
		all := js[int](t, ctx, drawn)
		const entry = box + `.querySelector(".legend button")`
		act(t, ctx, entry+`.click()`)
		if n := js[int](t, ctx, drawn); n != all-3 { // its line, whiskers and points
			t.Errorf("%d series of %d are left", n, all)
		}
		if pressed := js[string](t, ctx, entry+`.getAttribute("aria-pressed")`); pressed != "false" {
			t.Errorf("its entry is pressed: %s", pressed)
		}
		act(t, ctx, entry+`.click()`)
		if n := js[int](t, ctx, drawn); n != all {
			t.Errorf("%d series of %d came back", n, all)
		}
	})
	t.Run("axes are switched", func(t *testing.T) {
		const axis = chart + `.getOption().xAxis[0]`
		press := func(text string) {
			t.Helper()
			act(t, ctx, `[...%s.querySelectorAll(".tools button")].find(b => b.textContent.startsWith(%s)).click()`, box, quoted(t, text))
		}
		before := js[float64](t, ctx, axis+".max")
		press("over weights read per token")
		if name := js[string](t, ctx, axis+".name"); name != "weights read per token (MB)" {
			t.Errorf("the other axis is %q", name)
		}
		press("log x")
		if max := js[float64](t, ctx, axis+".max"); max <= before || js[float64](t, ctx, axis+".min") != 0 {
			t.Errorf("the linear axis ends at %g, the logarithmic one at 10 to the %g", max, before)
		}
		press("over weights read per token")
		press("log x")
		if max := js[float64](t, ctx, axis+".max"); max != before {
			t.Errorf("switched back, the axis ends at %g, not %g", max, before)
		}
	})
	t.Run("tables sort and filter", func(t *testing.T) {
		const table = `[...document.querySelectorAll("table")].reduce((a, b) => a.tBodies[0].rows.length >= b.tBodies[0].rows.length ? a : b)`
		got := js[[]string](t, ctx, `(() => {
			const table = %s, head = [...table.tHead.rows[0].cells].find(h => h.classList.contains("r"));
			head.querySelector("button").click();
			return [head.getAttribute("aria-sort"), head.scope, ...[...table.tBodies[0].rows].map(r => r.cells[head.cellIndex].textContent)];
		})()`, table)
		if len(got) < 15 || got[0] != "ascending" || got[1] != "col" {
			t.Fatalf("a table of %d rows has %q", len(got)-2, got[:2])
		}
		var values []float64
		for _, s := range got[2:] {
			if v, err := strconv.ParseFloat(s, 64); err == nil {
				values = append(values, v)
			}
		}
		if len(values) < 5 || !slices.IsSorted(values) {
			t.Errorf("sorted: %v", values)
		}
		left := js[int](t, ctx, `(() => {
			const table = %s, input = table.closest(".table").previousElementSibling.querySelector("input");
			input.value = "gpt2-25m";
			input.dispatchEvent(new Event("input"));
			return [...table.tBodies[0].rows].filter(r => !r.hidden).length;
		})()`, table)
		if left == 0 || left > (len(got)-2)/2 {
			t.Errorf("%d of %d rows are left of one model of six", left, len(got)-2)
		}
	})
	t.Run("dark", func(t *testing.T) {
		colours := func() []string {
			return js[[]string](t, ctx, `[getComputedStyle(document.body).backgroundColor, %s.getOption().yAxis[0].axisLabel.color]`, chart)
		}
		light := colours()
		call(t, ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
		frame(t, ctx)
		if dark := colours(); dark[0] == light[0] || dark[1] == light[1] {
			t.Errorf("ground and ink are %v, in the light %v", dark, light)
		}
		call(t, ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	})
	t.Run("a phone does not scroll sideways", func(t *testing.T) {
		call(t, ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 1, Mobile: true})
		for _, open := range []bool{false, true} {
			act(t, ctx, `document.querySelectorAll("details").forEach(d => d.open = %v)`, open)
			frame(t, ctx) // in which figures in folds are drawn
			if width := js[int](t, ctx, `document.documentElement.scrollWidth`); width > 390 {
				t.Errorf("folds open %v: the page is %d px wide", open, width)
			}
		}
	})
	t.Run("headings are in order", func(t *testing.T) {
		levels := js[[]int](t, ctx, `[...document.querySelectorAll("h1, h2, h3, h4")].map(h => Number(h.tagName[1]))`)
		for i := 1; i < len(levels); i++ {
			if levels[i] > levels[i-1]+1 {
				t.Errorf("a heading of level %d stands behind one of level %d", levels[i], levels[i-1])
			}
		}
		if unnamed := js[int](t, ctx, `[...document.querySelectorAll(".plot, svg[role=img], img")].filter(e => !(e.getAttribute("aria-label") || e.getAttribute("alt"))).length`); unnamed > 0 {
			t.Errorf("%d figures have no name for those who do not see them", unnamed)
		}
	})
	if w := wrong(); len(w) > 0 {
		t.Errorf("the page is not at rest: %s", strings.Join(w, "; "))
	}
}
