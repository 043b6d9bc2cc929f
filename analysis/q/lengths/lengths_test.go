package lengths

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// grown makes the calls of one model whose prefill and decode grow by known laws, over
// prompts from an empty cache and behind depths.
type grown struct {
	prompts, depths []int
	gen             int
	blocks          int
	prefill, decode func(n float64) float64 // ms, ms of a step
	scatter, drift  float64                 // of a call, and of a block, as logarithms
	callMS          float64                 // decode's fixed cost of each call
	steps           bool                    // whether steps are timed
}

func (g grown) rows(seed uint64) []runs.Row {
	rng := rand.New(rand.NewPCG(seed, 5))
	p := celltest.Plan{Models: 1, Reps: 1, Gen: 1, PerToken: func(int) float64 { return 1 }}
	var rows []runs.Row
	type at struct{ prompt, depth int }
	var all []at
	for _, n := range g.prompts {
		all = append(all, at{n, 0})
	}
	for _, d := range g.depths {
		all = append(all, at{g.prompts[0], d})
	}
	for b := range max(1, g.blocks) {
		block := math.Exp(g.drift * rng.NormFloat64())
		for task, where := range all {
			for call := 1; call <= 3; call++ {
				for _, r := range p.Call(rng, "cpu", fmt.Sprintf("p%d_d%d", where.prompt, where.depth), 0, call, task) {
					by := block * math.Exp(g.scatter*rng.NormFloat64())
					r.Replicate, r.Depth = b, where.depth
					r.PromptTokensRaw, r.SeqLen, r.GenTokens, r.GenTokensRaw, r.GenTokensTarget = new(where.prompt), new(where.prompt), new(g.gen), new(g.gen), g.gen
					r.TokenNS = nil
					decode := g.callMS
					for i := range g.gen {
						ms := by * g.decode(float64(where.prompt+where.depth+i+1))
						decode += ms
						if g.steps {
							r.TokenNS = append(r.TokenNS, int64(ms*1e6))
						}
					}
					switch r.Mode {
					case record.ModePrefill:
						r.LatencyMS = new(by * g.prefill(float64(where.prompt)))
					case record.ModeDecode:
						r.LatencyMS = &decode
					}
					r.Line = len(rows) + 1
					rows = append(rows, r)
				}
			}
		}
	}
	return rows
}

// long has attention take over at 2,000 tokens of a prompt, and at 5,000 positions.
var long = grown{prompts: []int{1, 16, 64, 256, 1024, 4096}, depths: []int{256, 1024, 4096, 8192}, gen: 32, blocks: 5,
	prefill: func(n float64) float64 { return 2 + 0.1*n + 202*(n/2000)*(n/2000) },
	decode:  func(x float64) float64 { return 4 * (1 + x/5000) }, scatter: 0.02, drift: 0.05, steps: true}

func law(t testing.TB, rows []runs.Row, mode string) Law {
	t.Helper()
	for _, l := range Ask(celltest.Set(t, rows)).Laws {
		if l.Mode == mode {
			return l
		}
	}
	t.Fatalf("no law of %s", mode)
	return Law{}
}

// TestTakesOver: where attention takes half of the time is found, the interval covers it
// in 95 % of runs, and the verdict is never wrong by more than chance.
func TestTakesOver(t *testing.T) {
	trials := uint64(30)
	if os.Getenv("LLMSCALE_TRIALS") == "all" {
		trials = 1000
	}
	for _, c := range []struct {
		name    string
		at      float64 // where attention takes over
		blocks  int
		verdict string // the true one
	}{
		{"within, blocks", 2000, 5, Within},
		{"within, one process", 2000, 1, Within},
		{"beyond, blocks", 60000, 5, Beyond},
		{"beyond, one process", 60000, 1, Beyond},
		{"near the longest", 4500, 5, ""},
	} {
		for _, mode := range []string{record.ModePrefill, record.ModeDecode} {
			g := long
			g.blocks = c.blocks
			g.prefill = func(n float64) float64 { return 2 + 0.1*n + (2+0.1*c.at)*(n/c.at)*(n/c.at) }
			g.decode = func(x float64) float64 { return 4 * (1 + x/c.at) }
			if mode == record.ModeDecode && c.verdict == "" {
				g.decode = func(x float64) float64 { return 4 * (1 + x/8500) }
			}
			truth := c.at
			if mode == record.ModeDecode && c.verdict == "" {
				truth = 8500
			}
			covered, right, wrong, exact := 0, 0, 0, 0
			for seed := range trials {
				l := law(t, g.rows(seed), mode)
				if l.TakesOverLow != nil && *l.TakesOverLow <= truth && (l.TakesOverHigh == nil || *l.TakesOverHigh >= truth) {
					covered++
				}
				switch l.Verdict {
				case c.verdict:
					right++
				case Within, Beyond:
					if c.verdict != "" || (l.Verdict == Within) != (truth <= l.Longest) {
						wrong++
					}
				}
				if l.TakesOver != nil && math.Abs(*l.TakesOver/truth-1) < 0.15 {
					exact++
				}
			}
			t.Logf("%s, %s: covered in %d of %d, verdict right in %d, wrong in %d; within 15 %% in %d", c.name, mode, covered, trials, right, wrong, exact)
			noise := 3 * math.Sqrt(.05*.95*float64(trials))
			if float64(covered) < 0.92*float64(trials)-noise || float64(wrong) > 0.025*float64(trials)+noise/2 || c.verdict != "" && float64(right) < 0.9*float64(trials) {
				t.Errorf("%s, %s: covered in %d of %d, verdict right in %d, wrong in %d", c.name, mode, covered, trials, right, wrong)
			}
		}
	}
}

// TestNoAttention: time that does not grow with what lies in the cache has no length at
// which attention takes over.
func TestNoAttention(t *testing.T) {
	g := long
	g.prefill, g.decode = func(n float64) float64 { return 1 + 0.1*n }, func(float64) float64 { return 4 }
	for seed := range uint64(20) {
		for _, mode := range []string{record.ModePrefill, record.ModeDecode} {
			if l := law(t, g.rows(seed), mode); l.Verdict != Beyond {
				t.Errorf("%s: %s: %+v", mode, l.Verdict, l)
			}
		}
	}
}

// TestExponents: exactly those of power laws; the fixed cost of a call does not bend
// decode where its steps are timed.
func TestExponents(t *testing.T) {
	g := long
	g.scatter, g.drift, g.callMS = 0, 0, 30
	g.prefill, g.decode = func(n float64) float64 { return 0.3 * math.Pow(n, 1.2) }, func(x float64) float64 { return 2 * math.Pow(x, 0.25) }
	rows := g.rows(1)
	l := law(t, rows, record.ModePrefill)
	celltest.Near(t, "prefill", l.Exponent, 1.2, 1e-6)
	if l.NLengths != 6 || l.Shortest != 1 || l.Longest != 4096 || l.Blocks != 5 {
		t.Errorf("%+v", l)
	}
	l = law(t, rows, record.ModeDecode)
	celltest.Near(t, "decode", l.Exponent, 0.25, 0.01)
	if l.Longest != 1+8192+16.5 || l.NLengths != 10 {
		t.Errorf("%+v", l)
	}
	if l.Verdict != Unknown || !strings.Contains(l.Reason, "off the law") {
		t.Errorf("a power law is told as fixed + attention: %+v", l)
	}
}

// TestParts: a long answer is several lengths, of which the law follows; one whose steps
// were not timed is one.
func TestParts(t *testing.T) {
	g := long
	g.prompts, g.depths, g.gen, g.scatter = []int{16}, nil, 512, 0
	l := law(t, g.rows(1), record.ModeDecode)
	if l.NLengths != parts || l.Verdict != Beyond {
		t.Errorf("%+v", l)
	}
	celltest.Near(t, "takes over", l.TakesOver, 5000, 1e-3)
	g.steps = false
	if a := Ask(celltest.Set(t, g.rows(1))); len(a.Laws) != 0 {
		t.Errorf("%+v", a.Laws)
	}
	// Without timed steps the depths tell it, and the fixed cost of a call is in the step.
	g = long
	g.steps, g.scatter, g.drift, g.callMS = false, 0, 0, 32
	celltest.Near(t, "takes over, with 1 ms more a step", law(t, g.rows(1), record.ModeDecode).TakesOver, 5000*5/4., 1e-3)
}

// TestShort: a run of short prompts and answers says nothing of lengths, nor does one of
// answers that were scaled.
func TestShort(t *testing.T) {
	g := long
	g.prompts, g.depths = []int{1, 9, 17}, nil
	if a := Ask(celltest.Set(t, g.rows(1))); len(a.Laws) != 0 || len(a.Sections()) != 0 || len(a.Figures(new(intervals.Answer))) != 0 {
		t.Errorf("%+v", a.Laws)
	}
	rows := long.rows(1)
	for i := range rows {
		rows[i].GenTokensRaw = new(5)
	}
	for _, l := range Ask(celltest.Set(t, rows)).Laws {
		if l.Mode == record.ModeDecode {
			t.Errorf("%+v", l)
		}
	}
}

// TestSection: title, sentences and the figure.
func TestSection(t *testing.T) {
	set := celltest.Set(t, long.rows(1))
	a := Ask(set)
	md := celltest.Markdown(t, a.Sections()...)
	for _, want := range []string{"## Attention takes half of ", " on (", ", of m00 on cpu", "| prefill | cpu | 1 to 4096 tokens | ", " on (", "), m00 |", "<summary>The law of each model (", "| m00 | "} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	figs := a.Figures(intervals.Ask(set))
	if len(figs) != 2 {
		t.Fatalf("%v", figuretest.Names(figs))
	}
	for _, f := range figs {
		for _, p := range f.Panels[0].Layers[0].Points {
			if p.Verdict == "" {
				t.Errorf("%s: the cells of %s at %v have a verdict, the point has none", f.Name, p.Name, p.X)
			}
		}
	}
	figuretest.Says(t, figs[0], "Prefill against its length: cpu", "attention takes half of the time", "length of the prompt")
	figuretest.Says(t, figs[1], "Decode against its length: cpu", "position in the KV cache")
	g := long
	g.decode, g.prefill = func(float64) float64 { return 4 }, func(n float64) float64 { return n }
	md = celltest.Markdown(t, Ask(celltest.Set(t, g.rows(1))).Sections()...)
	for _, want := range []string{"## Up to ", " tokens attention takes less than half of the time", "| not up to the longest |"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
}
