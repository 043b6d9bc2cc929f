package laws

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/law"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/q/weights"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

func ask(c *cells.Set) *Answer {
	judged := intervals.Ask(c)
	return Ask(c, judged, regimes.Ask(c, judged, weights.Ask(c)))
}

// asked are the laws of decode of a made-up ladder, over all scenarios.
func asked(t *testing.T, change func(p *celltest.Plan)) []*Finding {
	p := celltest.Ladder
	p.Models, p.Gen, p.Reps = 10, 4, 5
	change(&p)
	return ask(celltest.Set(t, p.Rows(1))).Of(record.ModeDecode)
}

// TestKindsAreNotJoined: models of two weight types have a law each where they are
// enough, and are joined with a word about it where they are not.
func TestKindsAreNotJoined(t *testing.T) {
	types := func(every int) func(p *celltest.Plan) {
		return func(p *celltest.Plan) {
			p.Facts = func(m int, f *record.ModelFacts) { f.WeightType = []string{"f32", "q8_0"}[min(1, m%every)] }
			p.PerToken = func(m int) float64 { return math.Pow(2, .8*float64(m)) / float64(1+min(1, m%every)) }
		}
	}
	found := asked(t, types(2))
	if len(found) != 2 || found[0].Of != "f32" || found[1].Of != "q8_0" || len(found[0].Models) != 5 || len(found[0].Mixed)+len(found[0].Apart) != 0 {
		t.Fatalf("five models of each type: %d findings, %+v", len(found), found[0])
	}
	for _, f := range found {
		if f.Law == nil || f.Law.Form != law.Power || math.Abs(f.Exponent.Value-.8) > .01 {
			t.Errorf("%s: %+v", f.Of, f.Told)
		}
	}
	found = asked(t, types(5))
	if len(found) != 1 || found[0].Of != "q8_0" || !slices.Equal(found[0].Apart, []string{"m00", "m05"}) {
		t.Errorf("eight models and two: %+v", found[0])
	}
	found = asked(t, func(p *celltest.Plan) { p.Models = 6; types(2)(p) })
	if len(found) != 1 || found[0].Of != "" || !slices.Equal(found[0].Mixed, []string{"2 weight types"}) {
		t.Errorf("three models of each type: %+v", found[0])
	}
}

// TestAxis: times that follow the parameters without embeddings are told over these, and
// over the run's axis where both explain them.
func TestAxis(t *testing.T) {
	share := []float64{.9, .5, .8, .3, .7, .4, .6, .2, .5, .1}
	rest := func(m int, f *record.ModelFacts) {
		f.ParamsNonEmbedding = int64(float64(f.ParamsTotal) * (1 - share[m]))
	}
	f := asked(t, func(p *celltest.Plan) {
		p.Facts = rest
		p.PerToken = func(m int) float64 { return math.Pow(2, float64(m)) * (1 - share[m]) }
	})[0]
	if f.Axis != "params_non_embedding" || f.AxisVerdict != law.Leads || f.Law.Form != law.Straight {
		t.Errorf("%s %s %+v", f.Axis, f.AxisVerdict, f.Told)
	}
	f = asked(t, func(p *celltest.Plan) {
		p.Facts = func(m int, f *record.ModelFacts) {
			f.ParamsNonEmbedding = f.ParamsTotal*9/10 + int64(m%3)*f.ParamsTotal/100
		}
	})[0]
	if f.Axis != "params_total" {
		t.Errorf("%s %s", f.Axis, f.AxisVerdict)
	}
}

// TestCommitted: of the committed GPT-2 runs tiny-gpt2 is named, and the law of all is
// that of a fixed cost; the ladder is proportional to size.
func TestCommitted(t *testing.T) {
	of := func(dir, backend string) *Finding {
		run, err := runs.Load(filepath.Join("..", "..", "..", "results", dir))
		if err != nil {
			t.Fatal(err)
		}
		set, err := cells.New(run, cells.Options{Bootstrap: -1})
		if err != nil {
			t.Fatal(err)
		}
		return ask(set).Main(cells.Series{Backend: backend, BatchSize: 1}, record.ModeDecode)
	}
	f := of("2026-11-23-xeon-2-cores", "native_cpu_f32")
	if f.Verdict != Withheld || f.Stray.Model != "tiny-gpt2" || f.Law.Form != law.Line || f.Law.N != 9 {
		t.Errorf("%s %+v", f.Says("Decode").Text, f.Stray)
	}
	f = of("2026-11-23-ladder-xeon-2-cores", "native_cpu_q4_0")
	if f.Verdict != law.Leads || f.Law.Form != law.Straight || !(f.Exponent.Sizes.Low < 1 && f.Exponent.Sizes.High > 1) || f.Break != "none" {
		t.Errorf("%s", f.Says("Decode").Text)
	}
	// Without the two largest sizes its laws foretell them.
	o := &f.axes[f.at]
	n := len(o.points)
	tt := law.Compete(o.points[:n-2])
	for _, p := range o.points[n-2:] {
		e, ok := tt.Predict(p)
		if off := math.Abs(math.Log(p.T) - e.Value); !ok || off > e.Half(.05) {
			t.Errorf("%g million: off by %.3f, the 95 %% interval reaches %.3f", p.X, off, e.Half(.05))
		}
	}
}

// TestNoMoreThanTheTable: what laws.csv calls too few sizes, or one of several laws, no
// sentence tells as a law: neither over all models nor without one of them.
func TestNoMoreThanTheTable(t *testing.T) {
	run, err := runs.Load(filepath.Join("..", "..", "..", "results", "2026-11-23-ollama-check-xeon-2-cores"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := cells.New(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	few := map[string]int{}
	for _, f := range ask(set).Of(record.ModeDecode) {
		if f.Told == nil || f.Told.Verdict != law.TooFew || f.Verdict == Flat || f.Verdict == Unclear {
			continue
		}
		few[f.Verdict]++
		if said := f.Says("Decode").Text; strings.Contains(said, "has the exponent") || strings.Contains(said, "to the power") {
			t.Errorf("%s: %s", f.Backend, said)
		}
		if said := f.lawText(); !strings.Contains(said, "too few sizes") {
			t.Errorf("%s: %s", f.Backend, said)
		}
	}
	if few[law.TooFew] == 0 || few[Withheld] == 0 {
		t.Errorf("the run has none of a kind: %v", few)
	}
	for _, f := range asked(t, func(p *celltest.Plan) { // eight on two lines, and one that takes ten times as long
		p.PerToken = func(m int) float64 {
			if m == 0 {
				return 10
			}
			return math.Pow(2, .8*float64(m))
		}
	}) {
		if leads := strings.HasPrefix(f.lawText(), "cannot tell"); f.Verdict == Withheld && leads != (f.Told.Verdict == law.Unsure) {
			t.Errorf("%s: the table has %s: %s", f.Backend, f.Told.Verdict, f.lawText())
		}
	}
}
