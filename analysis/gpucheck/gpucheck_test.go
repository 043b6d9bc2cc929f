package gpucheck

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// A folder as a check would leave it, made up for the test: no figure in it was
// measured.
type folder struct {
	t      *testing.T
	dir    string
	prompt int // tokens of its runs' prompts
}

func (f folder) file(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) ceilings(dir string, peak, read, launchUS float64) {
	f.t.Helper()
	file := ceilings.File{Devices: []ceilings.Device{{Kind: ceilings.CUDA, Name: "Test 100", PeakBytesPerS: &peak,
		Bandwidth: []ceilings.Bandwidth{
			{Op: ceilings.Read, WorkingSetB: 1 << 20, BytesPerPass: 1 << 20, BytesPerS: 9 * read, BestBytesPerS: 9 * read, Passes: 5}, // a cache
			{Op: ceilings.Read, WorkingSetB: 1 << 31, BytesPerPass: 1 << 31, BytesPerS: read, BestBytesPerS: read, Passes: 5},
		},
		Launch: []ceilings.Launch{{How: ceilings.LaunchBackToBack, US: launchUS, BestUS: launchUS, Count: 1000, Passes: 5}},
	}}}
	if err := os.MkdirAll(filepath.Join(f.dir, dir), 0o777); err != nil {
		f.t.Fatal(err)
	}
	if err := file.Write(filepath.Join(f.dir, dir, ceilings.FileName)); err != nil {
		f.t.Fatal(err)
	}
}

// call is one call of one model on the GPU, as three records.
type call struct {
	model, backend, status string
	rep                    int
	prefillMS, gapMS       float64
	tokenMS                float64
	captures               int64
	layers, gpuLayers      int
	weightBytes            int64
}

func (f folder) run(name string, calls []call) {
	f.t.Helper()
	var lines strings.Builder
	for i, c := range calls {
		for _, mode := range record.Modes {
			r := record.Record{
				Origin: record.Origin{SchemaVersion: 1, RunID: name, CellID: c.model + "/" + c.backend + "/p512"},
				Order:  record.Order{OrderIdx: i},
				Subject: record.Subject{Scenario: "p512", Backend: c.backend,
					BackendKind: "native", Model: c.model, ModelKind: "ladder", ParamsMillions: 8000, GenTokensTarget: 10},
				Outcome: record.Outcome{CallIdx: i, Rep: &c.rep, Mode: mode, Status: c.status},
			}
			r.Device, r.NLayer, r.NGPULayers, r.BytesPerToken = "cuda", c.layers, c.gpuLayers, c.weightBytes
			if c.status == record.StatusOK {
				ptr := func(v float64) *float64 { return &v }
				one, seq, gen := 1, f.prompt, 10
				r.BatchSize, r.SeqLen, r.PromptTokensRaw, r.GenTokensRaw, r.GenTokens = &one, &seq, &seq, &gen, &gen
				r.PrefillMS, r.KVDecodeMS, r.E2EKVMS = ptr(c.prefillMS), ptr(10*c.tokenMS), ptr(c.prefillMS+10*c.tokenMS)
				r.LatencyMS = map[string]*float64{record.ModePrefill: r.PrefillMS, record.ModeDecode: r.KVDecodeMS, record.ModeE2E: r.E2EKVMS}[mode]
				r.TokensPerS, r.DecodeNoSampMS = ptr(1000/c.tokenMS), ptr(9*c.tokenMS)
				r.CUDAEventMS, r.HostGapMS, r.GraphCaptures = ptr(*r.LatencyMS-c.gapMS), ptr(c.gapMS), &c.captures
				for range gen {
					r.TokenNS = append(r.TokenNS, int64(c.tokenMS*1e6))
				}
			} else {
				why := "did not fit"
				r.Error = &why
			}
			data, err := json.Marshal(&r)
			if err != nil {
				f.t.Fatal(err)
			}
			lines.Write(append(data, '\n'))
		}
	}
	f.file(name+"/runs.jsonl", lines.String())
	f.file(name+"/manifest.json", `{"run_id": "`+name+`"}`)
}

func find(t *testing.T, r *Report, what string) Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.What == what {
			return f
		}
	}
	t.Fatalf("no finding %q among %+v", what, r.Findings)
	return Finding{}
}

func goodFolder(t *testing.T) folder {
	f := folder{t, t.TempDir(), 512}
	f.file(StepsFile, "tests\t0\t12.5\nprobe\t0\t30.25\n")
	f.file("tests/native.txt", "=== RUN   TestA\n--- PASS: TestA (0.1s)\n    --- PASS: TestA/x (0.1s)\n--- SKIP: TestB (0s)\nPASS\n")
	f.ceilings("", 1e12, 0.95e12, 2.1)
	const gb = 1_000_000_000
	for _, dir := range []string{eightB, "gpt2", "ladder"} {
		f.ceilings(dir, 1e12, 0.95e12, 2.1)
	}
	f.run(eightB, []call{{"llama3.1-8b", "cuda", record.StatusOK, 0, 100, 1, 5, 0, 32, 33, 4 * gb}})
	folder{t, f.dir, 1}.run("gpt2", []call{{"gpt2", "cuda", record.StatusOK, 0, 10, 0.1, 1, 0, 12, 13, gb}})
	f.run("ladder", []call{{"llama-20b", "cuda", record.StatusOK, 0, 100, 1, 5, 0, 32, 33, 4 * gb}})
	f.run(batches, []call{{"m", "q4_0_bs1", record.StatusOK, 0, 10, 0, 1, 0, 12, 13, gb}, {"m", "q4_0_bs32", record.StatusOK, 0, 10, 0, 0.1, 0, 12, 13, gb}})
	f.file(TorchFile, `{"model": "gpt2", "prompt_tokens": 512, "gen_tokens": 4, "is_warmup": true, "prefill_ms": 90, "kv_decode_ms": 90}
{"model": "gpt2", "prompt_tokens": 512, "gen_tokens": 4, "prefill_ms": 7, "kv_decode_ms": 20}
{"model": "gpt2", "prompt_tokens": 1, "gen_tokens": 4, "prefill_ms": 4, "kv_decode_ms": 20}
{"model": "gpt2", "prom`)
	f.file(BenchFile, `{"model_filename": "/m/gpt2-f16-seed42.gguf", "n_gen": 0, "avg_ts": 7}
{"model_filename": "/m/gpt2-f16-seed42.gguf", "n_gen": 64, "avg_ts": 1100}
{"model_filename": "/m/gpt2-45m-f16-seed42.gguf", "n_gen": 64, "avg_ts": 2000}
`)
	f.file(TorchCeilings, `{"product_f16": {"flop": 1e12, "ms": [1, 2, 3], "right": true}, "copy": {"bytes": 8e9, "ms": [2], "right": true}}`)
	f.run(MemoryWallDir, []call{
		{"a", "all", record.StatusOK, 0, 10, 0, 1, 0, 12, 13, gb}, {"b", "fit", record.StatusOK, 0, 10, 0, 1, 0, 12, 7, gb}, {"b", "all", record.StatusOOM, 0, 0, 0, 0, 0, 12, -1, gb},
	})
	f.file(ProfileFile, `{"model": "m", "device": "cuda", "profile": {"complete": true, "phases": [{"name": "prefill"}, {"name": "decode", "activities_per_step_min": 300, "activities_per_step_max": 301, "busy_share": 0.9}]}}`)
	f.file("sanitizer-memcheck.txt", "========= COMPUTE-SANITIZER\n--- PASS: TestProbe (1s)\n========= ERROR SUMMARY: 0 errors\n")
	f.file("sanitizer-racecheck.txt", "--- PASS: TestProbe (1s)\n========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n")
	return f
}

func TestAllAsExpected(t *testing.T) {
	r, err := Read(goodFolder(t).dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		short := f.What == "GPT-2 set: prefill of 512 tokens" // its prompts have one token here
		if f.Verdict == Differs || f.Verdict == NotMeasured && f.Asked != "" && !short {
			t.Errorf("%+v", f)
		}
	}
	for what, want := range map[string]string{
		"read bandwidth":                            "950 GB/s, 95.0 % of the driver's 1000",
		"launch, back to back":                      "2.10 us",
		"tests: native":                             "2 passed, 0 failed, 1 skipped",
		"decode of the 8B shape in q4_0":            "84.2 % (p512, 5 ms per token)",
		"ladder: prefill of 512 tokens":             "largest gap 1.0 % (llama-20b/cuda/p512); 0 of 1 cells beyond; 0 shorter",
		"llama-bench, gpt2-f16-seed42.gguf":         "decode 1100 tokens/s, llmscale 1111",
		"llama-bench, gpt2-45m-f16-seed42.gguf":     "decode 2000 tokens/s",
		"f16 product by cuBLAS (PyTorch)":           "500 TFLOP/s",
		"copy of 4 GiB (PyTorch)":                   "4000 GB/s",
		"32 sequences together, m":                  "1e+04 tokens/s, 10 times those of one",
		"memory wall":                               "1 pairs of model and backend whole on the GPU, 1 in part, 1 did not fit",
		"profile by CUPTI":                          "300 to 301 kernels per token of m, GPU busy 90.0 % of the profiled steps",
		"compute-sanitizer racecheck":               "0 hazards displayed (0 errors, 0 warnings)",
		"ladder: cells above the measured envelope": "0; the highest reaches 84.2 %",
	} {
		if f := find(t, r, what); f.Measured != want {
			t.Errorf("%s: measured %q, want %q", what, f.Measured, want)
		}
	}
	var torch []string
	for _, f := range r.Findings {
		if strings.HasPrefix(f.What, "PyTorch f16") {
			torch = append(torch, f.What+": "+f.Measured+f.Verdict)
		}
	}
	if want := []string{"PyTorch f16 on the same shapes: not measured", "PyTorch f16, gpt2: prefill of 512 tokens 7 msstated", "PyTorch f16, gpt2: decode of a token 5 ms, llama.cpp 1stated"}; !slices.Equal(torch, want) {
		t.Errorf("PyTorch: %q", torch)
	}
	var b strings.Builder
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"GPU: Test 100", "| tests | 0 | 12.5 |", "| together | | 42.8 |", "at least 92 % of the datasheet's peak"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &b)
		}
	}
}

func TestDifferences(t *testing.T) {
	for what, c := range map[string]struct {
		spoil func(f folder)
		why   string
	}{
		"read bandwidth":       {func(f folder) { f.ceilings("", 1e12, 0.9e12, 2) }, "below what tuned"},
		"launch, back to back": {func(f folder) { f.ceilings("", 1e12, 0.95e12, 5) }, "slower"},
		"tests: native":        {func(f folder) { f.file("tests/native.txt", "--- FAIL: TestA (0.1s)\nFAIL\n") }, "failed: TestA"},
		"ladder: CUDA graphs captured in timed repetitions": {func(f folder) {
			f.run("ladder", []call{{"m", "cuda", record.StatusOK, 0, 10, 0.1, 1, 3, 12, 13, 1e9}})
		}, "multiple of 256"},
		"ladder: prefill of 512 tokens": {func(f folder) {
			f.run("ladder", []call{{"m", "cuda", record.StatusOK, 0, 20, 1, 1, 0, 12, 13, 1e9}})
		}, "the host's part"},
		"ladder: cells above the measured envelope": {func(f folder) {
			f.run("ladder", []call{{"m", "cuda", record.StatusOK, 0, 10, 0, 1, 0, 12, 13, 4e9}})
		}, "no roof"},
		"decode of the 8B shape in q4_0": {func(f folder) {
			f.run(eightB, []call{{"llama3.1-8b", "cuda", record.StatusOK, 0, 10, 0, 100, 0, 32, 33, 4e9}})
		}, "the profile says"},
		"step probe": {func(f folder) {
			f.file(StepsFile, "probe\t1\t30.25\n")
			f.file("probe.log", "line\nthe reason\n")
		}, "the reason"},
		"step ladder": {func(f folder) { f.file(StepsFile, "ladder\t124\t30.25\n") }, "not enough time"},
		"compute-sanitizer racecheck": {func(f folder) {
			f.file("sanitizer-racecheck.txt", "RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n")
		}, "did not pass"},
		"memory wall": {func(f folder) {
			f.run(MemoryWallDir, []call{{"a", "all", record.StatusOK, 0, 10, 0, 1, 0, 12, 13, 1e9}})
		}, "does not show"},
		"compute-sanitizer memcheck": {func(f folder) { f.file("sanitizer-memcheck.txt", "========= ERROR SUMMARY: 3 errors\n") }, "see the log"},
		"profile by CUPTI": {func(f folder) {
			f.file(ProfileFile, `{"device": "cuda", "profile": {"warnings": ["lost"], "phases": [{}, {"activities_per_step_min": 0}]}}`)
		}, "lost"},
	} {
		t.Run(what, func(t *testing.T) {
			f := goodFolder(t)
			c.spoil(f)
			r, err := Read(f.dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := find(t, r, what); got.Verdict != Differs || !strings.Contains(got.Why, c.why) {
				t.Errorf("%+v, want a difference because of %q", got, c.why)
			}
			if r.Failed() == 0 {
				t.Error("no finding counts as different")
			}
		})
	}
}

// TestPeaks: a card whose datasheet is known is judged by it, and the driver's figure stands beside.
func TestPeaks(t *testing.T) {
	f := goodFolder(t)
	driver := 4.917e12
	file := ceilings.File{Devices: []ceilings.Device{{Kind: ceilings.CUDA, Name: "NVIDIA H200", PeakBytesPerS: &driver,
		Bandwidth: []ceilings.Bandwidth{{Op: ceilings.Read, WorkingSetB: 1 << 32, BytesPerPass: 1 << 32, BytesPerS: 4.45e12, BestBytesPerS: 4.46e12, Passes: 5}}}}}
	if err := file.Write(filepath.Join(f.dir, ceilings.FileName)); err != nil {
		t.Fatal(err)
	}
	r, err := Read(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	// Of the driver's peak it would be too little.
	if got, want := find(t, r, "read bandwidth"), "4450 GB/s, 92.7 % of the datasheet's 4800, 90.5 % of the driver's 4917"; got.Measured != want || got.Verdict != AsExpected {
		t.Errorf("%+v, want %q, as expected", got, want)
	}
}

// What is not there is not measured: neither passed nor failed.
func TestEmptyFolder(t *testing.T) {
	f := folder{t, t.TempDir(), 512}
	if _, err := Read(f.dir); err == nil || !strings.Contains(err.Error(), "not a folder of gpu-check") {
		t.Errorf("a folder of something else: %v", err)
	}
	f.file(StepsFile, "tests-native\t1\t0.5\n")
	r, err := Read(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Findings {
		if x.Verdict != NotMeasured || x.Measured != "" || x.Why == "" {
			t.Errorf("%+v", x)
		}
	}
	if len(r.Findings) < 8 {
		t.Errorf("%d findings", len(r.Findings))
	}
}
