package runner

import (
	"context"
	"errors"
	"slices"

	"llmscale/runner/config"
	"llmscale/runner/record"
)

// Serve makes a server ready for one model: file is the GGUF and sum its SHA-256, if
// the model must be made there of it (imported), otherwise name is the server's own.
// It returns the model's name on the server. release makes the server drop the model
// from memory, and deletes it if it was made here; it works after ctx has ended, and
// after a worker that was killed. The error may be a *Failure.
type Serve func(ctx context.Context, spec OllamaSpec, file string) (name string, release func() error, err error)

// cleanup undoes what was made for a job, last things first.
type cleanup struct{ undo []func() error }

func (c *cleanup) add(undo func() error) { c.undo = append(c.undo, undo) }

func (c *cleanup) release() error {
	var errs []error
	for _, undo := range slices.Backward(c.undo) {
		errs = append(errs, undo())
	}
	c.undo = nil
	return errors.Join(errs...)
}

// provide makes what the job's worker will need: its file, and its model on a server.
// It does so once for a job, however many workers that takes.
func (r *Run) provide(j *Job, held *cleanup, stop <-chan struct{}) error {
	if len(held.undo) > 0 || !j.tried() {
		return nil
	}
	if err := r.make(j, held, stop); err != nil {
		return err
	}
	if j.Backend.Kind != config.KindOllama {
		return nil
	}
	if r.Serve == nil {
		return Failf(record.StatusWaived, "this build cannot reach an Ollama server")
	}
	r.show(Status{Cell: j.Model.Name + "/" + j.Backend.Name, Phase: PhaseImport})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	spec := j.Load.Ollama
	spec.SHA256 = j.Model.SHA256
	name, release, err := r.Serve(ctx, *spec, j.Model.File)
	select {
	case <-stop:
		if err != nil {
			return errInterrupted
		}
	default:
	}
	if err != nil {
		return err
	}
	held.add(func() error {
		err := release()
		if err != nil {
			// What stays on the server is worth a line, and no reason to end the sweep.
			r.Progress.Note(err.Error())
			r.Log.Warn("leaving the Ollama server", "error", err)
		}
		return nil
	})
	spec.Model = name
	return nil
}
