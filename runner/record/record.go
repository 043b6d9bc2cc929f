// Package record declares what one measurement is: the row that runs.jsonl,
// metrics.csv, docs/schema.md and the analysis share. The struct Record is the
// one table: each field's tags give its name (json), its unit and its meaning
// (doc), and everything that prints, parses or documents a record derives from
// them. Adding a field to the project's artifacts means adding it here.
//
// One call (one prompt through one context) gives three records, one per mode,
// as in TR121; each line stands alone and repeats what is needed to read it.
package record

// SchemaVersion counts incompatible changes of Record and of the manifest.
const SchemaVersion = 1

// Modes of a call, in the order in which their records are written.
const (
	ModePrefill = "prefill"   // the prompt, up to the logits of its last token
	ModeDecode  = "kv_decode" // exactly gen_tokens single-token steps on the KV cache
	ModeE2E     = "e2e_kv"    // from prefill's start to the last step's end, timed on its own
)

// Modes lists the modes in writing order.
var Modes = []string{ModePrefill, ModeDecode, ModeE2E}

// Statuses of a call. Only StatusOK rows carry measurements; the others say in
// Error (and Signal, ExitCode, Stderr) why there is none.
const (
	StatusOK      = "ok"
	StatusOOM     = "oom"     // did not fit in memory: a result (the memory wall), not a failure of the sweep
	StatusCrashed = "crashed" // the worker process died
	StatusTimeout = "timeout" // the worker was killed after the configured time
	StatusWaived  = "waived"  // this machine cannot run it (no such device, no server)
	StatusError   = "error"   // the worker said why it could not
)

// What ended a run that adds blocks, in the manifest.
const (
	StoppedByTarget = "target_ci"       // every interval is narrow enough
	StoppedByBudget = "time_budget_min" // the time was over
)

// Paces: what comes right before a call.
const (
	PaceHot  = "hot"  // untimed work of the same kind
	PaceCold = "cold" // a pause
)

const (
	RepeatsBanned = "repeats were banned" // begins a note: the answer is not plain greedy text
	ByServer      = "server"              // a setting that an Ollama server makes and does not tell
)

// Record is one line of runs.jsonl: one mode of one call. A pointer that is nil
// is written as null, and Nulls may say why; zero never stands for "unknown".
type Record struct {
	Origin
	Order
	Subject
	Outcome
	Measurement
	DeviceWindow
	OllamaCall
	ModelFacts
	RuntimeFacts
	OllamaServer
	Times

	Nulls map[string]string `json:"null_reasons" doc:"for fields that are null though one would expect a value: why"`
}

// Origin says which cell of which run a record is of.
type Origin struct {
	SchemaVersion int    `json:"schema_version" doc:"version of this table"`
	RunID         string `json:"run_id" doc:"the run's folder name, YYYYmmdd_HHMMSS; of shards and of what is merged of them, plan- and the beginning of the plan's hash"`

	TaskIdx int    `json:"task_idx" doc:"index of the cell (model x backend x scenario) in the plan, before shuffling"`
	CellID  string `json:"cell_id" doc:"the cell's name: model/backend/scenario"`
}

// Order is where in the run the call was made.
type Order struct {
	OrderIdx  int `json:"order_idx" doc:"position of the call in the order of execution, counted over the whole run; of a merged run, one shard after another"`
	Session   int `json:"session_idx" doc:"0 for the run's first session, k for its k-th --resume; of a merged run counted on from shard to shard; calls of a cell that share it and replicate were made by one process"`
	Replicate int `json:"replicate" doc:"the block of the sweep: each block measures every model and backend once, in a fresh worker process; 0 in records of before there were blocks"`
}

// Subject is what was measured: all records of a cell have it in common.
type Subject struct {
	Scenario    string  `json:"scenario" doc:"name of the scenario"`
	Backend     string  `json:"backend" doc:"name of the backend in the config"`
	BackendKind string  `json:"backend_kind" doc:"runtime: native or ollama"`
	Model       string  `json:"model" doc:"name of the model in the config"`
	ModelKind   string  `json:"model_kind" doc:"how the model came in: synth or gguf"`
	ModelSource string  `json:"model_source" doc:"source as written in the config"`
	ModelFile   string  `json:"model_file" doc:"file name of the GGUF that was loaded, of a model in several parts of the first, with as many of its folders as tell it from others of the run"`
	ModelSHA256 *string `json:"model_sha256" doc:"SHA-256 of that file, lower-case hex; of a model in several parts, of their contents one after another (what cat gives of them); null where the model was not tried"`

	ParamsMillions       float64  `json:"params_millions" unit:"1e6" doc:"total parameters, counted from the file's tensors"`
	ParamsMillionsConfig *float64 `json:"params_millions_config" unit:"1e6" doc:"params_millions as the config claims it"`

	Prompt          *string `json:"prompt" doc:"the prompt's text; null where the prompt is seeded random token ids"`
	PromptChars     *int    `json:"prompt_chars" unit:"bytes" doc:"length of the prompt's text"`
	Depth           int     `json:"depth" unit:"tokens" doc:"seeded random tokens of each sequence in the KV cache before the prompt, put there outside every phase; 0: the call began with an empty one"`
	GenTokensTarget int     `json:"gen_tokens_target" unit:"tokens" doc:"decode steps asked for"`
	BatchSizeConfig int     `json:"batch_size_config" unit:"sequences" doc:"sequences decoded together, as configured"`
}

// Outcome says which call and mode of the cell a record is of, and what became of it.
type Outcome struct {
	CallIdx   int  `json:"call_idx" doc:"index of the call in its cell, warm-ups first"`
	SampleIdx int  `json:"sample_idx" doc:"same as call_idx: one call gives one sample"`
	IsWarmup  bool `json:"is_warmup" doc:"true for a warm-up: same work as a repetition, left out of summaries"`
	WarmupIdx *int `json:"warmup_idx" doc:"index among the cell's warm-ups of this session; null for repetitions"`
	Rep       *int `json:"rep" doc:"index among the cell's repetitions; null for warm-ups"`

	Mode      string   `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	Status    string   `json:"status" doc:"ok, oom, crashed, timeout, waived or error"`
	Error     *string  `json:"error" doc:"why there is no measurement; null when ok"`
	Signal    *string  `json:"signal" doc:"signal that ended the worker"`
	ExitCode  *int     `json:"exit_code" doc:"exit code of the worker, where it ended by itself"`
	Stderr    []string `json:"stderr_tail" doc:"where it failed: the warnings and errors that llama.cpp logged since the load or the call began, and the last lines of the worker's stderr"`
	Attempted bool     `json:"attempted" doc:"false where no worker was started for the call: the memory check, a missing device or the model's own file ruled it out"`
	StartedAt float64  `json:"started_at_unix" unit:"s" doc:"wall-clock time at which the call started, Unix epoch"`

	Verdict        *string  `json:"verdict" doc:"INVALID where something spoilt this mode of the call; null: nothing of the kind was found"`
	VerdictReasons []string `json:"verdict_reasons" doc:"what spoilt it"`
}

// Times are the figures of the record's own mode.
type Times struct {
	LatencyMS      *float64 `json:"latency_ms" unit:"ms" doc:"host time of this mode: prefill_ms, kv_decode_ms or e2e_kv_ms; through Ollama, kv_decode_ms_equiv and e2e_kv_ms_equiv"`
	CUDAEventMS    *float64 `json:"cuda_event_ms" unit:"ms" doc:"device time of this mode by CUDA events; null on the CPU"`
	HostGapMS      *float64 `json:"host_gap_ms" unit:"ms" doc:"latency_ms less cuda_event_ms: what the host adds around the device's work; null on the CPU"`
	TokensTotal    *int     `json:"tokens_total" unit:"tokens" doc:"prefill: prompt tokens; kv_decode: gen tokens; e2e_kv: their sum; over the batch"`
	TokensPerS     *float64 `json:"tokens_per_s" unit:"tokens/s" doc:"tokens_total / latency"`
	TokensPerSEach *float64 `json:"tokens_per_s_each" unit:"tokens/s" doc:"tokens_per_s of each sequence: by batch_size"`
	GenTokens      *int     `json:"gen_tokens" unit:"tokens" doc:"tokens decoded in this call, per sequence"`
}

// Sequences is how many were decoded together; where nothing told, how many were asked for.
func (r *Record) Sequences() int { return r.Subject.Sequences(&r.Phases) }

// Sequences is how many were decoded together in a call; where nothing told, how many were asked for.
func (s *Subject) Sequences(call *Phases) int {
	if call.BatchSize != nil && *call.BatchSize > 0 {
		return *call.BatchSize
	}
	return max(s.BatchSizeConfig, 1)
}

// Threads is how many computed decode; where nothing told, how many were asked for.
func (r *RuntimeFacts) Threads() int { return countedOr(r.NThreads, r.NThreadsAsked) }

// ThreadsBatch is the same of prefill.
func (r *RuntimeFacts) ThreadsBatch() int { return countedOr(r.NThreadsBatch, r.NThreadsBatchAsked) }

func countedOr(counted *int, asked int) int {
	if counted != nil {
		return *counted
	}
	return asked
}

// Measurement holds what one call measured. All three records of a call carry
// all of it, so that a line can be read alone. Host times are CLOCK_MONOTONIC,
// taken in C around the llama.cpp calls.
type Measurement struct {
	Phases
	Answer
	Costs
}

// Phases are the times of a call, and of what.
type Phases struct {
	BatchSize       *int `json:"batch_size" unit:"sequences" doc:"sequences decoded together"`
	SeqLen          *int `json:"seq_len" unit:"tokens" doc:"prompt length that was evaluated, per sequence"`
	PromptTokensRaw *int `json:"prompt_tokens_raw" unit:"tokens" doc:"prompt tokens evaluated, over the batch"`
	GenTokensRaw    *int `json:"gen_tokens_raw" unit:"tokens" doc:"decode steps taken"`

	PrefillMS      *float64 `json:"prefill_ms" unit:"ms" doc:"before llama_decode of the prompt to after llama_synchronize"`
	PrefillCUDAMS  *float64 `json:"prefill_cuda_event_ms" unit:"ms" doc:"the same by CUDA events"`
	KVDecodeMS     *float64 `json:"kv_decode_ms" unit:"ms" doc:"before the first step to after the last; each step decodes one token of every sequence, synchronizes and takes the argmax of each"`
	KVDecodeCUDAMS *float64 `json:"kv_decode_cuda_event_ms" unit:"ms" doc:"the same by CUDA events"`
	E2EKVCUDAMS    *float64 `json:"e2e_kv_cuda_event_ms" unit:"ms" doc:"e2e_kv by CUDA events"`
	E2EKVMS        *float64 `json:"e2e_kv_ms" unit:"ms" doc:"prefill's start to the last step's end, by clock readings of its own"`
	E2EGapPercent  *float64 `json:"e2e_gap_pct" unit:"%" doc:"100 * |e2e_kv - (prefill + kv_decode)| / e2e_kv"`
	DecodeNoSampMS *float64 `json:"decode_no_sampling_ms" unit:"ms" doc:"sum of token_ns: decode without the argmax, as llama-bench counts it"`
	TTFTMS         *float64 `json:"ttft_ms" unit:"ms" doc:"time to first token: prefill and the first argmax"`

	TokenNS         []int64 `json:"token_ns" unit:"ns" doc:"per decode step: llama_decode + llama_synchronize; length gen_tokens_raw"`
	TokenSamplingNS []int64 `json:"token_sampling_ns" unit:"ns" doc:"per decode step: argmax over the vocabulary, of every sequence; length gen_tokens_raw"`
	TokenDeviceNS   []int64 `json:"token_device_ns" unit:"ns" doc:"per decode step by CUDA events; null on the CPU"`
	FirstSamplingNS *int64  `json:"first_sampling_ns" unit:"ns" doc:"argmax over prefill's logits, of every sequence"`
}

// Answer is what was asked and answered: equal in each greedy call of one prompt.
type Answer struct {
	PromptTokenIDs   []int32  `json:"prompt_token_ids" doc:"ids of the prompt's tokens; of a batch as many whole sequences from the first on as 1024 ids hold, one behind the other; null when one has more"`
	OutputTokenIDs   []int32  `json:"output_token_ids" doc:"ids of the greedy tokens in order, the first one from prefill's logits; of a batch likewise as many sequences as fit"`
	PromptTokensHash *string  `json:"prompt_tokens_sha256" doc:"SHA-256 of the prompt's ids as little-endian int32, over the batch"`
	OutputTokensHash *string  `json:"output_tokens_sha256" doc:"SHA-256 of the output ids as little-endian int32, over the batch"`
	OutputPieces     []string `json:"output_pieces" doc:"the greedy tokens one by one as text, for prompts that are text; through Ollama, the pieces in which the text arrived"`
	OutputText       *string  `json:"output_text" doc:"the first sequence's greedy tokens as text, for prompts that are text; it shows whether the model makes sense"`
	PromptSeed       *int64   `json:"prompt_seed" doc:"seed from which the first sequence's prompt of N random ids was drawn; the others' follow from it; null for text"`
	LogitsFinite     *bool    `json:"logits_finite" doc:"whether the last step's logits were all finite, of every sequence"`
}

// Costs are what lies outside the phases, and what the call took of the machine.
type Costs struct {
	PrefillColdMS *float64 `json:"prefill_cold_ms" unit:"ms" doc:"of pace hot, the first untimed prefill of the prompt, which comes after whatever the program did since the last call; null where it was broken off or came right after the cache was filled to depth"`
	TokenizeMS    *float64 `json:"tokenize_ms" unit:"ms" doc:"tokenising the prompt; outside every phase; null for random ids"`
	KVClearMS     *float64 `json:"kv_clear_ms" unit:"ms" doc:"clearing the KV cache before the call, or filling it to depth where it is not filled yet; outside every phase"`
	ModelLoadMS   *float64 `json:"model_load_ms" unit:"ms" doc:"loading the model, from a page cache into which writing, hashing or reading its file has just brought it; on the worker's first call only"`
	ContextInitMS *float64 `json:"context_init_ms" unit:"ms" doc:"creating the context; on the first call in it only"`
	GraphCaptures *int64   `json:"cuda_graph_captures" doc:"CUDA graphs captured inside the timed phases of this call: 0, or the call paid for something that others are spared; null on the CPU"`
	PrimingMS     *float64 `json:"graph_priming_ms" unit:"ms" doc:"host time of the untimed steps between prefill and decode in which llama.cpp captures the CUDA graph of a decode step anew (two; in older records one); in no phase and not in e2e_kv; null on the CPU"`

	GPUPeakMB       *float64 `json:"gpu_peak_mb" unit:"MiB" doc:"peak device memory in use during the call, by all programs; null on the CPU"`
	VRAMBeforeMiB   *float64 `json:"vram_before_mib" unit:"MiB" doc:"device memory in use before the model was loaded, by all programs and a vram_limit_gib's reserve"`
	VRAMLoadedMiB   *float64 `json:"vram_after_load_mib" unit:"MiB" doc:"the same after the weights were loaded"`
	VRAMContextMiB  *float64 `json:"vram_after_context_mib" unit:"MiB" doc:"the same after the context was created"`
	VRAMWeightsMiB  *float64 `json:"vram_weights_mib" unit:"MiB" doc:"weights on the device, by llama.cpp's own account"`
	VRAMKVMiB       *float64 `json:"vram_kv_mib" unit:"MiB" doc:"KV cache and other state on the device, by llama.cpp's own account"`
	VRAMComputeMiB  *float64 `json:"vram_compute_mib" unit:"MiB" doc:"buffers for intermediate results on the device, by llama.cpp's own account"`
	SplitsPrefill   *int     `json:"graph_splits_prefill" doc:"pieces that the prefill graph was cut into for its devices; 1: one device computes it whole"`
	SplitsDecode    *int     `json:"graph_splits_decode" doc:"the same of a decode step's graph"`
	CPUOpsPrefill   *int     `json:"cpu_ops_prefill" doc:"operations of the prefill graph that the CPU computes though a GPU is in use"`
	CPUOpsDecode    *int     `json:"cpu_ops_decode" doc:"the same of a decode step's graph"`
	CPUBytesPrefill *int64   `json:"cpu_op_bytes_prefill" unit:"B" doc:"weights and results that those operations of prefill read and write"`
	CPUBytesDecode  *int64   `json:"cpu_op_bytes_decode" unit:"B" doc:"the same of a decode step"`
	FlashAttnUsed   *bool    `json:"flash_attn_used" doc:"whether a decode step's graph holds flash attention, which auto leaves to llama.cpp; null on the CPU, where it is not looked up"`
	CPUOpNames      []string `json:"cpu_ops" doc:"names of those operations in either graph, with counts, most frequent first"`

	RSSPeakMiB      *float64 `json:"rss_peak_mib" unit:"MiB" doc:"peak resident set of the worker since its start (VmHWM)"`
	MajorFaults     *int64   `json:"major_page_faults" doc:"page faults that read from disk, during the call"`
	MinorFaults     *int64   `json:"minor_page_faults" doc:"page faults served from memory, during the call"`
	DiskReadBytes   *int64   `json:"disk_read_bytes" unit:"B" doc:"read from the disk for the worker during the call, with what the system reads ahead"`
	GroupPeakMiB    *float64 `json:"memory_peak_mib" unit:"MiB" doc:"of a memory_limit_mib: most that the worker and the file pages that it brought into memory took, since its start"`
	GroupAnonMiB    *float64 `json:"memory_unmapped_mib" unit:"MiB" doc:"the same after the call, without pages of files: what cannot be dropped and read again"`
	InvoluntaryCtx  *int64   `json:"involuntary_ctx_switches" doc:"times the worker lost a core to another process during the call: noise if large"`
	CPUTimeMS       *float64 `json:"cpu_time_ms" unit:"ms" doc:"user and system time of the worker during the call, over all threads"`
	LoadAverage1Min *float64 `json:"load_average_1m" doc:"system load average before the call"`

	CanaryReadMS    *float64 `json:"canary_read_ms" unit:"ms" doc:"right before the call, on the threads that compute it (where a GPU computes all layers, on the one that launches), a fixed piece of work: reading memory beyond the caches; null where a server runs the model, and in records of before there was one"`
	CanaryComputeMS *float64 `json:"canary_compute_ms" unit:"ms" doc:"the same: a fixed chain of multiply-adds"`
	CanarySyncNS    *float64 `json:"canary_sync_ns" unit:"ns" doc:"the same: one meeting of these threads, each spinning until all have come; the median over batches of meetings; null of one thread, and in records of before it was taken"`
	CPUWatchMS      *float64 `json:"cpu_watch_ms" unit:"ms" doc:"time from before the cache was cleared or filled to the call's end, of which the next four are: with the canary and what pace asks for"`
	StolenMS        *float64 `json:"cpu_stolen_ms" unit:"ms" doc:"meanwhile: CPU time of the processors that the worker may run on that the hypervisor gave to others; counted in ticks of 10 ms, so that of one call it is coarse and may be negative"`
	OthersMS        *float64 `json:"cpu_others_ms" unit:"ms" doc:"meanwhile: CPU time of these processors that other programs used, in ticks of 10 ms, so that of one call it is coarse and may be negative"`
	ThrottledMS     *float64 `json:"cpu_throttled_ms" unit:"ms" doc:"meanwhile: time for which the control group's quota stopped its processes"`
	CPUWaitMS       *float64 `json:"cpu_wait_ms" unit:"ms" doc:"meanwhile: time that the worker's computing threads were ready to run and waited for a processor, summed over threads; exact where the kernel keeps it"`
	RunQueue        *int     `json:"run_queue" doc:"threads of the whole system that were running or waiting for a processor before the canary, the one that looked left out"`
	CPUMHz          *float64 `json:"cpu_mhz" unit:"MHz" doc:"clock of the processors that the worker may run on after the call, median; null where the system does not tell"`
}

// DeviceWindow is what the GPU's sensors said during this mode's phase. All of it but the energy
// is null on the CPU, and where the sensors are not read (telemetry_ms: 0).
type DeviceWindow struct {
	TelemetrySamples   *int     `json:"telemetry_samples" doc:"readings of the GPU's sensors inside this mode's phase"`
	TelemetryReadUS    *float64 `json:"telemetry_read_us" unit:"us" doc:"median time that one reading of the sensors takes, on a thread of its own: what watching costs"`
	VRAMPeakMiB        *float64 `json:"vram_peak_mib" unit:"MiB" doc:"peak device memory in use during this mode's phase, by all programs"`
	PowerMeanW         *float64 `json:"power_mean_w" unit:"W" doc:"mean power of the card"`
	EnergyJ            *float64 `json:"energy_j" unit:"J" doc:"energy by the card's counter, on the CPU by those of all processor packages, idling and other programs included; null where the phase is shorter than a few ticks, or no counter is shown"`
	EnergyUncertaintyJ *float64 `json:"energy_uncertainty_j" unit:"J" doc:"energy of one tick of the counter"`
	SMClockMedianMHz   *float64 `json:"sm_clock_median_mhz" unit:"MHz" doc:"clock of the multiprocessors, median"`
	SMClockMinMHz      *float64 `json:"sm_clock_min_mhz" unit:"MHz" doc:"the same, least"`
	MemClockMedianMHz  *float64 `json:"mem_clock_median_mhz" unit:"MHz" doc:"clock of the device memory, median"`
	TemperatureMaxC    *float64 `json:"temperature_max_c" unit:"C" doc:"temperature of the GPU, highest"`
	ThrottleReasons    []string `json:"throttle_reasons" doc:"why the clocks were held down at any time, in NVML's words; [] where they were not"`
}

// ModelFacts describes the loaded model, counted from the file's tensor table.
type ModelFacts struct {
	WeightType         string `json:"weight_type" doc:"ggml type that holds most of the weight bytes"`
	Architecture       string `json:"architecture" doc:"general.architecture of the file"`
	NLayer             int    `json:"n_layer" doc:"transformer blocks"`
	NEmbd              int    `json:"n_embd" doc:"width of the residual stream"`
	NHead              int    `json:"n_head" doc:"attention heads"`
	NHeadKV            int    `json:"n_head_kv" doc:"key/value heads"`
	HeadDim            int    `json:"head_dim" doc:"size of one head's keys"`
	NFF                int    `json:"n_ff" doc:"width of the feed-forward layer"`
	NVocab             int    `json:"n_vocab" unit:"tokens" doc:"vocabulary size"`
	NCtxTrain          int    `json:"n_ctx_train" unit:"tokens" doc:"context length that the file states"`
	ParamsTotal        int64  `json:"params_total" doc:"elements of all weight tensors; a tied output head counts once"`
	ParamsNonEmbedding int64  `json:"params_non_embedding" doc:"params_total less token and position embeddings and an untied output head"`
	ParamsActive       int64  `json:"params_active" doc:"parameters that take part in one decoded token: all experts counted as used/total, nothing of what no decode step reads"`
	WeightBytes        int64  `json:"weight_bytes" unit:"B" doc:"bytes of all weight tensors in the file"`
	BytesPerToken      int64  `json:"bytes_read_per_token" unit:"B" doc:"weight bytes read per decoded token at batch 1: one row of each embedding, the output head whole, experts as used/total, nothing of what no decode step reads"`
	KVBytesPerToken    int64  `json:"kv_bytes_per_token" unit:"B" doc:"bytes that one position adds to the KV cache, at the cache types of this run; at f16 where a server decides"`
}

// RuntimeFacts are the settings under which the call ran.
type RuntimeFacts struct {
	Device             string   `json:"device" doc:"cpu or cuda"`
	NThreads           *int     `json:"n_threads" doc:"threads that compute decode, counted in the runtime once the model is loaded: of a batch those of n_threads_batch, which compute wherever more than one token is computed at once (older records of batches have those of one sequence here); null where no runtime told, as a server does not"`
	NThreadsBatch      *int     `json:"n_threads_batch" doc:"threads that compute prefill, likewise: of a prompt of one token those of n_threads"`
	NThreadsAsked      int      `json:"n_threads_asked" doc:"threads asked for in steps of one token: decode of one sequence"`
	NThreadsBatchAsked int      `json:"n_threads_batch_asked" doc:"threads asked for where several tokens are computed at once: prefill, and decode of a batch"`
	CPUs               *float64 `json:"cpus_for_threads" unit:"CPUs" doc:"processors that the threads of decode can use at the same time: those that they may run on, no more than the control groups grant time for; null where n_threads is"`
	NGPULayers         int      `json:"n_gpu_layers" doc:"layers offloaded to the GPU, the output head counted as one more; -1 or -2 where all or as many as fit were asked for and the model was not loaded"`
	FlashAttention     string   `json:"flash_attn" doc:"flash attention as configured: auto, on or off; server where an Ollama server decides and does not tell"`
	NCtx               int      `json:"n_ctx" unit:"tokens" doc:"context length of the KV cache, over all sequences"`
	NBatch             int      `json:"n_batch" unit:"tokens" doc:"largest batch handed to llama_decode"`
	NUBatch            int      `json:"n_ubatch" unit:"tokens" doc:"largest batch computed at once"`
	KVTypeK            string   `json:"kv_type_k" doc:"ggml type of the key cache; server where an Ollama server decides and does not tell"`
	KVTypeV            string   `json:"kv_type_v" doc:"ggml type of the value cache; likewise"`
	CPUAffinity        *string  `json:"cpu_affinity" doc:"processors that the computing threads may run on, as the system tells once the model is loaded: of each thread, in order (0 2-3), or one list where it is the same for all (0-3); null where n_threads is, and in records of before it was looked up"`
	Nice               *int     `json:"nice" doc:"priority of the computing threads, as the system tells once the model is loaded: -20 first to 19 last; null where n_threads is, and in records of before it was looked up"`
	Pace               *string  `json:"pace" doc:"what came right before the call: hot (untimed prefill of the same prompt for 20 ms) or cold (a pause of idle_ms); null where a server runs the model, and in records of before there were both: then a pause of whatever the program did between calls"`
	IdleMS             *int     `json:"idle_ms" unit:"ms" doc:"pause before the call, of pace cold"`
	UseMmap            bool     `json:"use_mmap" doc:"weights mapped from the file instead of copied"`
	MemoryLimitMiB     *int     `json:"memory_limit_mib" unit:"MiB" doc:"memory that the worker was held to; null: no limit"`
	MemoryNeedMiB      *float64 `json:"memory_need_mib" unit:"MiB" doc:"memory that the load was reckoned to need beforehand (docs/ledger.md); null where it lies on a GPU or a server"`
	MemoryMappedMiB    *float64 `json:"memory_need_mapped_mib" unit:"MiB" doc:"of these, pages of the mapped file: with too little memory they are dropped and read again"`
	DiskMBPerS         *float64 `json:"disk_read_mb_per_s" unit:"MB/s" doc:"of a memory_limit_mib: how fast one reader got the first 64 MiB of the model's file from the disk, right before the load"`
	ContextBytes       *int64   `json:"kv_cache_bytes" unit:"B" doc:"KV cache of the context: n_ctx * kv_bytes_per_token"`
	LlamaCommit        string   `json:"llama_commit" doc:"llama.cpp commit of the build; empty where a server runs the model, as the next four"`
	LlamaSource        string   `json:"llama_source" doc:"where that llama.cpp came from: package, ollama (the Go module) or checkout"`
	BuildCompiler      string   `json:"build_compiler" doc:"compiler of the worker's native half"`
	BuildFlags         string   `json:"build_flags" doc:"its flags and the options of the build that are not the defaults"`
	CPUFeatures        string   `json:"cpu_features" doc:"CPU features that the build uses on this machine, in llama.cpp's words"`
	Program            string   `json:"program" doc:"the worker's program as the config names it; empty: the one that ran the sweep"`

	SelfCheckRelL2       *float64 `json:"self_check_rel_l2" doc:"after the load and outside every phase, a prompt was evaluated as a batch and token by token: Euclidean distance between the two logits of its last token, by the larger of their norms; 0: equal; beyond the bound of docs/measuring.md the call is INVALID"`
	SelfCheckTokens      *int     `json:"self_check_tokens" unit:"tokens" doc:"length of that prompt: 40, less where the context or the time did not suffice"`
	BatchCheckRelL2      *float64 `json:"batch_check_rel_l2" doc:"after the load and outside every phase, sequences were decoded as a batch and alone, fed the same 16 random tokens: the distance between the two logits as in self_check_rel_l2, the largest of the sequences; null at batch size 1"`
	BatchCheckSequences  *int     `json:"batch_check_sequences" unit:"sequences" doc:"of the batch, those that were decoded alone too: 8, fewer where the batch or the time did not suffice"`
	BatchFirstDifference *int     `json:"batch_first_difference" doc:"of that check the first of 8 steps, from 0, at which one would have chosen another token; null: none did, or there was no check"`

	CUDAGraphs   *bool    `json:"cuda_graphs" doc:"CUDA graphs as configured; null on the CPU"`
	VRAMLimitGiB *float64 `json:"vram_limit_gib" unit:"GiB" doc:"device memory that the card pretended to have; null: all of it"`
	GPUName      *string  `json:"gpu_name" doc:"the GPU's name as its driver tells it; null on the CPU"`
	GPUUUID      *string  `json:"gpu_uuid" doc:"the GPU's UUID; null on the CPU"`

	MachineID *string `json:"machine_id" doc:"the machine that measured: its type (a hash of processor, cores, memory, GPUs and their driver), a dash, and its node, hashed unless node_names is plain; manifest.json has its facts under machines; null in records of before it was told"`
}
