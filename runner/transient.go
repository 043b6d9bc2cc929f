package runner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"llmscale/internal/durable"
	"llmscale/internal/interrupt"
	"llmscale/runner/plan"
	"llmscale/runner/record"
)

// discardName is that of the folder, in that of the models, in which the
// run writes what it removes again. The manifest names it before it is made, and its
// name is like no other: whatever of the plan lies there is this run's, also for a
// later session, and what was there before the run is never touched.
var discardName = regexp.MustCompile(`^discard-[0-9a-f]{12}$`)

// beginTransient names the folder, or empties that of a session that was killed, and leaves out models that will never
// fit into it. The error is that none does.
func (r *Run) beginTransient() error {
	if name := r.Manifest.DiscardDir; discardName.MatchString(name) {
		r.ownDir = filepath.Join(r.Transient.Dir, name)
		r.emptyOwnDir()
	} else {
		var tag [6]byte
		rand.Read(tag[:])
		name = "discard-" + hex.EncodeToString(tag[:])
		r.Manifest.DiscardDir, r.ownDir = name, filepath.Join(r.Transient.Dir, name)
	}
	left, err := r.Plan.WaiveTooLarge(r.Transient)
	for _, why := range left {
		r.warn(Warning{Code: "model_too_large", Where: record.ThisMachine, Text: "not measured: " + why, Advice: "choose another --models-dir, or make room there"})
	}
	return err
}

// emptyOwnDir removes the plan's models, whole or begun, from the folder, and it if
// nothing else is in there.
func (r *Run) emptyOwnDir() {
	entries, err := os.ReadDir(r.ownDir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	errs := []error{err}
	left := len(entries)
	for _, e := range entries {
		if r.isPlanned(e.Name()) {
			err := os.Remove(filepath.Join(r.ownDir, e.Name()))
			errs = append(errs, err)
			if err == nil {
				left--
			}
		}
	}
	if left == 0 {
		errs = append(errs, os.Remove(r.ownDir))
	}
	if err := errors.Join(errs...); err != nil {
		r.Progress.Note(fmt.Sprintf("models of this run are left in %s: %v", r.ownDir, err))
	}
}

// isPlanned tells whether a file is one that the run makes, or the beginning of one.
func (r *Run) isPlanned(name string) bool {
	for i := range r.Plan.Jobs {
		m := &r.Plan.Jobs[i].Model
		if base := filepath.Base(m.File); m.Ours() && (name == base || durable.IsUnfinished(name, base)) {
			return true
		}
	}
	return false
}

// writeModel writes the job's model, if the run's models are transient and it is not
// there, and adds what removes it again once no later job needs it. A file that
// was there before is left alone.
func (r *Run) writeModel(ctx context.Context, j *plan.Job, held *cleanup) error {
	if r.Transient == nil {
		return nil
	}
	m := &j.Model
	r.show(Status{Cell: j.Pair(), Phase: PhaseWrite})
	if m.Missing() && filepath.Dir(m.File) != r.ownDir {
		if err := os.MkdirAll(r.ownDir, 0o777); err != nil {
			return err
		}
		r.place(m.File, filepath.Join(r.ownDir, filepath.Base(m.File)))
	}
	if filepath.Dir(m.File) == r.ownDir {
		held.add(func() error {
			if r.needed(m.File) {
				return nil
			}
			err := r.Transient.Discard(m)
			r.place(m.File, filepath.Join(r.Transient.Dir, filepath.Base(m.File)))
			return err
		})
	}
	ready := *j // a copy: after an interrupt the writing goes on while the run's end reads the plan
	switch err := interrupt.Await(ctx, func() error { return ready.Prepare(r.Transient) }); {
	case errors.Is(err, interrupt.Err):
		return err
	case err != nil:
		return fmt.Errorf("writing %s: %w", filepath.Base(m.File), err)
	}
	j.Model, j.Load = ready.Model, ready.Load
	return r.loaded.check(j)
}

// place tells the jobs that load a file where it is now.
func (r *Run) place(from, to string) {
	for i := range r.Plan.Jobs {
		if j := &r.Plan.Jobs[i]; j.Model.File == from {
			j.Model.File, j.Load.ModelFile = to, to
		}
	}
}

// needed tells whether a visit that is still to come in this block loads the file. The next block writes it anew: what
// all models take together may be more than the disk has.
func (r *Run) needed(file string) bool {
	return slices.ContainsFunc(r.block, func(v plan.Visit) bool {
		return v.Job.Model.File == file && v.Job.Tried() && r.pending(v)
	})
}
