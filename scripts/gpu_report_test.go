package scripts

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// checked is a folder as gpu-check would leave it, made up for the test: no figure in it
// was measured.
type checked struct {
	t   *testing.T
	dir string
}

func (f checked) file(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		f.t.Fatal(err)
	}
}

func (f checked) ceilings(card string, peak, read, launchUS float64) {
	f.t.Helper()
	file := ceilings.File{Devices: []ceilings.Device{{Kind: ceilings.CUDA, Name: card, PeakBytesPerS: &peak,
		Bandwidth: []ceilings.Bandwidth{{Op: ceilings.Read, WorkingSetB: 1 << 20, BytesPerS: 9 * read}, // a cache
			{Op: ceilings.Read, WorkingSetB: 1 << 31, BytesPerS: read}},
		Launch: []ceilings.Launch{{How: ceilings.LaunchBackToBack, US: launchUS}}}}}
	data, err := json.Marshal(file)
	if err != nil {
		f.t.Fatal(err)
	}
	f.file(ceilings.FileName, string(data))
}

// call is one call of one model on the GPU.
type call struct {
	model, backend, status    string
	prompt                    int
	prefillMS, gapMS, tokenMS float64
	captures                  int64
	layers, gpuLayers         int
}

// run writes three records for each call, and what analyze makes of decode's share of the ceiling.
func (f checked) run(name string, share float64, calls ...call) {
	f.t.Helper()
	var lines strings.Builder
	for _, c := range calls {
		for _, mode := range record.Modes {
			r := record.Record{Origin: record.Origin{CellID: c.model + "/" + c.backend + "/p512"}, Subject: record.Subject{Model: c.model, Backend: c.backend},
				Outcome: record.Outcome{Mode: mode, Status: c.status}}
			r.Device, r.NLayer, r.NGPULayers = "cuda", c.layers, c.gpuLayers
			if c.status == record.StatusOK {
				r.SeqLen, r.GenTokensRaw = &c.prompt, new(10)
				r.PrefillMS, r.KVDecodeMS, r.DecodeNoSampMS, r.TokensPerS = &c.prefillMS, new(10*c.tokenMS), new(9*c.tokenMS), new(1000/c.tokenMS)
				r.LatencyMS = map[string]*float64{record.ModePrefill: r.PrefillMS, record.ModeDecode: r.KVDecodeMS, record.ModeE2E: new(c.prefillMS + 10*c.tokenMS)}[mode]
				r.HostGapMS, r.GraphCaptures = &c.gapMS, &c.captures
			}
			data, err := json.Marshal(&r)
			if err != nil {
				f.t.Fatal(err)
			}
			lines.Write(append(data, '\n'))
		}
	}
	f.file(name+"/runs.jsonl", lines.String())
	f.file(name+"/analysis/regimes.csv", fmt.Sprintf("scenario,mode,time_ms,share_of_ceiling\np512,prefill,100,\np512,kv_decode,5,%g\n", share))
}

// finding is one of gpu-check.json.
type finding struct{ What, Asked, Measured, Verdict, Where, Why string }

// report runs the script, and returns its findings by what they are of.
func (f checked) report() (out string, findings map[string]finding, failed error) {
	f.t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		f.t.Skip("no python3")
	}
	said, failed := exec.Command(python, "gpu_report.py", f.dir).CombinedOutput()
	var doc struct{ Findings []finding }
	if failed == nil {
		if err := json.Unmarshal([]byte(read(f.t, filepath.Join(f.dir, "gpu-check.json"))), &doc); err != nil {
			f.t.Fatal(err)
		}
	}
	findings = map[string]finding{}
	for _, x := range doc.Findings {
		for findings[x.What].What != "" { // a model's second phase
			x.What += " again"
		}
		findings[x.What] = x
	}
	return string(said), findings, failed
}

func goodCheck(t *testing.T) checked {
	f := checked{t, t.TempDir()}
	ok := record.StatusOK
	f.file("steps.tsv", "tests\t0\t12.5\nprobe\t0\t30.25\n")
	f.file("tests/native.txt", "=== RUN   TestA\n--- PASS: TestA (0.1s)\n    --- PASS: TestA/x (0.1s)\n--- SKIP: TestB (0s)\nPASS\n")
	f.ceilings("Test 100", 1e12, 0.95e12, 2.1)
	f.run("8b", 0.842, call{"llama3.1-8b", "cuda", ok, 512, 100, 1, 5, 0, 32, 33})
	f.run("gpt2", 0.5, call{"gpt2", "cuda", ok, 1, 10, 0.1, 1, 0, 12, 13})
	f.run("ladder", 0.842, call{"llama-20b", "cuda", ok, 512, 100, 1, 5, 0, 32, 33})
	f.run("batches", 0.5, call{"m", "q4_0_bs1", ok, 512, 10, 0, 1, 0, 12, 13}, call{"m", "q4_0_bs32", ok, 512, 10, 0, 0.1, 0, 12, 13})
	f.run("memory-wall", 0.5, call{"a", "all", ok, 512, 10, 0, 1, 0, 12, 13}, call{"b", "fit", ok, 512, 10, 0, 1, 0, 12, 7}, call{"b", "all", record.StatusOOM, 0, 0, 0, 0, 0, 12, -1})
	f.file("torch.jsonl", `{"model": "gpt2", "prompt_tokens": 512, "gen_tokens": 4, "is_warmup": true, "prefill_ms": 90, "kv_decode_ms": 90}
{"model": "gpt2", "prompt_tokens": 512, "gen_tokens": 4, "prefill_ms": 7, "kv_decode_ms": 20}
{"model": "gpt2", "prompt_tokens": 1, "gen_tokens": 4, "prefill_ms": 4, "kv_decode_ms": 20}
{"model": "gpt2", "prom`)
	f.file("llama-bench.jsonl", `{"model_filename": "/m/gpt2-f16-seed42.gguf", "n_gen": 0, "avg_ts": 7}
{"model_filename": "/m/gpt2-f16-seed42.gguf", "n_gen": 64, "avg_ts": 1100}
{"model_filename": "/m/gpt2-45m-f16-seed42.gguf", "n_gen": 64, "avg_ts": 2000}
`)
	f.file("torch-ceilings.json", `{"product_f16": {"flop": 1e12, "ms": [1, 2, 3], "right": true}, "copy": {"bytes": 8e9, "ms": [2], "right": true}}`)
	f.file("profile/profile.json", `{"model": "m", "device": "cuda", "profile": {"complete": true, "phases": [{"name": "prefill"},
		{"name": "decode", "activities_per_step_min": 300, "activities_per_step_max": 301, "busy_share": 0.9}]}}`)
	f.file("sanitizer-memcheck.txt", "========= COMPUTE-SANITIZER\n--- PASS: TestProbe (1s)\n========= ERROR SUMMARY: 0 errors\n")
	f.file("sanitizer-racecheck.txt", "--- PASS: TestProbe (1s)\n========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n")
	return f
}

func TestGPUReport(t *testing.T) {
	f := goodCheck(t)
	out, findings, err := f.report()
	if err != nil {
		t.Fatal(err, out)
	}
	for _, x := range findings {
		short := x.What == "GPT-2 set: prefill of 512 tokens" // its prompts have one token here
		if x.Verdict == "differs" || x.Verdict == "not measured" && x.Asked != "" && !short {
			t.Errorf("%+v", x)
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
		"PyTorch f16, gpt2":                         "prefill of 512 tokens 7 ms",
		"PyTorch f16, gpt2 again":                   "decode of a token 5 ms, llama.cpp 1",
		"32 sequences together, m":                  "1e+04 tokens/s, 10 times those of one",
		"memory wall":                               "1 pairs of model and backend whole on the GPU, 1 in part, 1 did not fit",
		"profile by CUPTI":                          "300 to 301 kernels per token of m, GPU busy 90.0 % of the profiled steps",
		"compute-sanitizer racecheck":               "0 hazards displayed (0 errors, 0 warnings)",
		"ladder: cells above the measured envelope": "0; the highest reaches 84.2 %",
	} {
		if got := findings[what].Measured; got != want {
			t.Errorf("%s: measured %q, want %q", what, got, want)
		}
	}
	if got := findings["PyTorch f16 on the same shapes"].Verdict; got != "not measured" {
		t.Errorf("a line that a stopped script left: %q", got)
	}
	md := read(t, filepath.Join(f.dir, "gpu-check.md"))
	for _, want := range []string{"GPU: Test 100", "| tests | 0 | 12.5 |", "| together | | 42.8 |", "at least 92 % of the datasheet's peak"} {
		if !strings.Contains(md, want) {
			t.Errorf("the report lacks %q:\n%s", want, md)
		}
	}
}

func TestGPUReportDiffers(t *testing.T) {
	ok := record.StatusOK
	for what, c := range map[string]struct {
		spoil func(f checked)
		why   string
	}{
		"read bandwidth":       {func(f checked) { f.ceilings("Test 100", 1e12, 0.9e12, 2) }, "below what tuned"},
		"launch, back to back": {func(f checked) { f.ceilings("Test 100", 1e12, 0.95e12, 5) }, "slower"},
		"tests: native":        {func(f checked) { f.file("tests/native.txt", "--- FAIL: TestA (0.1s)\nFAIL\n") }, "failed: TestA"},
		"ladder: CUDA graphs captured in timed repetitions": {func(f checked) {
			f.run("ladder", 0.5, call{"m", "cuda", ok, 512, 10, 0.1, 1, 3, 12, 13})
		}, "multiple of 256"},
		"ladder: prefill of 512 tokens": {func(f checked) {
			f.run("ladder", 0.5, call{"m", "cuda", ok, 512, 20, 1, 1, 0, 12, 13})
		}, "the host's part"},
		"ladder: cells above the measured envelope": {func(f checked) {
			f.run("ladder", 1.5, call{"m", "cuda", ok, 512, 10, 0, 1, 0, 12, 13})
		}, "no roof"},
		"decode of the 8B shape in q4_0": {func(f checked) {
			f.run("8b", 0.1, call{"llama3.1-8b", "cuda", ok, 512, 10, 0, 100, 0, 32, 33})
		}, "the profile says"},
		"step probe": {func(f checked) {
			f.file("steps.tsv", "probe\t1\t30.25\n")
			f.file("probe.log", "line\nthe reason\n")
		}, "the reason"},
		"step ladder":                {func(f checked) { f.file("steps.tsv", "ladder\t124\t30.25\n") }, "not enough time"},
		"memory wall":                {func(f checked) { f.run("memory-wall", 0.5, call{"a", "all", ok, 512, 10, 0, 1, 0, 12, 13}) }, "does not show"},
		"compute-sanitizer memcheck": {func(f checked) { f.file("sanitizer-memcheck.txt", "========= ERROR SUMMARY: 3 errors\n") }, "see the log"},
		"compute-sanitizer racecheck": {func(f checked) {
			f.file("sanitizer-racecheck.txt", "RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n")
		}, "did not pass"},
		"profile by CUPTI": {func(f checked) {
			f.file("profile/profile.json", `{"model": "m", "device": "cuda", "profile": {"warnings": ["lost"], "phases": [{}, {"activities_per_step_min": 0, "activities_per_step_max": 0, "busy_share": 0}]}}`)
		}, "lost"},
	} {
		t.Run(what, func(t *testing.T) {
			f := goodCheck(t)
			c.spoil(f)
			out, findings, err := f.report()
			if err != nil {
				t.Fatal(err, out)
			}
			if got := findings[what]; got.Verdict != "differs" || !strings.Contains(got.Why, c.why) || !strings.Contains(out, "differs: "+what) {
				t.Errorf("%+v, want a difference because of %q\n%s", got, c.why, out)
			}
		})
	}
}

// TestGPUReportPeaks: a card whose datasheet is known is judged by it, and the driver's figure stands beside.
func TestGPUReportPeaks(t *testing.T) {
	f := goodCheck(t)
	f.ceilings("NVIDIA H200", 4.917e12, 4.45e12, 2)
	_, findings, err := f.report()
	// Of the driver's peak it would be too little.
	if got, want := findings["read bandwidth"], "4450 GB/s, 92.7 % of the datasheet's 4800, 90.5 % of the driver's 4917"; err != nil || got.Measured != want || got.Verdict != "as expected" {
		t.Errorf("%+v, %v, want %q, as expected", got, err, want)
	}
}

// TestGPUReportEmpty: what is not there is not measured, neither passed nor failed.
func TestGPUReportEmpty(t *testing.T) {
	f := checked{t, t.TempDir()}
	if out, _, err := f.report(); err == nil || !strings.Contains(out, "not a folder of gpu-check") {
		t.Errorf("a folder of something else: %v, %s", err, out)
	}
	f.file("steps.tsv", "tests-native\t1\t0.5\n")
	out, findings, err := f.report()
	if err != nil {
		t.Fatal(err, out)
	}
	for _, x := range slices.Collect(maps.Values(findings)) {
		if x.Verdict != "not measured" || x.Measured != "" || x.Why == "" {
			t.Errorf("%+v", x)
		}
	}
	if len(findings) < 8 {
		t.Errorf("%d findings", len(findings))
	}
}
