package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// plan describes a synthetic llmscale run: ladders of models, of which decode
// takes perToken(i) ms for model i.
type plan struct {
	models, reps, gen int
	backends          []string
	scenarios         []string
	perToken          func(model int) float64
	tail              func(model int) float64 // factor of each tenth token; nil: none
	fails             func(model int) string  // status of all of its cells; nil or "": ok
	facts             func(model int, f *record.ModelFacts)
}

// rows makes the run's records, shuffled as a run is.
func (p plan) rows(seed uint64) []runs.Row {
	rng := rand.New(rand.NewPCG(seed, 1))
	var rows []runs.Row
	task := 0
	for _, backend := range p.backends {
		for m := range p.models {
			for _, scenario := range p.scenarios {
				for call := range p.reps + 1 {
					rows = append(rows, p.call(rng, backend, scenario, m, call, task)...)
				}
				task++
			}
		}
	}
	for i := range rows {
		rows[i].Line = i + 1
	}
	return rows
}

func (p plan) call(rng *rand.Rand, backend, scenario string, m, call, task int) []runs.Row {
	params := int64(5e6) << m
	base := record.Record{SchemaVersion: 1, RunID: "r", TaskIdx: task, Scenario: scenario, Backend: backend, BackendKind: "native",
		Model: fmt.Sprintf("m%02d", m), ModelKind: "synth", ParamsMillions: float64(params) / 1e6, GenTokensTarget: p.gen, BatchSizeConfig: 1,
		CallIdx: call, IsWarmup: call == 0, Status: record.StatusOK}
	base.ModelFacts = record.ModelFacts{WeightType: "f32", Architecture: "gpt2", NLayer: 2 + m, NEmbd: 64 * (m + 1), NHead: 2, NVocab: 50257,
		ParamsTotal: params, ParamsNonEmbedding: params / 4 * 3, ParamsActive: params, BytesPerToken: 4 * params}
	base.RuntimeFacts = record.RuntimeFacts{Device: "cpu", NThreads: new(2), LlamaCommit: "c"}
	if p.facts != nil {
		p.facts(m, &base.ModelFacts)
	}
	if call == 0 {
		base.WarmupIdx = new(0)
	} else {
		base.Rep = new(call - 1)
	}
	if p.fails != nil && p.fails(m) != "" {
		base.Status, base.Error, base.Signal = p.fails(m), new("no room"), new("SIGKILL")
	} else {
		prefill := p.perToken(m) * 3
		decode := 0.0
		for i := range p.gen {
			ms := p.perToken(m) * (1 + 0.02*rng.Float64())
			if p.tail != nil && i%10 == 9 {
				ms *= p.tail(m)
			}
			base.TokenNS = append(base.TokenNS, int64(ms*1e6))
			decode += ms
		}
		base.Measurement.PrefillMS, base.KVDecodeMS, base.E2EKVMS = new(prefill), new(decode), new(prefill+decode)
		base.E2EGapPercent, base.RSSPeakMiB, base.LogitsFinite = new(0.1), new(100.0), new(true)
		base.SeqLen, base.PromptTokensRaw, base.GenTokensRaw, base.GenTokens, base.BatchSize = new(9), new(9), new(p.gen), new(p.gen), new(1)
	}
	var out []runs.Row
	for _, mode := range record.Modes {
		r := runs.Row{Record: base}
		r.Mode = mode
		if r.Status == record.StatusOK {
			switch mode {
			case record.ModePrefill:
				r.LatencyMS, r.TokensTotal = r.PrefillMS, new(9)
			case record.ModeDecode:
				r.LatencyMS, r.TokensTotal = r.KVDecodeMS, new(p.gen)
			case record.ModeE2E:
				r.LatencyMS, r.TokensTotal = r.E2EKVMS, new(9+p.gen)
			}
		}
		out = append(out, r)
	}
	return out
}

func (p plan) analyze(t testing.TB, opt cells.Options) *Result {
	t.Helper()
	run := &runs.Run{Harness: runs.HarnessLLMScale, Rows: p.rows(1)}
	r, err := Analyze(run, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ladder is eight sizes, each twice the one before, with decode time in
// proportion to size to the power 0.8.
var ladder = plan{models: 8, reps: 7, gen: 64, backends: []string{"cpu"}, scenarios: []string{"p1", "p9"},
	perToken: func(m int) float64 { return math.Pow(math.Pow(2, float64(m)), 0.8) }}

func TestCleanLadder(t *testing.T) {
	r := ladder.analyze(t, cells.Options{})
	f := findFit(t, r, "cpu", record.ModeDecode, cells.AllScenarios)
	if math.Abs(*f.Slope-0.8) > 0.002 || *f.R2 < 0.9999 || f.SlopeT.Low > 0.8 || f.SlopeT.High < 0.799 {
		t.Errorf("slope %v %v R2 %v, made with 0.8", *f.Slope, f.SlopeT, *f.R2)
	}
	if len(f.Warnings) != 0 {
		t.Errorf("warnings on a clean ladder: %+v", f.Warnings)
	}
	for x, want := range map[float64]float64{5: 64, 640: 64 * math.Pow(128, .8)} {
		y, ok := f.Line(x)
		lo, hi, ok2 := f.Band(x)
		if !ok || !ok2 || math.Abs(y/want-1) > 0.03 || lo > y || hi < y || hi/lo > 1.05 {
			t.Errorf("at %g: %g in [%g, %g], want %g", x, y, lo, hi, want)
		}
	}
	// The band is narrowest at the middle of the sizes.
	lo1, hi1, _ := f.Band(5)
	lo2, hi2, _ := f.Band(50)
	if hi1/lo1 <= hi2/lo2 {
		t.Errorf("band %g at the end, %g in the middle", hi1/lo1, hi2/lo2)
	}
	if c := r.Counts; c.Used != 8*2*7*3 || c.Warmups != 8*2*3 {
		t.Errorf("counts %+v", c)
	}
	cell := r.Cells[1]
	if cell.Mode != record.ModeDecode || cell.N != 7 || len(cell.LatenciesMS) != 7 || cell.P95MS.Value != nil || cell.MSPerToken == nil || cell.RSSPeakMiB == nil {
		t.Errorf("cell %+v", cell)
	}
	if len(r.Tokens) != 16 || len(r.Tokens[0].MedianMS) != 64 || len(r.Tokens[0].PooledMS) != 7*64 || r.Tokens[0].CountAt[63] != 7 {
		t.Errorf("token series: %d", len(r.Tokens))
	}
	tail := r.Tails[0]
	if tail.N != 448 || tail.P95MS.Value == nil || tail.P99MS.Value != nil || tail.P99MS.String() != "too few" {
		t.Errorf("tail %+v", tail)
	}
	if all := r.Tails[2]; all.Scenario != cells.AllScenarios || all.N != 896 || all.P99Ratio.Value == nil || all.P50MS != nil {
		t.Errorf("tail over all scenarios %+v", all)
	}
	for _, d := range r.DecodeFractions {
		if math.Abs(d.Fraction-64*1.01/(64*1.01+3)) > 0.002 {
			t.Errorf("decode fraction %+v", d)
		}
	}
	a := r.Answers
	if s := a.Slopes[1]; s.Verdict != "grows" || s.Mode != record.ModeDecode || math.Abs(*s.Doubling-math.Pow(2, .8)) > .01 {
		t.Errorf("slope answer %+v", s)
	}
	if a.Feasibility[0].Verdict != "all_ran" || a.Feasibility[0].LargestOK != "m07" {
		t.Errorf("feasibility %+v", a.Feasibility[0])
	}
	// 2^0.8 is below the factor 2, 4^0.8 above it: the third model changes it.
	if c := a.FirstChange[0]; c.Verdict != "latency" || c.Model != "m02" || len(c.Unknown) != 0 || len(c.Steps) != 7 {
		t.Errorf("first change %+v", c)
	}
	if a.Tails[0].Quantile != "p99_over_p50" || a.Tails[0].NModels != 8 {
		t.Errorf("tail trend %+v", a.Tails[0])
	}
}

func TestXAxes(t *testing.T) {
	for axis, x := range map[string]float64{"": 5, "params_total": 5, "params_non_embedding": 3.75, "params_active": 5, "bytes_per_token": 20} {
		r := ladder.analyze(t, cells.Options{XAxis: axis, Bootstrap: -1})
		f := findFit(t, r, "cpu", record.ModeDecode, cells.AllScenarios)
		if math.Abs(f.Points[0].X-x) > 1e-9 || math.Abs(*f.Slope-.8) > .002 || f.SlopeBoot != nil || f.BootRequested != 0 {
			t.Errorf("%s: %+v", axis, f)
		}
	}
}

func TestWarnings(t *testing.T) {
	with := func(change func(*plan)) plan {
		p := ladder
		change(&p)
		return p
	}
	for _, c := range []struct {
		name string
		plan plan
		code string
	}{
		{"five sizes", with(func(p *plan) { p.models = 5 }), "few_sizes"},
		{"two sizes", with(func(p *plan) { p.models = 2 }), "too_few_points"},
		{"factor of eight", with(func(p *plan) { p.models = 4 }), "narrow_range"},
		{"flat", with(func(p *plan) { p.perToken = func(m int) float64 { return 1 + .1*float64(m*3%5) } }), "ci_crosses_zero"},
		{"flat R2", with(func(p *plan) { p.perToken = func(m int) float64 { return 1 + .1*float64(m*3%5) } }), "low_r2"},
		{"outlier", with(func(p *plan) {
			p.perToken = func(m int) float64 {
				y := math.Pow(2, .5*float64(m)) * (1 + .03*float64(m%2))
				if m == 7 {
					y *= 3
				}
				return y
			}
		}), "one_point_moves"},
		{"bent", with(func(p *plan) {
			p.perToken = func(m int) float64 { return 1 + math.Pow(2, float64(m))/16 }
		}), "no_power_law"},
		{"outlier in the middle", with(func(p *plan) {
			p.models = 9
			p.perToken = func(m int) float64 {
				y := math.Pow(2, .5*float64(m)) * (1 + .03*float64(m%2))
				if m == 4 {
					y *= 2
				}
				return y
			}
		}), "outlier"},
		{"weight types", with(func(p *plan) {
			p.facts = func(m int, f *record.ModelFacts) { f.WeightType = []string{"f32", "q8_0"}[m%2] }
		}), "mixed_weight_types"},
		{"architectures", with(func(p *plan) {
			p.facts = func(m int, f *record.ModelFacts) { f.Architecture = []string{"gpt2", "llama"}[m%2] }
		}), "mixed_architectures"},
		{"embeddings", with(func(p *plan) {
			p.facts = func(m int, f *record.ModelFacts) { f.ParamsNonEmbedding = f.ParamsTotal / 3 }
		}), "embedding_share"},
		{"shapes", with(func(p *plan) {
			p.facts = func(m int, f *record.ModelFacts) { f.NLayer = 12 - m }
		}), "uneven_shapes"},
		{"few for a bootstrap", with(func(p *plan) { p.models = 4 }), "bootstrap_degenerate"},
	} {
		r := c.plan.analyze(t, cells.Options{})
		f := findFit(t, r, "cpu", record.ModeDecode, cells.AllScenarios)
		i := slices.IndexFunc(f.Warnings, func(w finding.Warning) bool { return w.Code == c.code })
		if i < 0 {
			t.Errorf("%s: no %s in %v", c.name, c.code, warningCodes(f.Warnings))
			continue
		}
		if w := f.Warnings[i]; w.Advice == "" || w.Text == "" || !strings.Contains(w.Where, "cpu kv_decode") {
			t.Errorf("%s: %+v", c.name, w)
		}
		if !slices.Contains(warningCodes(r.Warnings), c.code) {
			t.Errorf("%s: not among the run's warnings", c.name)
		}
	}
}

// TestTooFew: no number comes from too few points.
func TestTooFew(t *testing.T) {
	p := ladder
	p.models = 2
	r := p.analyze(t, cells.Options{})
	for _, f := range r.Fits {
		if f.OK || f.Slope != nil || f.R2 != nil || f.SlopeT != nil || f.TheilSenSlope != nil || f.SpearmanRho != nil || f.Reason == "" {
			t.Errorf("%+v", f)
		}
		if _, ok := f.Line(5); ok {
			t.Error("a line through two points")
		}
		if _, _, ok := f.Band(5); ok {
			t.Error("a band around two points")
		}
	}
	for _, f := range r.OffsetFits {
		if f.OK || f.A != nil || f.B != nil || f.R2 != nil {
			t.Errorf("%+v", f)
		}
	}
	if s := r.Answers.Slopes[0]; s.Verdict != "unknown" || s.Slope != nil || s.Why == "" {
		t.Errorf("%+v", s)
	}
	if s := r.Answers.Tails[0]; s.Verdict != "unknown" || s.Rho != nil {
		t.Errorf("%+v", s)
	}
	empty, err := Analyze(&runs.Run{}, cells.Options{})
	if err != nil || len(empty.Cells)+len(empty.Fits) != 0 {
		t.Errorf("empty run: %+v, %v", empty, err)
	}
}

// TestPhases: end-to-end against its phases, over the whole run.
func TestPhases(t *testing.T) {
	r := ladder.analyze(t, cells.Options{Bootstrap: -1})
	if p := r.Phases; p == nil || p.N != 8*2*7 || p.MedianPercent > 1e-9 || slices.Contains(warningCodes(r.Warnings), "phases_disagree") {
		t.Errorf("%+v", p)
	}
	rows := ladder.rows(1)
	for i := range rows {
		if r := &rows[i]; r.Mode == record.ModeE2E {
			gap := .98
			if r.Model == "m03" && r.Scenario == "p9" && r.Rep != nil && *r.Rep == 4 {
				gap = .9
			}
			r.LatencyMS = new(*r.E2EKVMS / gap) // e2e = sum/gap, so that the gap is 1 - gap of it
		}
	}
	r, err := Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Phases; math.Abs(p.MedianPercent-2) > 1e-9 || math.Abs(p.LargestPercent-10) > 1e-9 || p.Where != "cpu m03 p9" || !slices.Contains(warningCodes(r.Warnings), "phases_disagree") {
		t.Errorf("%+v", p)
	}
	if tr121(t).Phases != nil {
		t.Error("TR121 sums its phases; that proves nothing")
	}
}

func TestTTFT(t *testing.T) {
	rows := ladder.rows(1)
	for i := range rows {
		if r := &rows[i]; r.Rep != nil {
			r.TTFTMS = new(*r.PrefillMS + float64(*r.Rep)) // median: 3 ms above prefill
		}
	}
	r, err := Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cells {
		if (c.TTFTMS != nil) != (c.Mode == record.ModePrefill) || c.TTFTMS != nil && math.Abs(*c.TTFTMS-c.MedianMS-3) > 1e-9 {
			t.Errorf("%s %s: %v", c.Model, c.Mode, c.TTFTMS)
		}
	}
	g := r.Aggregates[0]
	near(t, "over scenarios", g.TTFTMS, g.GeomeanMS+3, 1e-9)
	for _, table := range tables[:2] {
		if last := table.Columns[len(table.Columns)-1].Name; !strings.HasPrefix(last, "ttft_") {
			t.Errorf("%s ends with %s", table.File, last)
		}
	}
}

// TestSaid: one answer of each model that is a file, of a prompt that can be
// printed.
func TestSaid(t *testing.T) {
	p := ladder
	p.models, p.scenarios = 2, []string{"long", "short", "medium"}
	rows := p.rows(1)
	prompts := map[string]string{"long": strings.Repeat("x ", 400), "short": "Hello", "medium": "Who was Ada Lovelace?"}
	for i := range rows {
		r := &rows[i]
		r.Prompt, r.OutputText = new(prompts[r.Scenario]), new("answer to "+r.Scenario)
		if r.Model == "m01" {
			r.ModelKind = "gguf"
		}
	}
	r, err := Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	if want := []Said{{"cpu", "m01", "medium", prompts["medium"], "answer to medium"}}; !slices.Equal(r.Said, want) {
		t.Errorf("%+v", r.Said)
	}
}

// TestUnequalScenarios: a model that ran in fewer scenarios has another mean.
func TestUnequalScenarios(t *testing.T) {
	run := &runs.Run{Harness: runs.HarnessLLMScale}
	for _, r := range ladder.rows(1) {
		if r.Model != "m03" || r.Scenario == "p1" {
			run.Rows = append(run.Rows, r)
		}
	}
	r, err := Analyze(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := findFit(t, r, "cpu", record.ModeDecode, cells.AllScenarios)
	if f.NModels != 7 || !slices.Contains(warningCodes(f.Warnings), "unequal_scenarios") {
		t.Errorf("%d models, %v", f.NModels, warningCodes(f.Warnings))
	}
	if g := findFit(t, r, "cpu", record.ModeDecode, "p1"); g.NModels != 8 {
		t.Errorf("%d models in p1", g.NModels)
	}
}

func TestWarmups(t *testing.T) {
	r := tr121(t)
	for _, w := range r.Warmups { // factors of testdata/make_tr121.py
		want := map[string]float64{"prefill": 2, "kv_decode": 1.04, "e2e_kv": 1.08}[w.Mode]
		near(t, w.Model+" "+w.Mode, w.Ratio, want, 1e-9)
	}
	included := ladder.analyze(t, cells.Options{IncludeWarmup: true, Bootstrap: -1})
	if included.Cells[0].N != 8 || included.Warmups[0].WarmupN != 1 || included.Warmups[0].MeasuredN != 7 {
		t.Errorf("with warm-ups: %+v %+v", included.Cells[0].N, included.Warmups[0])
	}
}

// TestInputUntouched: Analyze leaves the run as it was, and analysing it again
// gives the same.
func TestInputUntouched(t *testing.T) {
	run := &runs.Run{Harness: runs.HarnessLLMScale, Rows: ladder.rows(3)}
	before, _ := json.Marshal(run.Rows)
	one, err := Analyze(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	two, _ := Analyze(run, cells.Options{})
	after, _ := json.Marshal(run.Rows)
	if !bytes.Equal(before, after) {
		t.Error("the run was changed")
	}
	x, _ := json.Marshal(one)
	y, _ := json.Marshal(two)
	if !bytes.Equal(x, y) {
		t.Error("two analyses differ")
	}
}
