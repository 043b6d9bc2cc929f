package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// served is a made-up run of native backends and of Ollama's on the same files. Of
// native, call i of a model takes (1 + jitter(i)) of the model's times.
type served struct {
	models, reps, gen int
	native, ollama    []string
	scenarios         []servedScenario
	tokenMS           func(model int) float64               // native decode per token, without sampling
	gapMS             func(phase string, model int) float64 // what Ollama takes more: per token of decode, per call of prefill
	edit              func(r *record.Record, call bool)     // of an Ollama call, and then of each of its records
}

type servedScenario struct {
	name   string
	prompt int
	text   string
}

const (
	servedSampling = 0.05 // ms, of each token
	servedHTTP     = 1.5  // ms, of each call
	servedLoad     = 4.0
	servedTokenize = 0.25
	servedRest     = 0.2 // ms, of each token and of the first
)

func (s served) rows() []runs.Row {
	var rows []runs.Row
	task := 0
	backends := slices.Concat(s.native, s.ollama)
	for _, backend := range backends {
		for m := range s.models {
			for _, sc := range s.scenarios {
				for call := range s.reps + 1 {
					rows = append(rows, s.call(backend, sc, m, call, task)...)
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

func (s served) call(backend string, sc servedScenario, m, call, task int) []runs.Row {
	kind := cells.KindNative
	if slices.Contains(s.ollama, backend) {
		kind = cells.KindOllama
	}
	name := fmt.Sprintf("m%02d", m)
	size := float64(int(10) << m)
	base := record.Record{SchemaVersion: 1, RunID: "r", TaskIdx: task, Scenario: sc.name, Backend: backend, BackendKind: kind, Model: name, ModelKind: "synth",
		ModelFile: name + "-f32.gguf", ModelSHA256: new("sha of " + name), ParamsMillions: size, GenTokensTarget: s.gen, BatchSizeConfig: 1,
		CallIdx: call, IsWarmup: call == 0, Status: record.StatusOK}
	base.ModelFacts = record.ModelFacts{WeightType: "f32", Architecture: "gpt2", NLayer: 2 + m, NEmbd: 64 * (m + 1), NVocab: 50257, ParamsTotal: int64(size * 1e6), BytesPerToken: int64(4e6 * size)}
	base.RuntimeFacts = record.RuntimeFacts{Device: "cpu", NThreads: new(2), NThreadsBatch: new(2), FlashAttention: "auto", NUBatch: 512, KVTypeK: "f16", UseMmap: true, LlamaCommit: "ec98e2002"}
	if call == 0 {
		base.WarmupIdx = new(0)
	} else {
		base.Rep = new(call - 1)
	}
	if sc.text != "" {
		base.Prompt = &sc.text
	}
	factor := 1 + celltest.Jitter(call)
	decode := s.tokenMS(m) * float64(s.gen) * factor
	prefill := s.tokenMS(m) * float64(sc.prompt) / 8 * factor
	base.SeqLen, base.PromptTokensRaw, base.GenTokensRaw, base.GenTokens, base.BatchSize = new(sc.prompt), new(sc.prompt), new(s.gen), new(s.gen), new(1)
	if kind == cells.KindNative {
		sampling := servedSampling * float64(s.gen)
		base.Measurement.PrefillMS, base.DecodeNoSampMS, base.KVDecodeMS = &prefill, &decode, new(decode+sampling)
		base.TTFTMS, base.E2EKVMS, base.E2EGapPercent = new(prefill+servedSampling), new(prefill+decode+sampling+servedSampling), new(0.1)
		base.FirstSamplingNS = new(int64(1e6 * servedSampling))
		for range s.gen {
			base.TokenSamplingNS = append(base.TokenSamplingNS, int64(1e6*servedSampling))
		}
	} else {
		prefill += s.gapMS(record.ModePrefill, m)
		decode += s.gapMS(record.ModeDecode, m) * float64(s.gen)
		rest := servedRest * float64(s.gen+1)
		total := servedLoad + servedTokenize + prefill + decode + rest
		base.Measurement.PrefillMS, base.DecodeNoSampMS, base.KVDecodeMS = &prefill, &decode, &decode
		base.TTFTMS, base.E2EKVMS = new(servedHTTP+servedLoad+servedTokenize+prefill+servedRest), new(total+servedHTTP-0.1)
		base.E2EGapPercent, base.TokenizeMS = new(40.0), new(servedTokenize)
		base.FlashAttention, base.KVTypeK, base.LlamaCommit = "server", "server", ""
		base.OllamaWallMS, base.OllamaTotalMS, base.OllamaLoadMS = new(total+servedHTTP), &total, new(servedLoad)
		base.OllamaPromptEvalMS, base.OllamaEvalMS = &prefill, &decode
		base.OllamaProjected, base.DecodeEquivMS, base.E2EEquivMS, base.GenTokensEquiv = new(false), &decode, base.E2EKVMS, new(s.gen)
		base.OllamaWeights = new("SHA of " + name)
		base.OllamaDiffers = []string{"flash_attn: the server decides"}
		for range s.gen {
			base.OllamaInterTokenNS = append(base.OllamaInterTokenNS, int64(1e6*(decode/float64(s.gen)+servedRest)))
		}
		base.OllamaPieceNS = arrivals(*base.TTFTMS, base.OllamaInterTokenNS)
		if s.edit != nil {
			s.edit(&base, true)
		}
	}
	var out []runs.Row
	for _, mode := range record.Modes {
		r := runs.Row{Record: base}
		r.Mode = mode
		r.LatencyMS = map[string]*float64{record.ModePrefill: r.PrefillMS, record.ModeDecode: r.KVDecodeMS, record.ModeE2E: r.E2EKVMS}[mode]
		if mode == record.ModeDecode && r.DecodeEquivMS != nil {
			r.LatencyMS = r.DecodeEquivMS
		}
		if kind == cells.KindOllama && s.edit != nil {
			s.edit(&r.Record, false)
		}
		out = append(out, r)
	}
	return out
}

var servedPlan = served{models: 5, reps: 6, gen: 16, native: []string{"native"}, ollama: []string{"ollama"},
	scenarios: []servedScenario{{name: "p128", prompt: 128}, {name: "p256", prompt: 256}, {name: "p512", prompt: 512}},
	tokenMS:   func(m int) float64 { return math.Pow(2, float64(m)) },
	gapMS:     func(string, int) float64 { return 0 }}

func (s served) analyze(t *testing.T, bench ...runs.LlamaBench) *Result {
	t.Helper()
	r, err := Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: s.rows(), LlamaBench: bench}, cells.Options{Bootstrap: 400})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func find(t *testing.T, r *Result, model, scenario, phase string) *Crosscheck {
	t.Helper()
	for i := range r.Crosscheck {
		if c := &r.Crosscheck[i]; c.Model == model && c.Scenario == scenario && c.Phase == phase {
			return c
		}
	}
	t.Fatalf("no %s %s %s among %d", model, scenario, phase, len(r.Crosscheck))
	return nil
}

// TestCrosscheck: 20 % more for each token of decode, and a prefill that is the same.
func TestCrosscheck(t *testing.T) {
	p := servedPlan
	p.gapMS = func(phase string, m int) float64 {
		if phase == record.ModePrefill {
			return 0
		}
		return 0.2 * p.tokenMS(m)
	}
	r := p.analyze(t)
	if n := len(r.Crosscheck); n != 5*3*2 {
		t.Fatalf("%d comparisons", n)
	}
	c := find(t, r, "m03", "p256", record.ModeDecode)
	celltest.Near(t, "native ms", c.NativeMS, 8*16, 1e-9)
	celltest.Near(t, "Ollama ms", c.Counters.MS, 8*16*1.2, 1e-9)
	celltest.Near(t, "ratio", c.Counters.Ratio, 1.2, 1e-9)
	if ci := c.Counters.RatioCI; ci == nil || ci.Low > 1.2 || ci.High < 1.2 || ci.Low < 1.15 || ci.High > 1.25 || c.Counters.Reason != "" {
		t.Errorf("%+v", c.Counters)
	}
	if !c.Counters.Stands() || c.Counters.N != 6 || c.NativeN != 6 || *c.GenTokens != 16 || *c.PromptTokens != 256 || c.InvalidOllama != 0 || *c.Projected != 0 {
		t.Errorf("%+v", c)
	}
	celltest.Near(t, "client ms", c.Client.MS, 16*(8*1.2+servedRest), 1e-6)
	celltest.Near(t, "client's native ms", c.Client.NativeMS, 16*(8+servedSampling), 1e-9)
	celltest.Near(t, "client ratio", c.Client.Ratio, (8*1.2+servedRest)/(8+servedSampling), 1e-6)
	if c.SameWeights == nil || !*c.SameWeights || !slices.Equal(c.Differ, []string{"flash_attn: the server decides"}) || len(c.RecordsDiffer) != 0 {
		t.Errorf("%v %q %q", c.SameWeights, c.Differ, c.RecordsDiffer)
	}
	if c.Bench.N != 0 || c.BenchRun != nil || c.Bench.Reason != "llama-bench did not measure this" {
		t.Errorf("%+v", c.Bench)
	}
	f := find(t, r, "m03", "p256", record.ModePrefill)
	celltest.Near(t, "prefill ratio", f.Counters.Ratio, 1, 1e-12)
	if f.Counters.Stands() || f.Counters.Excludes() || f.Projected != nil {
		t.Errorf("%+v", f.Counters)
	}
	celltest.Near(t, "ttft", f.Client.MS, 256+servedHTTP+servedLoad+servedTokenize+servedRest, 1e-9)

	// The same run gives the same figures, and another seed other intervals about them.
	again := p.analyze(t)
	x, _ := json.Marshal(r.Crosscheck)
	y, _ := json.Marshal(again.Crosscheck)
	if string(x) != string(y) {
		t.Error("two analyses of one run differ")
	}
}

// TestCrosscheckPairs: which series are compared.
func TestCrosscheckPairs(t *testing.T) {
	p := servedPlan
	p.models, p.native, p.ollama = 2, []string{"native_a", "native_b"}, []string{"ollama_a", "ollama_b"}
	names := func(rows []runs.Row) string {
		r := analyzeRows(t, rows)
		seen := map[string]int{}
		for _, c := range r.Crosscheck {
			seen[c.Native+" "+c.Ollama+" "+c.Model]++
		}
		return fmt.Sprint(seen)
	}
	all := names(p.rows())
	if all != "map[native_a ollama_a m00:6 native_a ollama_a m01:6 native_a ollama_b m00:6 native_a ollama_b m01:6 native_b ollama_a m00:6 native_b ollama_a m01:6 native_b ollama_b m00:6 native_b ollama_b m01:6]" {
		t.Error(all)
	}
	rows := p.rows()
	for i := range rows {
		r := &rows[i]
		switch {
		case r.Backend == "native_b" && r.Model == "m00":
			r.ModelSHA256 = new("another file")
		case r.Backend == "native_b":
			r.ModelSHA256 = nil // too large to be tried: not known to be the same
		case r.Backend == "ollama_b":
			r.Device = "cuda"
		}
	}
	if got := names(rows); got != "map[native_a ollama_a m00:6 native_a ollama_a m01:6]" {
		t.Error(got)
	}
	// As many threads with as many, where there are such; otherwise with what there is.
	rows = p.rows()
	for i := range rows {
		if r := &rows[i]; strings.HasSuffix(r.Backend, "_b") && (r.Model == "m00" || r.BackendKind == cells.KindOllama) {
			r.NThreads, r.NThreadsBatch = new(1), new(1)
		}
	}
	if got := names(rows); got != "map[native_a ollama_a m00:6 native_a ollama_a m01:6 native_a ollama_b m01:6 native_b ollama_a m01:6 native_b ollama_b m00:6 native_b ollama_b m01:6]" {
		t.Error(got)
	}
	// Without Ollama, nothing.
	q := servedPlan
	q.ollama = nil
	r := analyzeRows(t, q.rows())
	if r.Crosscheck != nil || r.OllamaGaps != nil || r.OllamaGreedy != nil || r.GapLaws != nil {
		t.Error("a cross-check without Ollama")
	}
}

// TestCrosscheckInvalid: a cached prompt spoils prefill, and decode counts; spoilt
// records reach no figure.
func TestCrosscheckInvalid(t *testing.T) {
	p := servedPlan
	p.edit = func(r *record.Record, all bool) {
		if all || r.Scenario == "p512" || r.Scenario == "p256" && r.CallIdx != 1 {
			return
		}
		if r.Mode != record.ModeDecode {
			r.Verdict, r.VerdictReasons = new(record.VerdictInvalid), []string{"prefill: an earlier prompt of this load begins alike, so 128 of the prompt's 128 tokens were cached and not evaluated"}
			r.PrefillMS, r.OllamaPromptEvalMS, r.LatencyMS, r.TTFTMS, r.OllamaWallMS = new(1e-3), new(1e-3), new(1e-3), new(1e-3), new(1e-3)
		}
	}
	r := p.analyze(t)
	c := find(t, r, "m02", "p128", record.ModePrefill)
	if c.Counters.N != 0 || c.Counters.Ratio != nil || c.InvalidOllama != 6 || c.Counters.Reason == "" || c.NativeN != 6 {
		t.Errorf("%+v", c)
	}
	if c := find(t, r, "m02", "p256", record.ModePrefill); c.Counters.N != 5 || c.InvalidOllama != 1 || *c.Counters.MS < 1 {
		t.Errorf("%+v", c)
	}
	if c := find(t, r, "m02", "p128", record.ModeDecode); c.Counters.N != 6 || c.InvalidOllama != 0 || math.Abs(*c.Counters.Ratio-1) > 1e-9 {
		t.Errorf("%+v", c)
	}
	for _, g := range r.OllamaGaps {
		if g.Scenario == "p128" || *g.WallMS < 1 {
			t.Errorf("INVALID calls are taken apart: %+v", g)
		}
	}
	for _, f := range r.PrefillLengthFits {
		if f.Backend == "ollama" && (f.NLengths != 2 || f.Exponent != nil) {
			t.Errorf("%+v", f)
		}
	}
	// The share of decode over all scenarios is of those that have both.
	for _, d := range r.DecodeFractions {
		if d.Backend == "ollama" && d.Scenario == cells.AllScenarios && !(d.Fraction < 0.4) {
			t.Errorf("decode of three scenarios over end-to-end of two: %+v", d)
		}
	}
	for _, v := range r.Invalid {
		if v.Scenario == "p128" && (fmt.Sprint(v.Modes, v.NoFigure) != "[prefill e2e_kv] [prefill e2e_kv]" || v.Repetitions != 6 || v.Partly != 6 || v.Valid != 6 || v.Warmups != 1) {
			t.Errorf("%+v", v)
		}
		if v.Scenario == "p256" && (len(v.NoFigure) != 0 || v.Repetitions != 1 || v.Partly != 1 || v.Valid != 6) {
			t.Errorf("%+v", v)
		}
	}
}

// TestCrosscheckReasons: what has no ratio, or no interval, says why.
func TestCrosscheckReasons(t *testing.T) {
	p := servedPlan
	p.models, p.reps = 1, 2
	r := p.analyze(t)
	if c := find(t, r, "m00", "p128", record.ModeDecode); c.Counters.Ratio == nil || c.Counters.RatioCI != nil || c.Counters.Reason != "2 calls on one side; an interval takes 3" {
		t.Errorf("%+v", c.Counters)
	}
	p.reps = 6
	p.edit = func(r *record.Record, all bool) {
		r.GenTokensEquiv, r.PromptTokensRaw = new(15), new(100)
	}
	r = p.analyze(t)
	if c := find(t, r, "m00", "p128", record.ModeDecode); c.Counters.Ratio != nil || !strings.Contains(c.Counters.Reason, "native decoded 16 tokens, Ollama's time stands for 15") {
		t.Errorf("%+v", c.Counters)
	}
	if c := find(t, r, "m00", "p128", record.ModePrefill); c.Counters.Ratio != nil || !strings.Contains(c.Counters.Reason, "128 prompt tokens, Ollama counts 100") {
		t.Errorf("%+v", c.Counters)
	}
}

// TestCrosscheckProjected: answers of half the length stand for the whole one.
func TestCrosscheckProjected(t *testing.T) {
	p := servedPlan
	p.models = 1
	p.edit = func(r *record.Record, all bool) {
		if !all || r.CallIdx%2 == 0 {
			return
		}
		half := *r.KVDecodeMS / 2
		r.OllamaProjected, r.DecodeEquivMS, r.KVDecodeMS, r.OllamaEvalMS = new(true), new(2*half), &half, &half
		// The 8th step gave the end-of-text token, which is not sent: 8 pieces, 7 times between them.
		r.GenTokensRaw, r.GenTokens, r.OllamaInterTokenNS, r.OllamaPieceNS, r.OllamaDoneReason = new(8), new(8), r.OllamaInterTokenNS[:7], r.OllamaPieceNS[:8], new("stop")
	}
	r := p.analyze(t)
	c := find(t, r, "m00", "p128", record.ModeDecode)
	celltest.Near(t, "ratio", c.Counters.Ratio, 1, 1e-9)
	celltest.Near(t, "share", c.Projected, 0.5, 0)
	celltest.Near(t, "client", c.Client.MS, 16*(1+servedRest), 1e-5)
	for _, g := range r.OllamaGaps {
		if g.N != 3 || math.Abs(*g.PartsOfWall-1) > 1e-9 {
			t.Errorf("%+v", g)
		}
	}
	for _, cell := range r.Cells { // 16 tokens, whichever were decoded
		if cell.Backend == "ollama" && cell.Mode == record.ModeDecode && math.Abs(*cell.MSPerToken-1) > 0.02 {
			t.Errorf("%v ms per token", *cell.MSPerToken)
		}
	}
}

// arrivals are the times of pieces with gaps between them.
func arrivals(firstMS float64, gaps []int64) []int64 {
	at := []int64{int64(firstMS * 1e6)}
	for _, gap := range gaps {
		at = append(at, at[len(at)-1]+gap)
	}
	return at
}

// TestGapLaws: a cost of each token, or one in proportion to the work, or both.
func TestGapLaws(t *testing.T) {
	for _, tt := range []struct {
		fixed, share float64
		verdict      string
	}{{0.3, 0, "fixed"}, {0, 0.25, "proportional"}, {0.3, 0.25, "both"}, {0, 0, "not_identified"}} {
		p := servedPlan
		p.gapMS = func(phase string, m int) float64 {
			if phase == record.ModePrefill {
				return 0
			}
			return tt.fixed + tt.share*p.tokenMS(m)
		}
		r := p.analyze(t)
		if len(r.GapLaws) != (3+1)*2*2 {
			t.Fatalf("%d laws", len(r.GapLaws))
		}
		for _, l := range r.GapLaws {
			if l.Phase != record.ModeDecode || l.Clock != ClockCounters {
				continue
			}
			if l.Verdict != tt.verdict || l.NModels != 5 || l.NativeMinMS != 1 || math.Abs(l.NativeMaxMS-16) > 1e-9 {
				t.Errorf("%+v", l)
			}
			celltest.Near(t, "fixed", l.FixedMS, tt.fixed, 1e-9)
			celltest.Near(t, "share", l.Share, tt.share, 1e-9)
		}
	}
	// A model without one scenario has another mean, and is left out of the one over all.
	q := servedPlan
	q.gapMS = func(string, int) float64 { return 0.3 }
	rows := slices.DeleteFunc(q.rows(), func(r runs.Row) bool { return r.Model == "m04" && r.Scenario == "p512" })
	for _, l := range analyzeRows(t, rows).GapLaws {
		if want := map[bool]int{true: 4, false: 5}[l.Scenario == cells.AllScenarios || l.Scenario == "p512"]; l.NModels != want {
			t.Errorf("%+v", l)
		}
		if l.Clock == ClockCounters && l.Phase == record.ModeDecode && (l.Verdict != "fixed" || math.Abs(*l.FixedMS-0.3) > 1e-9) {
			t.Errorf("%+v", l)
		}
	}
	// Two sizes show no law.
	p := servedPlan
	p.models = 2
	for _, l := range p.analyze(t).GapLaws {
		if l.Verdict != "unknown" || l.FixedMS != nil || !strings.Contains(l.Why, "a line takes 3") {
			t.Errorf("%+v", l)
		}
	}
}

// TestOllamaGap: the parts are those that the calls were made of.
func TestOllamaGap(t *testing.T) {
	p := servedPlan
	p.gapMS = func(phase string, m int) float64 {
		if phase == record.ModePrefill {
			return 3
		}
		return 0.5
	}
	r := p.analyze(t)
	if len(r.OllamaGaps) != 5*3 {
		t.Fatalf("%d rows", len(r.OllamaGaps))
	}
	g := r.OllamaGaps[0] // m00, p128
	for name, x := range map[string]struct {
		got  *float64
		want float64
	}{
		"http": {g.HTTPMS, servedHTTP}, "scheduling": {g.LoadMS, servedLoad}, "tokenising": {g.TokenizeMS, servedTokenize}, "prompt": {g.PromptEvalMS, 16 + 3},
		"eval": {g.EvalMS, 16 * 1.5}, "rest": {g.RestMS, 17 * servedRest}, "sum": {g.PartsMS, servedHTTP + servedLoad + servedTokenize + 19 + 24 + 17*servedRest}, "over wall": {g.PartsOfWall, 1},
		"native": {g.NativeE2EMS, 32 + 17*servedSampling}, "native prefill": {g.NativePrefillMS, 16}, "native decode": {g.NativeDecodeMS, 16}, "native sampling": {g.NativeSamplingMS, 17 * servedSampling},
		"compute": {g.ComputeAddedMS, 3 + 8}, "around": {g.AroundAddedMS, servedHTTP + servedLoad + servedTokenize + 17*servedRest - 17*servedSampling},
		"per token": {g.RestPerToken, (servedHTTP + 17*servedRest) / 16},
	} {
		celltest.Near(t, name, x.got, x.want, 1e-9)
	}
	celltest.Near(t, "added", g.AddedMS, *g.ComputeAddedMS+*g.AroundAddedMS, 1e-9)
	celltest.Near(t, "added per token", g.AddedPerToken, *g.AddedMS/16, 1e-9)
	// HTTP and sampling are no fault of the phases.
	if r.Phases == nil || r.Phases.N != 5*3*6 || r.Phases.LargestPercent > 1 {
		t.Errorf("%+v", r.Phases)
	}
	for _, w := range r.Warnings {
		if strings.HasPrefix(w.Code, "phases") {
			t.Errorf("%+v", w)
		}
	}
	// Where tokenising was not timed, it is in the rest.
	p.edit = func(r *record.Record, all bool) { r.TokenizeMS = nil }
	g = p.analyze(t).OllamaGaps[0]
	celltest.Near(t, "rest with tokenising", g.RestMS, 17*servedRest+servedTokenize, 1e-9)
	celltest.Near(t, "sum", g.PartsOfWall, 1, 1e-9)
	if g.TokenizeMS != nil {
		t.Error("a time of tokenising")
	}
	p.edit = func(r *record.Record, all bool) { r.OllamaTotalMS = nil }
	if g = p.analyze(t).OllamaGaps[0]; g.WallMS != nil || g.Reason == "" || g.AddedMS != nil {
		t.Errorf("%+v", g)
	}
}
