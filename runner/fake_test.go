package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// The test binary plays three parts: the tests, a worker with a fake runtime,
// and a coordinator that the tests kill.
const (
	envPart     = "LLMSCALE_TEST_PART"     // worker or coordinator
	envFault    = "LLMSCALE_TEST_FAULT"    // what the fake runtime does wrong, see fakeBackend
	envRun      = "LLMSCALE_TEST_RUN"      // the coordinator's run folder
	envBuild    = "LLMSCALE_TEST_BUILD"    // build flags that the worker names
	envSource   = "LLMSCALE_TEST_SOURCE"   // of its llama.cpp
	envFeatures = "LLMSCALE_TEST_FEATURES" // CPU features
	envNoGPU    = "LLMSCALE_TEST_NOGPU"    // why it has no GPU
	envRoom     = "LLMSCALE_TEST_ROOM"     // bytes to which the coordinator's files may grow
	// envModels is the folder of models that the tests of one process share.
	envModels = "LLMSCALE_TEST_MODELS"
)

func TestMain(m *testing.M) {
	switch os.Getenv(envPart) {
	case "worker":
		if err := WorkerMain(openFake, probeFake, aboutFake, taskFake); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "coordinator":
		if err := coordinate(os.Getenv(envRun)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(withModels(m.Run))
	}
}

// withModels runs the tests around a folder for models.
func withModels(run func() int) int {
	dir, err := os.MkdirTemp("", "llmscale-models-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Setenv(envModels, dir)
	return run()
}

// testWorker starts this test binary as a worker with a fault.
func testWorker(t testing.TB, fault string) Command {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Command{Path: exe, Env: []string{envPart + "=worker", envFault + "=" + fault}}
}

// writeProgram makes a program of which the workers are fake runtimes with these build flags, after lines of shell.
func writeProgram(t testing.TB, path, flags string, lines ...string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := append([]string{"#!/bin/sh", "export " + envBuild + "='" + flags + "'"}, append(lines, "exec '"+exe+"'")...)
	if err := os.WriteFile(path, []byte(strings.Join(script, "\n")+"\n"), 0o777); err != nil {
		t.Fatal(err)
	}
}

// testPrograms ask programs that writeProgram has made.
func testPrograms(t testing.TB) *Programs {
	build, _ := aboutFake(false)
	return &Programs{Worker: testWorker(t, ""), Build: build, Log: discard}
}

// fakeBackend stands for a runtime. Its fault is "what@where": what is SIGSEGV,
// SIGABRT, SIGKILL, exit, error, hostile, oom, hang, nap or garbage; where is "load" or the
// scenario whose prompt text it appears in, with ":n" for the n-th call in the
// worker.
type fakeBackend struct {
	spec  protocol.LoadSpec
	calls int
}

// aboutFake is what a worker's program says of itself, but for what the environment changes.
func aboutFake(gpu bool) (protocol.Build, string) {
	source, features := cmp.Or(os.Getenv(envSource), "checkout"), cmp.Or(os.Getenv(envFeatures), "NONE = 1")
	return protocol.Build{LlamaCommit: "fake", LlamaSource: source, Compiler: "cc", Flags: os.Getenv(envBuild), CPUFeatures: features}, os.Getenv(envNoGPU)
}

func openFake(kind string) (protocol.Backend, error) {
	if kind != config.KindNative && kind != config.KindOllama {
		return nil, record.Failf(record.StatusWaived, "no backend of kind %q", kind)
	}
	return &fakeBackend{}, nil
}

func (f *fakeBackend) fault(where string) error {
	what, at, ok := strings.Cut(os.Getenv(envFault), "@")
	if !ok || at != where {
		return nil
	}
	fmt.Fprintln(os.Stderr, "fake runtime: about to fail by", what)
	self := os.Getpid()
	switch what {
	case "CUDA error: out of memory":
		die(self, syscall.SIGABRT)
	case "SIGSEGV", "SIGABRT", "SIGKILL":
		sig := map[string]syscall.Signal{"SIGSEGV": syscall.SIGSEGV, "SIGABRT": syscall.SIGABRT, "SIGKILL": syscall.SIGKILL}[what]
		die(self, sig)
	case "exit":
		os.Exit(7)
	case "oom":
		return record.Failf(record.StatusOOM, "fake: did not fit")
	case "refusal":
		f := record.Failf(record.StatusError, "fake: refused (first error)")
		f.Stderr = []string{"a warning", "first error", "fake runtime: about to fail by refusal", "second error"}
		return f
	case "hostile":
		fmt.Fprintln(os.Stderr, "\x1b[2J\u202e")
		f := record.Failf(record.StatusError, "key \x1b]0;x\a\u202e\nsecond line")
		f.Stderr = []string{"tensor \x1b[2J", "müll \x1b[2J\u202e\xff"}
		return f
	case "nap":
		if err := os.WriteFile(os.Getenv(envRun)+".napping", nil, 0o666); err != nil {
			return err
		}
		time.Sleep(nap)
		return nil
	case "hang":
		time.Sleep(time.Hour)
	case "garbage":
		fmt.Fprintln(os.NewFile(workerFD, "replies"), "this is not JSON")
		time.Sleep(time.Hour)
	}
	return fmt.Errorf("fake: %s", what)
}

// die sends this process a signal with its default effect, as native code would
// die of it: Go's own handlers would turn it into an exit code.
func die(pid int, sig syscall.Signal) {
	resetSignals()
	syscall.Kill(pid, sig)
	time.Sleep(time.Minute)
}

func (f *fakeBackend) Load(spec protocol.LoadSpec, progress func(float64)) (protocol.LoadInfo, error) {
	f.spec = spec
	progress(0.5)
	if os.Getenv(envFault) == "replaced" { // by somebody, while the runtime reads it
		if err := os.Rename(spec.ModelFile+".other", spec.ModelFile); err != nil && !os.IsNotExist(err) {
			return protocol.LoadInfo{}, err
		}
	}
	if err := f.fault("load"); err != nil {
		return protocol.LoadInfo{}, err
	}
	info := protocol.LoadInfo{ModelLoadMS: 1.5, ContextInitMS: 0.5, NCtx: spec.NCtx * max(1, spec.Sequences), LlamaCommit: "fake"}
	switch os.Getenv(envFault) {
	case "wrong":
		info.SelfCheck = &protocol.SelfCheck{RelL2: 0.58, Tokens: 40, Bound: spec.SelfCheck.Bound}
	case "rounds":
		info.SelfCheck = &protocol.SelfCheck{RelL2: 0.012, Tokens: 40, SameToken: true, Bound: spec.SelfCheck.Bound}
	case "slow":
		info.SelfCheck = &protocol.SelfCheck{Skipped: "no time"}
	}
	if spec.Sequences > 1 {
		switch os.Getenv(envFault) {
		case "mixed up":
			info.BatchCheck = &protocol.BatchCheck{RelL2: 1.4, Sequences: 4, FirstDifference: new(int), Bound: spec.SelfCheck.Bound}
		case "slow":
			info.BatchCheck = &protocol.BatchCheck{Skipped: "no time for the batch"}
		default:
			info.BatchCheck = &protocol.BatchCheck{RelL2: 0.012, Sequences: 4, Bound: spec.SelfCheck.Bound}
		}
	}
	if os.Getenv(envFault) == "two of many" {
		info.Threads = &protocol.Threads{Decode: 2, Prefill: 3, CPUs: 5, CPUsPrefill: 5}
	}
	if spec.Device == config.DeviceCUDA {
		if spec.GPULayers != config.FitLayers || spec.VRAMLimitGiB != 8 || spec.TelemetryMS != 20 || !spec.CUDAGraphs {
			return protocol.LoadInfo{}, fmt.Errorf("fake: load spec %+v", spec)
		}
		info.GPULayers, info.GPU = 3, &protocol.GPU{Name: "Fake 100", UUID: "GPU-fake", Facts: map[string]any{"driver_version": "1.2"}}
	}
	return info, nil
}

func (f *fakeBackend) Measure(call protocol.CallSpec) (protocol.Sample, error) {
	f.calls++
	where := strconv.Itoa(call.PromptTokens)
	if call.Prompt != nil {
		where = *call.Prompt
	}
	if os.Getenv(envFault) == "cut" && os.Rename(f.spec.ModelFile+".cut", f.spec.ModelFile+".done") == nil {
		if err := os.Truncate(f.spec.ModelFile, 10); err != nil { // under the runtime's mapping
			return protocol.Sample{}, err
		}
		die(os.Getpid(), syscall.SIGBUS)
	}
	for _, at := range []string{where, fmt.Sprintf("%s:%d", where, f.calls)} {
		if err := f.fault(at); err != nil {
			return protocol.Sample{}, err
		}
	}
	time.Sleep(time.Millisecond)
	batch, seq, gen := max(1, f.spec.Sequences), max(call.PromptTokens, 1), call.GenTokens
	var prompt []int32
	for s := range batch {
		prompt = append(prompt, protocol.DrawPrompt(protocol.SequenceSeed(call.Seed, s), seq, 1000)...)
	}
	ids := make([]int32, batch*call.GenTokens)
	times := make([]int64, call.GenTokens)
	all := len(prompt)
	prefill, decode := float64(f.calls), 2.0
	e2e := prefill + decode
	hash := protocol.HashIDs(prompt)
	s := protocol.Sample{Measurement: record.Measurement{
		Phases: record.Phases{BatchSize: &batch, SeqLen: &seq, PromptTokensRaw: &all, GenTokensRaw: &gen,
			PrefillMS: &prefill, KVDecodeMS: &decode, E2EKVMS: &e2e, TokenNS: times, TokenSamplingNS: times},
		Answer: record.Answer{PromptTokenIDs: protocol.RecordedIDs(prompt, batch), OutputTokenIDs: protocol.RecordedIDs(ids, batch), PromptTokensHash: &hash},
	}}
	if call.Depth > 0 {
		said := fmt.Sprintf("%d tokens of seed %d", call.Depth, call.DepthSeed)
		s.OutputText = &said
	}
	if f.spec.Device == config.DeviceCUDA {
		less := func(ms float64) *float64 { ms -= 0.25; return &ms }
		s.PrefillCUDAMS, s.KVDecodeCUDAMS, s.E2EKVCUDAMS = less(prefill), less(decode), less(e2e)
		s.Windows = map[string]protocol.Window{}
		for i, mode := range record.Modes {
			watts := float64(100 * (i + 1))
			s.Windows[mode] = protocol.Window{DeviceWindow: record.DeviceWindow{PowerMeanW: &watts}, Missing: map[string]string{"energy_j": "too short for " + mode}}
		}
		s.Spoil(record.OtherProgram, "python")
		s.Missing = map[string]string{"token_device_ns": "not asked for"}
	}
	if f.spec.Ollama != nil {
		projected, equiv, target := true, 2*decode, 2*gen
		s.Ollama = &record.OllamaCall{OllamaProjected: &projected, DecodeEquivMS: &equiv, GenTokensEquiv: &target, E2EEquivMS: &equiv}
		s.Spoil(record.PromptCached, "tokens were cached")
	}
	if os.Getenv(envFault) == "blocks" {
		n, err := sleepsWhileBlocked()
		s.InvoluntaryCtx = &n
		return s, err
	}
	return s, nil
}

func (f *fakeBackend) Close() error { return nil }

// testConfig has three tiny models under two backends and three scenarios.
const testConfig = `run_name: test
gen_tokens: 4
replicates: 1
repetitions: 3
warmup_repetitions: 1
seed: 7
cell_timeout_s: 20
scenarios:
  - {name: one, prompt: "one"}
  - {name: two, prompt: "two", gen_tokens: 6}
  - {name: drawn, prompt_tokens: 5}
backends:
  - {name: cpu_f32, kind: native, device: cpu, dtype: f32, threads: 1}
  - {name: cpu_f16, kind: native, device: cpu, dtype: f16, threads: 1}
models:
  - {name: a, source: "synth:tiny-gpt2"}
  - {name: b, source: "synth:tiny-gpt2"}
`

// testModels is shared by all tests of the process: the files are the same.
func testModels() *Models { return &Models{Dir: os.Getenv(envModels)} }

func testPlan(t testing.TB, text string) *Plan {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "test.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return planned(t, cfg)
}

// newPlan is the plan of a machine of two cores, with any programs that were asked.
func newPlan(cfg *config.Config, models *Models, programs *Programs) (*Plan, error) {
	return planWithout(cfg, models, programs, nil)
}

// planWithout is that where some devices are missing, for these reasons.
func planWithout(cfg *config.Config, models *Models, programs *Programs, noDevice map[string]error) (*Plan, error) {
	facts, err := Look(context.Background(), cfg, models, programs)
	if err != nil {
		return nil, err
	}
	facts.Threads, facts.NoDevice = 2, noDevice
	return NewPlan(cfg, facts)
}

func planned(t testing.TB, cfg *config.Config) *Plan {
	t.Helper()
	p, err := newPlan(cfg, testModels(), testPrograms(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Prepare(t.Context(), testModels()); err != nil {
		t.Fatal(err)
	}
	return p
}

// quiet is a Progress that keeps what it hears.
type quiet struct {
	statuses []Status
	stored   []string
	notes    []string
}

func (q *quiet) Update(s Status) { q.statuses = append(q.statuses, s) }
func (q *quiet) Stored(cell string, replicate, call int, status string) {
	q.stored = append(q.stored, fmt.Sprintf("%s %d %s", cell, call, status))
}
func (q *quiet) Note(line string) { q.notes = append(q.notes, line) }

// failures are the notes that are no warnings: of these some depend on the machine's processors.
func (q *quiet) failures() []string {
	return slices.DeleteFunc(slices.Clone(q.notes), func(n string) bool { return strings.HasPrefix(n, "warning: ") })
}

// newRun is a run of a plan in a new folder, which a test may change before finish.
func newRun(t *testing.T, p *Plan, w Command) (*Run, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	store, err := CreateStore(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := store.newManifest("test", p, Overrides{}, "models", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Run{ID: "test", Plan: p, Store: store, Worker: w, Progress: &quiet{}, Log: discard, Manifest: manifest}, dir
}

// resumeRun is the next session of the run in dir, of the plan with which it began.
func resumeRun(t *testing.T, p *Plan, dir string, w Command) *Run {
	t.Helper()
	r := &Run{ID: "test", Plan: p, Worker: w, Progress: &quiet{}, Log: discard}
	var err error
	if r.Store, err = OpenStore(dir); err != nil {
		t.Fatal(err)
	}
	if r.Manifest, err = ReadManifest(dir); err != nil {
		t.Fatal(err)
	}
	if r.Previous, err = r.Store.Recover(); err != nil {
		t.Fatal(err)
	}
	r.Session = len(r.Manifest.Sessions)
	return r
}

// finish executes a run and closes its store.
func finish(t *testing.T, r *Run) Summary { return finishUntil(t, t.Context(), r) }

// finishUntil is finish with an interrupt at the end of ctx.
func finishUntil(t *testing.T, ctx context.Context, r *Run) Summary {
	t.Helper()
	sum, err := r.Execute(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Store.Close(); err != nil {
		t.Fatal(err)
	}
	return sum
}

// execute runs a plan in a new folder and returns it with its records.
func execute(t *testing.T, p *Plan, w Command) (string, Summary, []record.Record, *quiet) {
	t.Helper()
	r, dir := newRun(t, p, w)
	sum := finish(t, r)
	return dir, sum, readRecords(t, dir), r.Progress.(*quiet)
}

func readRecords(t testing.TB, dir string) []record.Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, RunsFile))
	if err != nil {
		t.Fatal(err)
	}
	return parseRecords(t, data)
}

func parseRecords(t testing.TB, data []byte) []record.Record {
	t.Helper()
	var out []record.Record
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		var r record.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s:%d: %v", RunsFile, n, err)
		}
		out = append(out, r)
	}
	return out
}
