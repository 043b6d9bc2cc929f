package plot

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/plot/plottest"
)

// small is a run that draws quickly.
func small() plottest.Shape {
	s := plottest.GPT2()
	s.Models, s.Backends, s.Scenarios = s.Models[1:5], s.Backends[:1], s.Scenarios[:1]
	return s
}

func TestFigures(t *testing.T) {
	figs := figures(small().Result())
	want := []string{
		"overview overview_kv_decode",
		"overview overview_prefill",
		"scaling scaling_native_cpu_f32_prefill___all__",
		"scaling scaling_native_cpu_f32_kv_decode___all__",
		"scaling scaling_native_cpu_f32_e2e_kv___all__",
		"tokens tokens_native_cpu_f32_micro",
		"bytes decode_bytes",
		"tails tails",
		"share decode_share_native_cpu_f32",
		"scenario scaling_native_cpu_f32_prefill_micro",
		"scenario scaling_native_cpu_f32_kv_decode_micro",
		"scenario scaling_native_cpu_f32_e2e_kv_micro",
	}
	if got := figuretest.Names(figs); !slices.Equal(got, want) {
		t.Errorf("figures\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	figuretest.Says(t, figs[2], "total parameters (millions)", "prefill latency (ms)", "gpt2-25m", "4 models", "native_cpu_f32")
}

func TestNothingToDraw(t *testing.T) {
	for name, shape := range map[string]plottest.Shape{
		"no models": {Backends: []plottest.Backend{{Name: "b"}}, Scenarios: []plottest.Scenario{{Name: "s"}}, Reps: 1, GenTokens: 4},
		"all failed": {Models: []plottest.Model{{Name: "m", ParamsM: 1, TokenMS: 1, Fails: "oom"}},
			Backends: []plottest.Backend{{Name: "b", Speed: 1}}, Scenarios: []plottest.Scenario{{Name: "s"}}, Reps: 1, GenTokens: 4},
	} {
		t.Run(name, func(t *testing.T) {
			if figs := figures(shape.Result()); len(figs) != 0 {
				t.Errorf("drew %v", figuretest.Names(figs))
			}
		})
	}
	if figs := figures(&analysis.Result{}); len(figs) != 0 {
		t.Errorf("the empty result drew %v", figuretest.Names(figs))
	}
}

func TestOneModel(t *testing.T) {
	s := small()
	s.Models = s.Models[:1]
	figs := figures(s.Result())
	if !strings.Contains(figs[2].Subtitle, "no fit") || !strings.Contains(figs[2].Caption, "no line") {
		t.Errorf("one model has a fit: %s", figs[2].Caption)
	}
}

func TestWideBand(t *testing.T) {
	s := small()
	s.Models = []plottest.Model{{Name: "a", ParamsM: 1, TokenMS: 1, MBPerToken: 1}, {Name: "b", ParamsM: 2, TokenMS: 30, MBPerToken: 1}, {Name: "c", ParamsM: 3, TokenMS: 1, MBPerToken: 1}}
	figs := figures(s.Result())
	if !strings.Contains(figs[2].Caption, "beyond the frame") {
		t.Errorf("three scattered points: %s", figs[2].Caption)
	}
}

func TestTooFewTokens(t *testing.T) {
	s := small()
	s.Reps, s.GenTokens = 3, 50 // 150 tokens: p95 but no p99
	figs := figures(s.Result())
	tails := figuretest.Only(figs, KindTails)
	if len(tails) != 1 {
		t.Fatalf("figures of tails: %v", figuretest.Names(tails))
	}
	if c := tails[0].Caption; !strings.Contains(c, "Not drawn: p99 of native_cpu_f32 for 4 models (at most 150 tokens, 662 needed)") {
		t.Errorf("caption: %s", c)
	}
	if strings.Contains(figuretest.Text(t, tails[0]), "p99 / p50") {
		t.Error("p99 is drawn")
	}
}

func TestManyBackends(t *testing.T) {
	s := small()
	for i := range 13 {
		b := s.Backends[0]
		b.Name = fmt.Sprintf("more_%d", i)
		s.Backends = append(s.Backends, b)
	}
	for _, f := range figures(s.Result()) {
		figuretest.Text(t, f)
		capped := strings.Contains(f.Subtitle, " · the first 12 of 14 backends")
		if many := slices.Contains([]string{KindOverview, KindTails, "bytes"}, f.Kind); capped != many {
			t.Errorf("%s: %s", f.Name, f.Subtitle)
		}
		if len(f.Legend) > 2*figure.MaxSeries+3 || len(f.Panels[0].Layers) > 2*figure.MaxSeries+6 {
			t.Errorf("%s has %d entries in its legend and %d layers", f.Name, len(f.Legend), len(f.Panels[0].Layers))
		}
	}
}
