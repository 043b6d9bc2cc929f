// Package native binds llama.cpp for measuring: load a model, create a context,
// run the timed phases. All times are taken in C (native/shim), around the
// llama.cpp calls; Go only starts them and copies the results.
//
// The binding is behind the build tag `native`; `make build` sets it together
// with the libraries to link. Without the tag the package still builds, and
// every entry point returns ErrNotBuilt.
//
// Closing order: a Context before its Model. Both Close methods may be called
// twice.
package native

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ErrNotBuilt is returned by every function of a binary without llama.cpp.
var ErrNotBuilt = errors.New("native: this binary was built without llama.cpp: run `make build`")

// Reasons that a caller would act on; test with errors.Is.
var (
	ErrNoMemory = errors.New("not enough memory")
	ErrAborted  = errors.New("aborted")
	ErrKVFull   = errors.New("the context is too short")

	// ErrNotAvailable is for what the llama.cpp that was built in does not offer.
	ErrNotAvailable = errors.New("not available from this llama.cpp")
)

// Error is a failed call into llama.cpp.
type Error struct {
	Op      string // which step: load, context, prefill, decode, ...
	Message string
	Log     []string // what llama.cpp logged as warning or error since the load or the call began
	Reason  string   // the first error among them, "" if there is none
	kind    error    // one of the sentinels above, or nil
}

func (e *Error) Error() string {
	s := "native: " + e.Op + ": " + e.Message
	switch {
	case e.Reason != "":
		s += " (" + e.Reason + ")"
	case len(e.Log) > 0:
		s += " (" + e.Log[len(e.Log)-1] + ")"
	}
	return s
}

// Unwrap lets errors.Is find the sentinel.
func (e *Error) Unwrap() error { return e.kind }

// ModelParams says how to load a model. The zero value loads onto the CPU by
// reading the file.
type ModelParams struct {
	GPU       bool // compute on the first GPU (CUDA_VISIBLE_DEVICES chooses); false touches none
	GPULayers int  // with GPU: layers to offload, from the last one down; the output head is one more
	Mmap      bool // map the weights from the file instead of copying them
	VocabOnly bool // load the vocabulary alone, for tokenising

	// NoAlloc reads the file's header alone and allocates neither weights nor, for contexts of the model, a cache:
	// Context.Memory then says what a load would take. Nothing can be computed.
	NoAlloc bool

	// Progress, if not nil, is called with the share loaded, in [0, 1], and
	// stops the load by returning false.
	Progress func(share float32) bool
}

// ModelInfo holds what llama.cpp itself says about a loaded model.
type ModelInfo struct {
	Params       int64 // elements of all tensors of the file, used or not
	SizeBytes    int64 // of the same
	Tensors      int   // that llama.cpp made of them, by distinct names; -1: it does not tell
	NVocab       int
	NCtxTrain    int
	NEmbd        int
	NLayer       int // as block_count: layers that predict further tokens among them
	NHead        int
	NHeadKV      int
	HasEncoder   bool
	HasDecoder   bool
	Architecture string
	Description  string
}

// ContextInfo holds what llama.cpp says about a context that was made: what it keeps of the past, and what it answers.
type ContextInfo struct {
	Memory  string // ledger.MemoryNone, ...
	Causal  *bool  // a token sees those before it alone; nil: llama.cpp does not tell
	Logits  *bool  // of a next token are what it answers with; nil: llama.cpp does not tell
	Pooling int    // how embeddings are made of tokens; 0: the model is for text, not for embeddings
}

// Team is which threads compute.
type Team struct {
	Threads  int
	CPUs     int      // that they may run on, all of them together; 0: the system does not tell
	Affinity []string // the processors that each may run on, as Linux writes them (0,2-5), in the team's order
	TIDs     []int32  // the threads' ids in the system
}

// ContextParams says what a context can hold and how it computes.
type ContextParams struct {
	NCtx         int    // tokens of each sequence; 0 = what the model was trained for
	Sequences    int    // that can be decoded together, each with a cache of its own; 0 = 1
	NBatch       int    // tokens per llama_decode; 0 = 2048
	NUBatch      int    // tokens computed at once; 0 = 512
	Threads      int    // for decode; 0 = 1
	ThreadsBatch int    // for prefill; 0 = Threads
	FlashAttn    string // "auto" (also ""), "on" or "off"
	KVTypeK      string // ggml type name; "" = f16
	KVTypeV      string // ggml type name; "" = f16

	// CPUs are what the computing threads are bound to, one each, as many as prefill or decode has; nil: nothing. Of
	// threads that OpenMP starts, its environment (OMP_PLACES) must say the same.
	CPUs []int

	// WindowCache keeps of layers with a sliding window that window alone in the KV cache. Without it, as is
	// llama.cpp's default, they keep the whole context.
	WindowCache bool

	TokenEvents bool // on a GPU: CUDA events around every decode step, for DeviceTimes.TokenNS
}

// BufferMemory is what llama.cpp allocated in buffers of one type, by its own account. The buffer in which logits
// are handed out (4 bytes for each entry of the vocabulary) is not in it, nor is what the process needs besides:
// the vocabulary, the threads' scratch space, the program itself.
type BufferMemory struct {
	BufferType   string `json:"buffer_type"` // ggml's name: CPU, CPU_Mapped, CPU_REPACK, CUDA0, ...
	Host         bool   `json:"host"`        // the CPU can address it
	ModelBytes   int64  `json:"model_bytes"`
	ContextBytes int64  `json:"context_bytes"` // the KV cache
	ComputeBytes int64  `json:"compute_bytes"` // intermediate results
}

// OnDevice sums up the buffers that the CPU cannot address, those of a GPU.
func OnDevice(buffers []BufferMemory) (sum BufferMemory) {
	for _, b := range buffers {
		if !b.Host {
			sum.ModelBytes += b.ModelBytes
			sum.ContextBytes += b.ContextBytes
			sum.ComputeBytes += b.ComputeBytes
		}
	}
	return sum
}

// Bytes is all of it.
func (b BufferMemory) Bytes() int64 { return b.ModelBytes + b.ContextBytes + b.ComputeBytes }

// EnvSlowdown, in the environment of a worker, makes each prefill and decode step that share longer (0.03: 3 %), by
// computing nothing: what a program's whole chain from the clock to the verdict finds of it is what a test asks. The
// build's warnings tell of it.
const EnvSlowdown = "LLMSCALE_TEST_SLOWDOWN"

// Slowdown is what EnvSlowdown says.
func Slowdown() (float64, error) {
	text := os.Getenv(EnvSlowdown)
	if text == "" {
		return 0, nil
	}
	share, err := strconv.ParseFloat(text, 64)
	if err != nil || !(share > 0 && share <= 10) {
		return 0, fmt.Errorf("native: %s=%q: want a share of the time, above 0 and at most 10", EnvSlowdown, text)
	}
	return share, nil
}

// Call is what MeasureCall computes. All sequences have one length.
type Call struct {
	Prompts [][]int32 // of each sequence
	Past    [][]int32 // of each sequence: tokens that are in the cache before, untimed; nil: none
	Gen     int       // decode steps, each of one token of every sequence

	Slowdown float64 // for tests, see EnvSlowdown

	Canary bool // before all of the following, a fixed piece of work on the threads that will compute

	// Energy are open files that hold energy counters, in microjoules: see Measurement.EnergyUJ.
	Energy []*os.File

	// What comes right before the timed part: untimed prefills of the prompts until Hot has passed, broken off after
	// HotMost, or a pause of Idle.
	Hot, HotMost, Idle time.Duration
}

// Measurement is one timed call. Times are nanoseconds of CLOCK_MONOTONIC,
// taken in C. KVDecodeNS spans from before the first step to after the last and
// so holds the sampling; TokenNS holds llama_decode + llama_synchronize alone.
type Measurement struct {
	// Of the canary, 0 without one: reading (also 0 where the CPU cannot empty its caches), and multiply-adds.
	CanaryReadNS, CanaryComputeNS int64
	CanarySyncNS                  float64 // of one meeting of the threads; 0 also of one thread

	PrefillColdNS   int64 // the first untimed prefill; 0: none, or it was broken off
	KVClearNS       int64
	PrefillNS       int64
	FirstSamplingNS int64
	KVDecodeNS      int64
	E2ENS           int64

	OutputIDs  []int32 // greedy tokens, gen of each sequence in turn; a sequence's first is from prefill's logits
	TokenNS    []int64 // per step, length = gen tokens
	SamplingNS []int64 // per step, length = gen tokens

	MinorFaults         int64
	MajorFaults         int64
	DiskReadBytes       int64 // with what the system reads ahead
	InvoluntarySwitches int64
	CPUTimeNS           int64
	RSSPeakBytes        int64
	LogitsFinite        bool

	// EnergyUJ is what the call's energy counters said before prefill, between the phases and after decode, microjoules;
	// -1 where one could not be read.
	EnergyUJ [3][]int64

	// CLOCK_MONOTONIC at the phases' edges, ns.
	PrefillStartNS, PrefillEndNS int64
	DecodeStartNS, DecodeEndNS   int64

	Device *DeviceTimes // nil on the CPU
}

// DeviceTimes are a call's times by CUDA events on the stream that computes, in
// ns, which CUDA resolves to about 500. The edges are those of the host's times:
// a phase spans the gaps in which the GPU waits for the host.
type DeviceTimes struct {
	PrefillNS  int64
	KVDecodeNS int64
	E2ENS      int64
	TokenNS    []int64 // per step; nil unless ContextParams.TokenEvents

	GraphCaptures int64 // CUDA graphs captured inside the phases
	PrimingNS     int64 // host time of the untimed steps before decode, in which they are captured; in no phase
}

// BuildInfo says what the native half was built from and how.
type BuildInfo struct {
	LlamaCommit string   `json:"llama_commit"`
	LlamaSource string   `json:"llama_source"` // package, ollama or checkout
	Compiler    string   `json:"compiler"`
	BuildType   string   `json:"build_type"`
	Flags       string   `json:"flags"`
	SystemInfo  string   `json:"system_info"` // CPU features in use
	Portable    bool     `json:"portable"`
	CUDA        bool     `json:"cuda"`                         // models can compute on a GPU
	CUDAToolkit string   `json:"cuda_toolkit,omitempty"`       // version
	CUDAArchs   string   `json:"cuda_architectures,omitempty"` // compute capabilities, as CMake writes them
	Warnings    []string `json:"warnings,omitempty"`           // why figures of this build are not to be trusted
}
