package lengths

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// TestDecodeLengthExact: 3 ms and 2 ms per token, to the last digit.
// AskRows asks made-up records.
func AskRows(t *testing.T, rows []runs.Row) *Answer {
	t.Helper()
	return Ask(celltest.Set(t, rows))
}

func TestDecodeLengthExact(t *testing.T) {
	gens := []int{8, 32, 64, 128, 256}
	r := AskRows(t, celltest.LengthRun(2, gens, 4, celltest.Affine(3, 2), func(m, i int) int64 { return 2e6 + int64(m)*1000*int64(i) }))
	if len(r.DecodeLengths) != 10 || len(r.DecodeLengthFits) != 2 || len(r.Answers.DecodeLengths) != 2 {
		t.Fatalf("%d rows, %d fits, %d answers", len(r.DecodeLengths), len(r.DecodeLengthFits), len(r.Answers.DecodeLengths))
	}
	for i, d := range r.DecodeLengths[:5] {
		n := float64(gens[i])
		if d.GenTokens != gens[i] || d.PromptTokens != 9 || d.N != 4 || d.DecodeMS != 3+2*n || d.MSPerToken != (3+2*n)/n || d.Ratio != d.MSPerToken/2.375 ||
			d.MSPerTokenMin != d.MSPerToken || d.MSPerTokenMax != d.MSPerToken || *d.Fraction != (3+2*n)/(8+2*n) || !slices.Equal(d.Scenarios, []string{fmt.Sprintf("gen%d", gens[i])}) {
			t.Errorf("%+v", d)
		}
	}
	for m, f := range r.DecodeLengthFits {
		// The steps of m01 get slower, of which its made-up calls know nothing.
		if !f.OK || f.NLengths != 5 || f.N != 20 || f.BentP != nil || strings.Join(celltest.Codes(f.Warnings), " ") != []string{"", "position_bias"}[m] {
			t.Errorf("%+v", f)
		}
		celltest.Near(t, "fixed ms", f.FixedMS, 3, 1e-9)
		celltest.Near(t, "ms per token", f.PerTokenMS, 2, 1e-9)
		celltest.Near(t, "fixed se", f.FixedSE, 0, 1e-9)
		celltest.Near(t, "R2", f.R2, 1, 1e-12)
		celltest.Near(t, "deviation", f.Deviation, 0, 1e-9)
		p := f.Position // 1000 ns more for each position of m01, none of m00
		celltest.Near(t, "ns per 100 positions", p.NSPer100, float64(m)*1e5, 1e-6)
		if p.GenTokens != 256 || p.N != 4 || p.CI == nil || p.CI.Low != p.CI.High || p.Reason != "" {
			t.Errorf("%+v", p)
		}
	}
	celltest.Near(t, "relative to the median step", r.DecodeLengthFits[1].Position.Relative, 1e5/(2e6+127500), 1e-12)
	a := r.Answers.DecodeLengths[0]
	if a.Verdict != "falls" || a.Shortest != 8 || a.Longest != 256 || math.Abs(a.CI.Low-a.Ratio) > 1e-12 || math.Abs(a.Ratio-(515.0/256)/(19.0/8)) > 1e-12 {
		t.Errorf("%+v", a)
	}
}

// TestDecodeLengthNoise: three calls of each of three lengths, with noise. The
// figures were computed apart from this code, from the normal equations of
// weighted least squares in exact fractions, the tails of t and F by Simpson's
// rule, and the interval of the ratio as in TestRatioOfMedians.
func TestDecodeLengthNoise(t *testing.T) {
	ms := map[int][]float64{8: {19.19, 18.81, 19}, 32: {67.67, 66.33, 67.335}, 128: {261.59, 256.41, 259}}
	r := AskRows(t, celltest.LengthRun(1, []int{8, 32, 128}, 3, func(_, gen, rep int) float64 { return ms[gen][rep] }, nil))
	f := r.DecodeLengthFits[0]
	celltest.Near(t, "fixed ms", f.FixedMS, 2.9893650793650792, 1e-9)
	celltest.Near(t, "fixed se", f.FixedSE, 0.13443076780748273, 1e-9)
	celltest.Near(t, "fixed low", &f.FixedT.Low, 2.6714868256472784, 1e-6)
	celltest.Near(t, "fixed high", &f.FixedT.High, 3.30724333308288, 1e-6)
	celltest.Near(t, "ms per token", f.PerTokenMS, 2.001744791666667, 1e-9)
	celltest.Near(t, "per token se", f.PerTokenSE, 0.010018654631885698, 1e-9)
	celltest.Near(t, "per token low", &f.PerTokenT.Low, 1.9780544379557785, 1e-6)
	celltest.Near(t, "per token high", &f.PerTokenT.High, 2.025435145377555, 1e-6)
	celltest.Near(t, "R2", f.R2, 0.9998246832984372, 1e-9)
	celltest.Near(t, "lack of fit", f.BentP, 0.8389578718927696, 1e-6)
	celltest.Near(t, "deviation", f.Deviation, 0.0009913946940555973, 1e-9)
	a := r.Answers.DecodeLengths[0]
	celltest.Near(t, "ratio low", &a.CI.Low, 0.8316897554771151, 1e-9)
	celltest.Near(t, "ratio high", &a.CI.High, 0.8727523139573294, 1e-9)
	if f.Position.NSPer100 != nil || f.Position.Reason != "no token times were recorded" {
		t.Errorf("%+v", f.Position)
	}
}

// TestDecodeLengthEqualTimes: answers of all lengths take 5 ms to the last digit, all of it fixed.
func TestDecodeLengthEqualTimes(t *testing.T) {
	r := AskRows(t, celltest.LengthRun(1, []int{8, 32, 128}, 3, celltest.Affine(5, 0), func(_, _ int) int64 { return 39_062 }))
	f := r.DecodeLengthFits[0]
	celltest.Near(t, "fixed ms", f.FixedMS, 5, 1e-9)
	celltest.Near(t, "ms per token", f.PerTokenMS, 0, 1e-9)
	if f.R2 != nil || f.BentP != nil || len(f.Warnings) > 0 || f.Position.CI == nil || *f.Position.NSPer100 != 0 {
		t.Errorf("%+v", f)
	}
	if a := r.Answers.DecodeLengths[0]; a.Verdict != "falls" || a.Why == "" {
		t.Errorf("%+v", a)
	}
}

// TestDecodeLengthVerdicts: what is said of the longest against the shortest.
func TestDecodeLengthVerdicts(t *testing.T) {
	scatter := func(by float64, law func(int, int, int) float64) func(int, int, int) float64 {
		return func(m, gen, rep int) float64 { return law(m, gen, rep) * (1 + by*float64(rep%3-1)) }
	}
	quadratic := func(_, gen, _ int) float64 { return 2*float64(gen) + 0.01*float64(gen*gen) }
	for _, tt := range []struct {
		name, verdict, warning string
		gens                   []int
		reps                   int
		decode                 func(int, int, int) float64
	}{
		{"in proportion", "same", "", []int{8, 64, 256}, 6, scatter(.01, celltest.Affine(0, 2))},
		{"small fixed cost", "same", "", []int{8, 64, 256}, 6, scatter(.002, celltest.Affine(.5, 2))},
		{"fixed cost", "falls", "", []int{8, 64, 256}, 6, scatter(.01, celltest.Affine(3, 2))},
		{"cost of position", "grows", "not_affine", []int{8, 64, 256}, 6, scatter(.01, quadratic)},
		{"two lengths", "grows", "", []int{8, 256}, 6, scatter(.01, quadratic)},
		{"noise", "not_identified", "", []int{8, 64, 256}, 6, scatter(.2, celltest.Affine(0, 2))},
		{"two calls", "unknown", "", []int{8, 64, 256}, 2, celltest.Affine(3, 2)},
		{"hump", "not_identified", "not_affine", []int{8, 64, 256}, 6, scatter(.002, func(_, gen, _ int) float64 {
			if gen == 64 {
				return 150
			}
			return 2 * float64(gen)
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := AskRows(t, celltest.LengthRun(1, tt.gens, tt.reps, tt.decode, nil))
			a, f := r.Answers.DecodeLengths[0], r.DecodeLengthFits[0]
			if a.Verdict != tt.verdict || a.Why == "" {
				t.Errorf("%+v", a)
			}
			if got := slices.Contains(celltest.Codes(f.Warnings), "not_affine"); got != (tt.warning != "") {
				t.Errorf("%+v", f)
			}
			if f.OK != (len(tt.gens) >= 3) || !f.OK && f.Reason != "2 lengths; a line takes 3" {
				t.Errorf("%v %s", f.OK, f.Reason)
			}
			for _, w := range f.Warnings {
				if !slices.Contains(r.Warnings(), w) {
					t.Errorf("not among the run's warnings: %+v", w)
				}
			}
		})
	}
}

// TestPositionBias: calls of 3 ms and of steps that get slower, by 1 us each. The
// warning's correction gives the 3 ms back.
func TestPositionBias(t *testing.T) {
	gens := []int{8, 64, 256}
	decode := func(_, gen, rep int) float64 {
		n := float64(gen)
		return (3 + 2*n + 0.001*n*(n-1)/2) * (1 + .0001*float64(rep-1))
	}
	r := AskRows(t, celltest.LengthRun(1, gens, 3, decode, func(_, pos int) int64 { return 2e6 + 1000*int64(pos) }))
	f := r.DecodeLengthFits[0]
	i := slices.IndexFunc(f.Warnings, func(w finding.Warning) bool { return w.Code == "position_bias" })
	if i < 0 {
		t.Fatalf("%+v", f)
	}
	var slope, off float64
	var way string
	text := strings.NewReplacer("(", "", ",", "", ")", "").Replace(f.Warnings[i].Text)
	if _, err := fmt.Sscanf(text, "token times change with position %g ns per 100 positions which a straight line does not know: its fixed cost is too %s by about %g ms", &slope, &way, &off); err != nil {
		t.Fatal(err)
	}
	if slope != 1e5 || way != "low" || math.Abs(*f.FixedMS+off-3) > 0.01 || off < 0.1 {
		t.Errorf("fixed %v, %s", *f.FixedMS, f.Warnings[i].Text)
	}
}

// TestPositionSlope: when it is unknown, and what does not move it.
func TestPositionSlope(t *testing.T) {
	call := func(n int, perStep, spike int64) *runs.Row {
		r := new(runs.RowOf(record.Record{}))
		for i := range n {
			ns := 1e6 + perStep*int64(i)
			if i%10 == 9 {
				ns += spike
			}
			r.TokenNS = append(r.TokenNS, ns)
		}
		return r
	}
	p := positionSlope(64, []*runs.Row{call(64, 100, 0), call(64, 300, 0), call(64, 200, 5e6)})
	celltest.Near(t, "mean of three calls", p.NSPer100, 20000, 1e-9)
	// 4.302653 is t(0.975, 2), from its table; the slopes' deviation is 10000.
	celltest.Near(t, "lower end", &p.CI.Low, 20000-4.302653*10000/math.Sqrt(3), 1)
	celltest.Near(t, "upper end", &p.CI.High, 20000+4.302653*10000/math.Sqrt(3), 1)
	for want, calls := range map[string][]*runs.Row{
		"no token times were recorded":                                         {new(runs.RowOf(record.Record{})), call(40, 1, 0)}, // none of 63 steps
		"the longest answers have 63 tokens; a slope along positions takes 64": {call(63, 1, 0), call(63, 1, 0), call(63, 1, 0)},
		"2 calls of the longest answers; a slope along positions takes 3":      {call(64, 1, 0), call(64, 1, 0)},
	} {
		gen := 63
		if strings.HasPrefix(want, "2 calls") {
			gen = 64
		}
		if p := positionSlope(gen, calls); p.Reason != want || p.NSPer100 != nil || p.CI != nil || p.Relative != nil {
			t.Errorf("%+v", p)
		}
	}
}

// TestLengthMismatch: a target that was not what was decoded is said, and not
// relied on.
func TestLengthMismatch(t *testing.T) {
	rows := celltest.LengthRun(1, []int{8, 32, 64}, 3, celltest.Affine(3, 2), nil)
	right := AskRows(t, rows)
	if slices.Contains(celltest.Codes(right.Warnings()), "length_mismatch") {
		t.Error("a warning without reason")
	}
	for i := range rows {
		rows[i].GenTokensTarget = 64
	}
	r := AskRows(t, rows)
	i := slices.IndexFunc(r.Warnings(), func(w finding.Warning) bool { return w.Code == "length_mismatch" })
	if i < 0 || !strings.HasPrefix(r.Warnings()[i].Text, "6 calls") || !strings.Contains(r.Warnings()[i].Text, "the first 8 instead of 64") {
		t.Errorf("%+v", r.Warnings())
	}
	x, _ := json.Marshal([]any{right.DecodeLengths, right.DecodeLengthFits, right.Answers})
	y, _ := json.Marshal([]any{r.DecodeLengths, r.DecodeLengthFits, r.Answers})
	if !bytes.Equal(x, y) {
		t.Errorf("the target counts:\n%s\n%s", x, y)
	}
}
