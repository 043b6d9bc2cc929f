//go:build !cuda

package backend

import (
	"llmscale/cuda"
	"llmscale/runner/ceilings"
)

// probeCUDA says what to build.
func probeCUDA(bool, func(share float64)) (ceilings.Device, error) {
	return ceilings.Device{}, cuda.ErrNotBuilt
}
