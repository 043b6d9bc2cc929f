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
		finding.TableOf("device.csv", "Device time, memory, placement and power of each cell that ran on a GPU, by mode. Power, clocks and temperature are those of the mode's own phase.", a.Cells, ""),
		finding.TableOf("cuda_event_gap_summary.csv", "Host clock against CUDA events.", a.Gaps, ""),
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
