package report

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/law"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// loaded is the run of these rows' records, through a runs.jsonl in dir.
func loaded(t *testing.T, dir string, rows []runs.Row) *runs.Run {
	t.Helper()
	var lines []byte
	for i := range rows {
		line, err := json.Marshal(rows[i].Record())
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if err := os.WriteFile(filepath.Join(dir, "runs.jsonl"), lines, 0o644); err != nil {
		t.Fatal(err)
	}
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// onDisk takes a series through a run folder: its records as runs.jsonl, loaded,
// analysed with a bootstrap, drawn, and reported.
func (m madeUp) onDisk(t *testing.T) (r *analysis.Result, md, page string) {
	t.Helper()
	dir := t.TempDir()
	run := loaded(t, dir, m.rows(rand.New(rand.NewPCG(2, 2))))
	var err error
	if r, err = analysis.Analyze(run, cells.Options{Bootstrap: 100}); err != nil {
		t.Fatal(err)
	}
	if err := analysis.Write(filepath.Join(dir, "analysis"), r); err != nil {
		t.Fatal(err)
	}
	figs, err := draw.Write(filepath.Join(dir, "analysis", "plots"), r.Figures())
	if err != nil {
		t.Fatal(err)
	}
	md, page = writeWith(t, dir, r, figs)
	return r, md, page
}

// holds fails where a text lacks one of these, or holds one of those.
func holds(t *testing.T, what, text string, these, those []string) {
	t.Helper()
	for _, s := range these {
		if !strings.Contains(text, s) {
			t.Errorf("%s: the report does not say %q", what, s)
		}
	}
	for _, s := range those {
		if strings.Contains(text, s) {
			t.Errorf("%s: the report says %q", what, s)
		}
	}
}

// TestIdenticalTimes: nothing scatters, nothing grows, and every sentence has its reason.
func TestIdenticalTimes(t *testing.T) {
	for _, sizes := range [][]float64{evenly(3, 2), evenly(9, 2), gpt2Sizes, {5, 5, 10, 20, 20, 20, 40}} {
		what := fmt.Sprintf("%d models of 5 ms", len(sizes))
		r, md, page := madeUp{sizes: sizes, ms: func(float64) float64 { return 5 }, calls: 6}.onDisk(t)
		holds(t, what, md, []string{"## Decode does not grow with total parameters: all models take the same time"}, []string{": .", "()", "takes a fixed"})
		holds(t, what+", html", page, []string{"Decode does not grow with total parameters"}, nil)
		for _, f := range analysis.Get[scaling.Answer](r).TwoPredictors {
			if f.OK && (f.R2 != nil || math.Abs(*f.Beta) > 1e-9 || math.Abs(*f.Gamma) > 1e-9) {
				t.Errorf("%s: two predictors: %+v", what, f)
			}
		}
	}
}

// TestExactLaw: times on a power law to the last digit have an exponent.
func TestExactLaw(t *testing.T) {
	_, md, _ := madeUp{sizes: evenly(9, 2), ms: func(x float64) float64 { return math.Pow(x, .5) }, calls: 6}.onDisk(t)
	holds(t, "x^.5", md, []string{"## Decode grows with total parameters to the power 0.500"}, []string{"takes a fixed", "No exponent"})
}

// TestPowerLawIsNoFixedCost: a straight line through 3*P^.7 starts at several times what the smallest model takes.
func TestPowerLawIsNoFixedCost(t *testing.T) {
	m := madeUp{sizes: gpt2Sizes, ms: func(x float64) float64 { return 3 * math.Pow(x, .7) }, calls: 7, callSD: .01}
	_, md, _ := m.onDisk(t)
	holds(t, "3 P^.7", md, []string{"to the power 0.7"}, []string{"takes a fixed"})
}

// TestFixedCost: 6 ms and 0.2 ms for each million parameters.
func TestFixedCost(t *testing.T) {
	m := madeUp{sizes: evenly(9, 2.2), ms: func(x float64) float64 { return 6 + .2*x }, calls: 7, callSD: .01}
	r, md, _ := m.onDisk(t)
	holds(t, "6 + 0.2 P", md, []string{"## Decode of 32 tokens takes a fixed ", "ms per million parameters", "| fixed cost and straight line |"}, []string{"to the power "})
	f := analysis.Get[laws.Answer](r).Of(record.ModeDecode)[0]
	if f.Law.Form != law.Line || math.Abs(*f.Told.T0-6) > .3 || math.Abs(*f.Told.B-.2) > .01 || f.Told.T0CI == nil || f.Told.T0CI.Low > 6 || f.Told.T0CI.High < 6 {
		t.Errorf("%+v", f.Told)
	}
}

// TestNoExponent: where one exponent does not describe all models none is stated.
func TestNoExponent(t *testing.T) {
	slow := func(at int) func(float64) float64 {
		return func(x float64) float64 {
			if math.Abs(x/evenly(9, 2)[at]-1) < 1e-6 {
				return 2.5 * x
			}
			return x
		}
	}
	for _, c := range []struct {
		name         string
		m            madeUp
		these, those []string
	}{
		{"the largest is slow", madeUp{sizes: evenly(9, 2), ms: slow(8), calls: 7, callSD: .02}, []string{
			"## No exponent of decode: m08 alone makes it, with 2.", "proportional, without m08 | ", "one_point_moves"}, nil},
		{"one in the middle is slow", madeUp{sizes: evenly(9, 2), ms: slow(4), calls: 7, callSD: .02}, []string{"m04 takes 2."}, []string{"No exponent"}},
		{"small models wait", madeUp{sizes: evenly(9, 2), ms: func(x float64) float64 { return max(20, x) }, calls: 7, callSD: .01}, []string{
			"grows with total parameters to the power 0.0", ", from 2"}, []string{"No exponent"}},
		{"a ceiling", madeUp{sizes: evenly(9, 2), ms: func(x float64) float64 { return min(x, 80) }, calls: 7, callSD: .01}, []string{"to the power 1.0", " million parameters on 0.0", "power law with a break"}, nil},
		{"three sizes", madeUp{sizes: evenly(3, 4), ms: func(x float64) float64 { return 10 + x }, calls: 7, callSD: .01}, []string{"Whether decode grows with total parameters cannot be told: the exponent is "}, nil},
	} {
		r, md, _ := c.m.onDisk(t)
		holds(t, c.name, md, c.these, c.those)
		f := analysis.Get[laws.Answer](r).Of(record.ModeDecode)[0]
		slope := doc.Fixed(analysis.Get[scaling.Answer](r).Fits[0].Slope, 3)
		if leads := f.Verdict == law.Leads && f.Law.Form == law.Power; !leads && strings.Contains(md, "to the power "+slope) {
			t.Errorf("%s (%s): the power %s", c.name, f.Verdict, slope)
		}
	}
}

// TestWordsOfGrowth: no growth, growth that cannot be told, and shrinking.
func TestWordsOfGrowth(t *testing.T) {
	uneven := []float64{1, 3, .5, 2.5, .8, 2, .6, 3.2, 1}
	for _, c := range []struct {
		name         string
		ms           func(x float64) float64
		these, those []string
	}{
		{"level", func(float64) float64 { return 8 }, []string{"Decode does not grow with total parameters: the exponent is "}, []string{"to the power "}},
		{"hardly", func(x float64) float64 { return 8 * math.Pow(x, .02) }, []string{"Decode does not grow with total parameters"}, []string{"to the power "}},
		{"uneven", func(x float64) float64 { return uneven[int(math.Round(math.Log2(x/5)))] }, []string{"Whether decode grows with total parameters cannot be told"}, []string{"to the power "}},
		{"falls", func(x float64) float64 { return 80 * math.Pow(x, -.4) }, []string{"shrinks with total parameters to the power -0.4"}, []string{"does not grow"}},
	} {
		_, md, _ := madeUp{sizes: evenly(9, 2), ms: c.ms, calls: 7, callSD: .01}.onDisk(t)
		holds(t, c.name, md, c.these, c.those)
	}
}
