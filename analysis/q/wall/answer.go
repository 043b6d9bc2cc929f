// Package wall asks where models stop fitting into memory, a GPU's or the CPU's, and
// what it costs that the CPU computes layers or that the disk gives weights in every
// step.
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

// Wall is where the models of a run stop fitting into memory.
type Wall struct {
	Cells  []Cell  `json:"cells"`            // by backend and size
	Edges  []Edge  `json:"edges"`            // by backend and weight type
	Cliffs []Cliff `json:"limits,omitempty"` // of the CPU's memory, by model

	Feasible []Feasible `json:"feasible,omitempty"` // sizes for memories of the CPU
}

// Ask looks for the wall where the run may show one: backends that differ in their
// memory or in the layers asked for, models that are there in part, or that did not
// fit.
func Ask(c *cells.Set) *Answer {
	w := &Wall{Cells: collect(c)}
	if !w.shows() {
		return &Answer{}
	}
	w.inferTypes()
	w.ratios()
	w.edges()
	w.cliffs()
	w.feasible()
	return &Answer{Wall: w}
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	w := a.Wall
	if w == nil {
		w = &Wall{}
	}
	return []finding.Table{
		finding.TableOf("memory_wall.csv", "How each model lay in memory under each limit and choice of layers, where a run varies them or a model did not fit.", w.Cells,
			`backend batch_size device memory_limit_mib vram_limit_gib asked model params_millions_effective weight_type state n_gpu_layers n_layers status reason
			n_scenarios decode_ms_per_token prefill_ms vram_peak_mib vram_own_mib
			memory_need_mib weights_not_fitting memory_peak_mib memory_unmapped_mib disk_read_mib_per_pass disk_read_mb_per_s share_explained_by_disk
			times_same_model_whole times_low times_high times_basis same_model_whole_in_backend`),
		finding.TableOf("memory_wall_edges.csv", "The sizes at which that changes, for each backend and weight type.", w.Edges,
			`backend batch_size device memory_limit_mib vram_limit_gib asked weight_type last_whole last_whole_params_millions
			first_partial first_partial_params_millions first_did_not_fit first_did_not_fit_params_millions`),
		finding.TableOf("memory_wall_limits.csv", "The limit of the CPU's memory at which a model's decode leaves its level, against what was estimated.", w.Cliffs,
			`model params_millions_effective weight_type batch_size verdict holds_mib slow_mib slow_times slow_times_low slow_times_high
			slow_weights_not_fitting slow_weights_reread did_not_fit_mib memory_need_mib memory_peak_mib memory_need_unmapped_mib memory_unmapped_mib`),
		finding.TableOf("memory_feasible.csv", "The largest size that fits into the CPU's memory with a context, by what the run's sizes need; where there is a wall.", w.Feasible,
			`weight_type batch_size memory_mib context_tokens params_millions beyond_largest`),
	}
}

// Sections are what changes at which size.
func (a *Answer) Sections() []doc.Section {
	if a.Wall == nil || len(a.Wall.Cells) == 0 {
		return nil
	}
	return []doc.Section{a.Wall.section()}
}
