package compare_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/compare"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// exact has no scatter but what a test gives it.
func exact() made { return twins(1, noise{}) }

var onePercent = compare.Options{Threshold: .01}

// TestByHand: of two models and three blocks, b takes 1.10, 1.12 and 1.14 times as long on
// one and as long on the other. The mean over both of a block is half its logarithm, and
// the t with 2 degrees of freedom is that of .5 ln(1.10), .5 ln(1.12), .5 ln(1.14).
func TestByHand(t *testing.T) {
	m := exact()
	m.sizes, m.blocks, m.scenarios = []float64{10, 100}, 3, []string{"s"}
	set := m.set(t)
	for i := range set.Run.Rows {
		if r := &set.Run.Rows[i]; r.Backend == "b" && r.Model == "m0010" {
			*r.LatencyMS *= 1.10 + .02*float64(r.Replicate)
		}
	}
	c, err := compare.InRun(set, "a", "b", onePercent)
	if err != nil {
		t.Fatal(err)
	}
	logs := []float64{.5 * math.Log(1.10), .5 * math.Log(1.12), .5 * math.Log(1.14)}
	mean := (logs[0] + logs[1] + logs[2]) / 3
	ss := 0.0
	for _, v := range logs {
		ss += (v - mean) * (v - mean)
	}
	se := math.Sqrt(ss / 2 / 3)
	for _, p := range c.Phases {
		near(t, p.Mode+" ratio", p.Ratio, math.Exp(mean))
		near(t, p.Mode+" low", p.RatioCI.Low, math.Exp(mean-4.302653*se))
		near(t, p.Mode+" high", p.RatioCI.High, math.Exp(mean+4.302653*se))
		near(t, p.Mode+" SAME from", p.SameWithin, math.Expm1(mean+2.919986*se))
		near(t, p.Mode+" p", *p.P, 1-(mean/se)/math.Sqrt(2+mean*mean/se/se)) // 2 degrees of freedom, in closed form
		near(t, p.Mode+" p of two", *p.PHolm, 2**p.P)
		if p.Verdict != compare.Slower || p.Models != 2 || c.Design != compare.DesignBlocks || c.Blocks != 3 || p.Trend != nil {
			t.Errorf("%+v of %+v", p, c)
		}
	}
	if n := len(c.Cells); n != 4 || c.Cells[0].Ratio < 1.11 || c.Cells[1].Ratio != 1 || c.Cells[1].Verdict != compare.Same {
		t.Errorf("%d cells: %+v", n, c.Cells)
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
		t.Errorf("%s = %.9g, want %.9g", what, got, want)
	}
}

// TestRefused: what cannot be compared is refused, with what is wrong and what would be right.
func TestRefused(t *testing.T) {
	other := func(change func(r *record.Record)) made {
		m := exact()
		m.change = func(r *record.Record) {
			if r.Backend == "b" {
				change(r)
			}
		}
		return m
	}
	named := func(backends ...string) made {
		m := exact()
		m.backends = backends
		return m
	}
	unfinished := exact().set(t)
	unfinished.Counts.Repetitions = &runs.Repetitions{Planned: 60, Measured: 48}
	short := exact()
	short.id, short.sizes = "short", []float64{7, 9}
	for _, c := range []struct {
		set         *cells.Set
		base, other string
		threshold   float64
		want        string
	}{
		{exact().set(t), "a", "c", .01, `runs/r1 has no backend "c"; it has "a" and "b"`},
		{named("native_f16", "native_f32").set(t), "native_f16", "native_f23", .01, `no backend "native_f23"; did you mean "native_f32"?`},
		{exact().set(t), "a", "a", .01, `the backend "a" stands on both sides`},
		{exact().set(t), "a", "b", 0, "a threshold of 0 %; want 0.01 to 50 %"},
		{exact().set(t), "a", "b", .9, "a threshold of 90 %"},
		{exact().set(t), "a", "b", math.NaN(), "a threshold of NaN %"},
		{unfinished, "a", "b", .01, "runs/r1 is unfinished: 12 of its 60 repetitions were not made; finish it with `llmscale run --resume runs/r1`"},
		{other(func(r *record.Record) { r.ModelSHA256 = new(strings.Repeat("f", 64)) }).set(t), "a", "b", .01, "unequal work is not compared: file of the model m0005: f16 000000000000 and f16 ffffffffffff"},
		{other(func(r *record.Record) { r.PromptTokensRaw = new(99) }).set(t), "a", "b", .01, "prompt tokens of short: 16 and 99"},
		{other(func(r *record.Record) { r.PromptTokensHash = new(strings.Repeat("e", 64)) }).set(t), "a", "b", .01, "prompts of short: 000000000000 (seed 0) and eeeeeeeeeeee (seed 0)"},
		{other(func(r *record.Record) { r.GenTokens = new(31) }).set(t), "a", "b", .01, "answer tokens of short: 32 and 31"},
		{other(func(r *record.Record) { r.Depth = 512 }).set(t), "a", "b", .01, "depth of short: 0 and 512"},
		{other(func(r *record.Record) { r.BackendKind = "ollama" }).set(t), "a", "b", .01, "kind: native and ollama"},
		{other(func(r *record.Record) { r.BatchSizeConfig = 4 }).set(t), "a", "b", .01, "batch size 1; b has the models"},
		{other(func(r *record.Record) { r.Scenario += "er" }).set(t), "a", "b", .01, "the scenarios longer and shorter"},
		{other(func(r *record.Record) { r.Status, r.Error = record.StatusOOM, new("no room") }).set(t), "a", "b", .01, "b has no call that counts"},
	} {
		_, err := compare.InRun(c.set, c.base, c.other, compare.Options{Threshold: c.threshold})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s against %s: %v\nwant %s", c.other, c.base, err, c.want)
		}
	}
	one, same := exact().set(t), exact().set(t)
	if _, err := compare.Runs(compare.Side{Backend: "a", Runs: []*cells.Set{one}}, compare.Side{Backend: "a", Runs: []*cells.Set{same}}, onePercent); err == nil || !strings.Contains(err.Error(), "are one run") {
		t.Errorf("a run against its copy: %v", err)
	}
	if _, err := compare.Runs(compare.Side{Backend: "a", Runs: []*cells.Set{one}}, compare.Side{Backend: "a", Runs: []*cells.Set{short.set(t)}}, onePercent); err == nil || !strings.Contains(err.Error(), "m0007 and m0009") {
		t.Errorf("other models: %v", err)
	}
}

// TestMissing: a cell that a block lacks is not in the mean over sizes, and is named; it
// stands by itself.
func TestMissing(t *testing.T) {
	m := exact()
	m.change = func(r *record.Record) {
		if r.Backend == "b" && (r.Model == "m0020" && r.Replicate == 2 || r.Model == "m1280") {
			r.Status, r.Error = record.StatusCrashed, new("gone")
		}
	}
	c := inRun(t, m)
	for _, p := range c.Phases {
		if p.Models != 7 {
			t.Errorf("%s over %d models", p.Mode, p.Models)
		}
	}
	var why []string
	for _, a := range c.LeftOut {
		why = append(why, a.Model+" "+a.Why)
	}
	if s := strings.Join(why, "; "); strings.Count(s, "m1280 not measured by b") != 4 || strings.Count(s, "m0020 not measured in every block of both") != 4 {
		t.Errorf("left out: %s", s)
	}
	if n := len(c.Cells); n != 2*2*8 {
		t.Errorf("%d cells", n)
	}
}

// TestAddedBlock: a block that visits some models again leaves the others in the mean.
func TestAddedBlock(t *testing.T) {
	m := exact()
	m.effect = slower(.1)
	m.blocks, m.added = m.blocks+1, map[string]bool{"m0020": true, "m1280": true}
	c := inRun(t, m)
	if len(c.LeftOut) > 0 || c.Blocks != m.blocks {
		t.Errorf("%d blocks, left out: %+v", c.Blocks, c.LeftOut)
	}
	for _, p := range c.Phases {
		if p.Models != 9 {
			t.Errorf("%s over %d models", p.Mode, p.Models)
		}
		near(t, p.Mode, p.Ratio, 1.1)
	}
}

// TestInvalid: a cell whose threads had no processor for most of the time is not in the
// mean, and has no verdict; where all are so, the mean has none either.
func TestInvalid(t *testing.T) {
	for _, starved := range []string{"m0005", "m"} {
		m := exact()
		m.effect = slower(.3)
		m.change = func(r *record.Record) {
			if r.Backend == "b" && strings.HasPrefix(r.Model, starved) {
				r.CPUWaitMS, r.NThreads, r.CPUs, r.E2EKVMS = new(9e9), new(1), new(2.0), new(2.0)
			}
		}
		c := inRun(t, m)
		s := printed(t, c, false)
		if p := c.Phases[1]; starved == "m" {
			if p.Verdict != compare.Ambiguous || p.Reason != compare.Invalid.Code || p.Models != 9 || claims(verdicts(c).cells) || len(c.LeftOut) > 0 {
				t.Errorf("%+v\n%s", p, s)
			}
			continue
		} else if p.Verdict != compare.Slower || p.Models != 8 || !strings.Contains(s, "decode of m0005, short: INVALID on b: cpu_wait") {
			t.Errorf("%+v\n%s", p, s)
		}
		for i := range c.Cells {
			if cell := &c.Cells[i]; (cell.Reason == compare.Invalid.Code) != (cell.Model == starved) {
				t.Errorf("%+v", cell)
			}
		}
	}
}

// TestOneProcess: without replicates nothing is more than AMBIGUOUS, whatever the effect.
func TestOneProcess(t *testing.T) {
	m := exact()
	m.blocks, m.effect, m.noise.call = 1, slower(.5), .01
	c := inRun(t, m)
	if v := verdicts(c); c.Design != compare.DesignProcess || claims(v.phases) || claims(v.cells) || c.Phases[0].P != nil || c.Phases[0].Reason != compare.NoReplicates.Code {
		t.Errorf("%s: %+v", c.Design, c.Phases[0])
	}
	if p := c.Phases[0]; p.RatioCI.Low > 1.5 || p.RatioCI.High < 1.5 || p.RatioCI.Low < 1.4 {
		t.Errorf("%+v", p.RatioCI)
	}
	if !strings.Contains(printed(t, c, false), "measure both in one run with `replicates: 5`") {
		t.Error(printed(t, c, false))
	}
	m.calls = 2 // of which nothing tells the scatter
	if _, err := compare.InRun(m.set(t), "a", "b", onePercent); err == nil || !strings.Contains(err.Error(), "3 calls") {
		t.Errorf("two calls: %v", err)
	}
}

// TestOneRunEach: a small effect is AMBIGUOUS below a margin that is told; a large one is
// found.
func TestOneRunEach(t *testing.T) {
	quiet := noise{process: .002, call: .002}
	for by, want := range map[float64]string{.03: compare.Ambiguous, .3: compare.Slower} {
		c, err := separate(t, 1, [2]int{1, 1}, quiet, by)
		if err != nil {
			t.Fatal(err)
		}
		p := c.Phases[1]
		if p.Verdict != want || c.Design != compare.DesignRun || !(c.AmbiguousBelow > .08 && c.AmbiguousBelow < .15) || p.Trend != nil {
			t.Errorf("%v slower: %+v, below %v", by, p, c.AmbiguousBelow)
		}
		if s := printed(t, c, false); !strings.Contains(s, "runs are taken to differ by 3.0 %") {
			t.Error(s)
		}
	}
}

// TestOneRunEachLacks: runs of which no block has all cells undisturbed are compared all
// the same, and less surely.
func TestOneRunEachLacks(t *testing.T) {
	low := map[bool]float64{}
	for _, lacking := range []bool{false, true} {
		var sides [2]compare.Side
		for side := range sides {
			m := twins(uint64(side+1), noise{process: .002, call: .002})
			m.backends, m.blocks, m.scenarios = m.backends[:1], 5, m.scenarios[:1]
			m.effect = func(_, _ int) float64 { return 1 + .3*float64(side) }
			set := m.set(t)
			for i := range set.Run.Rows {
				if r := &set.Run.Rows[i]; lacking && r.TaskIdx%5 == r.Replicate {
					*r.LatencyMS = 0
				}
			}
			sides[side] = compare.Side{Backend: "a", Runs: []*cells.Set{set}}
		}
		c, err := compare.Runs(sides[0], sides[1], onePercent)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Phases {
			if p.Verdict != compare.Slower || p.RatioCI.Low > 1.3 || p.RatioCI.High < 1.3 {
				t.Errorf("lacking %v: %s: %+v", lacking, p.Mode, p.Effect)
			}
		}
		low[lacking] = c.Phases[1].RatioCI.Low
	}
	if low[true] == low[false] {
		t.Error("what is lacking makes no difference")
	}
}

// TestDiffers: what is compared is told: settings, build, machine; and what differs among
// the runs of one side.
func TestDiffers(t *testing.T) {
	m := exact()
	m.change = func(r *record.Record) {
		if r.Backend == "b" {
			r.FlashAttention, r.Program, r.BuildFlags, r.OutputTokensHash = "off", "bin/other", "-O2", new("another")
		} else {
			r.FlashAttention, r.BuildFlags = "on", "-O3"
		}
	}
	c := inRun(t, m)
	want := []compare.Difference{{Name: "program", Base: "self", Other: "bin/other"}, {Name: "build_flags", Base: "-O3", Other: "-O2"}, {Name: "flash_attn", Base: "on", Other: "off"}}
	if got := fmt.Sprint(c.Differs); got != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if s := printed(t, c, false); !strings.Contains(s, "0 of 270 answers are equal") {
		t.Error(s)
	}
	var sides [2]compare.Side
	for i := range 4 {
		run := exact()
		run.id, run.seed, run.backends = fmt.Sprint("m", i), uint64(i), []string{"a"}
		set := run.set(t)
		manifest, err := runs.ParseManifest([]byte(fmt.Sprintf(`{"environment": {"cpu": "CPU %d", "kernel": "k%d"}}`, i/2, i%2)))
		if err != nil {
			t.Fatal(err)
		}
		set.Run.Manifest = manifest
		sides[i/2].Backend = "a"
		sides[i/2].Runs = append(sides[i/2].Runs, set)
	}
	c, err := compare.Runs(sides[0], sides[1], onePercent)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Differs) == 0 || c.Differs[0] != (compare.Difference{Name: "cpu", Base: "CPU 0", Other: "CPU 1"}) || !strings.Contains(fmt.Sprint(c.Notes), "differ among themselves in kernel") {
		t.Errorf("%v, %v", c.Differs, c.Notes)
	}
}

func printed(t testing.TB, c *compare.Comparison, all bool) string {
	t.Helper()
	var b strings.Builder
	if err := c.Print(&b, all); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPrint: however many models, settings and holes there are, a terminal sees it whole;
// --cells lists all, and names are no part of the layout.
func TestPrint(t *testing.T) {
	m := exact()
	m.noise = drifting(.5)
	for i := range 60 {
		m.sizes = append(m.sizes, 1300+float64(i))
	}
	m.backends = []string{"base", "other\x1b[31m\tname"}
	m.change = func(r *record.Record) {
		if r.Backend != "base" {
			r.FlashAttention, r.Program, r.BuildFlags, r.Device, r.NGPULayers, r.KVTypeK, r.KVTypeV, r.UseMmap, r.NThreads = "on", "p", strings.Repeat("-O3 ", 99), "cuda", 3, "q8_0", "q8_0", true, new(4)
			if r.ParamsMillions < 60 && r.Replicate == 1 {
				r.Status, r.Error = record.StatusCrashed, new("gone")
			}
		}
	}
	c := inRun(t, m)
	s := printed(t, c, false)
	if n := strings.Count(s, "\n"); n > 40 || n < 30 {
		t.Errorf("%d lines:\n%s", n, s)
	}
	for _, want := range []string{`other\x1b[31m\tname against base: 5 blocks of 65 sizes`, "m1359", "--cells lists", "not in the means over sizes", "prefill"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in:\n%s", want, s)
		}
	}
	for _, line := range strings.Split(s, "\n") {
		if len([]rune(line)) > 200 {
			t.Errorf("a line of %d characters: %s", len([]rune(line)), line)
		}
	}
	if all := printed(t, c, true); strings.Count(all, "\n") < len(c.Cells)+len(c.Sizes)/2 {
		t.Errorf("cells are missing:\n%s", all)
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
}

func TestFigure(t *testing.T) {
	c := inRun(t, twins(1, drifting(.5)))
	f, ok := c.Figure()
	if !ok || len(f.Panels) != 2 || len(f.Panels[0].Layers[4].Points) != 9 {
		t.Fatalf("%v %+v", ok, f)
	}
	figuretest.Says(t, f, "Time of b over that of a", "5 blocks of 9 sizes", "1.0 % off", "m1280")
	m := exact()
	m.change = func(r *record.Record) { r.ParamsMillions, r.ParamsTotal = 0, 0 }
	if _, ok := inRun(t, m).Figure(); ok {
		t.Error("models without a size are drawn")
	}
}
