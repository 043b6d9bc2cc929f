package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
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
)

// session is one call of run or sweep: a new run, or one that goes on.
type session struct {
	c         *cli.Context
	progress  *progress
	run       *runner.Run
	models    *runner.Models
	overrides runner.Overrides
	dir       string // the run's
	resumed   bool
	transient bool // models are removed once they are measured
}

// measure plans and runs; it returns the run's folder.
func measure(c *cli.Context) (dir string, err error) {
	if err := checkRunFlags(c); err != nil {
		return "", err
	}
	progress := newProgress(c.App.ErrWriter)
	defer progress.Close()
	s := &session{
		c: c, progress: progress, resumed: c.String("resume") != "",
		run:    &runner.Run{Worker: workerProcess(c), Serve: ollama.Serve, Progress: progress, Log: slog.Default()},
		models: &runner.Models{Progress: progress.File},
	}
	defer func() { err = s.close(err) }()
	if err := s.plan(); err != nil {
		return "", err
	}
	if c.Bool("dry-run") {
		for _, w := range s.run.Plan.Warnings() {
			progress.Note("warning: " + w.String())
		}
		return s.dir, printPlan(c.App.Writer, s.run.Plan)
	}
	if !native.Built {
		return "", usage(native.ErrNotBuilt)
	}
	if cfg := s.run.Plan.Config; len(cfg.Lists()) > 0 { // which multiply
		about, _, _ := strings.Cut(roughTime(s.run.Plan), "\n")
		progress.Note(cfg.Product() + "; " + about)
	}
	for _, line := range programLines(s.run.Plan) {
		progress.Note(line)
	}
	s.run.Conditions = runner.Conditions()

	ctx, release := interrupts(c.Context)
	defer release()
	// A file that may grow no further (ulimit -f) is an error of writing, as on a full disk.
	signal.Ignore(syscall.SIGXFSZ)
	// Nor does a reader that goes away (| head) end a run: its words are lost, and not what it measures.
	signal.Ignore(syscall.SIGPIPE)
	if err := s.begin(ctx); err != nil {
		return "", err
	}
	return s.dir, s.execute(ctx)
}

func checkRunFlags(c *cli.Context) error {
	if err := noArgs(c); err != nil {
		return err
	}
	for _, f := range []string{"config", "resume", "out", "models-dir"} {
		if c.IsSet(f) && c.String(f) == "" { // most often a variable of the shell that is not set
			return usagef("--%s is empty: name a path, or leave the flag out", f)
		}
	}
	resumed := c.String("resume") != ""
	if resumed == c.IsSet("config") {
		return usagef("%s needs either --config FILE or --resume DIR", c.Command.Name)
	}
	if resumed {
		for _, f := range []string{"out", "models", "backends", "scenarios", "max-params", "repetitions", "warmup-repetitions", "gen-tokens", "seed", "models-dir", "discard-models"} {
			if c.IsSet(f) {
				return usagef("--%s cannot be changed on --resume: a run goes on as it began", f)
			}
		}
	}
	return nil
}

// plan reads what is to be measured, and how. Nothing is written.
func (s *session) plan() (err error) {
	cfg, err := s.config()
	if err != nil {
		return usage(err)
	}
	for what, path := range map[string]string{"the config": cfg.File(), "the run's folder": s.dir, "the folder of models": s.models.Dir} {
		if err := checkPath(what, path); err != nil {
			return err
		}
	}
	// Found out by the first model that is written, it would look as if that had failed.
	if st, err := os.Stat(s.models.Dir); err == nil && !st.IsDir() || errors.Is(err, syscall.ENOTDIR) {
		return usagef("the folder of models: %w", &fs.PathError{Op: "stat", Path: s.models.Dir, Err: syscall.ENOTDIR})
	}
	for _, w := range cfg.Warnings() {
		s.progress.Note("warning: " + w)
	}
	if err := s.pair(cfg); err != nil {
		return err
	}
	discarded, _ := s.run.Manifest["models_discarded"].(bool) // of a resumed run
	if s.transient = discarded || s.c.Bool("discard-models"); s.transient {
		s.run.Plan.GroupByFile()
	}
	return nil
}

// pair makes the plan, for which it starts the programs that backends name.
func (s *session) pair(cfg *config.Config) (err error) {
	ctx := s.c.Context
	if slices.ContainsFunc(cfg.Backends, func(b config.Backend) bool { return b.ProgramPath != "" }) {
		var release func()
		ctx, release = interrupts(ctx) // one that hangs would outlive this program
		defer release()
	}
	facts, err := runner.Look(ctx, cfg, s.models, &runner.Programs{Worker: s.run.Worker, Build: ownBuild(), Log: slog.Default()})
	if ctx.Err() != nil {
		return &exitError{exitInterrupted, errors.New("interrupted before anything was measured")}
	}
	if err != nil {
		return usage(err)
	}
	if err := backend.Available(); err != nil {
		facts.NoDevice = map[string]error{config.DeviceCUDA: err}
	}
	s.run.Plan, err = runner.NewPlan(cfg, facts)
	return usage(err)
}

// config reads the flags, or the folder of the run that is to go on.
func (s *session) config() (cfg *config.Config, err error) {
	if s.resumed {
		if s.dir, err = paths.Clean(s.c.String("resume")); err != nil {
			return nil, err
		}
		if s.run.Manifest, err = runner.ReadManifest(s.dir); err != nil {
			return nil, err
		}
		s.run.ID, _ = s.run.Manifest["run_id"].(string) // the folder may have another name by now
		if s.models.Dir, err = runner.ModelsDir(s.dir, s.run.Manifest); err != nil {
			return nil, err
		}
		cfg, s.overrides, err = runner.ResumedConfig(s.dir, s.run.Manifest, s.models)
		return cfg, err
	}
	if s.models.Dir, err = paths.Absolute(s.c.String("models-dir")); err != nil {
		return nil, err
	}
	if s.overrides, err = overrides(s.c); err != nil {
		return nil, err
	}
	if cfg, err = config.Load(s.c.String("config")); err != nil {
		return nil, err
	}
	if err := s.overrides.Apply(cfg, s.models); err != nil {
		return nil, err
	}
	s.dir, s.run.ID, err = newRunDir(s.c.String("out"))
	return cfg, err
}

// begin takes the run's folder and makes the models.
func (s *session) begin(ctx context.Context) error {
	// Before gigabytes of models are written for a run that has no place or cannot go on.
	if err := s.open(); err != nil {
		return usage(err)
	}
	if s.transient {
		s.run.Transient = s.models
	} else {
		if err := prepare(ctx, s.run.Plan, s.models); err != nil {
			return err
		}
		// Not deferred: after an interrupt the models are still being written, until the process ends.
		if err := s.models.Close(); err != nil {
			return err
		}
	}
	s.progress.Clear()
	return s.recall()
}

// open makes the folder of a new run, or checks that an old one can go on and opens it.
func (s *session) open() (err error) {
	if !s.resumed {
		s.run.Store, err = runner.CreateStore(s.dir, s.models.Dir)
		return err
	}
	if err := runner.CheckResumable(s.dir, s.run.Manifest, s.run.Plan, versionInfo()); err != nil {
		return err
	}
	if s.run.Store, err = runner.OpenStore(s.dir); err != nil {
		return err
	}
	// Once more, now that no other session can change it.
	if s.run.Manifest, err = runner.ReadManifest(s.dir); err != nil {
		return err
	}
	s.run.Session = runner.Sessions(s.run.Manifest)
	return nil
}

// recall reads what earlier sessions measured, or begins the artifacts of a new run.
func (s *session) recall() (err error) {
	if s.resumed {
		if err := runner.CheckContents(s.dir, s.run.Manifest, s.run.Plan); err != nil {
			return usage(err)
		}
		s.run.Previous, err = s.run.Store.Recover()
		return err
	}
	if err := s.run.Store.SaveConfig(s.run.Plan.Config); err != nil {
		return err
	}
	if s.run.Manifest, err = s.run.Store.NewManifest(s.run.ID, s.run.Plan, s.overrides, s.models.Dir, versionInfo()); err != nil {
		return err
	}
	s.run.Manifest["models_discarded"] = s.transient
	return nil
}

// execute measures, and says how that ended.
func (s *session) execute(ctx context.Context) error {
	resume := fmt.Sprintf("llmscale %s --resume %s", s.c.Command.Name, text.Arg(s.dir))
	sum, err := s.run.Execute(ctx)
	s.progress.Close()
	if s.transient && !sum.Interrupted {
		err = errors.Join(err, s.models.Close())
	}
	if err != nil {
		if sum.Cells > 0 { // it had begun
			err = fmt.Errorf("%w; what was measured is kept: once that is mended, go on with `%s`", err, resume)
		}
		return err
	}
	printSummary(s.c.App.Writer, s.c.App.ErrWriter, s.run, s.dir, sum)
	switch {
	case sum.Interrupted:
		return &exitError{exitInterrupted, fmt.Errorf("interrupted: %d of %d calls are measured and kept in %s; `%s` goes on", sum.Kept, sum.Calls, filepath.Join(s.dir, runner.RunsFile), resume)}
	case sum.Failed() > 0:
		return &exitError{exitFailedCells, fmt.Errorf("%d of %s without a measurement; `%s` tries again, but not what ran out of memory", sum.Failed(), text.Counted(sum.Cells, "cell", "cells"), resume)}
	}
	return nil
}

// close gives the run's folder up, and removes that of a new run which ended with err before it began.
func (s *session) close(err error) error {
	if s.run.Store == nil {
		return err
	}
	if err != nil && !s.resumed {
		err = errors.Join(err, s.run.Store.Discard())
	}
	s.run.Store.Close() // of a file that was synced with each record
	return err
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
