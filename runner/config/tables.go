package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"llmscale/internal/cpulist"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// Type is what a key's value must be.
type Type string

// Types of values.
const (
	Text   Type = "text"
	Int    Type = "whole number"
	Number Type = "number"
	Bool   Type = "true or false"
	Choice Type = "choice" // one of Field.Values
	List   Type = "list"
)

// Field declares one key of the file.
type Field struct {
	Key      string
	Type     Type
	Unit     string // "" where a value has none
	Default  string // as it would be written; "" where DefaultDoc or Required speaks
	Required bool

	DefaultDoc string            // a default that depends on other things, in words
	Min, Max   float64           // of Int and Number, both allowed
	Values     []string          // of Choice
	Aliases    map[string]string // other spellings of Values that are read
	Words      map[string]int    // of Int: words that stand for a number
	Why        string            // why the range is as narrow as it is
	Axis       bool              // takes a list or a range too, see combine
	Examples   []string          // of Text with Axis: two values
	Short      string            // of Axis: before its value in the names of what a list makes; "": the value says enough
	Flag       string            // a shorter name of its flag: llama-bench's, where that has the key
	Doc        string            // what it means, one or two sentences
}

// Table declares the keys of one kind of mapping.
type Table struct {
	Name   string // where it stands: "" for the file, backends, ...
	Doc    string
	Fields []Field
}

// table is a Table with what the decoder needs beside it.
type table[T any] struct {
	name, doc string
	example   string            // one short entry, without braces
	retired   map[string]string // keys of TR121 or of llama.cpp that are not read, and what to write
	fields    []field[T]
	group     func(*T) *string // of an entry that lists make several of: the name that it has in the file
}

type field[T any] struct {
	Field
	at      func(*T) any
	example string                   // of a list's entries
	rule    func(text string) string // further check of text: what is wrong, or ""
	refuse  map[string]string        // values of Choice that deserve a sentence
}

const (
	maxTokens = 1 << 24   // of a context: 16 times the longest that any released model states
	maxSeed   = 1<<53 - 1 // what every JSON reader keeps exactly
	maxReps   = 1_000_000
	maxCells  = 1_000_000
)

// Entries as a message shows them.
const (
	scenarioExample = "name: micro, prompt: Hello"
	backendExample  = "name: native_cpu_f32, device: cpu, dtype: f32"
	modelExample    = "name: gpt2-5m, source: synth:gpt2-5m"
)

var sweepTable = table[Config]{
	doc:     "The file as a whole.",
	example: "run_name: sweep",
	retired: map[string]string{
		"gen_tokens_list": "write the list as gen_tokens of a scenario",
		"batch_size":      "it belongs to a backend",
		"device":          "it belongs to a backend",
		"dtype":           "it belongs to a backend",
	},
	fields: []field[Config]{
		{Field: Field{Key: "run_name", Type: Text, DefaultDoc: "the file's name without its ending",
			Doc: "Name of the sweep in its artifacts."},
			at: func(c *Config) any { return &c.RunName }, rule: nameRule},
		{Field: Field{Key: "gen_tokens", Type: Int, Unit: "tokens", Default: "64", Min: 1, Max: maxTokens,
			Doc: "Decode steps of each call. Exactly that many are taken: an end-of-text token does not stop them."},
			at: func(c *Config) any { return &c.GenTokens }},
		{Field: Field{Key: "replicates", Type: Int, Default: "5", Min: 1, Max: maxReps,
			Doc: "Blocks of the sweep. Each measures every model and backend once, in a fresh process and in an order of its own: processes differ more than the calls in one do, and an interval is as wide as they differ. With 1 there are intervals within one process alone."},
			at: func(c *Config) any { return &c.Replicates }},
		{Field: Field{Key: "target_ci", Type: Number, Default: "0", Max: 1,
			Doc: "Adds blocks, from six on, until every cell's 95 % interval reaches no farther from its median than this share of it (0.02: 2 %), or time_budget_min is over; 0 adds none."},
			at: func(c *Config) any { return &c.TargetCI }},
		{Field: Field{Key: "time_budget_min", Type: Number, Unit: "min", Default: "0", Max: 7 * 24 * 60,
			Doc: "With target_ci: no block is begun when the session has measured that long."},
			at: func(c *Config) any { return &c.TimeBudgetMin }},
		{Field: Field{Key: "remeasure_blocks", Type: Int, Unit: "blocks", Default: "3", Min: 0, Max: maxReps,
			Doc: "At most so many blocks are added for models of which a cell has fewer than replicates processes that the machine did not disturb. Such a block visits these models under all of their backends, because backends are compared within blocks. 0 adds none, nor does replicates: 1, nor a run in which only servers compute."},
			at: func(c *Config) any { return &c.RemeasureBlocks }},
		{Field: Field{Key: "repetitions", Flag: "r", Type: Int, Default: "3", Min: 1, Max: maxReps,
			Doc: "Measured calls of each cell (model, backend, scenario) in each process."},
			at: func(c *Config) any { return &c.Repetitions }},
		{Field: Field{Key: "warmup_repetitions", Type: Int, Default: "1", Min: 0, Max: maxReps,
			Doc: "Calls of each cell in each process before the measured ones: the same work, recorded, left out of summaries."},
			at: func(c *Config) any { return &c.WarmupRepetitions }},
		{Field: Field{Key: "seed", Type: Int, Default: "42", Min: 0, Max: maxSeed,
			Doc: "Seeds what is random in a run: the order of the cells and the prompts of random tokens."},
			at: func(c *Config) any { return &c.Seed }},
		{Field: Field{Key: "cell_timeout_s", Type: Number, Unit: "s", Default: "600", Min: 0.1, Max: 7 * 24 * 3600,
			Doc: "A worker that gives no answer for that long is killed, and its cell is recorded as timeout. Time in which llmscale itself was stopped (Ctrl-Z, a suspended machine) does not count."},
			at: func(c *Config) any { return &c.CellTimeoutS }},
		{Field: Field{Key: "telemetry_ms", Type: Int, Unit: "ms", Default: "20", Min: 0, Max: 60_000,
			Doc: "How often a GPU's memory, power, clocks and temperature are read while it computes; 0 reads them not at all."},
			at: func(c *Config) any { return &c.TelemetryMS }},
		{Field: Field{Key: "probe", Type: Bool, Default: "true",
			Doc: "Before the first cell, measures for a few seconds what each device can do at most, with each number of threads that decode uses (`ceilings.json`)."},
			at: func(c *Config) any { return &c.Probe }},
		{Field: Field{Key: "price_per_hour", Type: Number, Default: "0", Max: 1e6,
			Doc: "What an hour of the machine costs, in any currency: `llmscale predict` says what tokens cost then. 0: no costs."},
			at: func(c *Config) any { return &c.PricePerHour }},
		{Field: Field{Key: "node_names", Type: Choice, Default: "hashed", Values: []string{"hashed", NodeNamesPlain},
			Doc: "How records name the machine that measured them: by a hash of its name, or plain, by the name itself."},
			at: func(c *Config) any { return &c.NodeNames }},
		{Field: Field{Key: "max_cells", Type: Int, Unit: "cells", Default: "1000", Min: 1, Max: maxCells,
			Doc: "Most cells (model, backend, scenario) that a plan may have, because lists multiply. A larger one is refused before anything is written, with what multiplies to it."},
			at: func(c *Config) any { return &c.MaxCells }},
		{Field: Field{Key: "scenarios", Type: List, Required: true, Doc: "The prompts."},
			at: func(c *Config) any { return &c.Scenarios }, example: scenarioExample},
		{Field: Field{Key: "backends", Type: List, Required: true, Doc: "The ways to run a model."},
			at: func(c *Config) any { return &c.Backends }, example: backendExample},
		{Field: Field{Key: "models", Type: List, Required: true, Doc: "The models."},
			at: func(c *Config) any { return &c.Models }, example: modelExample},
	},
}

var scenarioTable = table[Scenario]{
	name:    "scenarios",
	doc:     "One prompt. It has exactly one of `prompt` and `prompt_tokens`.",
	example: scenarioExample,
	group:   func(s *Scenario) *string { return &s.Group },
	retired: map[string]string{"text": "the key is prompt", "tokens": "the key is prompt_tokens"},
	fields: []field[Scenario]{
		{Field: Field{Key: "name", Type: Text, Required: true, Doc: "Name in artifacts and in `--scenarios`; the start of several where a key has a list."},
			at: func(s *Scenario) any { return &s.Name }, rule: nameRule},
		{Field: Field{Key: "prompt", Type: Text, DefaultDoc: "none",
			Doc: "Text, tokenised by each model's own vocabulary, special tokens where it spells them. No chat template is put around it."},
			at: func(s *Scenario) any { return &s.Prompt }, rule: notEmpty},
		{Field: Field{Key: "prompt_tokens", Flag: "p", Axis: true, Short: "p", Type: Int, Unit: "tokens", DefaultDoc: "none", Min: 1, Max: maxTokens,
			Doc: "A prompt of exactly that many seeded random token ids, drawn anew for each repetition and block."},
			at: func(s *Scenario) any { return &s.PromptTokens }},
		{Field: Field{Key: "gen_tokens", Flag: "n", Axis: true, Short: "g", Type: Int, Unit: "tokens", DefaultDoc: "the sweep's", Min: 1, Max: maxTokens,
			Doc: "Decode steps of this scenario's calls."},
			at: func(s *Scenario) any { return &s.GenTokens }},
		{Field: Field{Key: "depth", Flag: "d", Axis: true, Short: "d", Type: Int, Unit: "tokens", Default: "0", Min: 0, Max: maxTokens,
			Doc: "Seeded random tokens that are in the KV cache before the prompt, filled in outside the time."},
			at: func(s *Scenario) any { return &s.Depth }},
	},
}

// DTypes are the weight types in which models can be written: those of
// gguf/synth, which a test compares.
var DTypes = []string{"f32", "f16", "bf16", "q8_0", "q4_0", "q4_K", "q6_K", "mxfp4"}

// hfDTypes are those in which a Hugging Face folder can be converted.
var hfDTypes = []string{"f32", "f16", "bf16", "q8_0"}

var backendTable = table[Backend]{
	name:    "backends",
	doc:     "One way to run a model: runtime, device and context options.",
	example: backendExample,
	group:   func(b *Backend) *string { return &b.Group },
	retired: map[string]string{
		"options": "what a server is asked for follows from the backend's other keys; decoding is greedy, with temperature 0 and the run's seed",
		"n_ctx":   "the key is context_tokens", "n_batch": "the key is batch_tokens", "n_ubatch": "the key is ubatch_tokens",
		"type_k": "the key is kv_type, for keys and values alike", "type_v": "the key is kv_type, for keys and values alike",
		"n_threads": "the key is threads", "ngl": "the key is n_gpu_layers", "use_mmap": "the key is mmap",
	},
	fields: []field[Backend]{
		{Field: Field{Key: "name", Type: Text, Required: true, Doc: "Name in artifacts, in `--backends` and in a model's `backends`; the start of several where a key has a list."},
			at: func(b *Backend) any { return &b.Name }, rule: nameRule},
		{Field: Field{Key: "kind", Type: Choice, Default: KindNative, Values: []string{KindNative, KindOllama},
			Doc: "The runtime. `native` is llama.cpp in a worker process of this program; `ollama` asks an Ollama server over HTTP, as a cross-check (docs/ollama.md)."},
			at: func(b *Backend) any { return &b.Kind },
			refuse: map[string]string{
				"hf": "TR121's PyTorch runtime is not part of this program: kind native with device cpu, dtype f32 takes the place of hf_cpu_fp32, and device cuda, dtype f16 that of hf_gpu_fp16",
			}},
		{Field: Field{Key: "device", Type: Choice, Default: DeviceCPU, Values: []string{DeviceCPU, DeviceCUDA},
			Doc: "Where the model computes. On a machine without a GPU the cells of a `cuda` backend are recorded as waived."},
			at:     func(b *Backend) any { return &b.Device },
			refuse: map[string]string{"gpu": "write cuda", "cuda:0": "write cuda; CUDA_VISIBLE_DEVICES chooses the GPU"}},
		{Field: Field{Key: "dtype", Flag: "types", Axis: true, Type: Choice, DefaultDoc: "none: runs files only", Values: DTypes,
			Aliases: map[string]string{"fp32": "f32", "fp16": "f16"},
			Doc:     "Weight type in which `synth:`, `shape:`, `ladder:` and `hf:` models are written (`hf:` not in q4_0, q4_K, q6_K or mxfp4, which is for mixtures of experts alone). Others keep the types they have, whatever stands here."},
			at:     func(b *Backend) any { return &b.DType },
			refuse: map[string]string{"float32": "write f32", "float16": "write f16", "bfloat16": "write bf16", "int8": "write q8_0", "q8": "write q8_0", "q4": "write q4_0 or q4_K", "q4_k_m": "write q4_K: all matrices have one type here", "q4_k_s": "write q4_K: all matrices have one type here"}},
		{Field: Field{Key: "batch_size", Axis: true, Short: "bs", Type: Int, Unit: "sequences", Default: "1", Min: 1, Max: 256,
			Why: "a context of llama.cpp holds 1 to 256",
			Doc: "Sequences decoded together: each step decodes one token of every one of them. Each has a prompt of its own of the same length (of a text, the same prompt) and a cache of its own. Requests that come and go, as a server has them, are not what this measures."},
			at: func(b *Backend) any { return &b.BatchSize }},
		{Field: Field{Key: "threads", Flag: "t", Axis: true, Short: "t", Type: Int, Default: "0", Min: 0, Max: 512,
			Doc: "CPU threads for decode of one sequence; 0 takes one for each physical core."},
			at: func(b *Backend) any { return &b.Threads }},
		{Field: Field{Key: "threads_batch", Axis: true, Short: "tb", Type: Int, Default: "0", Min: 0, Max: 512,
			Doc: "CPU threads where several tokens are computed at once: prefill, and each decode step of a `batch_size` above 1; 0 takes as many as `threads`. Leave it at 0 to compare batches: with another number a batch differs from one sequence in its threads too."},
			at: func(b *Backend) any { return &b.ThreadsBatch }},
		{Field: Field{Key: "n_gpu_layers", Flag: "ngl", Axis: true, Short: "ngl", Type: Int, Unit: "layers", DefaultDoc: "all on cuda, none on cpu", Min: AllLayers, Max: 10_000,
			Words: map[string]int{"all": AllLayers, "none": 0, "fit": FitLayers},
			Doc:   "Layers that the GPU computes, from the last one down; the output head counts as one more. `fit` takes as many as the free device memory has room for, by llama.cpp's own reckoning. -1 is `all`."},
			at: func(b *Backend) any { return &b.NGPULayers }},
		{Field: Field{Key: "cuda_graphs", Axis: true, Short: "graphs", Type: Bool, Default: "true",
			Doc: "Decode steps are launched as one CUDA graph each instead of kernel by kernel, where llama.cpp can."},
			at: func(b *Backend) any { return &b.CUDAGraphs }},
		{Field: Field{Key: "token_events", Type: Bool, Default: "false",
			Doc: "CUDA events around every decode step, not around the phases alone: gives `token_device_ns` and costs the device about 2 µs for each event."},
			at: func(b *Backend) any { return &b.TokenEvents }},
		{Field: Field{Key: "vram_limit_gib", Type: Number, Unit: "GiB", DefaultDoc: "the whole card", Min: 0.25, Max: 4096,
			Doc: "Device memory that the card pretends to have: the rest is reserved before the model is loaded."},
			at: func(b *Backend) any { return &b.VRAMLimitGiB }},
		{Field: Field{Key: "flash_attn", Flag: "fa", Axis: true, Short: "fa", Type: Choice, Default: "auto", Values: []string{"auto", "on", "off"},
			Aliases: map[string]string{"true": "on", "1": "on", "false": "off", "0": "off"},
			Doc:     "Flash attention; `auto` leaves it to llama.cpp."},
			at: func(b *Backend) any { return &b.FlashAttn }},
		{Field: Field{Key: "context_tokens", Type: Int, Unit: "tokens", Default: "0", Min: 0, Max: maxTokens,
			Doc: "Length of the KV cache of each sequence; 0 takes what the longest depth, prompt and gen_tokens need together, rounded up to a multiple of 256."},
			at: func(b *Backend) any { return &b.ContextTokens }},
		{Field: Field{Key: "batch_tokens", Flag: "b", Axis: true, Short: "b", Type: Int, Unit: "tokens", Default: "2048", Min: 1, Max: maxTokens,
			Doc: "Most prompt tokens handed to llama.cpp at once."},
			at: func(b *Backend) any { return &b.BatchTokens }},
		{Field: Field{Key: "ubatch_tokens", Flag: "ub", Axis: true, Short: "ub", Type: Int, Unit: "tokens", DefaultDoc: "512, or batch_tokens where that is less", Min: 1, Max: maxTokens,
			Doc: "Most prompt tokens computed at once; at most batch_tokens."},
			at: func(b *Backend) any { return &b.UBatchTokens }},
		{Field: Field{Key: "kv_type", Axis: true, Short: "kv", Type: Choice, Default: "f16", Values: []string{"f16", "f32", "q8_0"},
			Aliases: map[string]string{"fp16": "f16", "fp32": "f32"},
			Doc:     "Type of the KV cache, keys and values alike. `q8_0` needs flash attention."},
			at: func(b *Backend) any { return &b.KVType }},
		{Field: Field{Key: "mmap", Flag: "mmp", Axis: true, Short: "mmap", Type: Bool, Default: "true",
			Doc: "Weights are mapped from the file instead of copied into memory."},
			at: func(b *Backend) any { return &b.Mmap }},
		{Field: Field{Key: "program", Axis: true, Type: Text, DefaultDoc: "`self`: the one that runs the sweep",
			Examples: []string{"../bin/llmscale", "../bin/llmscale-ollama"},
			Doc:      "Path of the llmscale whose worker processes measure, another build of it for one ([Several builds](measuring.md#several-builds)); variables and a relative path as in [Sources](#sources). What it was built from is on every record. Not of kind ollama."},
			at: func(b *Backend) any { return &b.Program }, rule: notEmpty},
		{Field: Field{Key: "memory_limit_mib", Axis: true, Short: "mem", Type: Int, Unit: "MiB", Default: "0", Min: 0, Max: 1 << 24,
			Doc: "Memory that the worker process may take, weights that are mapped included: what does not fit is read from the disk again and again ([The memory wall](memory-wall.md)). 0: no limit. Device cpu only."},
			at: func(b *Backend) any { return &b.MemoryLimitMiB }},
		{Field: Field{Key: "pace", Axis: true, Type: Choice, Default: record.PaceHot, Values: []string{record.PaceHot, record.PaceCold},
			Doc: "What comes right before each timed call. `hot`: untimed prefill of the same prompt for 20 ms, so that caches are warm and all threads awake, as in back-to-back calls and in llama-bench; its first one is `prefill_cold_ms`. `cold`: an idle pause of `idle_ms`, as before a request to a waiting program."},
			at: func(b *Backend) any { return &b.Pace }},
		{Field: Field{Key: "idle_ms", Type: Int, Unit: "ms", Default: "20", Min: 0, Max: 60_000,
			Doc: "How long a call with `pace: cold` waits before it begins."},
			at: func(b *Backend) any { return &b.IdleMS }},
		{Field: Field{Key: "prio", Axis: true, Type: Int, Default: "0", Min: -1, Max: 3,
			Doc: "Priority of the computing threads, in llama-bench's levels: -1 low, 0 normal, 1 medium, 2 high, 3 realtime (nice 5, 0, -5, -10, -20). Above normal it takes root or CAP_SYS_NICE; where the system refuses it, the backend's cells end as error."},
			at: func(b *Backend) any { return &b.Prio }},
		{Field: Field{Key: "cpu_affinity", Type: Text, Default: AffinityNone,
			Doc: "Processors that the computing threads are bound to, one each. `none`: not bound, unless OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY say so. `cores`: one of each physical core. A list such as `\"0,2-5\"`, in quotes: its i-th processor for thread i, and `threads: 0` takes one thread for each. Without OpenMP `threads_batch` must be as many as `threads`."},
			at: func(b *Backend) any { return &b.CPUAffinity }, rule: affinityRule},
		{Field: Field{Key: "url", Type: Text, DefaultDoc: "`OLLAMA_HOST`, else `http://127.0.0.1:11434`",
			Doc: "Address of the Ollama server. `${NAME}` stands for an environment variable. A login before the host and a query behind a `?` reach the server and no file of the run, see [Secrets](ollama.md#secrets). Kind ollama only."},
			at: func(b *Backend) any { return (*string)(&b.URL) }},
		{Field: Field{Key: "import", Type: Bool, Default: "false",
			Doc: "Models that are not Ollama's own are made on the server from the very file that the native backend loads (upload, create), and deleted after they were measured. Kind ollama only."},
			at: func(b *Backend) any { return &b.Import }},
		{Field: Field{Key: "ban_repeats", Type: Choice, Default: "auto", Values: []string{"auto", "on", "off"},
			Aliases: map[string]string{"true": "on", "false": "off"},
			Doc:     "Keeps answers of more than 30 tokens from repeating tokens, since Ollama breaks off an answer that repeats one token more than 30 times; they are then not plain greedy text. `auto`: for models of random weights, which do repeat. Kind ollama only."},
			at: func(b *Backend) any { return &b.BanRepeats }},
	},
}

var modelTable = table[Model]{
	name:    "models",
	doc:     "One model.",
	example: modelExample,
	retired: map[string]string{
		"kind": "TR121's kind is told by source here: synth:PRESET, ollama:NAME, a GGUF file, ...",
		"path": "the key is source", "file": "the key is source", "preset": "write source: synth:PRESET",
		"dtype": "it belongs to a backend",
	},
	fields: []field[Model]{
		{Field: Field{Key: "name", Type: Text, Required: true, Doc: "Name in artifacts and in `--models`."},
			at: func(m *Model) any { return &m.Name }, rule: nameRule},
		{Field: Field{Key: "source", Type: Text, Required: true,
			Doc: "Where the model comes from: `synth:PRESET`, `shape:NAME`, `ladder:FAMILY`, `like:FILE`, `hf:FOLDER`, `ollama:NAME` or a GGUF file, see [Sources](#sources)."},
			at: func(m *Model) any { return &m.Source }, rule: notEmpty},
		{Field: Field{Key: "vocab", Type: Int, Unit: "tokens", DefaultDoc: "the shape's own", Min: 257, Max: 1 << 20,
			Doc: "Vocabulary of a `ladder:` or `shape:` model."},
			at: func(m *Model) any { return &m.Vocab }},
		{Field: Field{Key: "params_millions", Type: Number, Unit: "millions", DefaultDoc: "no claim", Min: 0.001, Max: 1e8,
			Doc: "Parameters that you expect. What is recorded and plotted is counted from the file; a claim that is off by more than 1 % is refused."},
			at: func(m *Model) any { return &m.ParamsMillions }},
		{Field: Field{Key: "backends", Type: List, DefaultDoc: "all that fit",
			Doc: "Names of the backends that this model runs under, see [Pairing](#which-model-runs-under-which-backend)."},
			at: func(m *Model) any { return &m.Backends }, example: "native_cpu_f32"},
	},
}

// Tables returns the declarations of all keys, in the order of the file.
func Tables() []Table {
	return []Table{sweepTable.public(), scenarioTable.public(), backendTable.public(), modelTable.public()}
}

// Help is what a command-line flag shows for a key of the file itself (gen_tokens,
// seed, ...): its meaning with its unit, and its default. It panics on a key that
// does not exist, which is a mistake in the program.
func Help(key string) (usage, byDefault string) {
	f := sweepTable.find(key)
	if f == nil {
		panic("config: no key " + key)
	}
	usage = strings.TrimSuffix(f.Doc, ".")
	if f.Unit != "" {
		usage += " (" + f.Unit + ")"
	}
	return usage, "the config's, or " + f.Default + " where it has none"
}

func (t *table[T]) public() Table {
	out := Table{Name: t.name, Doc: t.doc}
	for _, f := range t.fields {
		out.Fields = append(out.Fields, f.Field)
	}
	return out
}

func (t *table[T]) find(key string) *field[T] {
	for i := range t.fields {
		if t.fields[i].Key == key {
			return &t.fields[i]
		}
	}
	return nil
}

func (t *table[T]) keys() (out []string) {
	for _, f := range t.fields {
		out = append(out, f.Key)
	}
	return out
}

func (t *table[T]) required() (out []string) {
	for _, f := range t.fields {
		if f.Required {
			out = append(out, f.Key)
		}
	}
	return out
}

// exampleOf shows how a required key is written.
func (t *table[T]) exampleOf(key string) string {
	if f := t.find(key); f.Type == List {
		return fmt.Sprintf("%s: [{%s}]", key, f.example)
	}
	return "{" + t.example + "}"
}

// unknown says what is wrong with a key that the table does not have.
func (t *table[T]) unknown(key *yaml.Node) string {
	if key.Tag == "!!merge" {
		return "YAML merge keys (<<) are not read here; write the keys out"
	}
	msg := "unknown key " + quote(key.Value)
	if why, ok := t.retired[key.Value]; ok {
		return msg + "; " + why
	}
	if hint := didYouMean(key.Value, t.keys()); hint != "" {
		return msg + hint
	}
	return msg + "; the keys here are " + text.List(t.keys(), "and")
}

// wants names the type for "must be ...".
func (f *Field) wants() string {
	switch f.Type {
	case Int:
		return text.List(append([]string{"a whole number"}, f.words()...), "or")
	case Number:
		return "a number"
	case Choice:
		return text.List(f.Values, "or")
	}
	return string(f.Type)
}

// words are the words that stand for a number, in alphabetical order.
func (f *Field) words() []string { return slices.Sorted(maps.Keys(f.Words)) }

// defaultNode is the default as if it stood in the file.
func defaultNode(f *Field) *yaml.Node {
	tag := map[Type]string{Int: "!!int", Number: "!!float", Bool: "!!bool"}[f.Type]
	if tag == "" {
		tag = "!!str"
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: f.Default}
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:+-]*$`)

const maxName = 64

// nameRule keeps names usable where they end up: in model/backend/scenario, in
// comma-separated flags and in file names. TR121's names (gemma3:270m) pass.
func nameRule(s string) string {
	switch {
	case s == "":
		return "must not be empty"
	case len(s) > maxName:
		return fmt.Sprintf("must have at most %d characters, not %d", maxName, len(s))
	case !namePattern.MatchString(s):
		return fmt.Sprintf("must be letters, digits and . _ : + - with a letter or digit first, not %s", quote(s))
	}
	return ""
}

// affinityRule says what is wrong with a backend's cpu_affinity.
func affinityRule(s string) string {
	if s == AffinityNone || s == AffinityCores {
		return ""
	}
	if _, err := cpulist.Parse(s); err != nil {
		return fmt.Sprintf("must be none, cores or a list of processors such as \"0,2-5\", not %s: %v%s", quote(s), err, didYouMean(s, []string{AffinityNone, AffinityCores}))
	}
	return ""
}

func notEmpty(s string) string {
	if s == "" {
		return "must not be empty"
	}
	return ""
}
