//go:build cuda

package main

import (
	"errors"

	"llmscale/cuda"
	"llmscale/cuda/probe"
	"llmscale/runner/ceilings"
)

// probeCUDA measures the first GPU.
func probeCUDA(quick bool, progress func(share float64)) (_ ceilings.Device, err error) {
	if err := cuda.Available(); err != nil {
		return ceilings.Device{}, err
	}
	dev, err := cuda.Open(0)
	if err != nil {
		return ceilings.Device{}, err
	}
	progress(0)
	defer func() { err = errors.Join(err, dev.Close()) }()
	return probe.Run(dev, probe.Options{Quick: quick})
}
