package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/profile"
	"llmscale/internal/durable"
	"llmscale/internal/interrupt"
	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/protocol"
	"llmscale/runner/worker"
)

func profileCommand() *cli.Command {
	return &cli.Command{
		Name:  "profile",
		Usage: "say where the time of a prefill and of a decode step goes: kernels or operations, gaps, copies",
		Description: "SOURCE is a model as in a config (synth:gpt2-5m, shape:llama3.1-8b, hf:DIR, ollama:NAME) or a GGUF file. On the CPU each\n" +
			"operation of ggml is timed on its own, on CUDA the GPU's work is recorded by CUPTI; docs/profile.md says how. The table\n" +
			"states how much longer the profiled steps took: no time of a profile is a latency.",
		ArgsUsage: "SOURCE|FILE",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Usage: "`SOURCE` or FILE, instead of the argument"},
			&cli.StringFlag{Name: "device", Value: config.DeviceCPU, Usage: "`cpu or cuda`"},
			&cli.StringFlag{Name: "dtype", Value: defaultType, Usage: "weight `TYPE` of a model that is synthesised or converted"},
			&cli.IntFlag{Name: "prompt-tokens", Value: 128, Usage: "prefill `N` seeded random tokens"},
			&cli.IntFlag{Name: "gen-tokens", Value: 16, Usage: "decode `N` tokens"},
			&cli.IntFlag{Name: "repetitions", Value: 3, Usage: "unprofiled calls, `N`, with which the profiled one is compared"},
			&cli.IntFlag{Name: "threads", Usage: "of decode and prefill, `N`", DefaultText: "one for each physical core"},
			&cli.IntFlag{Name: "gpu-layers", Usage: "with --device cuda: `N` layers on the GPU", DefaultText: "all"},
			&cli.BoolFlag{Name: "no-cuda-graphs", Usage: "with --device cuda: launch kernels one by one"},
			&cli.StringFlag{Name: "flash-attn", Value: "auto", Usage: "`auto, on or off`"},
			&cli.StringFlag{Name: "kv-type", Value: "f16", Usage: "`TYPE` of the KV cache"},
			&cli.Int64Flag{Name: "seed", Value: 42, Usage: "of the prompt"},
			&cli.IntFlag{Name: "rows", Value: 20, Usage: "kernels or operations in the table, `N`; 0: all"},
			&cli.StringFlag{Name: "models-dir", TakesFile: true, Value: defaultModelsDir, Usage: "`DIR` where synthesised models are kept"},
			&cli.StringFlag{Name: "o", Aliases: []string{"output"}, TakesFile: true, Usage: "`DIR` for profile.json and trace.json", DefaultText: "runs/profile_YYYYmmdd_HHMMSS"},
			&cli.BoolFlag{Name: "json", Usage: "print profile.json instead of the table"},
		},
		Action: profileAction,
	}
}

// profileSchema counts incompatible changes of profileDoc.
const profileSchema = 1

// profileDoc is profile.json.
type profileDoc struct {
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

func profileAction(c *cli.Context) error {
	source := c.String("model")
	if source == "" {
		var err error
		if source, err = oneArg(c, "a source of a model or a GGUF file"); err != nil {
			return err
		}
	} else if c.Args().Present() {
		return usagef("profile takes --model %s or the argument %q, not both", source, c.Args().First())
	}
	if err := text.CheckPath("the model", source); err != nil {
		return usage(err)
	}
	if c.Int("repetitions") < 1 || c.Int("rows") < 0 {
		return usagef("profile: --repetitions must be at least 1, and --rows at least 0")
	}
	progress := newProgress(c.App.ErrWriter)
	defer progress.Close()
	models := &modelfile.Folder{Dir: c.String("models-dir"), Progress: progress.File}
	plan, err := profilePlan(c, source, models)
	if err != nil {
		return usage(err)
	}
	job := &plan.Jobs[0]
	// Before a model is written for nothing.
	if job.Refused != nil {
		return usagef("profile: %s", job.Refused.Reason)
	}
	if !native.Built {
		return usage(native.ErrNotBuilt)
	}
	if job.Backend.Device == config.DeviceCUDA {
		if err := backend.Available(); err != nil {
			return usagef("profile: device cuda: %w", err)
		}
	}
	if !job.Fits {
		return usagef("profile: the model does not fit: it takes %s of memory, %s are free", text.Size(job.Memory.Resident), text.Size(plan.Free))
	}
	dir := c.String("o")
	if dir == "" {
		dir = filepath.Join("runs", "profile_"+time.Now().Format("20060102_150405"))
	}
	for _, name := range []string{"profile.json", "trace.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return usagef("profile: %s is there already: give another folder with -o", filepath.Join(dir, name))
		}
	}

	ctx, release := interrupts(c.Context)
	defer release()
	if err := plan.Prepare(ctx, models); errors.Is(err, interrupt.Err) {
		return &exitError{exitInterrupted, err}
	} else if err != nil {
		return err
	}
	if job.Refused != nil { // its file has changed meanwhile
		return fmt.Errorf("profile: %s", job.Refused.Reason)
	}
	if err := models.Close(); err != nil {
		return err
	}
	progress.Clear()
	doc, in, err := recordProfile(ctx, c, plan)
	if err != nil {
		return err
	}
	if doc.Profile, err = profile.New(in); err != nil {
		return err
	}
	if err := saveProfile(dir, doc, in); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, doc)
	}
	w := c.App.Writer
	fmt.Fprintf(w, "%s, %s, device %s; %s\n\n", text.Safe(doc.Model), doc.WeightType, doc.Device, doc.Method)
	if err := doc.Profile.WriteTable(w, c.Int("rows")); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n%s (open in ui.perfetto.dev)\n", filepath.Join(dir, "profile.json"), filepath.Join(dir, "trace.json"))
	return nil
}

// profileFlags are the flags by the config's fields that they stand for.
var profileFlags = map[string]string{
	"backends[0].device": "--device", "backends[0].dtype": "--dtype", "backends[0].threads": "--threads", "backends[0].n_gpu_layers": "--gpu-layers",
	"backends[0].cuda_graphs": "--no-cuda-graphs", "backends[0].flash_attn": "--flash-attn", "backends[0].kv_type": "--kv-type",
	"scenarios[0].prompt_tokens": "--prompt-tokens", "gen_tokens": "--gen-tokens", "seed": "--seed", "models[0].source": "the model",
}

// profilePlan is the plan of a config with one cell, made of the flags: a profile is of the work that a sweep with the
// same options times, and is checked as one.
func profilePlan(c *cli.Context, source string, models *modelfile.Folder) (*runner.Plan, error) {
	b := map[string]any{
		"name": "profile", "kind": config.KindNative, "device": c.String("device"), "dtype": c.String("dtype"), "flash_attn": c.String("flash-attn"),
		"kv_type": c.String("kv-type"),
	}
	if c.IsSet("threads") {
		b["threads"] = c.Int("threads")
	}
	if c.IsSet("gpu-layers") {
		b["n_gpu_layers"] = c.Int("gpu-layers")
	}
	if c.Bool("no-cuda-graphs") {
		b["cuda_graphs"] = false
	}
	if !strings.Contains(source, ":") && !strings.Contains(source, "/") && !strings.HasSuffix(source, ".gguf") {
		if _, err := os.Stat(source); err == nil { // a config takes a bare word for a mistake
			source = "./" + source
		}
	}
	// JSON is YAML.
	text, err := json.Marshal(map[string]any{
		"gen_tokens": c.Int("gen-tokens"), "seed": c.Int64("seed"), "backends": []any{b},
		"scenarios": []any{map[string]any{"name": "profile", "prompt_tokens": c.Int("prompt-tokens")}},
		"models":    []any{map[string]any{"name": "profile", "source": source}},
	})
	if err != nil {
		return nil, err
	}
	cfg, err := config.Parse("profile", text)
	var list config.Errors
	if errors.As(err, &list) {
		for _, e := range list {
			e.File, e.Line = "profile", 0
			if flag, ok := profileFlags[e.Field]; ok {
				e.Field = flag
			}
		}
	}
	if err != nil {
		return nil, err
	}
	m := &cfg.Models[0]
	if c.IsSet("dtype") && !m.NeedsDType() {
		return nil, fmt.Errorf("profile: %s has weights of its own types: leave out --dtype", source)
	}
	if err := (&runner.Overrides{}).Apply(cfg, models); err != nil {
		return nil, err
	}
	if len(cfg.Models) != 1 {
		return nil, fmt.Errorf("profile: %s is %d models: choose one, for example %s", source, len(cfg.Models), cfg.Models[0].Source)
	}
	facts, err := runner.Look(c.Context, cfg, models, &worker.Programs{Build: ownBuild()})
	if err != nil {
		return nil, err
	}
	return runner.NewPlan(cfg, facts)
}

// recordProfile has the plan's only call timed and traced, in processes of their own: what profiling does to a process ends
// with it.
func recordProfile(ctx context.Context, c *cli.Context, plan *runner.Plan) (*profileDoc, *profile.Input, error) {
	job := &plan.Jobs[0]
	task := profileTask{
		Load:        job.Load,
		Call:        protocol.CallSpec{PromptTokens: plan.Config.Scenarios[0].PromptTokens, GenTokens: plan.Config.GenTokens, Seed: plan.Config.Seed},
		Repetitions: c.Int("repetitions"),
	}
	doc := &profileDoc{
		Schema: profileSchema, Created: time.Now().UTC().Truncate(time.Second), Version: versionInfo(),
		Model: job.Model.Source, File: job.Model.File, SHA256: job.Model.SHA256, Architecture: job.Model.Desc.Architecture,
		WeightType: job.Model.Desc.WeightType, ParamsTotal: job.Model.Desc.ParamsTotal, Device: job.Backend.Device,
		Threads: job.Backend.Threads, FlashAttn: job.Backend.FlashAttn, KVType: job.Backend.KVType,
		PromptTokens: task.Call.PromptTokens, GenTokens: task.Call.GenTokens, Seed: task.Call.Seed,
	}
	var timed, traced *profileAnswer
	var err error
	if job.Backend.Device == config.DeviceCUDA {
		// CUPTI must be there before CUDA is, so the unprofiled times come from another process.
		doc.Method, doc.CUDAGraphs = methodCUPTI, &job.Backend.CUDAGraphs
		if timed, err = runProfileTask(ctx, c, task); err == nil {
			task.Repetitions, task.Trace = 0, traceCUPTI
			traced, err = runProfileTask(ctx, c, task)
		}
	} else {
		doc.Method = methodOps
		task.Trace = traceOps
		traced, err = runProfileTask(ctx, c, task)
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

// saveProfile writes the two files, each whole or not at all.
func saveProfile(dir string, doc *profileDoc, in *profile.Input) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	write := func(name string, content func(w io.Writer) error) error {
		var b bytes.Buffer
		if err := content(&b); err != nil {
			return err
		}
		return durable.System.WriteFile(filepath.Join(dir, name), b.Bytes())
	}
	if err := write("trace.json", in.WriteTrace); err != nil {
		return err
	}
	return write("profile.json", func(w io.Writer) error { return printJSON(w, doc) })
}
