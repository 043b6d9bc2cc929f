package analysis

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"llmscale/runner/record"
)

// Unmeasured is an error where the records are of failures alone: none was measured well, and none ran out of memory,
// which is a result.
func (r *Result) Unmeasured() error {
	if r.Counts.Used > 0 || r.Counts.ByStatus[record.StatusOOM] > 0 {
		return nil
	}
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(r.Counts.ByStatus)) {
		parts = append(parts, fmt.Sprintf("%d %s", r.Counts.ByStatus[status], status))
	}
	if r.Counts.Invalid > 0 {
		parts = append(parts, fmt.Sprintf("%d of them INVALID", r.Counts.Invalid))
	}
	return fmt.Errorf("analysis: no record is usable, so there are no figures (records: %s); the report says why", strings.Join(parts, ", "))
}
