package runner

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"llmscale/internal/interrupt"
	"llmscale/runner/config"
	"llmscale/runner/files"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// Serve makes a server ready for one model: file is the GGUF and sum its SHA-256, if
// the model must be made there of it (imported), otherwise name is the server's own.
// It returns the model's name on the server. release makes the server drop the model
// from memory, and deletes it if it was made here; it works after ctx has ended, and
// after a worker that was killed. The error may be a *record.Failure.
type Serve func(ctx context.Context, spec protocol.OllamaSpec, file string) (name string, release func() error, err error)

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
func (r *Run) provide(ctx context.Context, j *plan.Job, held *cleanup) error {
	if len(held.undo) > 0 || !j.Tried() {
		return nil
	}
	if err := r.writeModel(ctx, j, held); err != nil {
		return err
	}
	if j.Backend.Kind != config.KindOllama {
		return nil
	}
	if r.Serve == nil {
		return record.Failf(record.StatusWaived, "this build cannot reach an Ollama server")
	}
	r.show(Status{Cell: j.Pair(), Phase: PhaseImport})
	spec := j.Load.Ollama
	// The plan, which identifies a run, knows neither the hash nor how long a call may take.
	spec.SHA256 = j.Model.SHA256
	spec.TimeoutS = 0.95 * r.Plan.Config.CellTimeoutS // the worker's limit goes first: it knows what the server did not do
	if err := r.confirm(ctx, j); err != nil {
		return err
	}
	if err := files.Check(j.Load.Files); err != nil {
		return err
	}
	name, release, err := r.Serve(ctx, *spec, j.Model.File)
	if err != nil {
		if ctx.Err() != nil {
			r.Progress.Note(err.Error()) // perhaps what could not be taken off the server again
			return interrupt.Err
		}
		if f := record.AsFailure(err); f.Status == record.StatusWaived && r.served[spec.URL.Reveal()] {
			// This machine does have a server: it is one that died.
			return record.Failf(record.StatusError, "the server is gone: %s", f.Reason)
		}
		if changed := files.Check(j.Load.Files); changed != nil {
			return changed // what was sent was not what was hashed, and the server saw it
		}
		return err
	}
	if r.served == nil {
		r.served = map[string]bool{}
	}
	r.served[spec.URL.Reveal()] = true
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

// confirm takes over the identity that the job's files have by now, if they hold what was hashed. If they do not, the
// load says so.
func (r *Run) confirm(ctx context.Context, j *plan.Job) error {
	was := files.Content{SHA256: j.Model.SHA256, Files: j.Load.Files}
	files := was.Files
	err := interrupt.Await(ctx, func() error {
		if h, err := was.Now(nil); err == nil {
			files = h.Files
		}
		return nil
	})
	if err == nil {
		j.Model.Files, j.Load.Files = files, files
	}
	return err
}

// sameServer compares a server with the one that earlier sessions measured the
// backend's cells with: two versions or machines in one cell would be a mixture. The
// port may be another.
func (r *Run) sameServer(j *plan.Job, now *record.OllamaServer) error {
	if now == nil {
		return nil
	}
	for i := range r.Previous {
		was := &r.Previous[i]
		if was.Backend != j.Backend.Name || was.OllamaVersion == nil || was.OllamaURL == nil {
			continue
		}
		if *was.OllamaVersion != *now.OllamaVersion || hostOf(*was.OllamaURL) != hostOf(*now.OllamaURL) {
			return record.Failf(record.StatusError, "the run was begun with Ollama %s at %s, this is %s at %s: resume it with that one, or start a new run",
				*was.OllamaVersion, *was.OllamaURL, *now.OllamaVersion, *now.OllamaURL)
		}
	}
	return nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Hostname()
}
