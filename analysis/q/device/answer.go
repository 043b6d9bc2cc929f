// Package device asks what a GPU's own clock, memory and sensors say of the cells that
// ran on it, and how far the host's clock lies from it.
package device

import (
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
)

// Answer is empty where nothing ran on a GPU.
type Answer struct {
	finding.Notes
	set *cells.Set

	Cells  []Cell  `json:"device,omitempty"`        // device time, memory, placement and power
	Models []Model `json:"device_models,omitempty"` // where each lay
	Gaps   []Gap   `json:"event_gaps"`              // host clock against device clock; empty without device times
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &Answer{set: c}
	a.summarise()
	a.models()
	a.clocks()
	return a
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("device.csv", "Device time, memory, placement and power of each cell that ran on a GPU, by mode. Power, clocks and temperature are those of the mode's own phase.", a.Cells,
			`backend backend_kind batch_size model params_millions_effective scenario mode gpu_name n
			host_median_ms device_median_ms host_gap_median_ms host_gap_share_median graph_captures captured_calls
			vram_before_mib vram_peak_mib vram_weights_mib vram_kv_mib vram_compute_mib vram_rest_mib
			n_gpu_layers n_layers placement graph_splits cpu_ops cpu_op_names
			power_median_w energy_calls j_per_token j_per_token_uncertainty sm_clock_median_mhz sm_clock_min_mhz mem_clock_median_mhz
			temperature_max_c throttle_reasons throttle_spoilt_calls warnings`),
		finding.TableOf("cuda_event_gap_summary.csv", "Host clock against CUDA events.", a.Gaps,
			"backend mode is_warmup n rel_gap_median rel_gap_p95 abs_gap_ms_median abs_gap_ms_p95"),
	}
}

// GPUs names the cards.
func (a *Answer) GPUs() []string {
	var names []string
	for i := range a.Cells {
		if gpu := a.Cells[i].GPU; gpu != "" && !slices.Contains(names, gpu) {
			names = append(names, gpu)
		}
	}
	return names
}
