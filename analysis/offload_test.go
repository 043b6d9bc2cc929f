package analysis

import (
	"slices"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// TestMixedOffload: a fit over models of which one leaves layers to the CPU says so.
func TestMixedOffload(t *testing.T) {
	for layers, mixed := range map[int]bool{1: true, -1: false} {
		r := analyzeRows(t, celltest.GpuRun(func(r *runs.Row) {
			if r.Model == "m02" {
				r.NGPULayers = layers
			}
		}))
		f := findFit(t, r, "gpu", record.ModeDecode, cells.AllScenarios)
		if slices.Contains(celltest.Codes(f.Warnings), "mixed_offload") != mixed {
			t.Errorf("%d layers: %q", layers, celltest.Codes(f.Warnings))
		}
	}
}
