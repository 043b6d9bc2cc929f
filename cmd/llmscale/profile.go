package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/profile"
	"llmscale/internal/interrupt"
	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/native/profiler"
	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/record"
	"llmscale/runner/terminal"
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
	progress := terminal.New(c.App.ErrWriter)
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

	ctx, release := interrupt.Signals(c.Context)
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
	doc, in, err := profiler.Record(ctx, workerProcess(c), plan, c.Int("repetitions"))
	if err != nil {
		return profileError(c, err)
	}
	doc.Version = versionInfo()
	if doc.Profile, err = profile.New(in); err != nil {
		return err
	}
	if err := doc.Save(dir, in); err != nil {
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
func profilePlan(c *cli.Context, source string, models *modelfile.Folder) (*plan.Plan, error) {
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
	facts, err := plan.Look(c.Context, cfg, models, &worker.Programs{Build: ownBuild()})
	if err != nil {
		return nil, err
	}
	return plan.New(cfg, facts)
}

// profileError says of an error of profiler.Record how it ends the program.
func profileError(c *cli.Context, err error) error {
	switch failure := (*record.Failure)(nil); {
	case errors.Is(err, interrupt.Err):
		return &exitError{exitInterrupted, errors.New("interrupted: nothing was written")}
	case !errors.As(err, &failure):
		return fmt.Errorf("profile: %w", err)
	case failure.Status == record.StatusWaived: // something is missing here; nothing was measured
		return usagef("profile: %s", failure.Reason)
	default:
		for _, line := range failure.Stderr {
			fmt.Fprintln(c.App.ErrWriter, line)
		}
		return fmt.Errorf("profile: %s", failure.Reason)
	}
}
