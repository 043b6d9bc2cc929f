// Package protocol is what coordinator and worker say to each other: what a
// worker is asked to load and to measure, what it answers, and the Backend that
// does the work.
package protocol

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/internal/address"
	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/files"
	"llmscale/runner/record"
)

// Backend measures one model in this process. Its methods are called from one
// goroutine, Load first.
type Backend interface {
	// Load makes the model ready to measure. progress may be nil; share is in
	// [0, 1].
	Load(spec LoadSpec, progress func(share float64)) (LoadInfo, error)
	// Measure runs one call: prefill, then exactly GenTokens decode steps.
	Measure(call CallSpec) (Sample, error)
	// Close frees the model. It may be called twice.
	Close() error
}

// Opener returns the backend of a kind (config.KindNative, ...).
type Opener func(kind string) (Backend, error)

// LoadSpec says what to load and how. Counts are tokens, threads or layers as
// named; zero means what it says, defaults were filled in by the coordinator.
type LoadSpec struct {
	Kind         string `json:"kind"`
	ModelFile    string `json:"model_file"`
	Device       string `json:"device"`
	Threads      int    `json:"n_threads"`
	ThreadsBatch int    `json:"n_threads_batch"`
	Layers       int    `json:"n_layer"`      // transformer blocks of the model
	GPULayers    int    `json:"n_gpu_layers"` // or config.AllLayers, config.FitLayers
	FlashAttn    string `json:"flash_attn"`
	NCtx         int    `json:"n_ctx"`           // of each sequence
	Sequences    int    `json:"n_seq,omitempty"` // decoded together; 0: one
	NBatch       int    `json:"n_batch"`
	NUBatch      int    `json:"n_ubatch"`
	KVType       string `json:"kv_type"`
	Mmap         bool   `json:"mmap"`

	MemoryLimitMiB int `json:"memory_limit_mib,omitempty"` // that the coordinator holds the worker to; 0: none

	HotMS       int   `json:"hot_ms"`                 // untimed work before each call
	IdleMS      int   `json:"idle_ms"`                // pause before each call
	Nice        int   `json:"nice,omitempty"`         // of the computing threads; 0: as the worker was started
	CPUAffinity []int `json:"cpu_affinity,omitempty"` // the processor of each thread, as many as prefill or decode has; nil: as the environment says

	// Of a GPU; without meaning on the CPU.
	CUDAGraphs   bool    `json:"cuda_graphs"`
	TokenEvents  bool    `json:"token_events"`
	VRAMLimitGiB float64 `json:"vram_limit_gib"` // device memory that the card pretends to have; 0: all of it
	TelemetryMS  int     `json:"telemetry_ms"`   // between two readings of the sensors; 0: none

	SelfCheck *SelfCheckSpec `json:"self_check,omitempty"` // nil: none. Set for each load: it is no part of what a plan is

	Positions int `json:"positions"` // most tokens that the model has a learned position for; 0: no such limit

	Ollama *OllamaSpec `json:"ollama,omitempty"` // of kind ollama, nil otherwise

	// What the load must find. No part of what a plan is: the same model may lie in a new file.
	Files  []files.ID `json:"files,omitempty"`
	Expect Expect     `json:"expect"`
}

// Batch is how many sequences are decoded together.
func (s *LoadSpec) Batch() int { return max(1, s.Sequences) }

// OllamaSpec says which server and which of its models to measure. ModelFile is
// then the GGUF that the server's model was made of; its tokeniser is used.
type OllamaSpec struct {
	URL        address.Address `json:"url"`         // "": as Ollama's own tools find it
	Model      string          `json:"model"`       // on the server
	SHA256     string          `json:"sha256"`      // of ModelFile; the server must serve that very file
	BanRepeats bool            `json:"ban_repeats"` // see config.Backend
	TimeoutS   float64         `json:"timeout_s"`   // longest load, and longest call
}

// LoadInfo says what a load took and what it gave.
type LoadInfo struct {
	ModelLoadMS   float64  `json:"model_load_ms"`
	ContextInitMS float64  `json:"context_init_ms"`
	NCtx          int      `json:"n_ctx"` // over all sequences, as the runtime made it; may be rounded up
	LlamaCommit   string   `json:"llama_commit"`
	GPULayers     int      `json:"n_gpu_layers"` // as loaded: a number also where all or as many as fit were asked for
	GPU           *GPU     `json:"gpu,omitempty"`
	Threads       *Threads `json:"threads,omitempty"` // nil: the runtime does not tell

	SelfCheck  *SelfCheck  `json:"self_check,omitempty"`  // nil: the runtime was not asked
	BatchCheck *BatchCheck `json:"batch_check,omitempty"` // nil: it was not asked, or decodes one sequence

	Ollama *record.OllamaServer `json:"ollama,omitempty"` // of kind ollama: which server, which model
}

// GPU is the card that a model was loaded on. Facts are what its driver says of
// it, for the manifest.
type GPU struct {
	Name  string         `json:"name"`
	UUID  string         `json:"uuid"`
	Facts map[string]any `json:"facts"`
}

// Sample is what one call measured: the figures that all of its records carry,
// those that belong to one mode, and what spoilt it.
type Sample struct {
	record.Measurement
	Windows map[string]Window   `json:"windows,omitempty"` // by mode
	Ollama  *record.OllamaCall  `json:"ollama,omitempty"`  // of kind ollama
	Invalid map[string][]string `json:"invalid,omitempty"` // by mode: texts of record.Reason
	Missing map[string]string   `json:"missing,omitempty"` // fields that could have been measured and were not: why
}

// Spoil makes the modes of the call that the reason spoils INVALID; format and args say what was seen.
func (s *Sample) Spoil(reason *record.Reason, format string, args ...any) {
	if s.Invalid == nil {
		s.Invalid = map[string][]string{}
	}
	for _, mode := range reason.Modes {
		s.Invalid[mode] = append(s.Invalid[mode], reason.Text(format, args...))
	}
}

// Miss says why a field that could have been measured was not.
func (s *Sample) Miss(field, why string) {
	if s.Missing == nil {
		s.Missing = map[string]string{}
	}
	s.Missing[field] = why
}

// Window is what a GPU's sensors said during one mode's phase.
type Window struct {
	record.DeviceWindow
	Missing map[string]string `json:"missing,omitempty"` // fields of it that are null: why
}

// CallSpec is one call. Exactly one of Prompt and PromptTokens is set. Of several sequences each has a prompt of its own
// (see SequenceSeed), or all have the same text.
type CallSpec struct {
	Prompt       *string `json:"prompt,omitempty"`
	PromptTokens int     `json:"prompt_tokens,omitempty"` // that many random ids, drawn from Seed
	Seed         int64   `json:"seed,omitempty"`
	GenTokens    int     `json:"gen_tokens"`
	Depth        int     `json:"depth,omitempty"` // random ids that are in the cache before, drawn from DepthSeed
	DepthSeed    int64   `json:"depth_seed,omitempty"`
}

// Before a call of pace hot the worker computes its prefill untimed until hot has passed. HotMost is when it breaks off a
// prefill that takes longer, so that a long prompt does not cost its time twice.
const (
	Hot     = 20 * time.Millisecond
	HotMost = 200 * time.Millisecond
)

// ProbeSpec says of which device the ceilings are wanted.
type ProbeSpec struct {
	Device  string `json:"device"`    // config.DeviceCPU or config.DeviceCUDA
	Threads int    `json:"n_threads"` // of a CPU: those that decode uses; 0 on a GPU
	Quick   bool   `json:"quick"`     // a few seconds, as before a run
}

// String names the device as the manifest and messages do.
func (s ProbeSpec) String() string {
	switch {
	case s.Device != config.DeviceCPU:
		return s.Device
	case s.Threads == 1:
		return s.Device + ", 1 thread"
	}
	return s.Device + ", " + strconv.Itoa(s.Threads) + " threads"
}

// Prober measures a device's ceilings in this process. progress may be nil; share
// is in [0, 1].
type Prober func(spec ProbeSpec, progress func(share float64)) (ceilings.Device, error)

// Build says what a program was built from: llmscale itself, and the runtime in it. The zero value is not known.
type Build struct {
	Version     string   `json:"version"`
	Commit      string   `json:"commit"` // of llmscale
	Modified    bool     `json:"modified"`
	LlamaCommit string   `json:"llama_commit"` // "": there is no runtime in it
	LlamaSource string   `json:"llama_source"`
	Compiler    string   `json:"build_compiler"`
	Flags       string   `json:"build_flags"`
	CPUFeatures string   `json:"cpu_features"` // in use
	CUDAToolkit string   `json:"cuda_toolkit,omitempty"`
	Warnings    []string `json:"warnings,omitempty"` // why its figures are not to be trusted
}

// String is what tells builds apart, for people.
func (b Build) String() string {
	out := fmt.Sprintf("llama.cpp %s (%s), %s, %s", b.LlamaCommit, b.LlamaSource, b.Compiler, b.Flags)
	if b.CUDAToolkit != "" {
		out += ", CUDA " + b.CUDAToolkit
	}
	return out
}

// About says what this program is; with gpu also why models cannot run on a GPU with it, "" if they can.
type About func(gpu bool) (build Build, noGPU string)

// MemoryRules says how the build takes memory: by which rules, which types it repacks, and whether it copies for AMX. Of a
// build that is not known the types are nil: those of this CPU.
func (b Build) MemoryRules() (rules ledger.Rules, repack []gguf.Type, amx bool) {
	rules = ledger.RulesOf(b.LlamaSource)
	if b.CPUFeatures == "" {
		return rules, nil, false
	}
	repack = []gguf.Type{}
	if strings.Contains(b.CPUFeatures, "REPACK = 1") {
		repack = append(repack, ledger.RepackTypes(rules)...)
	}
	return rules, repack, strings.Contains(b.CPUFeatures, "AMX_INT8 = 1")
}

// Identity is equal for two loads that are told the same.
func (s *LoadSpec) Identity() string {
	data, err := json.Marshal(s)
	if err != nil { // strings and numbers
		panic("runner: " + err.Error())
	}
	return string(data)
}

// Wrong says what is wrong with the results of a load, if anything is known to be.
func (i *LoadInfo) Wrong() (out []string) {
	for _, why := range []string{i.SelfCheck.Wrong(), i.BatchCheck.wrong()} {
		if why != "" {
			out = append(out, why)
		}
	}
	return out
}

// Judge makes all modes of a call INVALID where the runtime that made it computes something else than it should.
func (i *LoadInfo) Judge(m *Sample) {
	for _, why := range i.Wrong() {
		m.Spoil(record.WrongResults, "%s", why)
	}
	if s := i.SelfCheck; s != nil && s.Skipped != "" {
		m.Miss("self_check_rel_l2", s.Skipped)
		m.Miss("self_check_tokens", s.Skipped)
	}
	switch b := i.BatchCheck; {
	case b != nil && b.Skipped != "":
		m.Miss("batch_check_rel_l2", b.Skipped)
		m.Miss("batch_check_sequences", b.Skipped)
	case b != nil && b.FirstDifference == nil:
		m.Miss("batch_first_difference", "no step chose another token")
	}
}

// Tasker does in a worker process what is neither a load, a call nor a probe. Task and answer are the program's own. The
// error may be a *record.Failure.
type Tasker func(task json.RawMessage) (answer json.RawMessage, err error)
