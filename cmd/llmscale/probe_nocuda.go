//go:build !cuda

package main

import (
	"errors"

	"llmscale/runner/ceilings"
)

// probeCUDA says what to build.
func probeCUDA(bool, func(share float64)) (ceilings.Device, error) {
	return ceilings.Device{}, errors.New("this binary was built without CUDA: run `make build CUDA=1`")
}
