package native

import (
	"fmt"
	"sort"
)

// FitReserveBytes is what FitLayers leaves free of a GPU's memory: for cuBLAS'
// workspace, for the pools that ggml grows while it computes, and for the CUDA
// context where none exists yet. llama.cpp's own account has none of these.
const FitReserveBytes = 768 << 20

// FitLayers returns the largest GPULayers, at most most, with which the model at
// path and a context of it take no more than free bytes of the GPU's memory, less
// FitReserveBytes, by llama.cpp's own reckoning. It allocates nothing.
func FitLayers(path string, m ModelParams, c ContextParams, most int, free int64) (int, error) {
	m.NoAlloc, m.Progress = true, nil
	return fitLayers(most, free-FitReserveBytes, func(layers int) (int64, error) {
		m.GPULayers = layers
		model, err := Load(path, m)
		if err != nil {
			return 0, err
		}
		defer model.Close()
		ctx, err := model.NewContext(c)
		if err != nil {
			return 0, err
		}
		defer ctx.Close()
		buffers, err := ctx.Memory()
		return OnDevice(buffers).Bytes(), err
	})
}

// fitLayers finds the largest number of layers up to most that needs no more than
// budget bytes. Each layer that moves to the GPU adds to what it needs there, but
// for the output head, the last of them: while it is the CPU's, llama.cpp keeps
// room for a copy of it on the GPU. So all of them is a question of its own.
func fitLayers(most int, budget int64, need func(layers int) (int64, error)) (int, error) {
	var failed error
	fits := func(layers int) bool {
		bytes, err := need(layers)
		if err != nil && failed == nil {
			failed = fmt.Errorf("native: reckoning %d layers on the GPU: %w", layers, err)
		}
		return err == nil && bytes <= budget
	}
	if fits(most) {
		return most, nil
	}
	// sort.Search looks for the first number that does not fit.
	n := sort.Search(most, func(layers int) bool { return layers > 0 && !fits(layers) }) - 1
	if failed != nil {
		return 0, failed
	}
	return n, nil
}
