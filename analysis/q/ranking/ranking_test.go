package ranking

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

func ask(t *testing.T, rows []runs.Row) *Answer {
	c := celltest.Set(t, rows)
	return Ask(c)
}

// race has backends over six sizes in five blocks: times[backend](size in millions) ms per token, processes that differ by
// 1 %, and blocks that drift by 10 %.
func race(seed uint64, times ...func(m float64) float64) []runs.Row {
	rng := rand.New(rand.NewPCG(seed, 5))
	p := celltest.Plan{Models: 6, Reps: 4, Gen: 4, Scenarios: []string{"s"}, PerToken: func(int) float64 { return 1 }}
	for i := range times {
		p.Backends = append(p.Backends, fmt.Sprintf("b%d", i))
	}
	drift, process := map[int]float64{}, map[string]float64{}
	rows := p.Blocks(5, func(block int, r *runs.Row) float64 {
		k := fmt.Sprint(block, r.Backend, r.Model)
		if drift[block] == 0 {
			drift[block] = math.Exp(.1 * rng.NormFloat64())
		}
		if process[k] == 0 {
			process[k] = math.Exp(.01 * rng.NormFloat64())
		}
		return drift[block] * process[k] * times[r.Backend[1]-'0'](r.ParamsMillions)
	})
	for i := range rows { // settings that differ in two things, and in one more for each backend
		r := &rows[i]
		r.FlashAttention, r.KVTypeK, r.KVTypeV = r.Backend, r.Backend, r.Backend
	}
	return rows
}

func power(at1, exponent float64) func(float64) float64 {
	return func(m float64) float64 { return at1 * math.Pow(m, exponent) }
}

// TestCrossing: b1 has a fixed cost that b0 has not and grows less: it overtakes at 30 million, b2 is always last.
func TestCrossing(t *testing.T) {
	a := ask(t, race(2, power(1, .8), power(math.Pow(30, .2), .6), power(5, .8)))
	n := 0
	for _, c := range a.Crossings {
		if c.Mode != record.ModeDecode {
			continue
		}
		n++
		switch c.Base + c.Backend {
		case "b0b1":
			if c.Verdict != Crosses || c.Below != "b0" || c.Above != "b1" || !(*c.Low < 30 && 30 < *c.High && *c.High / *c.Low < 1.5) || !(*c.Low < *c.SizeM && *c.SizeM < *c.High) || c.Law != "line" || c.Trend != "falls" {
				t.Errorf("%+v", c)
			}
		case "b0b2":
			if c.Verdict != OneFaster || c.Above != "b0" || c.SizeM != nil || c.Trend != "does not grow" {
				t.Errorf("%+v", c)
			}
		}
		if c.Reason == "" || len(c.Differ) != 2 {
			t.Errorf("%+v", c)
		}
	}
	if n != 3 {
		t.Errorf("%d pairs", n)
	}
	places := map[string]string{}
	for _, r := range a.Ranks {
		if r.Mode == record.ModeDecode {
			places[r.Backend] += fmt.Sprint(r.Rank)
			if r.Rank == 3 && (!r.First || !r.Previous || r.CI == nil) {
				t.Errorf("%+v", r)
			}
		}
	}
	if places["b0"] != "111222" || places["b1"] != "222111" || places["b2"] != "333333" {
		t.Errorf("%v", places)
	}
	md := celltest.Markdown(t, a.Sections()...)
	for _, want := range []string{"## The ranking changes with size: 1 pair of backends crosses", "| decode | s | b0 | b1 |", "| backend | decode of m00 | decode of m05 | prefill of m00 | prefill of m05 |", "| b2 | 3 ("} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	if f := a.Figures(new(intervals.Answer)); len(f) != 2 || len(f[0].Panels[0].Layers) != 3 || !f[0].Panels[0].Y.Falls {
		t.Errorf("%+v", f)
	}
}

// TestNothingToRank: other work is not ranked, identical times have a reason, and one backend has no rank.
func TestNothingToRank(t *testing.T) {
	rows := race(1, power(1, .8), power(2, .8))
	for i := range rows {
		if rows[i].Backend == "b1" {
			rows[i].Pace = new("cold")
		}
	}
	if a := ask(t, rows); len(a.Crossings) > 0 || len(a.Ranks) > 0 {
		t.Errorf("%+v", a.Crossings)
	}
	rows = race(1, power(1, .8), power(1, .8))
	times := map[string]runs.Row{}
	for i := range rows {
		r := &rows[i]
		k := fmt.Sprint(r.Replicate, r.Model, r.CallIdx, r.Mode)
		if first, ok := times[k]; ok {
			r.LatencyMS = first.LatencyMS
		}
		times[k] = *r
	}
	a := ask(t, rows)
	for _, c := range a.Crossings {
		if c.Verdict != NoneShown || !strings.HasPrefix(c.Reason, "identical") || c.Trend != "does not grow" {
			t.Errorf("%+v", c)
		}
	}
	if len(a.Crossings) != len(record.Modes)-1 || len(a.Sections()) > 0 {
		t.Errorf("%d crossings", len(a.Crossings))
	}
}

// TestCrossingsThatAreNone: of four backends of one speed, two are told to cross in 5 % of runs at most.
func TestCrossingsThatAreNone(t *testing.T) {
	trials := 40
	if os.Getenv("LLMSCALE_TRIALS") == "all" {
		trials = 500
	}
	one := power(1, .8)
	wrong := 0
	for i := range trials {
		for _, e := range events(celltest.Set(t, race(uint64(i), one, one, one, one))) {
			crossed := false
			for _, c := range e.crossings() {
				crossed = crossed || c.Verdict == Crosses && c.Mode == record.ModeDecode
			}
			if crossed {
				wrong++
			}
		}
	}
	t.Logf("%d of %d runs of equal backends have a pair that crosses", wrong, trials)
	if float64(wrong) > .05*float64(trials) {
		t.Errorf("%d of %d", wrong, trials)
	}
}
