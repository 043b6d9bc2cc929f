package backend

import (
	"llmscale/native"
	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/protocol"
)

// Probe measures a device's ceilings: it is the protocol.Prober of this program's workers.
func Probe(s protocol.ProbeSpec, progress func(share float64)) (d ceilings.Device, err error) {
	watch := machine.NewWatch()
	if s.Device == config.DeviceCUDA {
		d, err = probeCUDA(s.Quick, progress)
	} else {
		progress(0)
		d, err = native.ProbeCPU(native.ProbeOptions{
			Name: machine.This().CPU, Threads: s.Threads, Quick: s.Quick, Progress: progress,
			// What is free may be needed by others a moment later.
			MaxBytes: machine.AvailableMemory() / 4,
		})
	}
	d.Disturbed = watch.Use().Disturbances()
	return d, err
}
