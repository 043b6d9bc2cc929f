// Package config reads a sweep's YAML file: which models run under which
// backends and scenarios, how often, with which seed. It is strict, because a
// misspelt key that is skipped silently costs a night of measurements: unknown
// and duplicate keys, wrong types, values out of range and names that point
// nowhere are all refused, every one with file, line and column, all of them at
// once. The keys are those of the TR121 study where it had them.
//
// tables.go declares every key once (type, unit, default, range, meaning); the
// decoder, docs/config.md and the command line's help derive from it. The
// package is pure data: it opens the config file and no other, and knows
// neither models nor runtimes.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"llmscale/internal/address"
	"llmscale/internal/paths"
)

// Config is a sweep as its file asks for it, with every default filled in. It is measured in blocks: each visits every
// pair of model and backend once, in a fresh worker process, which makes the calls of all scenarios.
type Config struct {
	RunName           string     `json:"run_name"`
	GenTokens         int        `json:"gen_tokens"`
	Replicates        int        `json:"replicates"`
	TargetCI          float64    `json:"target_ci,omitempty"`       // half-width of intervals, by their median, up to which blocks are added; 0: none are
	TimeBudgetMin     float64    `json:"time_budget_min,omitempty"` // after which none are added
	RemeasureBlocks   int        `json:"remeasure_blocks"`          // most that are added for models with disturbed processes
	Repetitions       int        `json:"repetitions"`
	WarmupRepetitions int        `json:"warmup_repetitions"`
	Seed              int64      `json:"seed"`
	CellTimeoutS      float64    `json:"cell_timeout_s"`
	TelemetryMS       int        `json:"telemetry_ms"`             // between two readings of a GPU's sensors; 0: none
	Probe             bool       `json:"probe"`                    // measure the machine's ceilings before the first cell
	PricePerHour      float64    `json:"price_per_hour,omitempty"` // of the machine, in any currency; 0: unknown
	NodeNames         string     `json:"node_names"`               // how machines are named in records: hashed or plain
	MaxCells          int        `json:"max_cells"`                // a larger plan is refused, see CheckCells
	Scenarios         []Scenario `json:"scenarios"`
	Backends          []Backend  `json:"backends"`
	Models            []Model    `json:"models"`

	file string
	dir  string // where relative model paths start
	text []byte
	idle []idleDType
	made map[string]made // of entries with lists, by table/name; nil: there are none
}

// idleDType is a backend's dtype that changes nothing, and the line that says so.
type idleDType struct{ backend, line string }

// Nice is the backend's prio as the system counts it: llama.cpp's levels -1 (low) to 3 (realtime).
func (b Backend) Nice() int { return map[int]int{-1: 5, 1: -5, 2: -10, 3: -20}[b.Prio] }

// sixBlocks are the fewest on whose interval's width a sweep may stop: looked at from three on, 95 % intervals hold the
// truth in 91 %.
const sixBlocks = 6

// LeastBlocks is how many blocks there are in any case.
func (c *Config) LeastBlocks() int {
	if c.TargetCI > 0 {
		return max(c.Replicates, sixBlocks)
	}
	return c.Replicates
}

// Scenario is one prompt. Exactly one of Prompt and PromptTokens is set.
type Scenario struct {
	Name         string `json:"name"`
	Prompt       string `json:"prompt,omitempty"`        // text, tokenised by the model; "" where PromptTokens is set
	PromptTokens int    `json:"prompt_tokens,omitempty"` // that many seeded random token ids; 0 where Prompt is set
	GenTokens    int    `json:"gen_tokens,omitempty"`    // decode steps; 0: the config's, see Gen
	Depth        int    `json:"depth,omitempty"`         // tokens in the KV cache before the prompt

	Group string `json:"-"` // name of the entry whose lists made it; "": it is an entry itself
}

// Backend is one way to run a model: the runtime, the device and the options of
// its context. Two backends are equal but for the name if they do the same work.
type Backend struct {
	Name          string  `json:"name"`
	Kind          string  `json:"kind"`                     // KindNative or KindOllama
	Device        string  `json:"device"`                   // DeviceCPU or DeviceCUDA
	DType         string  `json:"dtype,omitempty"`          // f32, f16, q8_0: the type in which models are synthesised; "": this backend runs files only
	BatchSize     int     `json:"batch_size"`               // sequences decoded together
	Threads       int     `json:"threads"`                  // 0: all physical cores
	ThreadsBatch  int     `json:"threads_batch"`            // 0: as Threads
	NGPULayers    int     `json:"n_gpu_layers"`             // AllLayers, FitLayers or a number; always 0 on the CPU
	CUDAGraphs    bool    `json:"cuda_graphs"`              // of no meaning on the CPU
	TokenEvents   bool    `json:"token_events"`             // device time of every decode step
	VRAMLimitGiB  float64 `json:"vram_limit_gib,omitempty"` // device memory that the card pretends to have; 0: all of it
	FlashAttn     string  `json:"flash_attn"`               // auto, on, off
	ContextTokens int     `json:"context_tokens"`           // of each sequence; 0: what the longest one needs, see Context
	BatchTokens   int     `json:"batch_tokens"`             // most tokens handed to one llama_decode
	UBatchTokens  int     `json:"ubatch_tokens"`            // most tokens computed at once; at most BatchTokens
	KVType        string  `json:"kv_type"`                  // f16, f32, q8_0, for keys and values alike
	Mmap          bool    `json:"mmap"`                     // weights mapped from the file
	Program       string  `json:"program,omitempty"`        // as written in the file; "": the one that runs the sweep
	ProgramPath   string  `json:"-"`                        // variables expanded, joined to the config file's folder; "": likewise

	MemoryLimitMiB int `json:"memory_limit_mib,omitempty"` // that the worker may take; 0: no limit

	Pace        string `json:"pace,omitempty"`         // hot, cold; "" of kind ollama
	IdleMS      int    `json:"idle_ms,omitempty"`      // before each call; 0 where pace is not cold
	Prio        int    `json:"prio,omitempty"`         // priority of the worker's threads, in llama-bench's levels, see Nice
	CPUAffinity string `json:"cpu_affinity,omitempty"` // none, cores or a list of processors; "" of kind ollama

	// Of kind ollama alone.
	URL        address.Address `json:"url,omitempty"`         // of the server; "": as Ollama's own tools find it
	Import     bool            `json:"import,omitempty"`      // models that are not the server's are made there for the time of measuring
	BanRepeats string          `json:"ban_repeats,omitempty"` // auto, on, off; "" of other kinds

	Group string `json:"-"` // name of the entry whose lists made it; "": it is an entry itself

	at        mark  // of its entry in the file
	programAt place // of its program, where it has one
}

// Model is one model of the sweep. Kind says which of Preset and Path is set.
type Model struct {
	Name           string   `json:"name"`
	Source         string   `json:"source"`                    // as written in the file
	Vocab          int      `json:"vocab,omitempty"`           // tokens in the vocabulary of a model that is synthesised; 0: its shape's own
	ParamsMillions *float64 `json:"params_millions,omitempty"` // what the file claims; nil where it claims nothing
	Backends       []string `json:"backends,omitempty"`        // names of backends, or of entries whose lists made some; nil: all that fit, see Runs

	Kind   string `json:"kind"`             // of source, one of the Kind constants
	Preset string `json:"preset,omitempty"` // the name within the kind: of a shape, of a ladder (and its rung), of a model in Ollama's store
	Path   string `json:"path,omitempty"`   // of a file or folder: variables expanded, joined to the config file's folder

	at mark // of its entry in the file
}

// Random tells whether the model has random weights, so that what it says has
// no meaning.
func (m Model) Random() bool { return m.Kind == KindLike || m.shaped() }

// shaped tells whether the model is made of a shape alone.
func (m Model) shaped() bool {
	return m.Kind == KindSynth || m.Kind == KindShape || m.Kind == KindLadder
}

// NeedsDType tells whether the model is written in the type that the backend
// names; the others have their own types.
func (m Model) NeedsDType() bool { return m.shaped() || m.Kind == KindHF }

// writable tells whether the backend says in which type to write the model, where
// it has to be written, and the model can be.
func (m Model) writable(b Backend) bool {
	if m.Kind == KindHF {
		return slices.Contains(hfDTypes, b.DType)
	}
	return !m.NeedsDType() || b.DType != ""
}

// Gen is how many tokens a scenario's calls decode.
func (c *Config) Gen(s Scenario) int {
	if s.GenTokens > 0 {
		return s.GenTokens
	}
	return c.GenTokens
}

// The other value of NodeNames; kinds of backend and of model source, devices, paces, the values of NGPULayers
// that are no number of layers, and those of CPUAffinity that are no list.
const (
	NodeNamesPlain = "plain"

	KindNative = "native"
	KindSynth  = "synth"  // a GPT-2 shape with random weights
	KindShape  = "shape"  // a published model's shape with random weights
	KindLadder = "ladder" // one architecture at many sizes, or one of them, with random weights
	KindLike   = "like"   // the twin of a GGUF file, with random weights
	KindHF     = "hf"     // a Hugging Face folder
	KindOllama = "ollama" // a model in Ollama's store; of a backend: Ollama's HTTP API
	KindGGUF   = "gguf"
	DeviceCPU  = "cpu"
	DeviceCUDA = "cuda"
	AllLayers  = -1
	FitLayers  = -2 // as many as the free device memory has room for

	selfProgram = "self" // of a backend's program: the one that runs the sweep

	AffinityNone  = "none"
	AffinityCores = "cores" // one processor of each physical core
)

// MaxBytes is the size above which a config file is refused unread.
const MaxBytes = 1 << 20

// Stdin is the path that stands for standard input, and the name of a config that
// was read from there.
const (
	Stdin     = "-"
	stdinName = "stdin"
)

// Load reads and checks the config at path, once: a pipe gives its bytes but one
// time. Relative model paths start at the file's folder, those of a config that
// comes through a pipe or from Stdin at the current one. An error about the
// content is an Errors; one about reaching the file wraps the system's.
func Load(path string) (*Config, error) {
	name, f := stdinName, os.Stdin
	if path != Stdin {
		var err error
		if f, err = os.Open(path); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
		defer f.Close()
		name = path
	}
	dir, err := folderOf(path, f)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	// One byte more than allowed, so that Parse sees that it is too large
	// without the whole of a wrong file in memory.
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return ParseAt(name, dir, data)
}

// opened are the names of what is open already, wherever it lies.
var opened = regexp.MustCompile(`^(/dev/stdin|/dev/fd/\d+|/proc/[^/]+/fd/\d+)$`)

// folderOf is where relative paths of the opened config start, as an absolute path.
func folderOf(path string, f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if opened.MatchString(path) || !info.Mode().IsRegular() {
		return os.Getwd()
	}
	dir, _ := filepath.Split(path) // as it is: filepath.Dir takes link/.. away
	return paths.Absolute(dir)
}

// Parse checks a config file's bytes. The name is the file's path: it stands in
// errors, gives the default run_name, and its folder is where relative model
// paths start. The error, if any, is an Errors.
func Parse(name string, data []byte) (*Config, error) {
	return ParseAt(name, filepath.Dir(name), data)
}

// ParseAt is Parse for bytes whose relative model paths start at dir.
func ParseAt(name, dir string, data []byte) (*Config, error) {
	d := newDecoder(name, dir)
	root := d.document(data)
	if root == nil {
		return nil, d.errs.orNil()
	}
	c := &Config{file: name, dir: dir}
	decodeMapping(d, &sweepTable, root, c, "")
	c.made = d.made
	d.check(c)
	if len(d.errs) == 0 {
		c.text = d.withoutSecrets(data, root)
	}
	if err := d.errs.orNil(); err != nil {
		return nil, err
	}
	return c, nil
}

// File is the name under which the config was read.
func (c *Config) File() string { return c.file }

// Dir is the folder where the config's relative model paths start.
func (c *Config) Dir() string { return c.dir }

// Text is the bytes that were parsed, but for the secrets of addresses, in whose place
// environment variables stand; the caller must not change them. Filter and Override
// leave them alone: Resolved says what they made of the file.
func (c *Config) Text() []byte { return c.text }

// SHA256 is the digest of Text in lower-case hex.
func (c *Config) SHA256() string {
	sum := sha256.Sum256(c.text)
	return hex.EncodeToString(sum[:])
}

// CellTimeout is cell_timeout_s as a duration.
func (c *Config) CellTimeout() time.Duration {
	return time.Duration(c.CellTimeoutS * float64(time.Second))
}

// Resolved is a config as it will be run, for a run's manifest: all defaults
// filled in, filters and overrides applied, sources taken apart.
type Resolved struct {
	File   string   `json:"config_file"`
	SHA256 string   `json:"config_sha256"`
	Pairs  []string `json:"pairs"` // model/backend, in the order of the plan
	Config
}

// Resolved returns a copy that later changes to c do not reach.
func (c *Config) Resolved() Resolved {
	r := Resolved{File: c.file, SHA256: c.SHA256(), Config: c.clone()}
	for _, p := range c.Pairs() {
		r.Pairs = append(r.Pairs, p.Model.Name+"/"+p.Backend.Name)
	}
	return r
}

// Context is the length of a sequence's KV cache, in tokens, for a worker whose longest
// sequence, depth, prompt and generated tokens, has that many tokens: context_tokens
// where the file sets it, otherwise that, rounded up to a multiple of 256.
func (b Backend) Context(longest int) int {
	if b.ContextTokens > 0 {
		return b.ContextTokens
	}
	return (longest + 255) / 256 * 256
}

// ParseSource takes a source apart as that of a model in a config whose folder is dir.
func ParseSource(source, dir string) (Model, error) {
	m := Model{Source: source}
	if msg := m.resolve(dir); msg != "" {
		return m, errors.New(msg)
	}
	return m, nil
}

// CheckClaim compares params_millions with the parameters counted from the
// model's file. A claim may be off by 1 %, which is what rounding explains.
func (m Model) CheckClaim(params int64) error {
	if m.ParamsMillions == nil {
		return nil
	}
	counted := float64(params) / 1e6
	if diff := *m.ParamsMillions - counted; diff > counted/100 || diff < -counted/100 {
		return fmt.Errorf("config: model %s claims params_millions %s, its file has %.6g; correct the claim or leave it out",
			m.Name, plain(*m.ParamsMillions), counted)
	}
	return nil
}
