package analysis

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
)

// Result is all that one run says. Times are in milliseconds, parameter counts
// in millions where the name says so; a nil pointer is "unknown" and stands for
// a number that the run cannot carry.
type Result struct {
	SchemaVersion int           `json:"schema_version"` // of this struct
	RunID         string        `json:"run_id"`
	RunName       string        `json:"run_name"`
	Harness       string        `json:"harness"` // HarnessLLMScale or HarnessTR121
	Options       cells.Options `json:"options"` // with the defaults filled in
	Axis          cells.Axis    `json:"axis"`    // what the fits have on x
	Counts        runs.Counts   `json:"counts"`
	Manifest      runs.Manifest `json:"manifest"`

	Models     []cells.Model     `json:"models"`                // one for each backend x model that was planned or measured
	Cells      []cells.Cell      `json:"cells"`                 // one for each backend x model x scenario x mode with ok rows
	Aggregates []cells.Aggregate `json:"aggregates"`            // cells joined over scenarios
	Device     []DeviceCell      `json:"device,omitempty"`      // device time, memory and power; empty where nothing ran on a GPU
	DeviceFits []DeviceFit       `json:"device_fits,omitempty"` // scaling of decode by both clocks
	EventGaps  []EventGap        `json:"event_gaps"`            // host clock against device clock; empty without device times
	Asked      []Answer          `json:"-"`                     // what the questions found; MarshalJSON puts it beside the other fields
	Warnings   []finding.Warning `json:"warnings"`              // the loader's, the cells', and the fits' (a single scenario's only where the fit over all scenarios does not say the same)
}

// EventGap compares the host clock with CUDA events.
type EventGap struct {
	Backend     string           `json:"backend"`
	Mode        string           `json:"mode"`
	IsWarmup    bool             `json:"is_warmup"`
	N           int              `json:"n"`
	RelMedian   float64          `json:"rel_gap_median"` // |host - device| / host
	RelP95      stats.Percentile `json:"rel_gap_p95"`
	AbsMedianMS float64          `json:"abs_gap_ms_median"`
	AbsP95MS    stats.Percentile `json:"abs_gap_ms_p95"`
}

// CellsOf are the cells that a figure of a scenario stands on, or of AllScenarios:
// then those of the least depth.
func (r *Result) CellsOf(scenario string) []*cells.Cell {
	least := 0
	for i := range r.Cells {
		if i == 0 || r.Cells[i].Depth < least {
			least = r.Cells[i].Depth
		}
	}
	var out []*cells.Cell
	for i := range r.Cells {
		if c := &r.Cells[i]; c.Scenario == scenario || scenario == cells.AllScenarios && c.Depth == least {
			out = append(out, c)
		}
	}
	return out
}
