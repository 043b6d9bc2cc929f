package policy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/config"
	"llmscale/runner/record"
)

// made is a made-up run: one cell for each backend x model x mode, five calls that
// scatter by 1 %.
type made struct {
	backends []record.Record                                   // their settings
	sizes    []float64                                         // million parameters
	ms       func(backend int, size float64, m string) float64 // true time
}

func (r made) samples() (out []Sample) {
	for i := range r.backends {
		s := runs.RowOf(r.backends[i])
		for _, size := range r.sizes {
			for _, mode := range record.Modes {
				x := Sample{Key: cells.Series{Backend: fmt.Sprintf("b%d", i), BatchSize: s.Sequences()}.Key(fmt.Sprintf("m%g", size), "p", mode), Settings: cells.SettingsOf(&s), ParamsM: &size}
				for _, e := range []float64{-.01, .01, 0, -.005, .005} {
					x.Times.All = append(x.Times.All, r.ms(i, size, mode)*(1+e))
				}
				out = append(out, x)
			}
		}
	}
	return out
}

func native() record.Record {
	r := record.Record{Subject: record.Subject{BackendKind: "native", BatchSizeConfig: 1}}
	r.WeightType, r.Device, r.FlashAttention, r.KVTypeK, r.KVTypeV, r.NBatch, r.NUBatch, r.NCtx, r.LlamaCommit = "q4_0", "cpu", "auto", "f16", "f16", 2048, 512, 1024, "abc"
	r.NThreadsAsked, r.NThreadsBatchAsked = 2, 2
	return r
}

func with(changes ...func(*record.Record)) (out []record.Record) {
	for _, change := range changes {
		r := native()
		change(&r)
		out = append(out, r)
	}
	return out
}

func threads(ns ...int) (out []record.Record) {
	for _, n := range ns {
		out = append(out, with(func(r *record.Record) { r.NThreadsAsked, r.NThreadsBatchAsked = n, n })...)
	}
	return out
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestFromWhichSizeOn: a flag that helps from 62M on by 1.2 to 1.4 times, and does
// nothing below.
func TestFromWhichSizeOn(t *testing.T) {
	gain := map[float64]float64{5: 1, 14: 1.01, 62: 1.2, 134: 1.3, 1200: 1.4}
	r := made{backends: with(func(r *record.Record) { r.FlashAttention = "off" }, func(r *record.Record) { r.FlashAttention = "on" }),
		sizes: []float64{1200, 5, 62, 14, 134}, ms: func(i int, size float64, mode string) float64 {
			if i == 1 && mode == record.ModeDecode {
				return size / gain[size]
			}
			return size
		}}
	cs := compared(r.samples())
	if len(cs) != 10 {
		t.Fatalf("%d comparisons", len(cs))
	}
	for _, c := range cs {
		if c.Axis != "flash_attn" || c.Base != "off" || c.Value != "on" || c.At != "" || c.N != 5 || c.BaseN != 5 {
			t.Errorf("%+v", c)
		}
		if c.Mode == record.ModeDecode {
			near(t, "ratio of "+c.Model, c.Ratio, 1/gain[*c.ParamsM])
		}
		if !(c.RatioCI.Low < c.Ratio && c.Ratio < c.RatioCI.High) {
			t.Errorf("%+v: %+v", c, c.RatioCI)
		}
	}
	for _, p := range policiesOf(cs) {
		if p.Mode == record.ModePrefill {
			if p.Verdict != Never || p.Effect != "" || p.NSizes != 5 || p.FromM != nil {
				t.Errorf("%+v", p)
			}
			continue
		}
		if p.Verdict != FromOn || p.Effect != Faster || !(14 < *p.FromM && *p.FromM < 62) || !(*p.FromLow < *p.FromM && *p.FromM < *p.FromHigh) || p.ToM != nil || p.Basis != cells.BasisOne {
			t.Errorf("%+v", p)
		}
		near(t, "the smallest", *p.Small, 1)
		near(t, "the largest", *p.Large, 1/1.4)
	}
}

// TestFewCalls: two calls give no verdict.
func TestFewCalls(t *testing.T) {
	r := made{backends: threads(1, 2), sizes: []float64{5}, ms: func(i int, _ float64, _ string) float64 { return float64(10 - 5*i) }}
	samples := r.samples()
	for i := range samples {
		samples[i].Times.All = samples[i].Times.All[:2]
	}
	for _, c := range compare(groups(samples)) {
		if c.Verdict != Unknown || c.RatioCI != nil {
			t.Errorf("%+v", c)
		}
	}
	for _, p := range policiesOf(compare(groups(samples))) {
		if p.Verdict != Unknown || p.Reason == "" || p.NSizes != 0 {
			t.Errorf("%+v", p)
		}
	}
}

// TestVerdictErrs: of two backends that are the same, processes of which differ by 2 %,
// one is called faster or slower in 5 % of the runs; where they differ by 15 %, it is
// said.
func TestVerdictErrs(t *testing.T) {
	const draws = 4000
	for _, calls := range []int{5, 7, 12} {
		rng := rand.New(rand.NewPCG(uint64(calls), 3))
		wrong, seen := 0, 0
		for range draws {
			sample := func(mean float64) (out cells.Times) {
				mean *= math.Exp(stats.ProcessSD * rng.NormFloat64())
				for range calls {
					out.All = append(out.All, mean*math.Exp(.03*rng.NormFloat64()))
				}
				return out
			}
			if _, _, _, v := ratio(sample(1), sample(1), 1); v != NotShown {
				wrong++
			}
			if _, _, _, v := ratio(sample(1), sample(.85), 1); v == Faster {
				seen++
			}
		}
		t.Logf("%d calls: %.1f %% wrong, %.1f %% of 15 %% seen", calls, 100*float64(wrong)/draws, 100*float64(seen)/draws)
		if share := float64(wrong) / draws; share > .07 {
			t.Errorf("%d calls: a difference that is none is shown in %.1f %%", calls, 100*share)
		}
		if share := float64(seen) / draws; share < .9 {
			t.Errorf("%d calls: 15 %% are shown in %.1f %%", calls, 100*share)
		}
	}
}

// TestOneSettingAlone: backends that differ in two settings are not compared, and
// the settings that are held are named where they vary.
func TestOneSettingAlone(t *testing.T) {
	ms := func(i int, size float64, _ string) float64 { return size * float64(1+i) }
	two := made{sizes: []float64{5}, ms: ms, backends: with(func(r *record.Record) { r.FlashAttention = "off" }, func(r *record.Record) { r.FlashAttention, r.KVTypeK, r.KVTypeV = "on", "q8_0", "q8_0" })}
	if cs := compared(two.samples()); len(cs) > 0 {
		t.Errorf("%+v", cs)
	}
	var grid []record.Record
	for _, n := range []int{1, 2} {
		for _, fa := range []string{"off", "on"} {
			grid = append(grid, with(func(r *record.Record) { r.NThreadsAsked, r.NThreadsBatchAsked, r.FlashAttention = n, n, fa })...)
		}
	}
	at := map[string]int{}
	for _, c := range compared(made{backends: grid, sizes: []float64{5}, ms: ms}.samples()) {
		at[c.Mode+" "+c.Axis+" "+c.Value+" at "+c.At]++
	}
	for _, want := range []string{"kv_decode threads 2 at flash_attn off", "kv_decode threads 2 at flash_attn on", "kv_decode flash_attn on at threads 1", "kv_decode flash_attn on at threads 2",
		"prefill threads_batch 2 at flash_attn off", "prefill threads_batch 2 at flash_attn on", "prefill flash_attn on at threads 1", "prefill flash_attn on at threads 2"} {
		if at[want] != 1 {
			t.Errorf("%s: %d times in %v", want, at[want], at)
		}
		delete(at, want)
	}
	if len(at) > 0 {
		t.Errorf("%v", at)
	}
}

// TestServerApart: native backends and those of a server are not compared, and what a
// server decides is not named beside native settings.
func TestServerApart(t *testing.T) {
	r := made{sizes: []float64{5}, ms: func(i int, _ float64, _ string) float64 { return float64(1 + i) }, backends: threads(1, 2, 1, 2)}
	for i := range 2 {
		r.backends[i].BackendKind, r.backends[i].FlashAttention, r.backends[i].LlamaCommit = "ollama", "server", ""
	}
	for _, c := range compared(r.samples()) {
		if want := map[string]string{"b0": "ollama", "b2": "native"}[c.BaseBackend]; c.At != want || c.Backend != map[string]string{"b0": "b1", "b2": "b3"}[c.BaseBackend] {
			t.Errorf("%+v", c)
		}
	}
}

// TestThreadsApart: with threads and threads_batch crossed, decode is compared along
// the one and prefill along the other, at one value of what does not bear on it.
func TestThreadsApart(t *testing.T) {
	var grid []record.Record
	for _, n := range []int{1, 2} {
		for _, tb := range []int{1, 2} {
			grid = append(grid, with(func(r *record.Record) { r.NThreadsAsked, r.NThreadsBatchAsked = n, tb })...)
		}
	}
	cs := compared(made{backends: grid, sizes: []float64{5}, ms: func(i int, _ float64, _ string) float64 { return float64(8 - i) }}.samples())
	if len(cs) != 2 {
		t.Fatalf("%+v", cs)
	}
	for _, c := range cs {
		if want := map[string]string{record.ModePrefill: "threads_batch b0 b1", record.ModeDecode: "threads b0 b2"}[c.Mode]; c.Axis+" "+c.BaseBackend+" "+c.Backend != want {
			t.Errorf("%s: %s of %s and %s", c.Mode, c.Axis, c.BaseBackend, c.Backend)
		}
	}
}

// TestBuildsArePrograms: two builds differ in commit, compiler and flags together,
// which is one setting.
func TestBuildsArePrograms(t *testing.T) {
	r := made{backends: with(func(*record.Record) {}, func(r *record.Record) {
		r.Program, r.BuildCompiler, r.BuildFlags, r.LlamaCommit = "bin/llmscale-ollama", "GNU 12", "-O2", "def"
	}), sizes: []float64{5}, ms: func(i int, _ float64, _ string) float64 { return float64(1 + i) }}
	cs := compared(r.samples())
	if len(cs) != 2 || cs[0].Axis != cells.SettingProgram || cs[0].Base != "self" || cs[0].Value != "bin/llmscale-ollama" || cs[0].Verdict != Slower {
		t.Errorf("%+v", cs)
	}
	r.backends[1].Program = ""
	if cs := compared(r.samples()); len(cs) != 2 || cs[0].Base == cs[0].Value || !strings.Contains(cs[0].Base, "b0") {
		t.Errorf("two builds of one name: %+v", cs)
	}
}

// TestProgramsOfOneFileName: two programs of one file name are two in every trend.
func TestProgramsOfOneFileName(t *testing.T) {
	at := func(program, flash string) func(*record.Record) {
		return func(r *record.Record) {
			r.Program, r.LlamaCommit, r.FlashAttention = program, program, flash
		}
	}
	r := made{backends: with(at("/old/llmscale", "off"), at("/old/llmscale", "on"), at("/new/llmscale", "off"), at("/new/llmscale", "on")), sizes: []float64{5, 25},
		ms: func(i int, _ float64, _ string) float64 { return float64(8 - i) }}
	got := map[string]int{}
	for _, p := range policiesOf(compared(r.samples())) {
		if p.Choice == "flash_attn" {
			got[p.Mode+" at "+p.At] = p.NSizes
		}
	}
	for _, mode := range []string{record.ModePrefill, record.ModeDecode} {
		for _, program := range []string{"/old/llmscale", "/new/llmscale"} {
			if got[mode+" at program "+program] != 2 {
				t.Errorf("%s by %s: %v", mode, program, got)
			}
		}
	}
}

// TestPaceAndIdle: a cold call after another pause is another pace, and one setting.
func TestPaceAndIdle(t *testing.T) {
	pace := func(p string, idle int) func(*record.Record) {
		return func(r *record.Record) {
			if r.Pace = &p; idle > 0 {
				r.IdleMS = &idle
			}
		}
	}
	r := made{backends: with(pace(record.PaceHot, 0), pace("cold", 5), pace("cold", 20)), sizes: []float64{5}, ms: func(i int, _ float64, _ string) float64 { return float64(1 + i) }}
	cs := compared(r.samples())
	if len(cs) != 4 || cs[0].Axis != cells.SettingPace || cs[0].Base != "hot" || cs[0].Value != "cold (5 ms idle)" || cs[2].Value != "cold (20 ms idle)" && cs[1].Value != "cold (20 ms idle)" {
		t.Errorf("%+v", cs)
	}
}

// TestDefaults: what counts as the default here is the config's.
func TestDefaults(t *testing.T) {
	c, err := config.Parse("x.yaml", []byte(`run_name: x
scenarios: [{name: s, prompt_tokens: 5}]
backends: [{name: b, dtype: f32}]
models: [{name: a, source: "synth:tiny-gpt2"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if b := c.Backends[0]; b.BatchTokens != cells.DefaultBatch || b.UBatchTokens != cells.DefaultUBatch {
		t.Errorf("the config has batch_tokens %d and ubatch_tokens %d", b.BatchTokens, b.UBatchTokens)
	}
}

// TestThreadsOfBatch: threads_batch computes each step of a batch. Where it is varied,
// decode is compared along the threads on record, and none of its cells is left out.
func TestThreadsOfBatch(t *testing.T) {
	var ways []record.Record
	for _, n := range []int{1, 2, 4} {
		ways = append(ways, with(func(r *record.Record) {
			r.BatchSizeConfig, r.NThreadsAsked, r.NThreadsBatchAsked = 8, 2, n
			r.NThreads, r.NThreadsBatch = &n, &n
		})...)
	}
	for _, told := range []bool{true, false} { // by records of before n_threads was the team of a batch, and by none
		if !told {
			for i := range ways {
				ways[i].NThreads = nil
			}
		}
		got := map[string]string{}
		for _, g := range groups(made{backends: ways, sizes: []float64{5}, ms: func(i int, _ float64, _ string) float64 { return float64(9 - i) }}.samples()) {
			for _, s := range g.values {
				got[s.Mode] += fmt.Sprint(s.Backend, "=", s.Settings.Get(g.key.Name).Label, " ")
			}
		}
		for _, mode := range []string{record.ModePrefill, record.ModeDecode} {
			if got[mode] != "b0=1 b1=2 b2=4 " {
				t.Errorf("%s compared %q", mode, got[mode])
			}
		}
	}
}

// TestBatchPerSequence: eight sequences in a step of twice the time are four times as
// fast, and the context that grows with the batch, and lets more tokens into one
// llama_decode, is no second difference.
func TestBatchPerSequence(t *testing.T) {
	r := made{backends: with(func(r *record.Record) { r.NCtx, r.NBatch = 768, 768 }, func(r *record.Record) { r.BatchSizeConfig, r.NCtx = 8, 8*768 }), sizes: []float64{5},
		ms: func(i int, _ float64, _ string) float64 { return float64(1 + i) }}
	cs := compared(r.samples())
	if len(cs) != 2 || cs[0].Axis != cells.SettingBatchSize || cs[0].Verdict != Faster {
		t.Fatalf("%+v", cs)
	}
	near(t, "ratio per sequence", cs[0].Ratio, .25)
}

// TestBoundThreads: each thread more is bound to a processor more; other processors
// are another setting.
func TestBoundThreads(t *testing.T) {
	bound := func(n int, cpus string) func(*record.Record) {
		return func(r *record.Record) { r.NThreadsAsked, r.NThreadsBatchAsked, r.CPUAffinity = n, n, &cpus }
	}
	r := made{backends: with(bound(1, "0"), bound(2, "0 1"), bound(4, "0 1 2 3"), bound(2, "2 3"), bound(2, "0-3"), bound(4, "0-3")), sizes: []float64{5}, ms: func(i int, _ float64, _ string) float64 { return float64(9 - i) }}
	var got []string
	for _, g := range groups(r.samples()) {
		if g.key.Name == cells.SettingThreads {
			for _, s := range g.values {
				got = append(got, s.Backend)
			}
			got = append(got, "|")
		}
	}
	if s := strings.Join(got, " "); s != "b0 b1 b2 | b4 b5 |" {
		t.Errorf("compared %s", s)
	}
	for _, c := range compared(r.samples()) {
		if c.Axis == "cpu_affinity" && c.At != "threads 2" && c.At != "threads 4" {
			t.Errorf("%+v", c)
		}
	}
}

// TestFollowers: what follows from another setting is no difference of its own.
func TestFollowers(t *testing.T) {
	graphs := true
	gpu := func(r *record.Record) { r.Device, r.NLayer, r.NGPULayers, r.CUDAGraphs = "cuda", 12, 13, &graphs }
	ms := func(i int, _ float64, _ string) float64 { return float64(1 + i) }
	for axis, backends := range map[string][]record.Record{
		"batch_tokens": with(func(r *record.Record) { r.NBatch, r.NUBatch = 128, 128 }, func(*record.Record) {}),
		"device":       with(func(r *record.Record) { r.NLayer = 12 }, gpu),
	} {
		cs := compared(made{backends: backends, sizes: []float64{5}, ms: ms}.samples())
		if len(cs) != 2 || cs[0].Axis != axis {
			t.Errorf("%s: %+v", axis, cs)
		}
	}
}

// TestKeysHaveTheConfigsAxes: what a config may list is told apart here.
func TestKeysHaveTheConfigsAxes(t *testing.T) {
	listed := 0
	for _, table := range config.Tables() {
		if table.Name != "backends" {
			continue
		}
		for _, f := range table.Fields {
			if f.Axis {
				listed++
				cells.Index(f.Key) // panics on one that Keys lack
			}
		}
	}
	if listed < 10 {
		t.Errorf("%d lists", listed)
	}
}

// TestNumbersByValue: the base of numbers is the least, however the plan orders them.
func TestNumbersByValue(t *testing.T) {
	cs := compared(made{backends: threads(4, 1, 2), sizes: []float64{5}, ms: func(i int, _ float64, _ string) float64 { return float64(1 + i) }}.samples())
	for _, c := range cs {
		if c.Base != "1" {
			t.Errorf("%+v", c)
		}
	}
	if len(cs) != 4 {
		t.Errorf("%d comparisons", len(cs))
	}
}

func compared(samples []Sample) []Comparison { return compare(groups(samples)) }

func policiesOf(all []Comparison) []Policy { return (&asker{Set: &cells.Set{}}).policies(all) }
