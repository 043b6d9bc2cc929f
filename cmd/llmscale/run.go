package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"llmscale/internal/paths"
	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/ollama"
	"llmscale/runner/record"
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
	for _, name := range []string{"repetitions", "warmup-repetitions", "gen-tokens", "seed"} {
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

// measure plans and runs; it returns the run's folder.
func measure(c *cli.Context) (dir string, err error) {
	if err := noArgs(c); err != nil {
		return "", err
	}
	resumed := c.String("resume") != ""
	if resumed == c.IsSet("config") {
		return "", usagef("%s needs either --config FILE or --resume DIR", c.Command.Name)
	}
	if resumed {
		for _, f := range []string{"out", "models", "backends", "scenarios", "max-params", "repetitions", "warmup-repetitions", "gen-tokens", "seed", "models-dir", "discard-models"} {
			if c.IsSet(f) {
				return "", usagef("--%s cannot be changed on --resume: a run goes on as it began", f)
			}
		}
	}

	progress := newProgress(c.App.ErrWriter)
	defer progress.Close()
	run := &runner.Run{Worker: workerProcess(c), Serve: ollama.Serve, Progress: progress, Log: slog.Default()}
	models := &runner.Models{Progress: progress.File}
	var (
		cfg *config.Config
		o   runner.Overrides
	)
	if resumed {
		if dir, err = paths.Clean(c.String("resume")); err != nil {
			return "", usage(err)
		}
		if run.Manifest, err = runner.ReadManifest(dir); err != nil {
			return "", usage(err)
		}
		if models.Dir, err = runner.ModelsDir(dir, run.Manifest); err != nil {
			return "", usage(err)
		}
		if cfg, o, err = runner.ResumedConfig(dir, run.Manifest, models); err != nil {
			return "", usage(err)
		}
		run.ID, _ = run.Manifest["run_id"].(string) // the folder may have another name by now
	} else {
		if models.Dir, err = paths.Absolute(c.String("models-dir")); err != nil {
			return "", usage(err)
		}
		if o, err = overrides(c); err != nil {
			return "", err
		}
		if cfg, err = config.Load(c.String("config")); err != nil {
			return "", usage(err)
		}
		if err = o.Apply(cfg, models); err != nil {
			return "", usage(err)
		}
		if dir, run.ID, err = newRunDir(c.String("out")); err != nil {
			return "", usage(err)
		}
	}
	for what, path := range map[string]string{"the config": cfg.File(), "the run's folder": dir, "the folder of models": models.Dir} {
		if err := checkPath(what, path); err != nil {
			return "", err
		}
	}
	for _, w := range cfg.Warnings() {
		progress.Note("warning: " + w)
	}
	_, threads := runner.Cores()
	if run.Plan, err = runner.NewPlan(cfg, models, threads); err != nil {
		return "", usage(err)
	}
	if err := backend.Available(); err != nil {
		run.Plan.Waive(config.DeviceCUDA, err)
	}
	transient, _ := run.Manifest["models_discarded"].(bool) // of a resumed run
	if transient = transient || c.Bool("discard-models"); transient {
		run.Plan.GroupByFile()
	}
	if c.Bool("dry-run") {
		for _, w := range run.Plan.Warnings() {
			progress.Note("warning: " + w.String())
		}
		return dir, printPlan(c.App.Writer, run.Plan)
	}

	if !native.Built {
		return "", usage(native.ErrNotBuilt)
	}
	if lists := cfg.Lists(); len(lists) > 0 { // which multiply
		about, _, _ := strings.Cut(roughTime(run.Plan), "\n")
		progress.Note(cfg.Product() + "; " + about)
	}
	run.Conditions = runner.Conditions()

	stop, release := interrupts()
	defer release()
	// A file that may grow no further (ulimit -f) is an error of writing, as on a full disk.
	signal.Ignore(syscall.SIGXFSZ)
	// Nor does a reader that goes away (| head) end a run: its words are lost, and not what it measures.
	signal.Ignore(syscall.SIGPIPE)
	// Before gigabytes of models are written for a run that has no place or cannot go on.
	if resumed {
		if err = runner.CheckResumable(dir, run.Manifest, run.Plan, versionInfo()); err != nil {
			return "", usage(err)
		}
		if run.Store, err = runner.OpenStore(dir); err != nil {
			return "", usage(err)
		}
		defer run.Store.Close()
		// Now that no other session can change it.
		if run.Manifest, err = runner.ReadManifest(dir); err != nil {
			return "", err
		}
		run.Session = runner.Sessions(run.Manifest)
	} else {
		if run.Store, err = runner.CreateStore(dir, models.Dir); err != nil {
			return "", usage(err)
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, run.Store.Discard())
			}
			run.Store.Close()
		}()
	}
	if transient {
		run.Transient = models
	} else if err = prepare(run.Plan, models, stop); err != nil {
		return "", err
	}
	progress.Clear()
	// Not deferred: after an interrupt the models are still being written, until the process ends.
	if run.Transient == nil {
		if err = models.Close(); err != nil {
			return "", err
		}
	}
	if resumed {
		if err = runner.CheckContents(dir, run.Manifest, run.Plan); err != nil {
			return "", usage(err)
		}
		if run.Previous, err = run.Store.Recover(); err != nil {
			return "", err
		}
	} else {
		if err = run.Store.SaveConfig(cfg); err != nil {
			return "", err
		}
		if run.Manifest, err = run.Store.NewManifest(run.ID, run.Plan, o, models.Dir, versionInfo()); err != nil {
			return "", err
		}
		run.Manifest["models_discarded"] = transient
	}

	resume := fmt.Sprintf("llmscale %s --resume %s", c.Command.Name, text.Arg(dir))
	sum, err := run.Execute(stop)
	progress.Close()
	if run.Transient != nil && !sum.Interrupted {
		err = errors.Join(err, models.Close())
	}
	if err != nil {
		if sum.Cells > 0 { // it had begun
			err = fmt.Errorf("%w; what was measured is kept: once that is mended, go on with `%s`", err, resume)
		}
		return dir, err
	}
	printSummary(c.App.Writer, c.App.ErrWriter, run, dir, sum)
	switch {
	case sum.Interrupted:
		return dir, &exitError{exitInterrupted, fmt.Errorf("interrupted: %d of %d calls are measured and kept in %s; `%s` goes on", sum.Kept, sum.Calls, filepath.Join(dir, runner.RunsFile), resume)}
	case sum.Failed() > 0:
		return dir, &exitError{exitFailedCells, fmt.Errorf("%d of %d cells have no measurement; `%s` tries them again, but for those that ran out of memory", sum.Failed(), sum.Cells, resume)}
	}
	return dir, nil
}

// checkPath refuses a path that a run's files cannot hold, the current folder's included where it starts there.
func checkPath(what, path string) error {
	whole, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return usage(text.CheckPath(what, whole))
}

// newRunDir is the folder of a new run and the name that the run takes from it.
func newRunDir(out string) (dir, id string, err error) {
	if out != "" {
		if dir, err = paths.Clean(out); err != nil {
			return "", "", err
		}
		abs, err := filepath.Abs(dir) // "." is a folder with a name too
		return dir, filepath.Base(abs), err
	}
	base := filepath.Join("runs", time.Now().Format("20060102_150405"))
	dir = base
	for n := 2; ; n++ { // two runs may start within a second
		if _, err := os.Stat(dir); err != nil {
			return dir, filepath.Base(dir), nil
		}
		dir = fmt.Sprintf("%s-%d", base, n)
	}
}

// prepare writes and hashes the plan's models, which can take minutes; an
// interrupt ends the wait, and then the program.
func prepare(p *runner.Plan, models *runner.Models, stop <-chan struct{}) error {
	return writing(models.Dir, stop, "interrupted before the first measurement; models that were finished are kept, and the same command goes on", func() error { return p.Prepare(models) })
}

// writing runs write, which makes GGUF files in dir. An interrupt removes what is unfinished and ends the wait;
// write itself ends with the process.
func writing(dir string, stop <-chan struct{}, interrupted string, write func() error) error {
	done := make(chan error, 1)
	go func() { done <- write() }()
	select {
	case err := <-done:
		return err
	case <-stop:
		return &exitError{exitInterrupted, errors.Join(errors.New(interrupted), runner.RemoveUnfinished(dir))}
	}
}

// interrupts closes stop on the first Ctrl-C, SIGTERM, or SIGHUP of a terminal that was closed, unless that is
// ignored (nohup). A second one ends the process at once, as if there were no handler.
func interrupts() (stop chan struct{}, release func()) {
	stop = make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		if _, ok := <-signals; ok {
			signal.Stop(signals)
			close(stop)
		}
	}()
	return stop, func() { signal.Stop(signals); close(signals) }
}

// workerProcess is this program as a worker.
func workerProcess(c *cli.Context) runner.Command {
	cmd := runner.Command{Path: "/proc/self/exe", Args: []string{"worker"}}
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
			return runner.WorkerMain(openBackend, probeDevice)
		},
	}
}

func openBackend(kind string) (runner.Backend, error) {
	switch kind {
	case config.KindNative:
		return &backend.Native{}, nil
	case config.KindOllama:
		return ollama.New(ollama.Options{OpenTokenizer: func(path string) (ollama.Tokenizer, error) {
			return backend.OpenTokenizer(path)
		}}), nil
	}
	return nil, runner.Failf(record.StatusWaived, "this build has no backend of kind %q", kind)
}
