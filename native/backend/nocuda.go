//go:build !cuda

package backend

import "errors"

// openDevice has nothing to open in a build without the tag cuda.
func openDevice() (device, error) {
	return nil, errors.New("this program was built for the CPU; `make CUDA=1 build` builds it for the GPU")
}
