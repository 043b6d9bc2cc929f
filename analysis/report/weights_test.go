package report

import (
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
)

// typesOf makes up one model in several weight types, a backend for each: decode
// takes ms[i] per token of type i, calls scatter by the given share.
func typesOf(t *testing.T, ms []float64, calls int, scatter float64) *analysis.Result {
	t.Helper()
	rng := rand.New(rand.NewPCG(4, 4))
	var rows []runs.Row
	for i, x := range ms {
		typ := []string{"f32", "f16", "q8_0", "q4_0"}[i]
		l := ladderOf{sizes: []float64{5}, time: func(int) float64 { return x }, calls: calls}
		for _, r := range l.rows(1) {
			r.Backend, r.WeightType, r.BytesPerToken, r.WeightBytes = "cpu_"+typ, typ, 20e6>>i, 20e6>>i
			total := x * simGen * math.Exp(scatter*rng.NormFloat64())
			r.KVDecodeMS, r.LatencyMS, r.TokenNS = &total, &total, nil
			r.Line = len(rows) + 1
			rows = append(rows, r)
		}
	}
	r, err := analysis.Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWeightTypeSentences: a lead is bold only where its interval excludes 1, and
// nothing is said of it but within one process.
func TestWeightTypeSentences(t *testing.T) {
	for _, c := range []struct {
		name      string
		ms        []float64
		calls     int
		scatter   float64
		says, not []string
	}{
		{"a clear lead", []float64{4, 2}, 7, .02, []string{"by the medians of one process each: decode is fastest in **f16**, **2.", " times** as fast as in f32, which reads most bytes (95 % ", " within one process)"}, []string{"told"}},
		{"no lead", []float64{2, 1.99}, 7, .1, []string{"decode is fastest in **f", "and the calls do not tell ", " within one process)"}, []string{" times** as fast", "cannot be told"}},
		{"too few calls for an interval", []float64{4, 2}, 2, .02, []string{"2.", " times as fast as in f32, which reads most bytes (no interval), and the calls do not tell the two apart"}, []string{" times** as fast"}},
		{"bytes that are followed", []float64{4, 2, 1, .5}, 7, .005, []string{"Decode **follows the bytes** that a token reads on this machine, within one process of each type: "}, nil},
		{"a type slower than its bytes", []float64{4, 2, 2.2, .5}, 7, .005, []string{"Decode does **not follow the bytes** in q8_0 (+", " %) on this machine, within one process of each type: "}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			md, _ := write(t, typesOf(t, c.ms, c.calls, c.scatter))
			says(t, section(t, md, "Weight types"), append(c.says, "| 95 % within one process |")...)
			for _, not := range c.not {
				if strings.Contains(section(t, md, "Weight types"), not) {
					t.Errorf("the report says %q", not)
				}
			}
			unlabelled(t, md)
		})
	}
}

var ratioInterval = regexp.MustCompile(`[^.;|]{0,80}\btimes[^.;|]{0,60}\(?95 % [^)]*\)`)

// unlabelled looks for an interval of a ratio that does not say what it holds for.
func unlabelled(t *testing.T, md string) {
	t.Helper()
	for _, s := range ratioInterval.FindAllString(md, -1) {
		if !strings.Contains(s, "within one process") {
			t.Errorf("an interval without its label: %s", s)
		}
	}
	for _, word := range []string{"significant", "cannot be told"} {
		if strings.Contains(md, word) {
			t.Errorf("the report says %q", word)
		}
	}
}

func TestRatioIntervalPattern(t *testing.T) { // that the pattern finds what it is to find
	for s, want := range map[string]bool{
		"p64 **1.29 times** (95 % 1.22 to 1.45), +2.3 on native's 8.07": true,
		"**2.01 times** as fast as in f32 (95 % 1.95 to 2.07)":          true,
		"the gap is a fixed cost, 0.4 ms per token (95 % 0.3 to 0.5)":   false,
	} {
		if got := ratioInterval.MatchString(s); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}
