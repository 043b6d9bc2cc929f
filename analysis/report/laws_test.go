package report

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/runs"
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
		n := len(sizes)
		what := fmt.Sprintf("%d models of 5 ms", n)
		r, md, page := madeUp{sizes: sizes, ms: func(float64) float64 { return 5 }, calls: 6}.onDisk(t)
		holds(t, what, md, []string{
			"Decode time on cpu **does not grow** with total parameters on this machine: all models take the same time (exponent 0.000",
			"t-interval 0.000 to 0.000, R² –, n = ", "| does not grow: 0.000 (0.000 to 0.000) |",
			"is a fixed cost is **unknown** on this machine: the times do not grow with size",
		}, []string{": .", "()", "takes 3.06"})
		holds(t, what+", html", page, []string{"<strong>does not grow</strong>"}, nil)
		if leave := "leaving one out takes 4 models"; strings.Contains(md, leave) != (n < 4) {
			t.Errorf("%s: %q is said: %v", what, leave, n >= 4)
		}
		if leave := "Leaving out any one model does not change it."; strings.Contains(md, leave) != (n >= 4) {
			t.Errorf("%s: %q is said: %v", what, leave, n < 4)
		}
		for _, f := range analysis.Get[scaling.Answer](r).TwoPredictors {
			if f.OK && (f.R2 != nil || math.Abs(*f.Beta) > 1e-9 || math.Abs(*f.Gamma) > 1e-9) {
				t.Errorf("%s: two predictors: %+v", what, f)
			}
		}
		for _, o := range analysis.Get[scaling.Answer](r).OffsetFits {
			if o.Reason == "" && o.Form == scaling.FormLinear {
				t.Errorf("%s: no reason: %+v", what, o)
			}
		}
	}
}

// TestExactLaw: times on a power law to the last digit have an exponent, and no model that moves it.
func TestExactLaw(t *testing.T) {
	_, md, _ := madeUp{sizes: evenly(9, 2), ms: func(x float64) float64 { return math.Pow(x, .5) }, calls: 6}.onDisk(t)
	holds(t, "x^.5", md, []string{"to the power **0.500**", "Leaving out any one model does not change it."}, []string{"takes 4 models", "does not follow one power law", "**fixed cost** of"})
}

// TestPowerLawIsNoFixedCost: a straight line through 3*P^.7 starts at several times what the smallest model takes.
func TestPowerLawIsNoFixedCost(t *testing.T) {
	m := madeUp{sizes: gpt2Sizes, ms: func(x float64) float64 { return 3 * math.Pow(x, .7) }, calls: 7, callSD: .01}
	r, md, _ := m.onDisk(t)
	holds(t, "3 P^.7", md, []string{"Which share of decode time on cpu is a fixed cost is **unknown** on this machine: the times do not lie on a straight line", "to the power **0.7"},
		[]string{"**fixed cost** of"})
	for _, o := range analysis.Get[scaling.Answer](r).OffsetFits {
		if o.Form == scaling.FormLinear && (o.Verdict != scaling.OffsetNoLine || o.OverheadAtMin != nil) {
			t.Errorf("%s: %+v", o.Scenario, o)
		}
	}
}

// TestFixedCost: 6 ms and 0.2 ms for each million parameters; shares are of what was measured.
func TestFixedCost(t *testing.T) {
	m := madeUp{sizes: evenly(8, 2.2), ms: func(x float64) float64 { return 6 + .2*x }, calls: 7, callSD: .01}
	r, md, _ := m.onDisk(t)
	holds(t, "6 + 0.2 P", md, []string{"**does not follow one power law** of total parameters", ": the local exponent rises from ", "Decode time on cpu is a straight line over total parameters with a **fixed cost** of ", "no_power_law"},
		[]string{"to the power **"})
	for _, o := range analysis.Get[scaling.Answer](r).OffsetFits {
		if o.Form != scaling.FormLinear {
			continue
		}
		smallest := analysis.Get[scaling.Answer](r).Fits[0].Points[0].Y
		if math.Abs(*o.A-6) > .3 || math.Abs(*o.B-.2) > .01 || *o.OverheadAtMin != *o.A/smallest {
			t.Errorf("a %v, b %v, share %v of %v ms", *o.A, *o.B, *o.OverheadAtMin, smallest)
		}
	}
	// Of single calls nothing says how well a line should fit.
	m.calls = 1
	_, md, _ = m.onDisk(t)
	holds(t, "single calls", md, []string{"is **unknown** on this machine: whether 8 models lie on a straight line cannot be told without repeated calls"}, []string{"**fixed cost** of"})
}

var bolds = regexp.MustCompile(`\*\*([^*]+)\*\*`)

// TestNoExponentInBold: where one exponent does not describe all models it stands in bold nowhere, and the summary says so.
func TestNoExponentInBold(t *testing.T) {
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
			"**No one exponent** of total parameters describes decode time on cpu", "m08 takes 2.", "Without it the exponent is ", "It is the largest measured",
			"| not one: ", " without m08 |", "| no: m08 moves it |", "one_point_moves"}, nil},
		{"one in the middle is slow", madeUp{sizes: evenly(9, 2), ms: slow(4), calls: 7, callSD: .02}, []string{"to the power **", "Warnings on this fit: outlier"},
			[]string{"**No one exponent**", "does not follow one power law"}},
		{"small models wait", madeUp{sizes: evenly(9, 2), ms: func(x float64) float64 { return max(20, x) }, calls: 7, callSD: .01}, []string{
			"| not one: ", "| no: ", "**does not follow one power law** of total parameters on this machine: the local exponent rises from ", " between m00 and m02 to ", " between m02 and m08 (test of one exponent against "}, []string{"**No one exponent**"}},
		{"a ceiling", madeUp{sizes: evenly(9, 2), ms: func(x float64) float64 { return min(x, 80) }, calls: 7, callSD: .01}, []string{"the local exponent falls from 1.", "| not one: 1."}, nil},
		{"three sizes bend", madeUp{sizes: evenly(3, 4), ms: func(x float64) float64 { return 10 + x }, calls: 7, callSD: .01}, []string{"**does not follow one power law**", "against the calls' scatter: p < 0.001, n = 3 models"}, nil},
	} {
		r, md, page := c.m.onDisk(t)
		holds(t, c.name, md, c.these, c.those)
		s := analysis.Get[scaling.Answer](r).Answers.Slopes[0]
		law := s.Verdict == "grows" || s.Verdict == "shrinks"
		for _, b := range bolds.FindAllStringSubmatch(md, -1) {
			if value := doc.Fixed(s.Slope, 3); b[1] == value && !law {
				t.Errorf("%s (%s): %s in bold", c.name, s.Verdict, value)
			}
		}
		if strings.Contains(page, "<strong>"+doc.Fixed(s.Slope, 3)+"</strong>") && !law {
			t.Errorf("%s: bold in report.html", c.name)
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
		{"level", func(float64) float64 { return 8 }, []string{"**does not grow** with total parameters on this machine: the slope's 95 % t-interval lies within 0.05 of 0", "| does not grow: "}, []string{"to the power **"}},
		{"hardly", func(x float64) float64 { return 8 * math.Pow(x, .02) }, []string{"**does not grow** with total parameters"}, []string{"to the power **"}},
		{"uneven", func(x float64) float64 { return uneven[int(math.Round(math.Log2(x/5)))] }, []string{"does not grow with total parameters as far as these models tell, on this machine", "Whether it grows is **unknown**", "| unknown: "}, []string{"to the power **"}},
		{"falls", func(x float64) float64 { return 80 * math.Pow(x, -.4) }, []string{"shrinks as total parameters to the power **-0.4"}, []string{"does not grow"}},
	} {
		_, md, _ := madeUp{sizes: evenly(9, 2), ms: c.ms, calls: 7, callSD: .01}.onDisk(t)
		holds(t, c.name, md, c.these, c.those)
	}
}
