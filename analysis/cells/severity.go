package cells

import (
	"slices"

	"llmscale/runner/record"
)

// severity orders what a cell's failed calls say; the first of these counts.
var severity = []string{record.StatusOOM, record.StatusCrashed, record.StatusTimeout, record.StatusError}

// Severity orders statuses: what a failed cell says is the least of its calls'.
func Severity(status string) int {
	if status == record.StatusWaived {
		return len(severity) + 1
	}
	if i := slices.Index(severity, status); i >= 0 {
		return i
	}
	return len(severity)
}
