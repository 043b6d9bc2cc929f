// Package configs holds the sweeps that the program knows without a file.
package configs

import _ "embed"

// The default sweep, on the CPU and on a GPU.
var (
	//go:embed scaling.yaml
	Scaling []byte
	//go:embed scaling-gpu.yaml
	ScalingGPU []byte
)
