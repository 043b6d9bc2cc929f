package runs

import (
	"testing"

	"llmscale/runner/record"
)

// TestLlamaBenchOnGPU: layers count there, and "all" is as many as there are.
func TestLlamaBenchOnGPU(t *testing.T) {
	r := new(RowOf(record.Record{}))
	r.ModelFile, r.NThreads, r.NThreadsBatch, r.Device, r.NLayer, r.NGPULayers = "m.gguf", new(2), new(4), "cuda", 12, 13
	for layers, want := range map[int]bool{99: true, -1: true, 13: true, 12: false, 0: false} {
		if got := (&LlamaBench{ModelFile: "m.gguf", Threads: 4, GPULayers: layers, Backends: "CUDA"}).RunsOn(r); got != want {
			t.Errorf("%d layers: %v", layers, got)
		}
	}
	// Decode has threads of its own.
	for _, b := range []LlamaBench{{Threads: 2, Gen: 8}, {Threads: 4, Prompt: 8}} {
		b.ModelFile, b.GPULayers = "m.gguf", -1
		if !b.RunsOn(r) {
			t.Errorf("%+v", b)
		}
		if b.Threads = 6 - b.Threads; b.RunsOn(r) {
			t.Errorf("%+v", b)
		}
	}
}
