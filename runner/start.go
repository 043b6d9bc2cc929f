package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"llmscale/internal/interrupt"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/store"
	"llmscale/runner/worker"
)

// Host is the program that starts and resumes runs: what it is, and what it lends them.
type Host struct {
	Worker  worker.Command
	Serve   Serve // nil: there is no way to a server
	Build   protocol.Build
	Version any // what `llmscale version` says: a run is resumed by the same program alone

	NoDevice map[string]error // by device: why this program cannot use it here
	Progress Progress
	Files    func(what string, doneBytes, totalBytes int64) // hears what is done to models' files; may be nil
	Log      *slog.Logger

	// Planned, if not nil, hears of the plan before anything is written. Its error ends the start.
	Planned func(*plan.Plan) error
}

// Sweep is what a new run is to do, and where.
type Sweep struct {
	Config    *config.Config // as it was read
	Overrides Overrides
	ID        string // the run's name
	Dir       string // its folder
	ModelsDir string // absolute
	Discard   bool   // write each model just before it is measured, and remove it then

	Shard plan.Shard // what of the plan is measured; the zero value: all
}

// InputError is one of what a run was asked to do: nothing was measured.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

func inputError(err error) error {
	if err == nil {
		return nil
	}
	return &InputError{err}
}

// Start plans a new run, takes its folder, makes its models and its manifest. What is left is Execute. The error is an
// *InputError, interrupt.Err wrapped in words, Planned's, or one of making the models.
func Start(ctx context.Context, s Sweep, h Host) (_ *Run, err error) {
	models := &modelfile.Folder{Dir: s.ModelsDir, Progress: h.Files}
	if err := s.Overrides.Apply(s.Config, models); err != nil {
		return nil, inputError(err)
	}
	r, err := h.plan(ctx, s.Config, models, s.Dir, s.Discard, s.Shard)
	if err != nil {
		return nil, err
	}
	r.ID = s.ID
	if r.Plan.Whole != nil {
		r.ID = "plan-" + r.Plan.Whole.PlanSHA256[:12] // of all shards, and of what is merged of them
	}
	// Before gigabytes of models are written for a run that has no place.
	if r.Store, err = store.Create(s.Dir, s.ModelsDir); err != nil {
		return nil, inputError(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Store.Discard())
		}
	}()
	if err := r.prepare(ctx, models); err != nil {
		return nil, err
	}
	if err := r.Store.SaveConfig(s.Config); err != nil {
		return nil, err
	}
	r.Manifest, err = newManifest(r.Store, r.ID, r.Plan, s.Overrides, s.ModelsDir, h.Version)
	if err == nil {
		r.Manifest.ModelsDiscarded = s.Discard
	}
	return r, err
}

// Resume makes the next session of the run in dir: the same work, by the same program on the same kind of machine, of
// which earlier sessions have done a part. Its errors are as Start's.
func Resume(ctx context.Context, dir string, h Host) (_ *Run, err error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, inputError(err)
	}
	if m.Merged != nil {
		return nil, inputError(fmt.Errorf("%s cannot be resumed: it was merged of shards; resume those that lack calls, and merge again", dir))
	}
	var shard plan.Shard
	if m.Shard != nil {
		shard = m.Shard.Shard
	}
	models := &modelfile.Folder{Progress: h.Files}
	if models.Dir, err = m.modelsDir(dir); err != nil {
		return nil, inputError(err)
	}
	cfg, err := m.config(dir, models)
	if err != nil {
		return nil, inputError(err)
	}
	r, err := h.plan(ctx, cfg, models, dir, m.ModelsDiscarded, shard)
	if err != nil {
		return nil, err
	}
	refuse := func(err error) error {
		return inputError(fmt.Errorf("%s cannot be resumed: %w", dir, err))
	}
	if err := m.resumable(r.Plan, h.Version); err != nil {
		return nil, refuse(err)
	}
	if r.Store, err = store.Open(dir); err != nil {
		return nil, inputError(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Store.Close())
		}
	}()
	// Once more, now that no other session can change it.
	if r.Manifest, err = ReadManifest(dir); err != nil {
		return nil, inputError(err)
	}
	r.ID, r.Session = r.Manifest.RunID, len(r.Manifest.Sessions) // the folder may have another name by now
	if err := r.prepare(ctx, models); err != nil {
		return nil, err
	}
	if err := r.Manifest.sameContents(r.Plan); err != nil {
		return nil, refuse(err)
	}
	r.Previous, err = r.Store.Recover()
	return r, err
}

// plan makes the plan of a session. Nothing is written.
func (h *Host) plan(ctx context.Context, cfg *config.Config, models *modelfile.Folder, dir string, discard bool, shard plan.Shard) (*Run, error) {
	for what, path := range map[string]string{"the config": cfg.File(), "the run's folder": dir, "the folder of models": models.Dir} {
		whole, err := filepath.Abs(path) // of the current folder too
		if err == nil {
			err = inputError(text.CheckPath(what, whole))
		}
		if err != nil {
			return nil, err
		}
	}
	// Found out by the first model that is written, it would look as if that had failed.
	if st, err := os.Stat(models.Dir); err == nil && !st.IsDir() || errors.Is(err, syscall.ENOTDIR) {
		return nil, inputError(fmt.Errorf("the folder of models: %w", &fs.PathError{Op: "stat", Path: models.Dir, Err: syscall.ENOTDIR}))
	}
	for _, w := range cfg.Warnings() {
		h.Progress.Note("warning: " + w)
	}
	facts, err := plan.Look(ctx, cfg, models, &worker.Programs{Worker: h.Worker, Build: h.Build, Log: h.Log})
	if errors.Is(err, interrupt.Err) {
		return nil, fmt.Errorf("%w before anything was measured", err)
	}
	if err != nil {
		return nil, inputError(err)
	}
	facts.NoDevice = h.NoDevice
	r := &Run{Worker: h.Worker, Serve: h.Serve, Progress: h.Progress, Log: h.Log}
	if r.Plan, err = plan.New(cfg, facts); err != nil {
		return nil, inputError(err)
	}
	if discard {
		r.Plan.GroupByFile()
		r.Transient = models
	}
	if shard != (plan.Shard{}) {
		if err := r.Plan.Cut(shard); err != nil {
			return nil, inputError(err)
		}
	}
	if h.Planned != nil {
		if err := h.Planned(r.Plan); err != nil {
			return nil, err
		}
	}
	r.Conditions = machine.Conditions() // before the making of models makes the machine busy
	return r, nil
}

// prepare makes the models of a session that keeps them.
func (r *Run) prepare(ctx context.Context, models *modelfile.Folder) error {
	if r.Transient != nil {
		return nil
	}
	if err := r.Plan.Prepare(ctx, models); err != nil {
		return err
	}
	// Not deferred: after an interrupt the models are still being written, until the process ends.
	return models.Close()
}

// Close gives the run's folder up.
func (r *Run) Close() error { return r.Store.Close() }
