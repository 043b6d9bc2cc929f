package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"llmscale/runner/ceilings"
	"llmscale/runner/protocol"
)

// probeTimeout is how long a probe may stay silent.
const probeTimeout = 2 * time.Minute

// Probe has a device's ceilings measured in a worker process of its own, which ends with it. progress is told of shares
// from 0 to 1. The error is as that of Do.
func Probe(ctx context.Context, as Command, log *slog.Logger, s protocol.ProbeSpec, progress func(share float64)) (*ceilings.Device, error) {
	w, err := Start(as, log)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return w.Probe(ctx, s, progress)
}

// Probe has a device's ceilings measured by this worker.
func (p *Process) Probe(ctx context.Context, s protocol.ProbeSpec, progress func(share float64)) (*ceilings.Device, error) {
	started := time.Now()
	rep, err := p.Ask(ctx, protocol.Request{Probe: &s}, probeTimeout, progress)
	if err != nil {
		return nil, err
	}
	if rep.Probed == nil {
		return nil, errors.New("the worker answered a probe with something else")
	}
	d := rep.Probed
	d.Quick, d.MeasuredAt, d.WallS = s.Quick, started.UTC(), time.Since(started).Seconds()
	return d, nil
}
