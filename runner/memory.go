package runner

import (
	"context"

	"llmscale/internal/interrupt"
	"llmscale/runner/config"
	"llmscale/runner/files"
	"llmscale/runner/memlimit"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
)

// startWorker starts a worker of the job's program. One that is not this program says again what it is.
func (r *Run) startWorker(ctx context.Context, j *plan.Job) (*worker.Process, error) {
	as := r.Worker
	as.CPUs, as.MemoryLimit = j.Load.CPUAffinity, j.Limit()
	if j.Limit() > 0 { // what is in memory already would cost the worker nothing
		err := interrupt.Await(ctx, func() (err error) {
			j.DiskBytesPerS, err = memlimit.Drop(files.Paths(j.Load.Files))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if j.Program == nil {
		return worker.Start(as, r.Log)
	}
	w, _, err := j.Program.Start(ctx, as, r.Log, 0, false)
	return w, err
}

// noteNeed adds what a job's load is reckoned to need, and what it may have.
func noteNeed(rec *record.Record, j *plan.Job) {
	if j.Backend.Device == config.DeviceCPU && j.Backend.Kind == config.KindNative && j.Memory.Resident > 0 {
		rec.MemoryNeedMiB, rec.MemoryMappedMiB = mib(&j.Memory.Resident), mib(&j.Memory.Mapped)
	}
	if j.Limit() > 0 {
		rec.MemoryLimitMiB = &j.Backend.MemoryLimitMiB
		if j.DiskBytesPerS > 0 {
			rec.DiskMBPerS = new(j.DiskBytesPerS / 1e6)
		}
	}
}

// noteMemory adds what a worker with a memory limit has taken.
func noteMemory(m *protocol.Sample, w *worker.Process) {
	u := w.Memory()
	m.GroupPeakMiB, m.GroupAnonMiB = mib(u.PeakBytes), mib(u.AnonBytes)
}

func mib(bytes *int64) *float64 {
	if bytes == nil {
		return nil
	}
	return new(float64(*bytes) / (1 << 20))
}
