package plan

import (
	"fmt"
	"slices"

	"llmscale/gguf/ledger"
	"llmscale/internal/paths"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/files"
	"llmscale/runner/modelfile"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
)

// Job is one model under one backend, with all scenarios.
type Job struct {
	Model   modelfile.Model
	Backend config.Backend
	Load    protocol.LoadSpec
	Program *worker.Program // whose process the worker is; nil: this one's
	Memory  ledger.Memory
	Fits    bool            // into the memory that was free when the plan was made
	Waived  string          // why this machine cannot run it at all; "": it can
	Refused *record.Failure // why no machine can measure it, or not these files; nil: nothing speaks against it
	KVBytes int64           // per token, at this backend's cache type
	Cells   []Cell          // in the config's order

	Elsewhere bool // another shard measures it

	DiskBytesPerS float64 // see memlimit.Drop; of a job with a memory limit, once its worker was started
}

// ID names the cell in messages.
func (j *Job) ID(c Cell) string { return j.Pair() + "/" + c.Scenario.Name }

// Pair names what loads a file, model/backend; neither name has a slash.
func (j *Job) Pair() string { return j.Model.Name + "/" + j.Backend.Name }

// Limit is the job's memory limit in bytes; 0: none.
func (j *Job) Limit() int64 { return int64(j.Backend.MemoryLimitMiB) << 20 }

// fit finds out whether the job can run in the memory that was free, where that is known. Under a limit it is tried with too
// little of its own: that is what is to be measured.
func (j *Job) fit(free int64, noLimit error) {
	need := j.Memory.Resident
	if limit := j.Limit(); limit > 0 {
		need = min(need, limit)
		if noLimit != nil {
			j.Waived = "memory_limit_mib: " + noLimit.Error()
		}
	}
	// What a GPU or a server holds this process's memory need not: there the loading itself tells.
	j.Fits = free == 0 || j.Backend.Device != config.DeviceCPU || j.Backend.Kind == config.KindOllama || need <= free
}

// NewJob is a model under a backend on a machine with these facts; longest is the number of tokens of the longest sequence, build what
// the job is computed by.
func NewJob(cfg *config.Config, m modelfile.Model, b config.Backend, longest int, facts Facts, build protocol.Build) (Job, error) {
	if b.Threads == 0 {
		b.Threads = threadsFor(b, facts.Threads)
	}
	if b.ThreadsBatch == 0 {
		b.ThreadsBatch = b.Threads
	}
	affinity, err := bind(b, facts.CPUs, facts.Cores)
	if err != nil {
		return Job{}, err
	}
	for _, s := range cfg.Scenarios {
		if err := m.CheckLength(s.Depth, s.PromptTokens, cfg.Gen(s)); err != nil {
			return Job{}, fmt.Errorf("scenario %s: %w", s.Name, err)
		}
	}
	if b.Kind == config.KindOllama {
		b = asServed(b)
	}
	if why := m.Desc.DecodeRefusal(); why != "" {
		return refusedJob(m, b, why), nil
	}
	if b.Kind == config.KindOllama && len(m.Files) > 1 {
		// Of several files of weights a server loads the last alone (Ollama v0.24.0, server/images.go#L341).
		return refusedJob(m, b, fmt.Sprintf("it lies in %d files, and an Ollama server makes a model of one: put them together with llama.cpp's llama-gguf-split --merge", len(m.Files))), nil
	}
	nCtx := b.Context(longest)
	// llama.cpp takes no batch larger than the context.
	b.BatchTokens = min(b.BatchTokens, nCtx*b.BatchSize)
	b.UBatchTokens = min(b.UBatchTokens, b.BatchTokens)
	rules, repack, amx := build.MemoryRules()
	mem, err := m.Desc.Memory(ledger.MemoryOptions{
		Rules: rules, Repack: repack, AMX: amx,
		Context: int64(nCtx), Sequences: int64(b.BatchSize), Batch: int64(b.BatchTokens), UBatch: int64(b.UBatchTokens), TypeK: b.KVType, TypeV: b.KVType,
		NoFlashAttention: b.FlashAttn == "off", NoMmap: !b.Mmap,
	})
	if err != nil {
		return Job{}, fmt.Errorf("model %s: %w", m.Name, err)
	}
	if kind := m.Desc.MemoryKind(); kind != ledger.MemoryKV && slices.ContainsFunc(cfg.Scenarios, func(s config.Scenario) bool { return s.Depth > 0 }) {
		mem.Resident += mem.State + mem.KV // a copy, since a recurrent state cannot step back
	}
	kv, err := m.Desc.KVBytesPerToken(b.KVType, b.KVType, rules)
	if err != nil {
		return Job{}, fmt.Errorf("model %s: %w", m.Name, err)
	}
	job := Job{
		Model: m, Backend: b, Memory: mem, KVBytes: kv,
		Load: protocol.LoadSpec{
			Kind: b.Kind, ModelFile: m.File, Device: b.Device, Threads: b.Threads, ThreadsBatch: b.ThreadsBatch,
			Layers: int(m.Desc.NLayer), GPULayers: b.NGPULayers, FlashAttn: b.FlashAttn, NCtx: nCtx, NBatch: b.BatchTokens, NUBatch: b.UBatchTokens,
			KVType: b.KVType, Mmap: b.Mmap, MemoryLimitMiB: b.MemoryLimitMiB, Positions: int(m.Positions), IdleMS: b.IdleMS, Nice: b.Nice(), CPUAffinity: affinity,
			CUDAGraphs: b.CUDAGraphs, TokenEvents: b.TokenEvents, VRAMLimitGiB: b.VRAMLimitGiB, TelemetryMS: cfg.TelemetryMS,
		},
	}
	if b.Pace == record.PaceHot {
		job.Load.HotMS = int(protocol.Hot.Milliseconds())
	}
	if b.BatchSize > 1 {
		job.Load.Sequences = b.BatchSize
	}
	if b.Kind == config.KindOllama {
		job.Load.Ollama = &protocol.OllamaSpec{URL: b.URL, BanRepeats: b.BanRepeats == "on" || b.BanRepeats == "auto" && m.Random()}
		if m.Kind == config.KindOllama {
			job.Load.Ollama.Model = m.Preset
		}
	}
	return job, nil
}

// refusedJob is one of a model that cannot be measured: its cells go on record with the reason, and the others are
// measured.
func refusedJob(m modelfile.Model, b config.Backend, why string) Job {
	return Job{Model: m, Backend: b, Refused: protocol.Refused(m.File, why), Load: protocol.LoadSpec{Kind: b.Kind, ModelFile: m.File, Device: b.Device}}
}

// asServed is a backend of kind ollama with what its API makes of the settings: one
// number of threads, one of the batch, and the server's own flash attention.
func asServed(b config.Backend) config.Backend {
	b.ThreadsBatch, b.BatchTokens = b.Threads, b.UBatchTokens
	b.FlashAttn = record.ByServer
	return b
}

// Tried tells whether the job's model will be loaded.
func (j *Job) Tried() bool { return !j.Elsewhere && j.Fits && j.Waived == "" && j.Refused == nil }

// Failure gives an error of the job's worker a status. Of a worker that crashed it says whether the model's files have
// changed: a mapped file that is cut ends whoever reads it.
func (j *Job) Failure(err error) *record.Failure {
	f := record.AsFailure(err)
	if f.Status == record.StatusCrashed {
		if changed := files.Check(j.Load.Files); changed != nil {
			f.Reason += "; " + record.AsFailure(changed).Reason
		}
	}
	return f
}

// checkPaths refuses files that a worker could not be told of.
func checkPaths(m modelfile.Model) error {
	for _, path := range append([]string{m.File, m.Path}, files.Paths(m.Files)...) {
		if err := text.CheckPath("model "+m.Name, path); err != nil {
			return err
		}
	}
	return nil
}

// longestSequence bounds depth, prompt and generated tokens of any scenario: a byte-level
// tokeniser never makes more tokens of a text than it has bytes, and a few special
// ones.
func longestSequence(cfg *config.Config) int {
	const special = 8
	n := 0
	for _, s := range cfg.Scenarios {
		prompt := s.PromptTokens
		if prompt == 0 {
			prompt = boundTokens(s) + special
		}
		n = max(n, s.Depth+prompt+cfg.Gen(s))
	}
	return n
}

func boundTokens(s config.Scenario) int { return max(s.PromptTokens, len(s.Prompt)) }

// label gives each file of the jobs its name in records.
func label(jobs []Job) {
	var files []string
	for i := range jobs {
		files = append(files, jobs[i].Model.File)
	}
	labels := paths.Tell(files)
	for i := range jobs {
		jobs[i].Model.Label = labels[jobs[i].Model.File]
	}
}

// Prepare makes the job's model and says what its load must find.
func (j *Job) Prepare(models *modelfile.Folder) error {
	err := models.Prepare(&j.Model)
	j.Load.Files, j.Load.Expect = j.Model.Files, j.Model.Expect
	return err
}
