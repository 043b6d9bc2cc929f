// Package failures asks which cells have calls that gave no measurement, and why.
package failures

import (
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/runner/record"
)

// Answer has nothing where all calls gave one.
type Answer struct {
	finding.Notes

	Failed []Cell `json:"failed"` // cells with calls that gave no measurement
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &Answer{}
	a.failures(c)
	for _, f := range a.Failed {
		if f.Status == record.StatusError {
			a.Warn("failed_cell", strings.Join([]string{f.Backend, f.Model, f.Scenario}, " "), "the cell could not be measured: "+f.Reason,
				"correct the cause and run again with --resume")
		}
	}
	return a
}

// Tables are none: the report has them.
func (a *Answer) Tables() []finding.Table { return nil }
