package workertest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
)

// backend stands for a runtime. Its fault is "what@where": what is SIGSEGV,
// SIGABRT, SIGKILL, exit, error, hostile, oom, hang, nap or garbage; where is "load" or the
// scenario whose prompt text it appears in, with ":n" for the n-th call in the
// worker.
type backend struct {
	spec     protocol.LoadSpec
	calls    int
	canaryMS *float64
}

// About is what a worker's program says of itself, but for what the environment changes.
func About(gpu bool) (protocol.Build, string) {
	source, features := cmp.Or(os.Getenv(EnvSource), "checkout"), cmp.Or(os.Getenv(EnvFeatures), "NONE = 1")
	return protocol.Build{LlamaCommit: "fake", LlamaSource: source, Compiler: "cc", Flags: os.Getenv(EnvBuild), CPUFeatures: features}, os.Getenv(EnvNoGPU)
}

func open(kind string) (protocol.Backend, error) {
	if kind != config.KindNative && kind != config.KindOllama {
		return nil, record.Failf(record.StatusWaived, "no backend of kind %q", kind)
	}
	return &backend{}, nil
}

func (f *backend) fault(where string) error {
	what, at, ok := strings.Cut(os.Getenv(EnvFault), "@")
	if !ok || at != where {
		return nil
	}
	fmt.Fprintln(os.Stderr, "fake runtime: about to fail by", what)
	self := os.Getpid()
	switch what {
	case "CUDA error: out of memory", "CUDA error: the resource allocation failed", "CUDA error: an internal operation failed":
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
		if err := os.WriteFile(os.Getenv(EnvRun)+".napping", nil, 0o666); err != nil {
			return err
		}
		time.Sleep(Nap)
		return nil
	case "hang":
		time.Sleep(time.Hour)
	case "garbage":
		fmt.Fprintln(os.NewFile(worker.RepliesFD, "replies"), "this is not JSON")
		time.Sleep(time.Hour)
	}
	return fmt.Errorf("fake: %s", what)
}

func (f *backend) Load(spec protocol.LoadSpec, progress func(float64)) (protocol.LoadInfo, error) {
	f.spec = spec
	var err error
	if f.canaryMS, err = canaryMS(); err != nil {
		return protocol.LoadInfo{}, err
	}
	progress(0.5)
	if os.Getenv(EnvFault) == "replaced" { // by somebody, while the runtime reads it
		if err := os.Rename(spec.ModelFile+".other", spec.ModelFile); err != nil && !os.IsNotExist(err) {
			return protocol.LoadInfo{}, err
		}
	}
	if err := f.fault("load"); err != nil {
		return protocol.LoadInfo{}, err
	}
	info := protocol.LoadInfo{ModelLoadMS: 1.5, ContextInitMS: 0.5, NCtx: spec.NCtx * max(1, spec.Sequences), LlamaCommit: "fake"}
	switch os.Getenv(EnvFault) {
	case "wrong":
		info.SelfCheck = &protocol.SelfCheck{RelL2: 0.58, Tokens: 40, Bound: spec.SelfCheck.Bound}
	case "rounds":
		info.SelfCheck = &protocol.SelfCheck{RelL2: 0.012, Tokens: 40, SameToken: true, Bound: spec.SelfCheck.Bound}
	case "slow":
		info.SelfCheck = &protocol.SelfCheck{Skipped: "no time"}
	}
	if spec.Sequences > 1 {
		switch os.Getenv(EnvFault) {
		case "mixed up":
			info.BatchCheck = &protocol.BatchCheck{RelL2: 1.4, Sequences: 4, FirstDifference: new(int), Bound: spec.SelfCheck.Bound}
		case "slow":
			info.BatchCheck = &protocol.BatchCheck{Skipped: "no time for the batch"}
		default:
			info.BatchCheck = &protocol.BatchCheck{RelL2: 0.012, Sequences: 4, Bound: spec.SelfCheck.Bound}
		}
	}
	if os.Getenv(EnvFault) == "two of many" {
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

func (f *backend) Measure(call protocol.CallSpec) (protocol.Sample, error) {
	f.calls++
	where := strconv.Itoa(call.PromptTokens)
	if call.Prompt != nil {
		where = *call.Prompt
	}
	if os.Getenv(EnvFault) == "cut" && os.Rename(f.spec.ModelFile+".cut", f.spec.ModelFile+".done") == nil {
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
	costs := record.Costs{CanaryReadMS: f.canaryMS, CanaryComputeMS: f.canaryMS}
	s := protocol.Sample{Measurement: record.Measurement{
		Costs: costs,
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
	if os.Getenv(EnvFault) == "blocks" {
		n, err := sleepsWhileBlocked()
		s.InvoluntaryCtx = &n
		return s, err
	}
	return s, nil
}

func (f *backend) Close() error { return nil }

// canaryMS is what the canaries of this process take by EnvStates: 4 ms for an x, else 2; nil: there are none.
func canaryMS() (*float64, error) {
	path := os.Getenv(EnvStates)
	if path == "" {
		return nil, nil
	}
	states, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ms := 2.0
	if len(states) > 0 {
		if states[0] == 'x' {
			ms = 4
		}
		// Whole, however this process ends.
		if err := os.WriteFile(path+".new", states[1:], 0o666); err != nil {
			return nil, err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return nil, err
		}
	}
	return &ms, nil
}

// probe stands for a probe; its fault is "what@probe", as fakeBackend's.
func probe(spec protocol.ProbeSpec, progress func(share float64)) (ceilings.Device, error) {
	progress(0.5)
	if spec.Device != config.DeviceCPU {
		return ceilings.Device{}, errors.New("fake: no GPU")
	}
	if err := (&backend{}).fault("probe"); err != nil {
		return ceilings.Device{}, err
	}
	var disturbed []string
	if os.Getenv(EnvFault) == "disturbed@nothing" {
		disturbed = []string{"other programs used 1.00 CPUs", "its threads lost their core 300 times"}
	}
	return ceilings.Device{Kind: ceilings.CPU, Name: "fake", Threads: spec.Threads, Disturbed: disturbed,
		Bandwidth: []ceilings.Bandwidth{{Op: ceilings.Read, WorkingSetB: 1 << 20, BytesPerS: 1e9, BestBytesPerS: 2e9, Passes: 3}}}, nil
}

// Nap is how long a worker takes that is told to nap: longer than its coordinator's limit.
const Nap = 3500 * time.Millisecond

// task says a task back, or does what it says.
func task(task json.RawMessage) (json.RawMessage, error) {
	switch string(task) {
	case `"waived"`:
		return nil, record.Failf(record.StatusWaived, "not here")
	case `"die"`:
		die(syscall.Getpid(), syscall.SIGSEGV)
	case `"hang"`:
		select {}
	case `"grow"`: // beyond any limit that a test has
		for range 1 << 10 {
			memory := make([]byte, 1<<20)
			for i := 0; i < len(memory); i += 4096 {
				memory[i] = 1
			}
			garbage = append(garbage, memory)
		}
		garbage = nil
	}
	return task, nil
}
