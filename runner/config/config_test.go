package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"llmscale/runner/record"
)

var update = flag.Bool("update", false, "write docs/config.md")

const root = "../../"

func load(t *testing.T, path string) *Config {
	t.Helper()
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("dir/x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pairNames(c *Config) []string { return c.Resolved().Pairs }

func TestShippedConfigs(t *testing.T) {
	gemma := filepath.Join(t.TempDir(), "gemma.gguf")
	t.Setenv("LLMSCALE_GEMMA3_270M", gemma)
	set := []string{"tiny-gpt2", "gpt2-5m", "gpt2-1m", "gpt2-25m", "gpt2-45m", "gpt2-50m", "gpt2-75m", "gpt2-100m", "gpt2"}

	c := load(t, root+"configs/scaling.yaml")
	if c.RunName != "scaling" || c.GenTokens != 64 || c.Replicates != 5 || c.Repetitions != 3 || c.WarmupRepetitions != 1 || c.Seed != 42 {
		t.Errorf("scaling: %+v", c)
	}
	// Prompts and exact parameter counts: tables 1.4 and 1.5 of TR121,
	// P = (50257+1024)d + L(12d^2+13d) + 2d.
	prompts := []Scenario{
		{Name: "micro", Prompt: "Hello"},
		{Name: "short", Prompt: "Summarize RLHF in one sentence."},
		{Name: "medium", Prompt: "Explain how backpressure works in an inference service and when to enable queueing."},
	}
	if !reflect.DeepEqual(c.Scenarios, prompts) {
		t.Errorf("scaling: scenarios %+v", c.Scenarios)
	}
	params := []int64{102714, 5036720, 11180928, 25016064, 45171200, 51475968, 74824704, 96088320, 124439808}
	for i, m := range c.Models {
		if m.Name != set[i] || m.Preset != set[i] || m.Kind != KindSynth {
			t.Errorf("scaling: model %d is %+v", i, m)
		}
		if err := m.CheckClaim(params[i]); err != nil {
			t.Error(err)
		}
	}
	if len(c.Pairs()) != 18 || len(c.Warnings()) != 0 {
		t.Errorf("scaling: %d pairs, warnings %q", len(c.Pairs()), c.Warnings())
	}

	c = load(t, root+"configs/smoke.yaml")
	if got := fmt.Sprint(c.Replicates, c.Repetitions, c.WarmupRepetitions, c.GenTokens, pairNames(c)); got != "1 1 0 16 [tiny-gpt2/native_cpu_f32 gpt2-5m/native_cpu_f32]" {
		t.Errorf("smoke: %s", got)
	}

	t.Setenv("LLMSCALE_TWINS_GEMMA", gemma)
	t.Setenv("LLMSCALE_TWINS_GPT2", gemma)
	for name, want := range map[string]struct{ pairs, scenarios int }{
		"ladder": {1, 2}, "family": {10, 2}, "decode-length": {4, 5}, "quantization": {7, 2}, "twins": {40, 1},
		"scaling-gpu": {27, 4}, "ladder-gpu": {3, 2}, "gpu-check": {5, 2}, "gpu-8b": {1, 2}, "gpu-modes": {28, 3}, "memory-wall": {84, 1}, "memory-wall-cpu": {16, 1}, "ollama-check": {24, 7},
	} {
		c := load(t, root+"configs/"+name+".yaml")
		if len(c.Pairs()) != want.pairs || len(c.Scenarios) != want.scenarios || len(c.Warnings()) != 0 {
			t.Errorf("%s: %d pairs, %d scenarios, warnings %q", name, len(c.Pairs()), len(c.Scenarios), c.Warnings())
		}
	}
	// Each limit and type once with all layers and once with as many as fit.
	c = load(t, root+"configs/memory-wall.yaml")
	ways := map[string]int{}
	for _, b := range c.Backends {
		ways[fmt.Sprint(b.DType, " ", b.VRAMLimitGiB, " ", b.NGPULayers)]++
		if want := fmt.Sprintf("cuda_%gg_%s_%s", b.VRAMLimitGiB, b.DType, map[int]string{AllLayers: "all", FitLayers: "fit"}[b.NGPULayers]); b.Name != want || b.Device != DeviceCUDA {
			t.Errorf("memory-wall: backend %s is %s on %s", b.Name, want, b.Device)
		}
	}
	if len(ways) != 12 || len(c.Models) != 7 {
		t.Errorf("memory-wall: %v, %d models", ways, len(c.Models))
	}
	c = load(t, root+"configs/pace.yaml")
	if got := pairNames(c); !reflect.DeepEqual(got, []string{"llama-62m/free_hot", "llama-62m/free_cold", "llama-62m/bound_hot", "llama-62m/bound_cold"}) {
		t.Errorf("pace: %v", got)
	}
	c = load(t, root+"configs/threads.yaml")
	if got := pairNames(c); !reflect.DeepEqual(got, []string{"llama-134m/cpu_t1", "llama-134m/cpu_t2", "llama-134m/cpu_t3", "llama-134m/cpu_t4"}) {
		t.Errorf("threads: %v", got)
	}
	c = load(t, root+"configs/batches.yaml")
	if got := backendNames(c); !reflect.DeepEqual(got, []string{"cpu_bs1", "cpu_bs2", "cpu_bs4", "cpu_bs8", "cpu_bs16", "cpu_bs32"}) || len(c.Models) != 3 {
		t.Errorf("batches: %v, %d models", got, len(c.Models))
	}
	c = load(t, root+"configs/lengths.yaml")
	if got := scenarioNames(c); !reflect.DeepEqual(got, []string{"prompt_p1", "prompt_p4", "prompt_p16", "prompt_p64", "prompt_p256", "prompt_p1024", "prompt_p4096",
		"depth_d0", "depth_d512", "depth_d1024", "depth_d2048", "depth_d4096", "depth_d8192"}) || c.Scenarios[12].Depth != 8192 || len(c.Models) != 2 {
		t.Errorf("lengths: %v, %d models", got, len(c.Models))
	}
	c = load(t, root+"configs/decode-length.yaml")
	if got := c.Gen(c.Scenarios[4]); got != 256 {
		t.Errorf("decode-length: the last scenario decodes %d tokens", got)
	}

	c = load(t, root+"configs/real-model.yaml")
	last := c.Models[9]
	if last.Path != gemma || last.Kind != KindGGUF || last.Source != "$LLMSCALE_GEMMA3_270M" {
		t.Errorf("real-model: %+v", last)
	}
	if got := pairNames(c); len(got) != 10 || got[9] != "gemma3-270m/native_cpu_mixed" || len(c.Warnings()) != 0 {
		t.Errorf("real-model: pairs %q, warnings %q", got, c.Warnings())
	}
}

func TestDefaults(t *testing.T) {
	data := []byte(`
scenarios: [{name: micro, prompt: Hello}]
backends: [{name: cpu, dtype: fp32}, {name: gpu, device: cuda, dtype: fp16, batch_tokens: 256, flash_attn: true}]
models: [{name: a, source: synth:gpt2}]
`)
	c, err := Parse("some/where/my sweep.v2.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	cpu := Backend{Name: "cpu", Kind: "native", Device: "cpu", DType: "f32", BatchSize: 1, CUDAGraphs: true, FlashAttn: "auto",
		BatchTokens: 2048, UBatchTokens: 512, KVType: "f16", Mmap: true, Pace: record.PaceHot, CPUAffinity: AffinityNone, at: mark{3, 12}}
	gpu := Backend{Name: "gpu", Kind: "native", Device: "cuda", DType: "f16", BatchSize: 1, CUDAGraphs: true, FlashAttn: "on", NGPULayers: AllLayers,
		BatchTokens: 256, UBatchTokens: 256, KVType: "f16", Mmap: true, Pace: record.PaceHot, CPUAffinity: AffinityNone, at: mark{3, 38}}
	want := &Config{RunName: "my-sweep.v2", GenTokens: 64, Replicates: 5, RemeasureBlocks: 3, Repetitions: 3, WarmupRepetitions: 1, Seed: 42, CellTimeoutS: 600, TelemetryMS: 20, Probe: true, NodeNames: "hashed", MaxCells: 1000,
		Scenarios: []Scenario{{Name: "micro", Prompt: "Hello"}}, Backends: []Backend{cpu, gpu},
		Models: []Model{{Name: "a", Source: "synth:gpt2", Kind: "synth", Preset: "gpt2", at: mark{4, 10}}},
		file:   "some/where/my sweep.v2.yaml", dir: "some/where", text: data}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if c.File() != want.file || c.SHA256() != fmt.Sprintf("%x", sha256.Sum256(data)) || c.CellTimeout() != 10*time.Minute {
		t.Errorf("file %q, sha256 %q, timeout %v", c.File(), c.SHA256(), c.CellTimeout())
	}
}

func TestEveryKey(t *testing.T) {
	c := parse(t, `---
run_name: all-keys
gen_tokens: 1_000
replicates: 4
repetitions: 5
warmup_repetitions: 0
seed: 9007199254740991
cell_timeout_s: 0.5
telemetry_ms: 0
probe: false
max_cells: 40_000
scenarios:
  - name: ids
    prompt_tokens: 512
    depth: 1000
  - name: text
    gen_tokens: 32
    prompt: |
      two
      lines
backends:
  - {name: b, kind: native, device: cuda, dtype: q8_0, batch_size: 3, threads: 2, threads_batch: 4, n_gpu_layers: 7,
     cuda_graphs: false, token_events: true, vram_limit_gib: 11.5, flash_attn: off, context_tokens: 2512, batch_tokens: 512, ubatch_tokens: 128, kv_type: fp32, mmap: false,
     pace: cold, idle_ms: 100, cpu_affinity: "2,0-1"}
models:
  - {name: "gemma3:270m", source: ../m.gguf, params_millions: 268.1, backends: [b]}
...
`)
	if got := fmt.Sprint(c.RunName, " ", c.GenTokens, c.Replicates, c.Repetitions, c.WarmupRepetitions, c.Seed, c.CellTimeout(), c.TelemetryMS, c.Probe, " ", c.MaxCells); got != "all-keys 1000 4 5 0 9007199254740991 500ms 0 false 40000" {
		t.Error(got)
	}
	if got := fmt.Sprintf("%+v", c.Scenarios); got != "[{Name:ids Prompt: PromptTokens:512 GenTokens:0 Depth:1000 Group:} {Name:text Prompt:two\nlines\n PromptTokens:0 GenTokens:32 Depth:0 Group:}]" {
		t.Error(got)
	}
	want := Backend{Name: "b", Kind: "native", Device: "cuda", DType: "q8_0", BatchSize: 3, Threads: 2, ThreadsBatch: 4, NGPULayers: 7,
		TokenEvents: true, VRAMLimitGiB: 11.5, FlashAttn: "off", ContextTokens: 2512, BatchTokens: 512, UBatchTokens: 128, KVType: "f32",
		Pace: record.PaceCold, IdleMS: 100, CPUAffinity: "2,0-1", at: mark{22, 5}}
	if c.Backends[0] != want {
		t.Errorf("%+v", c.Backends[0])
	}
	if m := c.Models[0]; *m.ParamsMillions != 268.1 || m.Path != "m.gguf" || m.Backends[0] != "b" {
		t.Errorf("%+v", m)
	}
}

func TestSources(t *testing.T) {
	t.Setenv("LLMSCALE_DIR", "/data/models")
	for source, want := range map[string]string{
		"synth:gpt2-5m":            "synth gpt2-5m ",
		"m.gguf":                   "gguf  dir/m.gguf",
		"sub/blob":                 "gguf  dir/sub/blob",
		"../m.gguf":                "gguf  m.gguf",
		"/abs/m.gguf":              "gguf  /abs/m.gguf",
		"gguf:blob":                "gguf  dir/blob",
		"gguf:a:b.gguf":            "gguf  dir/a:b.gguf",
		"./a:b.gguf":               "gguf  dir/a:b.gguf",
		"$LLMSCALE_DIR/m.gguf":     "gguf  /data/models/m.gguf",
		"${LLMSCALE_DIR}2/m":       "gguf  /data/models2/m",
		"gguf:$LLMSCALE_DIR/blob":  "gguf  /data/models/blob",
		"cost$$/m.gguf":            "gguf  dir/cost$/m.gguf",
		"./~m.gguf":                "gguf  dir/~m.gguf",
		"a b.gguf":                 "gguf  dir/a b.gguf",
		"gguf:./synth:gpt2-5m.bin": "gguf  dir/synth:gpt2-5m.bin",
	} {
		c := parse(t, fmt.Sprintf("scenarios: [{name: s, prompt: x}]\nbackends: [{name: b, dtype: f32}]\nmodels: [{name: m, source: %q}]", source))
		m := c.Models[0]
		if got := m.Kind + " " + m.Preset + " " + m.Path; got != want || m.Source != source {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

const mixed = `
scenarios: [{name: micro, prompt: Hello}, {name: p512, prompt_tokens: 512}]
backends: [{name: f32, dtype: f32}, {name: f16, dtype: f16}, {name: own}]
models:
  - {name: s1, source: synth:gpt2-5m}
  - {name: s2, source: synth:gpt2-1m, backends: [f16]}
  - {name: file, source: m.gguf}
  - {name: one, source: m.gguf, backends: [own]}
`

func TestPairs(t *testing.T) {
	c := parse(t, mixed)
	want := []string{"s1/f32", "s1/f16", "s2/f16", "file/f32", "file/f16", "file/own", "one/own"}
	if got := pairNames(c); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	warn := []string{"dir/x.yaml:7:5: model file does the same work under f32 and f16 and own, which differ at most in dtype, and the model keeps its own types; to measure it once, give it backends: [f32]"}
	if got := c.Warnings(); !reflect.DeepEqual(got, warn) {
		t.Errorf("warnings %q", got)
	}
	c = parse(t, "scenarios: [{name: s, prompt: x}]\nbackends: [{name: a, dtype: f32}, {name: b, dtype: f32}]\nmodels: [{name: m, source: synth:gpt2}]")
	warn = []string{"dir/x.yaml:3:10: model m does the same work under a and b, which have the same settings; to measure it once, give it backends: [a]"}
	if got := c.Warnings(); !reflect.DeepEqual(got, warn) {
		t.Errorf("warnings %q", got)
	}
}

func TestFilter(t *testing.T) {
	list := func(s string) []string { return strings.Fields(s) }
	for _, tc := range []struct{ models, backends, scenarios, want string }{
		{"", "", "", "[s1/f32 s1/f16 s2/f16 file/f32 file/f16 file/own one/own] 4 3 2"},
		{"s2 s1", "", "", "[s1/f32 s1/f16 s2/f16] 2 2 2"},
		{"", "f32", "p512", "[s1/f32 file/f32] 2 1 1"},
		{"s1 one", "", "", "[s1/f32 s1/f16 one/own] 2 3 2"},
		{"one", "", "micro p512", "[one/own] 1 1 2"},
		{"s3", "", "", `dir/x.yaml: models: no model is called "s3"; did you mean s1? The file has s1, s2, file and one`},
		{"", "cuda", "huge", `dir/x.yaml: backends: no backend is called "cuda"; the file has f32, f16 and own` + "\n" +
			`dir/x.yaml: scenarios: no scenario is called "huge"; the file has micro and p512`},
		{"s2 s1", "f32", "", "dir/x.yaml: models: s2 runs under none of the chosen backends; in the file it runs under f16"},
		{"s1", "f32 own", "", "dir/x.yaml: backends: own runs none of the chosen models; in the file it runs file and one"},
	} {
		c := parse(t, mixed)
		before := c.Resolved()
		err := c.Filter(list(tc.models), list(tc.backends), list(tc.scenarios))
		got := fmt.Sprint(pairNames(c), len(c.Models), len(c.Backends), len(c.Scenarios))
		if err != nil {
			got = err.Error()
			if !reflect.DeepEqual(c.Resolved(), before) {
				t.Errorf("%+v: changed by an error", tc)
			}
		}
		if got != tc.want {
			t.Errorf("%+v:\ngot  %s", tc, got)
		}
	}
}

func TestOverride(t *testing.T) {
	i := func(v int) *int { return &v }
	seed := func(v int64) *int64 { return &v }
	for _, tc := range []struct {
		o    Overrides
		want string
	}{
		{Overrides{}, "5 3 1 64 42"},
		{Overrides{i(2), i(3), i(0), i(8), seed(0)}, "2 3 0 8 0"},
		{Overrides{Repetitions: i(0)}, "dir/x.yaml: repetitions: must be at least 1, not 0"},
		{Overrides{Repetitions: i(9), WarmupRepetitions: i(-1), Seed: seed(-4)},
			"dir/x.yaml: warmup_repetitions: must be at least 0, not -1\ndir/x.yaml: seed: must be at least 0, not -4"},
		{Overrides{Seed: seed(1 << 60)}, "dir/x.yaml: seed: must be at most 9007199254740991, not 1152921504606846976"},
		{Overrides{GenTokens: i(1000)}, `dir/x.yaml:2:12: context_tokens of b: 1024 tokens are too few for scenario "s": 512 of the prompt and 1000 generated make 1512; write 0 to fit it`},
	} {
		c := parse(t, "scenarios: [{name: s, prompt_tokens: 512}]\nbackends: [{name: b, dtype: f32, context_tokens: 1024}]\nmodels: [{name: m, source: synth:gpt2}]")
		err := c.Override(tc.o)
		got := fmt.Sprint(c.Replicates, c.Repetitions, c.WarmupRepetitions, c.GenTokens, c.Seed)
		if err != nil {
			if got != "5 3 1 64 42" {
				t.Errorf("changed by an error: %s", got)
			}
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

func TestResolved(t *testing.T) {
	c := parse(t, mixed)
	r := c.Resolved()
	c.Models[0].Name, c.Models[1].Backends[0] = "changed", "changed"
	if r.Models[0].Name != "s1" || r.Models[1].Backends[0] != "f16" {
		t.Error("Resolved shares memory with the config")
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Resolved
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back.SHA256 != c.SHA256() || len(back.Pairs) != 7 || back.Backends[2].Name != "own" || back.GenTokens != 64 {
		t.Errorf("%s", data)
	}
	if !bytes.Contains(data, []byte(`"kv_type":"f16"`)) || !bytes.Contains(data, []byte(`"path":"dir/m.gguf"`)) {
		t.Errorf("%s", data)
	}
}

// The JSON of a resolved config has the YAML's keys, in the same order, and
// every table can fill its struct.
func TestTablesMatchStructs(t *testing.T) {
	keys := func(v any) (out []string) {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
				out = append(out, name)
			}
		}
		return out
	}
	tables := Tables()
	for i, v := range []any{Config{}, Scenario{}, Backend{}, Model{}} {
		var want []string
		for _, f := range tables[i].Fields {
			want = append(want, f.Key)
			if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") && !strings.HasSuffix(f.Doc, ")") {
				t.Errorf("%T.%s: the doc must be whole sentences: %q", v, f.Key, f.Doc)
			}
			if !f.Required && (f.Default == "") == (f.DefaultDoc == "") {
				t.Errorf("%T.%s: exactly one of Default and DefaultDoc", v, f.Key)
			}
		}
		got := keys(v)
		if i == 3 { // a model's JSON also has what its source was resolved to
			got = got[:len(got)-3]
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%T: JSON has %q, the table %q", v, got, want)
		}
	}
}

func TestHelp(t *testing.T) {
	for key, want := range map[string][2]string{
		"gen_tokens":  {"Decode steps of each call. Exactly that many are taken: an end-of-text token does not stop them (tokens)", "the config's, or 64 where it has none"},
		"repetitions": {"Measured calls of each cell (model, backend, scenario) in each process", "the config's, or 3 where it has none"},
	} {
		if usage, byDefault := Help(key); usage != want[0] || byDefault != want[1] {
			t.Errorf("%s: %q, %q", key, usage, byDefault)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a key that does not exist must panic")
		}
	}()
	Help("nonsense")
}

func TestMarkdown(t *testing.T) {
	const path = root + "docs/config.md"
	want := Markdown()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tables say; run go test ./runner/config -run Markdown -update", path)
	}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(want, -1) {
		parse(t, block[1])
	}
}

func TestContextAndClaim(t *testing.T) {
	for _, tc := range []struct{ fixed, prompt, gen, want int }{
		{0, 1, 64, 256}, {0, 192, 64, 256}, {0, 193, 64, 512}, {0, 512, 64, 768}, {300, 1, 64, 300},
	} {
		if got := (Backend{ContextTokens: tc.fixed}).Context(tc.prompt + tc.gen); got != tc.want {
			t.Errorf("%+v: got %d", tc, got)
		}
	}
	claim := 100.0
	m := Model{Name: "m", ParamsMillions: &claim}
	if err := m.CheckClaim(100_900_000); err != nil {
		t.Error(err)
	}
	err := m.CheckClaim(124_439_808)
	if err == nil || err.Error() != "config: model m claims params_millions 100, its file has 124.44; correct the claim or leave it out" {
		t.Error(err)
	}
	if err := (Model{}).CheckClaim(5); err != nil {
		t.Error(err)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a folder was read as a config")
	}
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, bytes.Repeat([]byte("# filler\n"), MaxBytes/4), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(big)
	var e *Error
	if !errors.As(err, &e) || e.File != big || e.Line != 1 || !strings.HasPrefix(e.Msg, "the file is larger than 1048576 bytes") {
		t.Errorf("large file: %v", err)
	}
}

// Files that are made to be slow: the largest that are read, in shapes that
// would cost most. Each must be refused within seconds (in fact well below one).
func TestHostileFiles(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := 0; i < n && b.Len() < MaxBytes/2-100; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	all := 1 << 30
	bomb := "a: &a0 [x]\n"
	for i := range 30 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"alias bomb", bomb, "x.yaml:1:1: scenarios: this key is missing"},
		{"alias bomb in a list", "scenarios: &s [{name: s, prompt: &p x}, *s, *s]\n" + b + m, "x.yaml:1:41: scenarios[1]: YAML aliases (*s) are not read here"},
		{"deep flow", strings.Repeat("[", MaxBytes/2), "x.yaml:1:1: not valid YAML: exceeded max depth"},
		{"deep block", strings.Repeat("- ", MaxBytes/4), "x.yaml:1:1: not valid YAML: exceeded max depth"},
		{"many unknown keys", many(all, "key%d: 1\n"), "x.yaml:1:1: key0: unknown key"},
		{"many models", s + b + "models:\n" + many(all, "- {name: m%d, source: synth:a}\n"), "x.yaml:1004:3: models: the list has"},
		{"many unknown names", s + "backends: [" + many(999, "{name: backend%d, dtype: f32}, ") + "]\nmodels:\n" +
			strings.Repeat("- {name: m, source: synth:a, backends: ["+many(900, "b%d,")+"]}\n", 90), "x.yaml:4:41: models[0].backends[0]: no backend is called"},
		{"many comments", many(all, "# %d\n") + sbm + many(all, "# %d\n") + "seed: x", ": seed: must be a whole number"},
		{"one long name", "run_name: " + strings.Repeat("ä", MaxBytes/4) + "\n" + sbm, "x.yaml:1:11: run_name: must have at most 64 characters"},
		{"one long key", strings.Repeat("k", 1000) + ": 5\n" + sbm, `x.yaml:1:1: unknown key "kkkk`},
	} {
		start := time.Now()
		_, err := Parse("x.yaml", []byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			msg := fmt.Sprint(err)
			t.Errorf("%s (%d bytes): got %.300s", tc.name, len(tc.text), msg)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %v", tc.name, took)
		} else {
			t.Logf("%s: %d bytes, %v", tc.name, len(tc.text), took)
		}
	}
}
