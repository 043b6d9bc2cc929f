package scaling

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/runs"
)

// TestDoubtfulCells: a cell in doubt is left out of a fit and named, unless so few are
// left that the fit says so instead.
func TestDoubtfulCells(t *testing.T) {
	p := celltest.Ladder
	p.Models, p.Reps, p.Gen = 5, 3, 2
	for _, c := range []struct {
		doubtful, inFit int
		all             bool
		code, text      string
	}{
		{0, 5, false, "", ""},
		{1, 4, false, "cells_left_out", "left out of the fit: m00 (AMBIGUOUS: disturbed)"},
		{4, 5, false, "ambiguous_cells", "too few cells are VALID: in the fit are m00 (AMBIGUOUS: disturbed), m01"},
		{1, 5, true, "", ""},
	} {
		rows := p.Blocks(5, func(b int, r *runs.Row) float64 { return 1 + .01*math.Sin(float64(5*b+r.TaskIdx)) })
		for i := range rows {
			r := &rows[i]
			if r.Model < fmt.Sprintf("m%02d", c.doubtful) && r.Replicate < 3 {
				r.CanaryReadMS = new(8.0)
			}
		}
		set, err := cells.New(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1, AllCells: c.all})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range Ask(set, intervals.Ask(set)).Fits {
			if f.NModels != c.inFit {
				t.Errorf("%d doubtful, all %v: %d models in the fit of %s in %s", c.doubtful, c.all, f.NModels, f.Mode, f.Scenario)
			}
			var said finding.Warning
			for _, w := range f.Warnings {
				if w.Code == "cells_left_out" || w.Code == "ambiguous_cells" {
					said = w
				}
			}
			if said.Code != c.code || !strings.HasPrefix(said.Text, c.text) {
				t.Errorf("%d doubtful, all %v: %+v", c.doubtful, c.all, said)
			}
		}
	}
}
