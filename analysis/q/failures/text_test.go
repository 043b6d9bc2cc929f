package failures

import (
	"testing"

	"llmscale/analysis/cells/celltest"
)

// TestNothingFailed: without a failed call there is nothing to say.
func TestNothingFailed(t *testing.T) {
	if s := Ask(celltest.Set(t, plan.Rows(1))).Sections(); len(s) > 0 {
		t.Errorf("%+v", s)
	}
}
