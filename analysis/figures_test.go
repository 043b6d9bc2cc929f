package analysis_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/analysistest"
	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/runs"
)

// small is a run that draws quickly.
func small() analysistest.Shape {
	s := analysistest.GPT2()
	s.Models, s.Backends, s.Scenarios = s.Models[1:5], s.Backends[:1], s.Scenarios[:1]
	return s
}

func TestFigures(t *testing.T) {
	figs := small().Result().Figures()
	want := []string{
		"first_change first_change_native_cpu_f32",
		"overview overview_kv_decode",
		"overview overview_prefill",
		"law law_native_cpu_f32_kv_decode",
		"law law_native_cpu_f32_prefill",
		"tokens tokens_native_cpu_f32_micro",
		"regimes regimes_kv_decode_native_cpu_f32",
		"regimes regimes_prefill_native_cpu_f32",
		"tails tails",
	}
	if got := figuretest.Names(figs); !slices.Equal(got, want) {
		t.Errorf("figures\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	figuretest.Says(t, figs[4], "total parameters (millions)", "prefill latency (ms)", "gpt2-25m", "4 models", "native_cpu_f32")
}

// TestLegends: what the legend hides is in it, and what a point is can be told.
func TestLegends(t *testing.T) {
	other := 0
	for _, f := range analysistest.GPT2().Result().Figures() {
		if f.Other != nil {
			other++
		}
		hidden := map[string]bool{}
		for _, p := range f.Panels {
			for _, l := range p.Layers {
				if hidden[l.Name] = true; l.Name != "" && !slices.ContainsFunc(f.Legend, func(k figure.Key) bool { return k.Text == l.Name }) {
					t.Errorf("%s: the legend has no %q", f.Name, l.Name)
				}
				for _, pt := range l.Points {
					if pt.Name == "" {
						t.Errorf("%s: a point of %q has no name", f.Name, l.Name)
					}
					if f.Kind == laws.KindLaw && (pt.N == 0 || pt.Of == "" || pt.Verdict == "" || pt.Other == 0) {
						t.Errorf("%s: of %s all is known, and the point has %+v", f.Name, pt.Name, pt)
					}
				}
			}
		}
		for _, k := range f.Legend {
			if !hidden[k.Text] {
				t.Errorf("%s: %q hides nothing", f.Name, k.Text)
			}
		}
	}
	if other < 5 {
		t.Errorf("%d figures have another axis of size", other)
	}
}

// TestPoints: on the figures of runs with replicates each point tells of how many it is
// made, or of what else; a time has its interval.
func TestPoints(t *testing.T) {
	kinds := map[string]bool{}
	for _, name := range []string{"2026-11-30-blocks-epyc-2-cores", "2026-11-30-memory-wall-epyc-2-cores", "2026-11-30-threads-epyc-2-cores", "2026-11-23-ollama-check-xeon-2-cores", "2026-11-30-batches-epyc-2-cores"} {
		run, err := runs.Load(filepath.Join("..", "results", name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := analysis.Analyze(run, cells.Options{Bootstrap: -1})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range r.Asked {
			if _, has := reflect.TypeOf(a).MethodByName("Figures"); has {
				if _, draws := a.(interface {
					Figures(*intervals.Answer) []figure.Figure
				}); !draws {
					t.Errorf("the figures of %T are not those that are asked for", a)
				}
			}
		}
		points := 0
		for _, f := range r.Figures() {
			for i, p := range f.Panels {
				for _, l := range p.Layers {
					for _, pt := range l.Points {
						points++
						kinds[f.Kind] = true
						where := fmt.Sprintf("%s: %s, %s of %q: %+v", name, f.Name, pt.Name, l.Name, pt)
						if counted := slices.Contains([]string{"", "calls", "processes", "blocks", "scenarios", "tokens"}, pt.Of); pt.Of == "" || counted && pt.N == 0 {
							t.Errorf("neither n nor why there is none: %s", where)
						}
						if timed := slices.Contains([]string{laws.KindOverview, laws.KindLaw, "lengths", "memory_wall", "crosscheck"}, f.Kind) && i == 0; timed && pt.N > 2 && !pt.Whisker() {
							t.Errorf("no interval: %s", where)
						}
						if celled := slices.Contains([]string{laws.KindOverview, laws.KindLaw, "ranking", "memory_wall", "regimes", "tails", "crosscheck"}, f.Kind); celled && pt.Verdict == "" {
							t.Errorf("no verdict: %s", where)
						}
						if pt.Note != "" && !strings.Contains(pt.Note, ": ") {
							t.Errorf("a note without a name: %s", where)
						}
					}
				}
			}
		}
		all := analysis.Tables(r)
		if csv := all[len(all)-1]; csv.File != "figures.csv" || csv.Len() != points || points < 20 {
			t.Errorf("%s: %s has %d rows, the figures %d points", name, csv.File, csv.Len(), points)
		}
	}
	for _, k := range []string{laws.KindOverview, laws.KindLaw, "first_change", "regimes", "ceilings", "tails", "ranking", "memory_wall", "memory_wall_limits", "lengths", "crosscheck"} {
		if !kinds[k] {
			t.Errorf("no point of %s was looked at", k)
		}
	}
}

func TestNothingToDraw(t *testing.T) {
	for name, shape := range map[string]analysistest.Shape{
		"no models": {Backends: []analysistest.Backend{{Name: "b"}}, Scenarios: []analysistest.Scenario{{Name: "s"}}, Reps: 1, GenTokens: 4},
		"all failed": {Models: []analysistest.Model{{Name: "m", ParamsM: 1, TokenMS: 1, Fails: "oom"}},
			Backends: []analysistest.Backend{{Name: "b", Speed: 1}}, Scenarios: []analysistest.Scenario{{Name: "s"}}, Reps: 1, GenTokens: 4},
	} {
		t.Run(name, func(t *testing.T) {
			if figs := shape.Result().Figures(); len(figs) != 0 {
				t.Errorf("drew %v", figuretest.Names(figs))
			}
		})
	}
	if figs := new(analysis.Result).Figures(); len(figs) != 0 {
		t.Errorf("the empty result drew %v", figuretest.Names(figs))
	}
}

func TestManyBackends(t *testing.T) {
	s := small()
	for i := range 13 {
		b := s.Backends[0]
		b.Name = fmt.Sprintf("more_%d", i)
		s.Backends = append(s.Backends, b)
	}
	for _, f := range s.Result().Figures() {
		figuretest.Text(t, f)
		capped := strings.Contains(f.Subtitle, " · the first 12 of 14 backends")
		if many := slices.Contains([]string{laws.KindOverview, tails.KindTails, "ranking"}, f.Kind); capped != many {
			t.Errorf("%s: %s", f.Name, f.Subtitle)
		}
		if len(f.Legend) > 2*figure.MaxSeries+3 || len(f.Panels[0].Layers) > 2*figure.MaxSeries+6 {
			t.Errorf("%s has %d entries in its legend and %d layers", f.Name, len(f.Legend), len(f.Panels[0].Layers))
		}
	}
}

func TestLengthFigure(t *testing.T) {
	figs := func(gens ...int) []figure.Figure {
		rows := celltest.LengthRun(2, gens, 3, celltest.Affine(3, 1), func(int, int) int64 { return 1e6 })
		r, err := analysis.Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
		if err != nil {
			t.Fatal(err)
		}
		return r.Figures()
	}
	all := figs(8, 256)
	drawn := figuretest.Only(all, "lengths")
	if len(drawn) != 1 {
		t.Fatalf("figures of lengths: %v", figuretest.Names(drawn))
	}
	figuretest.Says(t, drawn[0], "decode step (ms)", "position in the KV cache (tokens)", "m00", "m01")
	// Of the scenarios' names gen8 comes last; the longest answers are gen256's.
	if got := figuretest.Names(all); !slices.Contains(got, "tokens tokens_cpu_gen256") {
		t.Errorf("token times are not those of the longest answers: %v", got)
	}
	if got := figs(64); len(figuretest.Only(got, "lengths")) > 0 {
		t.Errorf("short answers have a figure: %v", figuretest.Names(got))
	}
}
