package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/law"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/summary"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

func analyzed(p celltest.Plan, t testing.TB, opt cells.Options) *Result {
	t.Helper()
	run := &runs.Run{Harness: runs.HarnessLLMScale, Rows: p.Rows(1)}
	r, err := Analyze(run, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCleanLadder(t *testing.T) {
	r := analyzed(celltest.Ladder, t, cells.Options{})
	f := findFit(t, r, "cpu", record.ModeDecode, cells.AllScenarios)
	if math.Abs(*f.Slope-0.8) > 0.002 || *f.R2 < 0.9999 || f.SlopeT.Low > 0.8 || f.SlopeT.High < 0.799 {
		t.Errorf("slope %v %v R2 %v, made with 0.8", *f.Slope, f.SlopeT, *f.R2)
	}
	if len(f.Warnings) != 0 {
		t.Errorf("warnings on a clean ladder: %+v", f.Warnings)
	}
	if c := r.Counts; c.Used != 8*2*7*3 || c.Warmups != 8*2*3 {
		t.Errorf("counts %+v", c)
	}
	cell := r.Cells[1]
	if cell.Mode != record.ModeDecode || cell.N != 7 || len(cell.LatenciesMS) != 7 || cell.P95MS.Value != nil || cell.MSPerToken == nil || cell.RSSPeakMiB == nil {
		t.Errorf("cell %+v", cell)
	}
	if len(Get[tails.Answer](r).Tokens) != 16 || len(Get[tails.Answer](r).Tokens[0].MedianMS) != 64 {
		t.Errorf("token series: %d", len(Get[tails.Answer](r).Tokens))
	}
	tail := Get[tails.Answer](r).Tails[0]
	if tail.N != 448 || tail.P95MS.Value == nil || tail.P99MS.Value != nil || tail.P99MS.String() != "too few" {
		t.Errorf("tail %+v", tail)
	}
	if all := Get[tails.Answer](r).Tails[2]; all.Scenario != cells.AllScenarios || all.N != 896 || all.P99Ratio.Value == nil || all.P50MS != nil {
		t.Errorf("tail over all scenarios %+v", all)
	}
	for _, d := range Get[summary.Answer](r).DecodeFractions {
		if math.Abs(d.Fraction-64*1.01/(64*1.01+3)) > 0.002 {
			t.Errorf("decode fraction %+v", d)
		}
	}
	if f := Get[laws.Answer](r).Of(record.ModeDecode)[0]; f.Law.Form != law.Power || math.Abs(*f.Doubling-math.Pow(2, .8)) > .01 {
		t.Errorf("law %+v", f)
	}
	// 2^0.8 is below the factor 2, 4^0.8 above it.
	first := Get[firstchange.Answer](r)
	if c := first.Of(cells.Series{Backend: "cpu", BatchSize: 1}, record.ModeDecode, "latency"); first.Answers.First[0].Verdict != "latency" ||
		c.Verdict != firstchange.Changes || math.Abs(*c.SizeM-5*math.Pow(2, 1/.8)) > .2 || c.Between.Low < 10 || c.Between.High > 20 {
		t.Errorf("first change %+v", c)
	}
}

func TestXAxes(t *testing.T) {
	for axis, x := range map[string]float64{"": 5, "params_total": 5, "params_non_embedding": 3.75, "params_active": 5, "bytes_per_token": 20} {
		r := analyzed(celltest.Ladder, t, cells.Options{XAxis: axis, Bootstrap: -1})
		f := findFit(t, r, "cpu", record.ModeDecode, cells.AllScenarios)
		if math.Abs(f.Points[0].X-x) > 1e-9 || math.Abs(*f.Slope-.8) > .002 || f.SlopeBoot != nil || f.BootRequested != 0 {
			t.Errorf("%s: %+v", axis, f)
		}
	}
}

func TestWarnings(t *testing.T) {
	with := func(change func(*celltest.Plan)) celltest.Plan {
		p := celltest.Ladder
		change(&p)
		return p
	}
	for _, c := range []struct {
		name string
		plan celltest.Plan
		code string
	}{
		{"five sizes", with(func(p *celltest.Plan) { p.Models = 5 }), "few_sizes"},
		{"two sizes", with(func(p *celltest.Plan) { p.Models = 2 }), "too_few_points"},
		{"factor of eight", with(func(p *celltest.Plan) { p.Models = 4 }), "narrow_range"},
		{"flat", with(func(p *celltest.Plan) { p.PerToken = func(m int) float64 { return 1 + .1*float64(m*3%5) } }), "ci_crosses_zero"},
		{"flat R2", with(func(p *celltest.Plan) { p.PerToken = func(m int) float64 { return 1 + .1*float64(m*3%5) } }), "low_r2"},
		{"weight types", with(func(p *celltest.Plan) {
			p.Facts = func(m int, f *record.ModelFacts) { f.WeightType = []string{"f32", "q8_0"}[m%2] }
		}), "mixed_weight_types"},
		{"architectures", with(func(p *celltest.Plan) {
			p.Facts = func(m int, f *record.ModelFacts) { f.Architecture = []string{"gpt2", "llama"}[m%2] }
		}), "mixed_architectures"},
		{"embeddings", with(func(p *celltest.Plan) {
			p.Facts = func(m int, f *record.ModelFacts) { f.ParamsNonEmbedding = f.ParamsTotal / 3 }
		}), "embedding_share"},
		{"shapes", with(func(p *celltest.Plan) {
			p.Facts = func(m int, f *record.ModelFacts) { f.NLayer = 12 - m }
		}), "uneven_shapes"},
		{"few for a bootstrap", with(func(p *celltest.Plan) { p.Models = 4 }), "bootstrap_degenerate"},
	} {
		r := analyzed(c.plan, t, cells.Options{})
		f := findFit(t, r, "cpu", record.ModeDecode, cells.AllScenarios)
		i := slices.IndexFunc(f.Warnings, func(w finding.Warning) bool { return w.Code == c.code })
		if i < 0 {
			t.Errorf("%s: no %s in %v", c.name, c.code, celltest.Codes(f.Warnings))
			continue
		}
		if w := f.Warnings[i]; w.Advice == "" || w.Text == "" || !strings.Contains(w.Where, "cpu kv_decode") {
			t.Errorf("%s: %+v", c.name, w)
		}
		if !slices.Contains(celltest.Codes(r.Warnings), c.code) {
			t.Errorf("%s: not among the run's warnings", c.name)
		}
	}
}

// TestStrayModels: one model off a power law is warned of: where it makes the exponent,
// and where it does not.
func TestStrayModels(t *testing.T) {
	for _, c := range []struct {
		code       string
		models, at int
		times      float64
	}{{"one_point_moves", 8, 7, 3}, {"outlier", 9, 4, 2}} {
		p := celltest.Ladder
		p.Models = c.models
		p.PerToken = func(m int) float64 {
			y := math.Pow(2, .5*float64(m)) * (1 + .03*float64(m%2))
			if m == c.at {
				y *= c.times
			}
			return y
		}
		r := analyzed(p, t, cells.Options{})
		i := slices.IndexFunc(r.Warnings, func(w finding.Warning) bool { return w.Code == c.code && w.Where == "cpu kv_decode __all__" })
		if i < 0 || !strings.HasPrefix(r.Warnings[i].Text, fmt.Sprintf("m%02d takes", c.at)) {
			t.Errorf("%s: %v", c.code, celltest.Codes(r.Warnings))
		}
	}
}

// TestTooFew: no number comes from too few points.
func TestTooFew(t *testing.T) {
	p := celltest.Ladder
	p.Models = 2
	r := analyzed(p, t, cells.Options{})
	for _, f := range Get[scaling.Answer](r).Fits {
		if f.OK || f.Slope != nil || f.R2 != nil || f.SlopeT != nil || f.TheilSenSlope != nil || f.SpearmanRho != nil || f.Reason == "" {
			t.Errorf("%+v", f)
		}
	}
	for _, f := range Get[scaling.Answer](r).OffsetFits {
		if f.OK || f.A != nil || f.B != nil || f.R2 != nil {
			t.Errorf("%+v", f)
		}
	}
	if f := Get[laws.Answer](r).Answers.Laws[0]; f.Verdict != law.TooFew || f.Law != nil || f.Why == "" {
		t.Errorf("%+v", f)
	}
	empty, err := Analyze(&runs.Run{}, cells.Options{})
	if err != nil || len(empty.Cells)+len(Get[scaling.Answer](empty).Fits) != 0 {
		t.Errorf("empty run: %+v, %v", empty, err)
	}
}

// TestSameCall: what stands beside a cell's time is of the same typical call, also where
// processes differ: no rate that disagrees with the time, no first token before its prefill.
func TestSameCall(t *testing.T) {
	plan := celltest.Ladder
	plan.Reps = 4 // of an even number of calls the median is none of them
	rows := plan.Blocks(3, func(b int, _ *runs.Row) float64 { return []float64{1, 1, 4}[b] })
	for i := range rows {
		if r := &rows[i]; r.Rep != nil {
			r.TTFTMS = new(*r.PrefillMS * 1.001)
		}
	}
	r, err := Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cells {
		celltest.Near(t, "tokens/s of "+c.Mode, c.TokensPerS, 1000**c.TokensTotal/c.MedianMS, 1e-9**c.TokensPerS)
		if c.Mode == record.ModePrefill {
			celltest.Near(t, "first token", c.TTFTMS, 1.001*c.MedianMS, 1e-9*c.MedianMS)
		}
	}
}

func TestTTFT(t *testing.T) {
	rows := celltest.Ladder.Rows(1)
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
	celltest.Near(t, "over scenarios", g.TTFTMS, g.GeomeanMS+3, 1e-9)
	for _, table := range Get[summary.Answer](r).Tables()[:2] {
		if last := table.Columns[len(table.Columns)-1].Name; !strings.HasPrefix(last, "ttft_") {
			t.Errorf("%s ends with %s", table.File, last)
		}
	}
}

// TestSaid: one answer of each model that is a file, of a prompt that can be
// printed.
func TestSaid(t *testing.T) {
	p := celltest.Ladder
	p.Models, p.Scenarios = 2, []string{"long", "short", "medium"}
	rows := p.Rows(1)
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
	if want := []calls.Said{{Backend: "cpu", Model: "m01", Scenario: "medium", Prompt: prompts["medium"], Output: "answer to medium"}}; !slices.Equal(Get[calls.Answer](r).Said, want) {
		t.Errorf("%+v", Get[calls.Answer](r).Said)
	}
}

// TestUnequalScenarios: a model that ran in fewer scenarios has another mean.
func TestUnequalScenarios(t *testing.T) {
	run := &runs.Run{Harness: runs.HarnessLLMScale}
	for _, r := range celltest.Ladder.Rows(1) {
		if r.Model != "m03" || r.Scenario == "p1" {
			run.Rows = append(run.Rows, r)
		}
	}
	r, err := Analyze(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := findFit(t, r, "cpu", record.ModeDecode, cells.AllScenarios)
	if f.NModels != 7 || !slices.Contains(celltest.Codes(f.Warnings), "unequal_scenarios") {
		t.Errorf("%d models, %v", f.NModels, celltest.Codes(f.Warnings))
	}
	if g := findFit(t, r, "cpu", record.ModeDecode, "p1"); g.NModels != 8 {
		t.Errorf("%d models in p1", g.NModels)
	}
}

func TestWarmups(t *testing.T) {
	r := tr121(t)
	for _, w := range Get[summary.Answer](r).Warmups { // factors of testdata/make_tr121.py
		want := map[string]float64{"prefill": 2, "kv_decode": 1.04, "e2e_kv": 1.08}[w.Mode]
		celltest.Near(t, w.Model+" "+w.Mode, w.Ratio, want, 1e-9)
	}
	included := analyzed(celltest.Ladder, t, cells.Options{IncludeWarmup: true, Bootstrap: -1})
	if included.Cells[0].N != 8 || Get[summary.Answer](included).Warmups[0].WarmupN != 1 || Get[summary.Answer](included).Warmups[0].MeasuredN != 7 {
		t.Errorf("with warm-ups: %+v %+v", included.Cells[0].N, Get[summary.Answer](included).Warmups[0])
	}
}

// TestInputUntouched: Analyze leaves the run as it was, and analysing it again
// gives the same.
func TestInputUntouched(t *testing.T) {
	run := &runs.Run{Harness: runs.HarnessLLMScale, Rows: celltest.Ladder.Rows(3)}
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

func analyzeRows(t *testing.T, rows []runs.Row) *Result {
	t.Helper()
	r, err := Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMixedLengths: what joins scenarios of several lengths says so.
func TestMixedLengths(t *testing.T) {
	gens := []int{8, 64}
	rows := celltest.LengthRun(4, gens, 6, func(m, gen, _ int) float64 { return math.Pow(2, float64(m)) * float64(gen) }, nil)
	r := analyzeRows(t, rows)
	for _, f := range Get[scaling.Answer](r).Fits {
		want := f.Scenario == cells.AllScenarios && f.Mode != record.ModePrefill
		if got := slices.Contains(celltest.Codes(f.Warnings), "mixed_lengths"); got != want {
			t.Errorf("%s: %v", f.Where(), celltest.Codes(f.Warnings))
		}
		if f.Mode == record.ModeDecode { // every length has the slope of all: the mean keeps it
			celltest.Near(t, f.Where(), f.Slope, 1, 1e-9)
		}
	}
	for _, d := range Get[summary.Answer](r).DecodeFractions {
		want := map[string]float64{"gen8": 8, "gen64": 64}[d.Scenario]
		if d.Scenario == cells.AllScenarios && d.GenTokens != nil || want > 0 && (d.GenTokens == nil || *d.GenTokens != want) {
			t.Errorf("%+v", d)
		}
	}
	// Two models without one scenario each: as many, but not the same lengths.
	var some []runs.Row
	for _, r := range rows {
		if !(r.Model == "m02" && r.Scenario == "gen8") && !(r.Model == "m03" && r.Scenario == "gen64") {
			some = append(some, r)
		}
	}
	if f := findFit(t, analyzeRows(t, some), "cpu", record.ModeDecode, cells.AllScenarios); f.NModels != 2 {
		t.Errorf("%d models over all scenarios", f.NModels)
	}
	// One scenario each, of different lengths: the geometric means share nothing.
	some = nil
	for _, r := range rows {
		if (r.Scenario == "gen8") == (r.Model == "m03") {
			some = append(some, r)
		}
	}
	s := analyzeRows(t, some)
	if f := findFit(t, s, "cpu", record.ModeDecode, cells.AllScenarios); f.NModels != 3 || f.Points[2].Model != "m02" || f.Warnings[0].Text != "m03 ran in other scenarios than the others: left out of the fit over all scenarios" {
		t.Errorf("%d models, %+v", f.NModels, f.Warnings)
	}
	if c := Get[firstchange.Answer](s).Of(cells.Series{Backend: "cpu", BatchSize: 1}, record.ModeDecode, "latency"); c.Models != 3 {
		t.Errorf("%+v", c)
	}
}
