// Package runner turns a config into measurements: it resolves models to files,
// plans cells in a seeded random order, runs each (model, backend) pair in a
// worker process of its own, and writes every record to disk before the next
// call starts.
//
// The coordinator (this package's Run) never touches llama.cpp; a worker
// (WorkerMain, the same binary) does, through the Backend interface. So a crash
// in native code costs one cell, not the sweep.
package runner

import (
	"llmscale/internal/address"
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

	HotMS       int   `json:"hot_ms"`                 // untimed work before each call
	IdleMS      int   `json:"idle_ms"`                // pause before each call
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
