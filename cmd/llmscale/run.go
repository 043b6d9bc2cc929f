package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"llmscale/internal/interrupt"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/native/profiler"
	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/ollama"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
)

// defaultModelsDir is where models that the program writes are kept.
const defaultModelsDir = "models"

func runFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "config", TakesFile: true, Usage: "sweep to run, a YAML `FILE` (docs/config.md); - reads standard input"},
		&cli.StringFlag{Name: "out", TakesFile: true, Usage: "the run's `DIR`, new, empty or of an attempt that measured nothing", DefaultText: "runs/YYYYmmdd_HHMMSS"},
		&cli.StringSliceFlag{Name: "models", Usage: "only these models, `a,b`"},
		&cli.StringSliceFlag{Name: "backends", Usage: "only these backends, `a,b`; the name of one with lists is all that they make"},
		&cli.StringSliceFlag{Name: "scenarios", Usage: "only these scenarios, `a,b`; likewise"},
		&cli.StringFlag{Name: "max-params", Usage: "leave out models of more parameters than `N`, for example 8B or 500M"},
	}
	for _, name := range []string{"replicates", "repetitions", "warmup-repetitions", "gen-tokens", "seed"} {
		help, byDefault := config.Help(strings.ReplaceAll(name, "-", "_"))
		flags = append(flags, &cli.Int64Flag{Name: name, Usage: help, DefaultText: byDefault})
	}
	return append(flags,
		&cli.StringFlag{Name: "models-dir", TakesFile: true, Value: defaultModelsDir, Usage: "`DIR` where synthesised models are kept between runs"},
		&cli.BoolFlag{Name: "discard-models", Usage: "write each model just before it is measured and remove it afterwards: the disk holds one at a time (and an Ollama server's store a second copy, while that measures it)"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print the cells, the memory each model needs and a rough time; measure nothing"},
		&cli.StringFlag{Name: "resume", TakesFile: true, Usage: "go on with the run in `DIR`: what is missing or failed is measured"},
	)
}

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "measure every cell of a config and keep each record",
		Flags: runFlags(),
		Action: func(c *cli.Context) error {
			_, err := measure(c)
			return err
		},
	}
}

func sweepCommand() *cli.Command {
	return &cli.Command{
		Name:  "sweep",
		Usage: "run, analyze and report in one: the main job",
		Flags: append(runFlags(), analysisFlags()...),
		Action: func(c *cli.Context) error {
			if _, err := analysisOptions(c); err != nil {
				return err // now, and not after hours of measuring
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
			path, reportErr := analyzeAndReport(c, dir)
			if path == "" {
				return reportErr
			}
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
	o.Repetitions, o.WarmupRepetitions, o.GenTokens = number("repetitions"), number("warmup-repetitions"), number("gen-tokens")
	if c.IsSet("seed") {
		v := c.Int64("seed")
		o.Seed = &v
	}
	if c.IsSet("max-params") {
		v, err := parseCount(c.String("max-params"))
		if err != nil {
			return o, usagef("--max-params: %w", err)
		}
		o.MaxParams = &v
	}
	return o, nil
}

// parseCount reads a number of parameters as people write it: 8B, 1.5b, 500M, 124439808.
func parseCount(s string) (int64, error) {
	scale := 1.0
	digits := s
	for suffix, v := range map[string]float64{"K": 1e3, "M": 1e6, "B": 1e9} {
		if cut, ok := strings.CutSuffix(strings.ToUpper(s), suffix); ok {
			digits, scale = cut, v
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n*scale >= 1 && n*scale <= 1e15) {
		return 0, fmt.Errorf("%q is no number of parameters; write for example 8B, 500M or 124439808", s)
	}
	return int64(math.Round(n * scale)), nil
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

// interrupts returns a context that ends with the first Ctrl-C, SIGTERM, or SIGHUP of a terminal that was closed, unless
// that is ignored (nohup). A second one ends the process at once, as if there were no handler.
func interrupts(parent context.Context) (ctx context.Context, release func()) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, release = signal.NotifyContext(parent, signals...)
	context.AfterFunc(ctx, release)
	return ctx, release
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
