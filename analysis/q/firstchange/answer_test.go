package firstchange

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/coldstart"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

var update = flag.Bool("update", false, "rewrite the table of docs/error-rates.md")

// asked asks made-up records what changes first.
func asked(t *testing.T, rows []runs.Row) (*Answer, *First) {
	t.Helper()
	set := celltest.Set(t, rows)
	a := Ask(set, tails.Ask(set), coldstart.Ask(set), failures.Ask(set))
	return a, a.Answers.First[0]
}

// verdicts are those of an answer by their aspects, of decode where there are several.
func verdicts(f *First) map[string]*Change {
	out := map[string]*Change{}
	for _, c := range f.Changes {
		if c.Mode != record.ModePrefill {
			out[c.Aspect] = c
		}
	}
	return out
}

func slowly(m int) float64 { return 1 + .05*float64(m) }

func from(at int, status string) func(int) string {
	return func(m int) string {
		if m < at {
			return ""
		}
		return status
	}
}

// TestFirst has each topic change first, and evidence missing, in blocks and in one
// process.
func TestFirst(t *testing.T) {
	for _, k := range []struct {
		name    string
		change  func(*celltest.Plan)
		blocks  string // the verdict of six blocks
		one     string // and of one process, in which the tail between processes is unknown
		heading string
		why     string // the reason of one of the verdicts
	}{
		{"latency", func(p *celltest.Plan) {}, "latency", "latency", "Latency changes first as models grow: decode time per token is twice that at 5M from ", "shown from m0"},
		{"nothing", func(p *celltest.Plan) { p.PerToken = slowly }, "none", Unknown, "Neither latency nor tails nor feasibility change as models grow, within", "all models are shown to be below 2 times"},
		{"tails", func(p *celltest.Plan) {
			p.PerToken = slowly
			p.Tail = func(m int) float64 { return []float64{1, 1, 1, 2, 2, 2, 2, 2}[m] }
		}, "tails", "tails", "Tails change first as models grow: the tail in a call is 1.25 times that at 5M from ", "shown from m03"},
		{"tails fall", func(p *celltest.Plan) {
			p.PerToken, p.Tail = slowly, func(m int) float64 { return 2 - .1*float64(m) }
		}, "none", Unknown, "Neither latency", "all models are shown to be below 1.25 times"},
		{"feasibility", func(p *celltest.Plan) { p.PerToken, p.Fails = slowly, from(6, record.StatusOOM) }, "feasibility", "feasibility",
			"Feasibility changes first as models grow: models fail from 320M parameters [", "2 cells of m06 (320 million parameters) ran out of memory, and no larger model ran there"},
		{"no model fits", func(p *celltest.Plan) { p.Fails = from(0, record.StatusOOM) }, "feasibility", "feasibility", "Feasibility is the first shown to change as models grow: models fail from 5M", "2 cells of m00"},
		{"all crash", func(p *celltest.Plan) { p.Fails = from(0, record.StatusCrashed) }, Unknown, Unknown, "What changes first as models grow cannot be told", "suspect the build or the configuration"},
		{"all waived", func(p *celltest.Plan) { p.Fails = from(0, record.StatusWaived) }, Unknown, Unknown, "What changes first as models grow cannot", "waived: this machine cannot run them"},
		{"the middle crashes", func(p *celltest.Plan) {
			p.PerToken, p.Fails = slowly, func(m int) string { return map[int]string{3: record.StatusCrashed}[m] }
		}, "none", Unknown, "Neither latency", "m03 crashed where the larger m04 ran"},
		{"few tokens", func(p *celltest.Plan) { p.Gen, p.Reps = 8, 3 }, "latency", "latency", "Latency is the first shown to change as models grow: ", "no model of known size has enough token times"},
	} {
		p := celltest.Ladder
		k.change(&p)
		a, f := asked(t, p.Blocks(6, nil))
		if f.Verdict != k.blocks || !slices.ContainsFunc(f.Changes, func(c *Change) bool { return strings.Contains(c.Reason, k.why) }) {
			t.Errorf("%s, blocks: %s, want %s", k.name, f.Verdict, k.blocks)
		}
		if s := a.Sections(); len(s) != 1 || !strings.HasPrefix(s[0].Title, k.heading) {
			t.Errorf("%s: %+v", k.name, s)
		}
		_, f = asked(t, p.Rows(1))
		if f.Verdict != k.one {
			t.Errorf("%s, one process: %s, want %s", k.name, f.Verdict, k.one)
		}
	}
}

// TestRest: what does not change first is told too, also where it cannot be known.
func TestRest(t *testing.T) {
	_, blocks := asked(t, celltest.Ladder.Blocks(6, nil))
	_, one := asked(t, celltest.Ladder.Rows(1))
	failing := celltest.Ladder
	failing.PerToken, failing.Fails = slowly, from(6, record.StatusOOM)
	_, late := asked(t, failing.Blocks(6, nil))
	for _, x := range []struct {
		of   *First
		want string
	}{
		{blocks, "Up to 640M the tail in a call grows less than 1.25 times, the tail between processes grows less than 1.25 times and no model fails"},
		{one, "Up to 640M the tail in a call grows less than 1.25 times and no model fails; not told: the tail between processes"},
		{late, "Up to 160M decode time per token grows less than 2 times, the tail in a call grows less than 1.25 times and the tail between processes grows less than 1.25 times"},
		{&First{Verdict: Unknown, Changes: blocks.Changes}, ""},
	} {
		if got := x.of.Rest().Text; got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
}

// TestSize: the size is where the law crosses the factor, between measured models.
func TestSize(t *testing.T) {
	p := celltest.Ladder
	p.PerToken = func(m int) float64 { return 3 + math.Pow(2, float64(m)) } // twice the 4 of m00 where 2^m is 5
	a, f := asked(t, p.Blocks(6, func(b int, r *runs.Row) float64 { return 1 + .01*float64((b+int(r.Model[2]))%3) }))
	c := verdicts(f)["latency"]
	if c.Verdict != Changes || c.SizeM == nil || math.Abs(*c.SizeM/25-1) > .05 || !(c.Between.Low < 25 && c.Between.High > 25) || c.Between.Low < 20 || c.Between.High > 40 {
		t.Errorf("%v %+v %+v", *c.SizeM, c.Between, c)
	}
	if m := verdicts(f)["memory"]; m.Verdict != Never || *m.Times != 1 {
		t.Errorf("%+v", m)
	}
	if len(a.Figures(new(intervals.Answer))) != 1 {
		t.Errorf("%d figures", len(a.Figures(new(intervals.Answer))))
	}
}

// TestOneSize: models of one size have no change with size.
func TestOneSize(t *testing.T) {
	p := celltest.Ladder
	p.Models, p.PerToken = 6, func(m int) float64 { return 1 + float64(m) }
	_, f := asked(t, celltest.Resize(p.Blocks(6, nil), 5, 5.02, 5.1, 5.2, 5.3, 5.4))
	for _, c := range f.Changes {
		if c.Factor > 0 && (c.Verdict != Unknown || !strings.Contains(c.Reason, "6 models of one size")) {
			t.Errorf("%s: %s, %s", c.Aspect, c.Verdict, c.Reason)
		}
	}
}

// TestNotInAllScenarios: models that lack a scenario are told of where they leave too few.
func TestNotInAllScenarios(t *testing.T) {
	rows := slices.DeleteFunc(celltest.Ladder.Blocks(6, nil), func(r runs.Row) bool { return r.Model != "m00" && r.Scenario == celltest.Ladder.Scenarios[0] })
	_, f := asked(t, rows)
	if c := verdicts(f)["latency"]; c.Verdict != Unknown || !strings.Contains(c.Reason, "1 of 8 models VALID in all scenarios") {
		t.Errorf("%+v", c)
	}
}

// TestFallsAgain: a middle model beyond the factor and a largest that is not are no
// order of size.
func TestFallsAgain(t *testing.T) {
	p := celltest.Ladder
	p.PerToken = func(m int) float64 { return []float64{1, 1, 4, 1, 1, 1, 1, 1}[m] }
	_, f := asked(t, p.Blocks(6, nil))
	if c := verdicts(f)["latency"]; c.Verdict != Unknown || !strings.Contains(c.Reason, "no order of size") {
		t.Errorf("%+v", c)
	}
}

// made are blocks of decode whose truth is known: times scatter by 5 % from call to
// call and by 3 % from process to process, and a share of calls takes five times as long.
func made(rng *rand.Rand, models, blocks int, decode, tail func(m int) float64, slow float64) []runs.Row {
	p := celltest.Ladder
	p.Models, p.PerToken, p.Reps, p.Scenarios = models, decode, 5, []string{"p1"}
	process := map[[2]int]float64{}
	var rows []runs.Row
	for _, r := range p.Blocks(blocks, nil) {
		m := int(r.Model[2] - '0')
		if r.Mode != record.ModeDecode {
			continue
		}
		k := [2]int{r.Replicate, m}
		if process[k] == 0 {
			process[k] = math.Exp(.03 * rng.NormFloat64())
		}
		by := process[k] * math.Exp(.05*rng.NormFloat64())
		if rng.Float64() < slow {
			by *= 5
		}
		ms := *r.LatencyMS * by
		r.LatencyMS, r.KVDecodeMS = &ms, &ms
		r.TokenNS = slices.Clone(r.TokenNS)
		width := .1 * math.Exp(.2*rng.NormFloat64()) * tail(m) // p95/p50 of about 1.26, of each call its own
		for i := range r.TokenNS {
			r.TokenNS[i] = int64(ms / float64(p.Gen) * 1e6 * math.Exp(width*rng.ExpFloat64()))
		}
		rows = append(rows, r)
	}
	return rows
}

// TestRates: how often a change is told that is none, that there is none where there is
// one, and how often the truth is found; the table of docs/error-rates.md.
func TestRates(t *testing.T) {
	of := celltest.Trials(200)
	var table strings.Builder
	fmt.Fprintf(&table, "| made-up run, %d of each | sizes | a change that is none | a wrong never | the truth |\n|---|---:|---:|---:|---:|\n", of)
	one := func(int) float64 { return 1 }
	plateau := func(times float64) func(int) float64 {
		return func(m int) float64 {
			if m == 0 {
				return 1
			}
			return times
		}
	}
	power := func(m int) float64 { return math.Pow(2, .8*float64(m)) }
	for _, k := range []struct {
		name           string
		decode, tail   func(int) float64
		slow           float64
		blocks         int
		latency, tails string  // the truth
		found          float64 // share of runs in which both are told, at least
	}{
		{"nothing changes", one, one, 0, 5, Never, Never, .95},
		{"a plateau of 1.95", plateau(1.95), one, 0, 5, Never, Never, 0},
		{"a plateau of 1.95, one process", plateau(1.95), one, 0, 1, Never, Never, 0},
		{"a plateau of 2.5", plateau(2.5), one, 0, 5, Changes, Never, .9},
		{"size to the power 0.8", power, one, 0, 5, Changes, Never, .95},
		{"one call in 100 takes 5 times as long", one, one, .01, 5, Never, Never, .95},
		{"one call in 100 takes 5 times as long, one process", one, one, .01, 1, Never, Never, .75},
		{"tails 1.15 times", one, func(m int) float64 { return plateau(1.6)(m) }, 0, 5, Never, Never, 0},
		{"tails twice", one, func(m int) float64 { return plateau(4)(m) }, 0, 5, Never, Changes, .9},
	} {
		for _, models := range []int{4, 9} {
			changed, never, right, held := 0, 0, 0, 0
			for i := range of {
				_, f := asked(t, made(rand.New(rand.NewPCG(uint64(i), 7)), models, k.blocks, k.decode, k.tail, k.slow))
				all := verdicts(f)
				l, x := all["latency"], all["tails_in_calls"]
				if l.Verdict == Changes && k.latency == Never || x.Verdict == Changes && k.tails == Never {
					changed++
				}
				if l.Verdict == Never && k.latency == Changes || x.Verdict == Never && k.tails == Changes {
					never++
				}
				if l.Verdict == k.latency && x.Verdict == k.tails {
					right++
				}
				if at := 5 * math.Pow(2, 1/.8); l.Between != nil && l.Between.Low <= at && at <= l.Between.High {
					held++
				}
			}
			fmt.Fprintf(&table, "| %s | %d | %.1f %% | %.1f %% | %.1f %% |\n", k.name, models, share(changed, of), share(never, of), share(right, of))
			if changed > atMost(of, .02) || never > atMost(of, .05) || right < of-atMost(of, 1-k.found) {
				t.Errorf("%s, %d sizes, of %d: %d changes that are none, %d wrong never, %d right", k.name, models, of, changed, never, right)
			}
			if k.name == "size to the power 0.8" {
				if t.Logf("%d sizes: the interval holds the size in %.1f %%", models, share(held, of)); held < of-atMost(of, .1) {
					t.Errorf("the interval holds the size in %d of %d", held, of)
				}
			}
		}
	}
	t.Log("\n" + table.String())
	if !celltest.AllTrials() || t.Failed() {
		return
	}
	const file, from, to = "../../../docs/error-rates.md", "<!-- first change -->\n", "<!-- end of first change -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), from)
	stated, after, ends := strings.Cut(rest, to)
	switch {
	case !ok || !ends:
		t.Fatalf("%s has no lines %s", file, from+to)
	case *update:
		if err := os.WriteFile(file, []byte(before+from+table.String()+to+after), 0o666); err != nil {
			t.Fatal(err)
		}
	case stated != table.String():
		t.Errorf("%s has other rates; run: go test ./analysis/q/firstchange -run Rates -update", file)
	}
}

func share(n, of int) float64 { return 100 * float64(n) / float64(of) }

// atMost is how many of n the binomial distribution gives in 999 of 1000 tests.
func atMost(n int, p float64) int {
	k := 0
	for b := (distuv.Binomial{N: float64(n), P: p}); k < n && b.CDF(float64(k)) < 0.999; k++ {
	}
	return k
}

// TestSpans: an interval of 95 % stands in brackets; what a row has of several backends is
// a span over them, and says so.
func TestSpans(t *testing.T) {
	p := celltest.Ladder
	p.Backends = []string{"a", "b"}
	a, _ := asked(t, p.Blocks(6, func(b int, r *runs.Row) float64 {
		return 1 + .01*float64((b+int(r.Model[2]))%3)
	}))
	page, _, _ := strings.Cut(celltest.Markdown(t, a.Sections()...), "<details>")
	for _, want := range []string{"a span without them is over backends", "| largest over smallest | "} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for line := range strings.Lines(page) {
		if strings.HasSuffix(strings.TrimSpace(line), "| all |") && strings.ContainsAny(line, "([") {
			t.Errorf("an interval of several backends: %s", line)
		}
	}
}
