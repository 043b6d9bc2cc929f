package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"llmscale/internal/interrupt"
	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/native/profiler"
	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/ollama"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/request"
	"llmscale/runner/slurm"
	"llmscale/runner/worker"
)

// defaultModelsDir is where models that the program writes are kept.
const defaultModelsDir = "models"

// sweepKeys are keys of a config that a flag replaces.
var sweepKeys = []string{"replicates", "repetitions", "warmup_repetitions", "seed"}

func runFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "config", TakesFile: true, Usage: "sweep to run, a YAML `FILE` (docs/config.md), instead of SOURCE; - reads standard input"},
		&cli.StringFlag{Name: "out", TakesFile: true, Usage: "the run's `DIR`, new, empty or of an attempt that measured nothing", DefaultText: "runs/YYYYmmdd_HHMMSS"},
		&cli.BoolFlag{Name: "quick", Usage: "an answer in two minutes: shorter prompts and answers, three to five blocks, without what takes too long"},
		&cli.StringSliceFlag{Name: "models", Usage: "only these models of the config, `a,b`"},
		&cli.StringSliceFlag{Name: "backends", Usage: "only these backends of the config, `a,b`; the name of one with lists is all that they make"},
		&cli.StringSliceFlag{Name: "scenarios", Usage: "only these scenarios of the config, `a,b`; likewise"},
		&cli.StringFlag{Name: "max-params", Usage: "leave out models of more parameters than `N`, for example 8B or 500M"},
	}
	for _, key := range sweepKeys {
		help, byDefault := config.Help(key)
		flags = append(flags, &cli.Int64Flag{Name: strings.ReplaceAll(key, "_", "-"), Aliases: request.Short(key), Usage: help, DefaultText: byDefault})
	}
	return slices.Concat(flags, []cli.Flag{
		&cli.StringFlag{Name: "models-dir", TakesFile: true, Value: defaultModelsDir, Usage: "`DIR` where synthesised models are kept between runs"},
		&cli.BoolFlag{Name: "discard-models", Usage: "write each model just before it is measured and remove it afterwards: the disk holds one at a time (and an Ollama server's store a second copy, while that measures it)"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print the cells, the memory each model needs and a rough time; measure nothing"},
		&cli.StringFlag{Name: "resume", TakesFile: true, Usage: "go on with the run in `DIR`: what is missing or failed is measured"},
	}, slurm.ShardFlags(), requestFlags())
}

const aboutSources = "SOURCE is a GGUF file, a folder of them, ollama:NAME (ollama: for all in its store), hf:FOLDER, ladder:llama or one of its\n" +
	"rungs, shape:NAME, or like:FILE for a file's twin. Without SOURCE and --config, models are looked for where programs keep\n" +
	"them (docs/sources.md). -r counts calls in one process, --replicates processes, of which intervals are made."

func runCommand() *cli.Command {
	return &cli.Command{
		Name:        "run",
		Usage:       "measure models and keep each record",
		Description: aboutSources,
		ArgsUsage:   "[SOURCE...]",
		Flags:       runFlags(),
		Action: func(c *cli.Context) error {
			_, err := measure(c)
			return err
		},
	}
}

func sweepCommand() *cli.Command {
	return &cli.Command{
		Name:        "sweep",
		Usage:       "run, analyze and report in one: the main job",
		Description: aboutSources,
		ArgsUsage:   "[SOURCE...]",
		Flags:       append(append(runFlags(), figuresFlag()), analysisFlags()...),
		Action: func(c *cli.Context) error {
			if _, err := analysisOptions(c); err != nil {
				return err // now, and not after hours of measuring
			}
			if _, err := pageFigures(c, nil); err != nil {
				return err
			}
			dir, err := measure(c)
			var exit *exitError
			if err != nil && (!errors.As(err, &exit) || exit.code != exitFailedCells) {
				return err
			}
			if c.Bool("dry-run") {
				return nil
			}
			// Failed cells are part of the report, and of the exit code.
			path, found, reportErr := analyzeAndReport(c, dir)
			if path == "" {
				return reportErr
			}
			_ = tell(c.App.Writer, found, "") // to a reader that may have gone, as the path: the report is there
			fmt.Fprintln(c.App.Writer, path)
			if err == nil {
				err = reportErr
			}
			return err
		},
	}
}

// overrides reads the flags that change the config.
func overrides(c *cli.Context) (runner.Overrides, error) {
	o := runner.Overrides{
		Models: splitList(c, "models"), Backends: splitList(c, "backends"), Scenarios: splitList(c, "scenarios"),
	}
	number := func(name string) *int {
		if !c.IsSet(name) {
			return nil
		}
		v := int(c.Int64(name))
		return &v
	}
	o.Replicates = number("replicates")
	o.Repetitions, o.WarmupRepetitions = number("repetitions"), number("warmup-repetitions")
	if c.IsSet("gen-tokens") && c.IsSet("config") {
		given := strings.Join(c.StringSlice("gen-tokens"), ",")
		n, err := strconv.Atoi(given)
		if err != nil {
			return o, usagef("--gen-tokens %q: want a whole number beside --config", given)
		}
		o.GenTokens = &n
	}
	if c.IsSet("seed") {
		v := c.Int64("seed")
		o.Seed = &v
	}
	if c.IsSet("max-params") {
		v, err := text.ParseCount(c.String("max-params"))
		if err != nil {
			return o, usagef("--max-params: %w", err)
		}
		o.MaxParams = &v
	}
	return o, nil
}

func splitList(c *cli.Context, name string) []string {
	var out []string
	for _, v := range c.StringSlice(name) {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// writing runs write, which makes GGUF files in dir. An interrupt removes what is unfinished and ends the wait;
// write itself ends with the process.
func writing(ctx context.Context, dir, interrupted string, write func() error) error {
	err := interrupt.Await(ctx, write)
	if errors.Is(err, interrupt.Err) {
		return &exitError{exitInterrupted, errors.Join(errors.New(interrupted), modelfile.RemoveUnfinished(dir))}
	}
	return err
}

// workerProcess is this program as a worker.
func workerProcess(c *cli.Context) worker.Command {
	cmd := worker.Command{Path: "/proc/self/exe", Args: []string{"worker"}}
	if c.Bool("verbose") {
		cmd.Args = []string{"--verbose", "worker"}
	}
	return cmd
}

func workerCommand() *cli.Command {
	return &cli.Command{
		Name:   "worker",
		Usage:  "measure for another llmscale process",
		Hidden: true,
		Action: func(*cli.Context) error {
			native.RouteLog(slog.Default())
			native.EchoLog(os.Stderr)
			native.DefaultSignals()
			signal.Ignore(syscall.SIGTERM) // of a scheduler that ends the job: the coordinator decides
			return worker.Main(openBackend, backend.Probe, about, profiler.Serve)
		},
	}
}

func openBackend(kind string) (protocol.Backend, error) {
	switch kind {
	case config.KindNative:
		return &backend.Native{}, nil
	case config.KindOllama:
		return ollama.New(ollama.Options{OpenTokenizer: func(path string) (ollama.Tokenizer, error) {
			return backend.OpenTokenizer(path)
		}}), nil
	}
	return nil, record.Failf(record.StatusWaived, "this build has no backend of kind %q", kind)
}
