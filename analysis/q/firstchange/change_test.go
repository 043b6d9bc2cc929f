package firstchange

import (
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// asked asks made-up records what changes first.
func asked(t *testing.T, rows []runs.Row, opt cells.Options) *Answer {
	t.Helper()
	set, err := cells.New(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, opt)
	if err != nil {
		t.Fatal(err)
	}
	return Ask(set, tails.Ask(set), failures.Ask(set))
}

// TestFirstChange has each aspect change first, and evidence missing.
func TestFirstChange(t *testing.T) {
	slow := func(m int) float64 { return 1 + .1*float64(m) } // below twice the smallest
	for _, c := range []struct {
		name           string
		change         func(*celltest.Plan)
		verdict, known string
		model          string
	}{
		{"nothing", func(p *celltest.Plan) { p.PerToken = slow }, "none", "none", ""},
		{"tails", func(p *celltest.Plan) {
			p.PerToken = slow
			p.Tail = func(m int) float64 { return 1 + float64(m/3) }
		}, "tails", "tails", "m03"},
		{"out of memory", func(p *celltest.Plan) {
			p.PerToken = slow
			p.Fails = func(m int) string {
				if m >= 6 {
					return record.StatusOOM
				}
				return ""
			}
		}, "feasibility", "feasibility", "m06"},
		{"smallest fails", func(p *celltest.Plan) {
			p.Fails = func(m int) string {
				if m == 0 {
					return record.StatusCrashed
				}
				return ""
			}
		}, "latency", "latency", "m03"}, // larger ones ran; 4^0.8 from m01 on
		{"all out of memory", func(p *celltest.Plan) { p.Fails = func(int) string { return record.StatusOOM } }, "feasibility", "feasibility", "m00"},
		{"all crash", func(p *celltest.Plan) { p.Fails = func(int) string { return record.StatusCrashed } }, "unknown", "unknown", ""},
		{"middle crashes", func(p *celltest.Plan) {
			p.PerToken = slow
			p.Fails = func(m int) string { return map[int]string{3: record.StatusCrashed, 4: record.StatusTimeout}[m] }
		}, "none", "none", ""},
		{"tails unknown", func(p *celltest.Plan) { p.Gen, p.Reps = 8, 3 }, "unknown", "latency", "m02"},
		{"few repetitions", func(p *celltest.Plan) { p.Reps = 2 }, "unknown", "none", ""},
		{"tails above the least, below the smallest", func(p *celltest.Plan) { // jitter weighs most on the smallest
			p.PerToken = slow
			p.Tail = func(m int) float64 { return []float64{1.6, 1, 1, 1, 1, 1.5, 1.5, 1.5}[m] }
		}, "tails", "tails", "m05"},
		{"tails fall", func(p *celltest.Plan) {
			p.PerToken = slow
			p.Tail = func(m int) float64 { return 2 - .1*float64(m) }
		}, "none", "none", ""},
		{"too unsteady to see tails", func(p *celltest.Plan) { // latency changes at m02, but p95/p50 is 2 throughout
			p.Tail = func(int) float64 { return 2 }
		}, "unknown", "latency", "m02"},
		{"unsteady smallest, steady others", func(p *celltest.Plan) {
			p.Tail = func(m int) float64 { return []float64{3, 1, 1, 1, 1, 1, 1, 1}[m] }
		}, "latency", "latency", "m02"},
		{"both at once", func(p *celltest.Plan) { p.Tail = func(m int) float64 { return 1 + float64(m/2) } }, "latency+tails", "latency+tails", "m02"},
		{"waived", func(p *celltest.Plan) { p.Fails = func(int) string { return record.StatusWaived } }, "unknown", "unknown", ""},
	} {
		p := celltest.Ladder
		c.change(&p)
		set := celltest.Set(t, p.Rows(1))
		failed := failures.Ask(set)
		r := Ask(set, tails.Ask(set), failed)
		got := r.Answers.FirstChange[0]
		if got.Verdict != c.verdict || got.AmongSeen != c.known || got.Model != c.model || got.Rule == "" || got.Why == "" {
			t.Errorf("%s: %s (%s) at %q, want %s (%s) at %q; %s", c.name, got.Verdict, got.AmongSeen, got.Model, c.verdict, c.known, c.model, got.Why)
		}
		if c.name == "out of memory" {
			want := Feasibility{Series: cells.Series{Backend: "cpu", BatchSize: 1}, ModelsOK: 6, ModelsFailed: 2, LargestOK: "m05", LargestOKM: new(160.0),
				SmallestFailed: "m06", SmallestFailM: new(320.0), Status: "oom", Verdict: "some_failed"}
			if g := r.Answers.Feasibility[0]; g.LargestOK != want.LargestOK || *g.LargestOKM != 160 || g.SmallestFailed != "m06" ||
				*g.SmallestFailM != 320 || g.Status != "oom" || g.Verdict != "some_failed" || g.ModelsOK != 6 || g.ModelsFailed != 2 {
				t.Errorf("feasibility %+v, want %+v", g, want)
			}
			if len(failed.Failed) != 4 || failed.Failed[0].Calls != 8 || failed.Failed[0].Reason != "no room" || failed.Failed[0].Signal != "SIGKILL" {
				t.Errorf("failed %+v", failed.Failed)
			}
		}
	}
}

// TestFirstChangeNoise: what scatters widens the bound until nothing is shown, and
// the answer says so; one slow call is no scatter.
func TestFirstChangeNoise(t *testing.T) {
	flat := celltest.Ladder
	flat.PerToken = func(m int) float64 { return 1 + .1*float64(m) }
	scatter := func(rows []runs.Row, model string) {
		for rep, times := range []float64{1, 1.4, .7, 1.3, .6, 1.5, .9} {
			celltest.Disturb(rows, model, "p9", rep, func(int) float64 { return times })
		}
	}
	for _, c := range []struct {
		name           string
		plan           celltest.Plan
		change         func([]runs.Row)
		verdict, known string
		model, why     string
	}{
		{"noisy base", celltest.Ladder, func(rows []runs.Row) { scatter(rows, "m00") }, "latency", "latency", "m04", "perhaps before, for decode on m02"},
		{"noisy model that would decide", celltest.Ladder, func(rows []runs.Row) { scatter(rows, "m02") }, "latency", "latency", "m03", "perhaps before, for decode on m02"}, // the next one decides then
		{"one slow call on the base", celltest.Ladder, func(rows []runs.Row) {
			celltest.Disturb(rows, "m00", "p9", 2, func(int) float64 { return 5 })
		}, "latency", "latency", "m02", "takes 3.03 times (at least"},
		{"one slow call on the model that decides", celltest.Ladder, func(rows []runs.Row) {
			celltest.Disturb(rows, "m02", "p1", 6, func(int) float64 { return 5 })
		}, "latency", "latency", "m02", "takes 3.03 times (at least"},
		{"one call slow at its end", celltest.Ladder, func(rows []runs.Row) {
			celltest.Disturb(rows, "m01", "p1", 4, func(i int) float64 { return 1 + float64(i/50) })
		}, "latency", "latency", "m02", "takes 3.03 times (at least"},
		{"twice, but not shown", celltest.Plan{Models: 3, Reps: 7, Gen: 16, Backends: []string{"cpu"}, Scenarios: []string{"p1"},
			PerToken: func(m int) float64 { return 1 + 1.02*float64(m/2) }}, func(rows []runs.Row) {
			for rep := range 7 {
				celltest.Disturb(rows, "m02", "p1", rep, func(int) float64 { return .94 + .02*float64(rep) })
			}
		}, "unknown", "none", "", "but that it is more than 2 times is not shown: at least"},
		{"two calls make the tail", flat, func(rows []runs.Row) {
			for _, sc := range []string{"p1", "p9"} {
				celltest.Disturb(rows, "m04", sc, 2, func(i int) float64 { return 1 + .8*float64(i/2%2) })
			}
		}, "none", "none", "", ""},
	} {
		rows := c.plan.Rows(1)
		c.change(rows)
		r := asked(t, rows, cells.Options{Bootstrap: -1})
		got := r.Answers.FirstChange[0]
		if got.Verdict != c.verdict || got.AmongSeen != c.known || got.Model != c.model || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: %s (%s) at %q, want %s (%s) at %q; %s", c.name, got.Verdict, got.AmongSeen, got.Model, c.verdict, c.known, c.model, got.Why)
		}
		if c.name == "two calls make the tail" {
			// Later models are judged well, so the answer stands; the step says what was seen.
			if s := got.Steps[3]; len(s.Changed) > 0 || len(s.Open) != 1 || !strings.Contains(s.Open[0], "not shown") ||
				*s.TailRise < tailFactor || *s.TailRiseLow > tailFactor {
				t.Errorf("%s: %+v", c.name, s)
			}
		}
	}
}

// TestFirstChangeWords: the sentence has sizes and factors, and a coarse step is
// warned of.
func TestFirstChangeWords(t *testing.T) {
	r := asked(t, celltest.Ladder.Rows(1), cells.Options{Bootstrap: -1})
	c := r.Answers.FirstChange[0]
	if want := "decode on m02 (20 million parameters) takes 3.03 times (at least 2.81) as long as on m00 (5 million parameters), the smallest measured, at 4 times its size (1.74 times for each doubling of size); not yet on m01 (10 million parameters), the size before"; c.Why != want {
		t.Errorf("%s\nwant %s", c.Why, want)
	}
	if c.Base != "m00" || c.Before != "m01" || *c.StepRatio != 2 || slices.Contains(celltest.Codes(r.Warnings()), "coarse_step") {
		t.Errorf("%+v", c)
	}
	var got []string
	for _, a := range c.Aspects {
		got = append(got, a.Aspect+" "+a.Verdict)
	}
	if want := []string{"latency changed", "tails not_shown", "feasibility not_shown"}; !slices.Equal(got, want) {
		t.Errorf("aspects %v", got)
	}
	coarse := celltest.Ladder
	rows := coarse.Rows(1)
	run := &runs.Run{Harness: runs.HarnessLLMScale}
	for _, x := range rows {
		if x.Model == "m00" || x.Model >= "m05" {
			run.Rows = append(run.Rows, x)
		}
	}
	r = asked(t, run.Rows, cells.Options{Bootstrap: -1})
	i := slices.IndexFunc(r.Warnings(), func(w finding.Warning) bool { return w.Code == "coarse_step" })
	if c := r.Answers.FirstChange[0]; i < 0 || !strings.Contains(r.Warnings()[i].Text, "the change of latency lies between m00 and m05, 32 times the size") || !strings.Contains(c.Why, "no size between the two was measured") {
		t.Errorf("%s; %v", c.Why, celltest.Codes(r.Warnings()))
	}
	// The axis of the fits is no matter of this answer.
	for _, axis := range []string{"params_non_embedding", "bytes_per_token"} {
		if other := asked(t, celltest.Ladder.Rows(1), cells.Options{Bootstrap: -1, XAxis: axis}).Answers.FirstChange[0]; other.Why != c.Why {
			t.Errorf("%s: %s", axis, other.Why)
		}
	}
}

// TestFirstChangeSizes: nothing changes between sizes that count as one, and a
// failure that a model of the same size does not share is not one of size.
func TestFirstChangeSizes(t *testing.T) {
	few := celltest.Ladder
	few.Models = 4
	few.PerToken = func(m int) float64 { return 1 + float64(m) }
	for _, c := range []struct {
		name        string
		sizes       []float64
		change      func(*celltest.Plan)
		verdict, at string
		before, why string
	}{
		{"one size", []float64{5, 5, 5, 5}, nil, "unknown", "", "", "the 4 models are of one size, from m00 (5 million parameters) to m03 (5 million parameters); a change takes sizes that are 1.1 times apart"},
		{"almost one size", []float64{5, 5.1, 5.3, 5.49}, nil, "unknown", "", "", "are of one size"},
		{"one size, one of it fails", []float64{5, 5.1, 5.2, 5.3}, func(p *celltest.Plan) {
			p.Fails = func(m int) string { return map[int]string{2: record.StatusOOM}[m] }
		}, "unknown", "", "", "m02 ran out of memory where m00 of the same size ran"},
		{"two sizes, two models of each", []float64{5, 5.2, 50, 52}, nil, "latency", "m02", "m01", "no size between the two was measured"},
		{"the larger twin fails", []float64{5, 10, 50, 51}, func(p *celltest.Plan) {
			p.PerToken = func(int) float64 { return 1 }
			p.Fails = func(m int) string { return map[int]string{3: record.StatusOOM}[m] }
		}, "none", "", "", "m03 ran out of memory where m02 of the same size ran"},
		{"small steps that add up", []float64{5, 5.3, 5.6, 5.9}, nil, "latency", "m02", "m00", "at 1.12 times its size"},
	} {
		p := few
		if c.change != nil {
			c.change(&p)
		}
		r := asked(t, celltest.Resize(p.Rows(1), c.sizes...), cells.Options{Bootstrap: -1})
		got := r.Answers.FirstChange[0]
		if got.Verdict != c.verdict || got.Model != c.at || got.Before != c.before || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: %s at %q after %q, want %s at %q after %q; %s", c.name, got.Verdict, got.Model, got.Before, c.verdict, c.at, c.before, got.Why)
		}
	}
}

// TestFirstChangeEqualTimes: calls that all take the same time show a change by more
// than what processes may differ by, and none that is smaller.
func TestFirstChangeEqualTimes(t *testing.T) {
	for factor, verdict := range map[float64]string{1.95: "none", 2: "unknown", 2.05: "unknown", 2.3: "latency"} {
		p := celltest.Ladder
		p.Models, p.Tail = 4, nil
		rows := p.Rows(1)
		for i := range rows {
			ms := 64.0
			if rows[i].Model != "m00" {
				ms *= factor
			}
			rows[i].LatencyMS, rows[i].KVDecodeMS = &ms, &ms
		}
		r := asked(t, rows, cells.Options{Bootstrap: -1})
		if got := r.Answers.FirstChange[0]; got.Verdict != verdict {
			t.Errorf("%g times: %s, want %s; %s", factor, got.Verdict, verdict, got.Why)
		}
	}
}
