//go:build cuda

package backend

import (
	"errors"

	"llmscale/cuda"
	"llmscale/cuda/probe"
	"llmscale/runner/ceilings"
)

// quickSets are the working sets of a quick probe, in bytes. Around the sizes of
// L2 caches they double, since the ceiling of a model between two of them is that
// of the smaller one.
var quickSets = []int64{1 << 20, 4 << 20, 16 << 20, 32 << 20, 64 << 20, 128 << 20, 1 << 30}

// probeCUDA measures the first GPU. A probe that breaks off leaves what it had.
func probeCUDA(quick bool, progress func(share float64)) (_ ceilings.Device, err error) {
	if err := cuda.Available(); err != nil {
		return ceilings.Device{}, err
	}
	gpu, err := cuda.Open(0)
	if err != nil {
		return ceilings.Device{}, err
	}
	defer func() { err = errors.Join(err, gpu.Close()) }()
	progress(0)
	options := probe.Options{Quick: quick}
	if quick {
		options.WorkingSets = quickSets
	}
	d, err := probe.Run(gpu, options)
	if err != nil && len(d.Bandwidth)+len(d.Launch) > 0 {
		d.NotMeasured["what comes after"] = err.Error()
		return d, nil
	}
	return d, err
}
