package plot

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/figure"
	"llmscale/analysis/plot/plottest"
)

// small is a run that draws quickly.
func small() plottest.Shape {
	s := plottest.GPT2()
	s.Models, s.Backends, s.Scenarios = s.Models[1:5], s.Backends[:1], s.Scenarios[:1]
	return s
}

func write(t *testing.T, r *analysis.Result) []figure.Drawn {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "plots")
	figs, err := Write(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figs {
		if filepath.Dir(f.PNGPath) != dir || filepath.Dir(f.SVGPath) != dir {
			t.Errorf("%s lies outside %s", f.PNGPath, dir)
		}
		data, err := os.ReadFile(f.PNGPath)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", f.PNGPath, err)
		}
		if b := img.Bounds(); b.Dx() != 1152 || b.Dy() != 792 {
			t.Errorf("%s is %v", f.PNGPath, b)
		}
		checkXML(t, f.SVGPath)
		if f.Title == "" || !strings.HasSuffix(f.Caption, ".") {
			t.Errorf("%s: title %q, caption %q", f.Name, f.Title, f.Caption)
		}
	}
	return figs
}

func checkXML(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	for _, bad := range []string{"NaN", "Inf"} {
		if bytes.Contains(data, []byte(bad)) {
			t.Errorf("%s draws at %s", file, bad)
		}
	}
	return string(data)
}

func names(figs []figure.Drawn) []string {
	var out []string
	for _, f := range figs {
		out = append(out, f.Kind+" "+f.Name)
	}
	return out
}

func TestWrite(t *testing.T) {
	figs := write(t, small().Result())
	want := []string{
		"overview overview_kv_decode",
		"overview overview_prefill",
		"scaling scaling_native_cpu_f32_prefill___all__",
		"scaling scaling_native_cpu_f32_kv_decode___all__",
		"scaling scaling_native_cpu_f32_e2e_kv___all__",
		"bytes decode_bytes",
		"tokens tokens_native_cpu_f32_micro",
		"tails tails",
		"share decode_share_native_cpu_f32",
		"scenario scaling_native_cpu_f32_prefill_micro",
		"scenario scaling_native_cpu_f32_kv_decode_micro",
		"scenario scaling_native_cpu_f32_e2e_kv_micro",
	}
	if got := names(figs); !slices.Equal(got, want) {
		t.Errorf("figures\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	svg := checkXML(t, figs[2].SVGPath)
	for _, text := range []string{"total parameters (millions)", "prefill latency (ms)", "gpt2-25m", "4 models", "native_cpu_f32", "Arial"} {
		if !strings.Contains(svg, text) {
			t.Errorf("%s does not say %q", figs[2].SVGPath, text)
		}
	}
}

func TestSameBytes(t *testing.T) {
	r := small().Result()
	a, b := write(t, r), write(t, r)
	for i := range a {
		for _, pair := range [][2]string{{a[i].PNGPath, b[i].PNGPath}, {a[i].SVGPath, b[i].SVGPath}} {
			x, err := os.ReadFile(pair[0])
			if err != nil {
				t.Fatal(err)
			}
			y, err := os.ReadFile(pair[1])
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(x, y) {
				t.Errorf("%s differs between two calls", filepath.Base(pair[0]))
			}
		}
	}
}

func TestNothingToDraw(t *testing.T) {
	for name, shape := range map[string]plottest.Shape{
		"no models": {Backends: []plottest.Backend{{Name: "b"}}, Scenarios: []plottest.Scenario{{Name: "s"}}, Reps: 1, GenTokens: 4},
		"all failed": {Models: []plottest.Model{{Name: "m", ParamsM: 1, TokenMS: 1, Fails: "oom"}},
			Backends: []plottest.Backend{{Name: "b", Speed: 1}}, Scenarios: []plottest.Scenario{{Name: "s"}}, Reps: 1, GenTokens: 4},
	} {
		t.Run(name, func(t *testing.T) {
			if figs := write(t, shape.Result()); len(figs) != 0 {
				t.Errorf("drew %v", names(figs))
			}
		})
	}
	if figs := write(t, &analysis.Result{}); len(figs) != 0 {
		t.Errorf("the empty result drew %v", names(figs))
	}
}

func TestOneModel(t *testing.T) {
	s := small()
	s.Models = s.Models[:1]
	figs := write(t, s.Result())
	svg := checkXML(t, figs[2].SVGPath)
	if !strings.Contains(svg, "no fit") || !strings.Contains(figs[2].Caption, "no line") {
		t.Errorf("one model has a fit: %s", figs[2].Caption)
	}
}

func TestWideBand(t *testing.T) {
	s := small()
	s.Models = []plottest.Model{{Name: "a", ParamsM: 1, TokenMS: 1, MBPerToken: 1}, {Name: "b", ParamsM: 2, TokenMS: 30, MBPerToken: 1}, {Name: "c", ParamsM: 3, TokenMS: 1, MBPerToken: 1}}
	figs := write(t, s.Result())
	if !strings.Contains(figs[2].Caption, "beyond the frame") {
		t.Errorf("three scattered points: %s", figs[2].Caption)
	}
}

func TestTooFewTokens(t *testing.T) {
	s := small()
	s.Reps, s.GenTokens = 3, 50 // 150 tokens: p95 but no p99
	figs := write(t, s.Result())
	i := slices.IndexFunc(figs, func(f figure.Drawn) bool { return f.Kind == KindTails })
	if i < 0 {
		t.Fatal("no figure of tails")
	}
	if c := figs[i].Caption; !strings.Contains(c, "Not drawn: p99 of native_cpu_f32 for 4 models (at most 150 tokens, 662 needed)") {
		t.Errorf("caption: %s", c)
	}
	if strings.Contains(checkXML(t, figs[i].SVGPath), "p99 / p50") {
		t.Error("p99 is drawn")
	}
}

func TestHostileNames(t *testing.T) {
	s := small()
	s.Backends = []plottest.Backend{{Name: "../a b", Kind: "native", Speed: 1, BytesFactor: 1}, {Name: "../A&b", Kind: "native", Speed: 2, BytesFactor: 1}}
	s.Models[0].Name = "<script>alert(1)</script>|\n&"
	s.Models[1].Name = strings.Repeat("a very long name ", 20)
	figs := write(t, s.Result())
	for _, f := range figs {
		if strings.ContainsAny(f.Name, "/ &<>") {
			t.Errorf("file name %q", f.Name)
		}
		if strings.Contains(checkXML(t, f.SVGPath), "<script") {
			t.Errorf("%s has a script", f.SVGPath)
		}
	}
	got := names(figs)
	if !slices.Contains(got, "share decode_share_.._a_b") || !slices.Contains(got, "share decode_share_.._A_b-2") {
		t.Errorf("names that differ in what file names drop collide: %v", got)
	}
}

func TestDroppedNames(t *testing.T) {
	s := small()
	for i := range 40 {
		s.Models = append(s.Models, plottest.Model{Name: "crowd", ParamsM: 20 + float64(i)*0.01, TokenMS: 2 + float64(i)*0.001, MBPerToken: 80})
		s.Models[len(s.Models)-1].Name += strings.Repeat("x", i%5) + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	figs := write(t, s.Result())
	if !strings.Contains(figs[0].Caption, "Not named for want of room: crowd") {
		t.Errorf("44 names found room: %s", figs[0].Caption)
	}
}

func TestManyBackends(t *testing.T) {
	s := small()
	for i := range 13 {
		b := s.Backends[0]
		b.Name = fmt.Sprintf("more_%d", i)
		s.Backends = append(s.Backends, b)
	}
	r := s.Result()
	plottest.AddCeilings(r)
	for _, f := range figures(r) {
		if _, err := json.Marshal(f); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		capped := strings.Contains(f.Subtitle, " · the first 12 of 14 backends")
		if many := slices.Contains([]string{KindOverview, KindBytes, KindCeilings, KindTails}, f.Kind); capped != many {
			t.Errorf("%s: %s", f.Name, f.Subtitle)
		}
		if len(f.Legend) > 2*figure.MaxSeries+3 || len(f.Panels[0].Layers) > 2*figure.MaxSeries+6 {
			t.Errorf("%s has %d entries in its legend and %d layers", f.Name, len(f.Legend), len(f.Panels[0].Layers))
		}
	}
}

func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plots")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(file, small().Result()); err == nil || !strings.HasPrefix(err.Error(), "draw: ") {
		t.Errorf("a file in the folder's place: %v", err)
	}
}
