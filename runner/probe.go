package runner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"llmscale/internal/interrupt"
	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
)

// probe measures the ceilings of the run's devices before its first cell, each in
// a process of its own as cells are, and adds them to ceilings.json: what an
// earlier session measured is kept, and stands if it holds for this one. A probe
// that fails costs its figures alone; its reason goes into the manifest. The error
// is interrupt.Err or one of writing the manifest.
func (r *Run) probe(ctx context.Context) error {
	if !r.Plan.Config.Probe {
		return nil
	}
	specs := r.Plan.ProbeSpecs(r.pending)
	if len(specs) == 0 {
		return nil
	}
	started := time.Now()
	var devices []ceilings.Device
	failed := map[string]string{}
	fail := func(what string, err error) {
		failed[what] = err.Error()
		r.Progress.Note(fmt.Sprintf("ceilings of %s not measured: %v", what, err))
	}
	facts := r.probeFacts()
	earlier := r.earlierProbes()
	reused := 0
	for _, s := range specs {
		at, why := earlier.holds(s, facts)
		switch {
		case !at.IsZero():
			reused++
			r.Progress.Note(fmt.Sprintf("ceilings of %s: those of %s, of the same machine and program", s, at.Local().Format("2006-01-02 15:04:05")))
			continue
		case why != "":
			r.Progress.Note(fmt.Sprintf("ceilings of %s: measured again, since %s", s, why))
		}
		d, err := r.probeOne(ctx, s)
		if errors.Is(err, interrupt.Err) {
			return err
		}
		if err != nil {
			fail(s.String(), err)
			continue
		}
		if len(d.Disturbed) > 0 {
			r.warn(Warning{Code: "probe_disturbed", Where: "the ceilings of " + s.String(), Text: "measured while " + strings.Join(d.Disturbed, " and "),
				Advice: "shares of these ceilings may come out too high: run on a quiet machine"})
		}
		d.Facts = facts
		devices = append(devices, *d)
	}
	if len(devices) > 0 {
		aside, err := ceilings.Append(filepath.Join(r.Store.Dir, ceilings.FileName), devices)
		if err != nil {
			fail(ceilings.FileName, err)
		}
		if aside != "" {
			r.Progress.Note("the earlier " + ceilings.FileName + " could not be read; it is kept as " + aside)
		}
	}
	r.Manifest.session().Ceilings = &ProbeNote{time.Since(started).Seconds(), len(devices), reused, failed}
	return r.Manifest.Write(r.Store)
}

// prober is the job whose program probes a device: this program a CPU, and a GPU the first that can use it.
func (r *Run) prober(s protocol.ProbeSpec) *plan.Job {
	for i := range r.Plan.Jobs {
		if j := &r.Plan.Jobs[i]; s.Device != config.DeviceCPU && j.Backend.Device == s.Device && j.Tried() {
			return j
		}
	}
	return &plan.Job{}
}

// probeOne measures one device.
func (r *Run) probeOne(ctx context.Context, s protocol.ProbeSpec) (*ceilings.Device, error) {
	r.show(Status{Cell: s.String(), Phase: PhaseProbe})
	w, err := r.startWorker(ctx, r.prober(s))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	d, err := w.Probe(ctx, s, func(share float64) {
		r.show(Status{Cell: s.String(), Phase: PhaseProbe, Share: share})
	})
	if err == nil {
		d.Session = r.Session
	}
	return d, err
}
