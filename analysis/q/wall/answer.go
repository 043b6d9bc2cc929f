// Package wall asks where the models of a run stop fitting into device memory, and
// what it costs to leave layers with the CPU.
package wall

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
)

// Answer has no wall where the run can show none.
type Answer struct {
	finding.Notes
	Wall *Wall `json:"memory_wall,omitempty"`
}

// Wall is where the models of a run stop fitting into device memory.
type Wall struct {
	Cells []Cell `json:"cells"` // by backend and size
	Edges []Edge `json:"edges"` // by backend and weight type
}

// Ask looks for the wall where the run may show one: backends that differ in their
// device memory or in the layers asked for, models that are there in part, or that
// did not fit.
func Ask(c *cells.Set) *Answer {
	w := &Wall{Cells: collect(c)}
	if !w.shows() {
		return &Answer{}
	}
	w.inferTypes()
	w.ratios()
	w.edges()
	return &Answer{Wall: w}
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	w := a.Wall
	if w == nil {
		w = &Wall{}
	}
	return []finding.Table{
		finding.TableOf("memory_wall.csv", "How each model lay in device memory under each limit and choice of layers, where a run varies them or a model did not fit.", w.Cells,
			`backend batch_size vram_limit_gib asked model params_millions_effective weight_type state n_gpu_layers n_layers status reason
			n_scenarios decode_ms_per_token decode_device_ms_per_token vram_peak_mib vram_own_mib
			times_same_model_whole same_model_whole_in_backend times_trend_of_whole trend_reach`),
		finding.TableOf("memory_wall_edges.csv", "The sizes at which that changes, for each backend and weight type.", w.Edges,
			`backend batch_size vram_limit_gib asked weight_type last_whole last_whole_params_millions
			first_partial first_partial_params_millions first_did_not_fit first_did_not_fit_params_millions`),
	}
}

// Sentences are none: the section has them.
func (a *Answer) Sentences() []string { return nil }

// Sections are what changes at which size.
func (a *Answer) Sections() []doc.Section {
	if a.Wall == nil || len(a.Wall.Cells) == 0 {
		return nil
	}
	return []doc.Section{a.Wall.section()}
}
