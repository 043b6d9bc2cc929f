package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"llmscale/cmd/llmscale/completion"
	"llmscale/internal/interrupt"
	"llmscale/internal/paths"
	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/ollama"
	"llmscale/runner/plan"
	"llmscale/runner/request"
	"llmscale/runner/slurm"
	"llmscale/runner/store"
	"llmscale/runner/terminal"
)

// errPlanned ends a dry run.
var errPlanned = errors.New("planned")

// measure plans and runs; it returns the run's folder.
func measure(c *cli.Context) (dir string, err error) {
	if err := checkRunFlags(c); err != nil {
		return "", err
	}
	resumed := c.String("resume") != ""
	progress := terminal.New(c.App.ErrWriter)
	defer progress.Close()
	ctx, release := interrupt.Signals(c.Context)
	defer release()
	var sweep runner.Sweep
	explain := func(err error) error { return err }
	if resumed {
		dir, err = paths.Clean(c.String("resume"))
	} else {
		err = interrupt.Await(ctx, func() (err error) {
			sweep, explain, err = newSweep(ctx, c, progress)
			return err
		})
		dir = sweep.Dir
	}
	switch {
	case errors.Is(err, interrupt.Err):
		return "", &exitError{exitInterrupted, fmt.Errorf("%w before anything was measured", interrupt.Err)}
	case err != nil:
		return "", usage(err)
	}
	host := newHost(c, progress)
	var run *runner.Run
	if resumed {
		run, err = runner.Resume(ctx, dir, host)
	} else {
		run, err = runner.Start(ctx, sweep, host)
	}
	switch input := (*runner.InputError)(nil); {
	case errors.Is(err, errPlanned):
		return dir, nil
	case errors.As(err, &input):
		return "", usage(explain(err))
	case errors.Is(err, interrupt.Err):
		return "", &exitError{exitInterrupted, err}
	case err != nil:
		return "", err
	}
	defer run.Close() // of a file that was synced with each record
	progress.Clear()
	return dir, execute(ctx, c, progress, run, dir)
}

// newHost is this program as what starts runs.
func newHost(c *cli.Context, progress *terminal.Progress) runner.Host {
	return runner.Host{
		Worker: workerProcess(c), Serve: ollama.Serve, Build: ownBuild(), Version: versionInfo(), Progress: progress, Files: progress.File, Log: slog.Default(), NoDevice: noDevice(),
		Planned: func(p *plan.Plan) error { return planned(c, progress, p) },
	}
}

// planned tells of the plan, before anything is written.
func planned(c *cli.Context, progress *terminal.Progress, p *plan.Plan) error {
	if c.Bool("dry-run") {
		for _, w := range p.Warnings() {
			progress.Note("warning: " + w.String())
		}
		return cmp.Or(p.Print(c.App.Writer, roughTime(p)), errPlanned)
	}
	if !native.Built {
		return usage(native.ErrNotBuilt)
	}
	if cfg := p.Config; len(cfg.Lists()) > 0 || !c.IsSet("config") && !c.IsSet("resume") { // lists multiply
		about, _, _ := strings.Cut(roughTime(p), "\n")
		progress.Note(cfg.Product() + "; " + about)
	}
	for _, line := range p.ProgramLines() {
		progress.Note(line)
	}
	// A file that may grow no further (ulimit -f) is an error of writing, as on a full disk.
	signal.Ignore(syscall.SIGXFSZ)
	// Nor does a reader that goes away (| head) end a run: its words are lost, and not what it measures.
	signal.Ignore(syscall.SIGPIPE)
	return nil
}

// noDevice says which devices this program cannot use here.
func noDevice() map[string]error {
	if err := backend.Available(); err != nil {
		return map[string]error{config.DeviceCUDA: err}
	}
	return nil
}

func checkRunFlags(c *cli.Context) error {
	for _, f := range []string{"config", "resume", "out", "models-dir"} {
		if c.IsSet(f) && c.String(f) == "" { // most often a variable of the shell that is not set
			return usagef("--%s is empty: name a path, or leave the flag out", f)
		}
	}
	for _, f := range []string{"config", "resume"} {
		if c.IsSet(f) && c.Args().Present() {
			return usagef("%s and --%s, which says what is measured: leave one of the two out", text.Arg(c.Args().First()), f)
		}
	}
	if c.IsSet("resume") {
		for _, f := range flagNames(runFlags()) {
			if c.IsSet(f) && f != "resume" && f != "dry-run" {
				return usagef("%s cannot be changed on --resume: a run goes on as it began", completion.Dashed(f))
			}
		}
		return nil
	}
	if c.IsSet("config") {
		for _, f := range append(request.Flags(), request.Flag{Name: "quick", Key: "quick"}) {
			if c.IsSet(f.Name) && f.Key != "gen_tokens" {
				return usagef("--%s is for a sweep without --config: the config says that itself", f.Name)
			}
		}
		return nil
	}
	if c.IsSet("shard") {
		return usagef("--shard needs --config FILE, the same for all shards: a command line writes a config of its own each time")
	}
	for _, f := range []string{"models", "backends", "scenarios"} {
		if c.IsSet(f) {
			return usagef("--%s chooses from a config: add --config FILE, or name each SOURCE that you want", f)
		}
	}
	return nil
}

// newSweep reads the flags and the config of a new run, or makes one; explain words errors of the latter.
func newSweep(ctx context.Context, c *cli.Context, progress *terminal.Progress) (s runner.Sweep, explain func(error) error, err error) {
	explain = func(err error) error { return err }
	if s.ModelsDir, err = paths.Absolute(c.String("models-dir")); err != nil {
		return s, nil, err
	}
	if s.Overrides, err = overrides(c); err != nil {
		return s, nil, err
	}
	if c.IsSet("config") {
		s.Config, err = config.Load(c.String("config"))
	} else {
		s.Config, explain, err = requested(ctx, c, &s, progress.Note)
	}
	if err != nil {
		return s, nil, err
	}
	s.Discard = c.Bool("discard-models")
	if s.Shard, err = slurm.ShardOf(c); err != nil {
		return s, nil, err
	}
	s.Dir, s.ID, err = store.NewDir(c.String("out"), "runs")
	return s, explain, err
}

// execute measures, and says how that ended.
func execute(ctx context.Context, c *cli.Context, progress *terminal.Progress, run *runner.Run, dir string) error {
	resume := fmt.Sprintf("llmscale %s --resume %s", c.Command.Name, text.Arg(dir))
	sum, err := run.Execute(ctx)
	progress.Close()
	if err != nil {
		if sum.Cells > 0 { // it had begun
			err = fmt.Errorf("%w; what was measured is kept: once that is mended, go on with `%s`", err, resume)
		}
		return err
	}
	terminal.PrintSummary(c.App.Writer, c.App.ErrWriter, run, dir, sum)
	switch {
	case sum.Interrupted:
		return &exitError{exitInterrupted, fmt.Errorf("interrupted: %d of %d calls are measured and kept in %s; `%s` goes on", sum.Kept, sum.Calls, filepath.Join(dir, store.RunsFile), resume)}
	case sum.Failed() > 0:
		return &exitError{exitFailedCells, fmt.Errorf("%d of %s without a measurement; `%s` tries again, but not what ran out of memory", sum.Failed(), text.Counted(sum.Cells, "cell", "cells"), resume)}
	}
	return nil
}
