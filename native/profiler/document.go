package profiler

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"llmscale/analysis/profile"
	"llmscale/internal/durable"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/worker"
)

// schema counts incompatible changes of Document.
const schema = 1

// Document is profile.json.
type Document struct {
	Schema  int       `json:"schema"`
	Created time.Time `json:"created"`
	Version any       `json:"version"`
	Method  string    `json:"method"` // how the work was recorded

	Model        string        `json:"model"`
	File         string        `json:"file"`
	SHA256       string        `json:"sha256"`
	Architecture string        `json:"architecture"`
	WeightType   string        `json:"weight_type"`
	ParamsTotal  int64         `json:"params_total"`
	Device       string        `json:"device"`
	GPU          *protocol.GPU `json:"gpu"` // null on the CPU
	GPULayers    int           `json:"n_gpu_layers"`
	CUDAGraphs   *bool         `json:"cuda_graphs"` // null on the CPU
	Threads      int           `json:"n_threads"`
	FlashAttn    string        `json:"flash_attn"`
	KVType       string        `json:"kv_type"`
	PromptTokens int           `json:"prompt_tokens"`
	GenTokens    int           `json:"gen_tokens"`
	Seed         int64         `json:"seed"`

	UnprofiledPrefillNS []int64 `json:"unprofiled_prefill_ns"` // one for each repetition
	UnprofiledTokenNS   []int64 `json:"unprofiled_token_ns"`   // decode steps of all repetitions

	Profile *profile.Profile `json:"profile"`
}

const (
	methodOps   = "ggml's eval callback: each operation computed and timed on its own"
	methodCUPTI = "CUPTI activity records: kernels (of CUDA graphs too), copies, memory sets"
)

// Record has the plan's only call timed, as often as repetitions says, and traced, in worker processes of their own. The
// Document lacks Version and Profile. The error is as that of worker.Do.
func Record(ctx context.Context, as worker.Command, plan *plan.Plan, repetitions int) (*Document, *profile.Input, error) {
	job := &plan.Jobs[0]
	task := Task{
		Load:        job.Load,
		Call:        protocol.CallSpec{PromptTokens: plan.Config.Scenarios[0].PromptTokens, GenTokens: plan.Config.GenTokens, Seed: plan.Config.Seed},
		Repetitions: repetitions,
	}
	doc := &Document{
		Schema: schema, Created: time.Now().UTC().Truncate(time.Second),
		Model: job.Model.Source, File: job.Model.File, SHA256: job.Model.SHA256, Architecture: job.Model.Desc.Architecture,
		WeightType: job.Model.Desc.WeightType, ParamsTotal: job.Model.Desc.ParamsTotal, Device: job.Backend.Device,
		Threads: job.Backend.Threads, FlashAttn: job.Backend.FlashAttn, KVType: job.Backend.KVType,
		PromptTokens: task.Call.PromptTokens, GenTokens: task.Call.GenTokens, Seed: task.Call.Seed,
	}
	ask := func() (*Answer, error) {
		answer := &Answer{}
		return answer, worker.Do(ctx, as, slog.Default(), task, answer)
	}
	var timed, traced *Answer
	var err error
	if job.Backend.Device == config.DeviceCUDA {
		// CUPTI must be there before CUDA is, so the unprofiled times come from another process.
		doc.Method, doc.CUDAGraphs = methodCUPTI, &job.Backend.CUDAGraphs
		if timed, err = ask(); err == nil {
			task.Repetitions, task.Trace = 0, traceCUPTI
			traced, err = ask()
		}
	} else {
		doc.Method = methodOps
		task.Trace = traceOps
		traced, err = ask()
		timed = traced
	}
	if err != nil {
		return nil, nil, err
	}
	doc.GPU, doc.GPULayers = traced.Info.GPU, traced.Info.GPULayers
	doc.UnprofiledPrefillNS, doc.UnprofiledTokenNS = timed.PrefillNS, timed.TokenNS
	slog.Debug("profiled", "steps", len(traced.Input.Steps), "activities", len(traced.Input.Activities))
	in := traced.Input
	in.UnprofiledPrefillNS, in.UnprofiledTokenNS = timed.PrefillNS, timed.TokenNS
	return doc, in, nil
}

// Save writes profile.json and trace.json into a folder, each whole or not at all.
func (d *Document) Save(dir string, in *profile.Input) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var trace bytes.Buffer
	if err := in.WriteTrace(&trace); err != nil {
		return err
	}
	if err := durable.System.WriteFile(filepath.Join(dir, "trace.json"), trace.Bytes()); err != nil {
		return err
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return durable.System.WriteFile(filepath.Join(dir, "profile.json"), append(text.JSON(data), '\n'))
}
