package analysis

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
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

	Models     []cells.Model     `json:"models"`     // one for each backend x model that was planned or measured
	Cells      []cells.Cell      `json:"cells"`      // one for each backend x model x scenario x mode with ok rows
	Aggregates []cells.Aggregate `json:"aggregates"` // cells joined over scenarios
	Set        *cells.Set        `json:"-"`          // with look-ups
	Asked      []Answer          `json:"-"`          // what the questions found; MarshalJSON puts it beside the other fields
	Warnings   []finding.Warning `json:"warnings"`   // the loader's, the cells', and the fits' (a single scenario's only where the fit over all scenarios does not say the same)
}
