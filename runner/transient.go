package runner

import (
	"fmt"
	"os"
	"path/filepath"
)

// make writes the job's model, if the run's models are transient and it is not
// there, and adds what removes it again once no later job needs it. A file that
// was there before is left alone.
func (r *Run) make(j *Job, held *cleanup, stop <-chan struct{}) error {
	if r.Transient == nil {
		return nil
	}
	m := &j.Model
	_, statErr := os.Stat(m.File)
	there := statErr == nil && !r.made[m.File]
	r.show(Status{Cell: m.Name + "/" + j.Backend.Name, Phase: PhaseWrite})
	done := make(chan error, 1)
	go func() { done <- r.Transient.ready(j) }()
	var err error
	select {
	case err = <-done:
	case <-stop:
		// The writing ends with the process, which is about to.
		if err := RemoveUnfinished(r.Transient.Dir); err != nil {
			r.Log.Warn("removing an unfinished model", "error", err)
		}
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(m.File), err)
	}
	if there || m.maker == nil {
		return nil
	}
	if r.made == nil {
		r.made = map[string]bool{}
	}
	r.made[m.File] = true
	held.add(func() error {
		if r.needed(m.File) {
			return nil
		}
		delete(r.made, m.File)
		return r.Transient.discard(m)
	})
	return nil
}

// needed tells whether a job that is still to come loads the file.
func (r *Run) needed(file string) bool {
	for i := range r.Plan.Jobs {
		j := &r.Plan.Jobs[i]
		if j.Model.File != file || !j.tried() {
			continue
		}
		for _, c := range j.Cells {
			if len(r.todo(c)) > 0 {
				return true
			}
		}
	}
	return false
}
