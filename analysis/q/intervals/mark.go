package intervals

import (
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/runner/record"
)

// verdicts are those of cells, the best first.
var verdicts = []string{record.VerdictValid, record.VerdictAmbiguous, record.VerdictInvalid}

// Mark gives a figure's point what is known of its cell. Of several cells it is the worst
// verdict, and the fewest processes.
func (a *Answer) Mark(p *figure.Point, keys ...cells.Key) {
	for _, k := range keys {
		c := a.Cell(k)
		if c == nil {
			continue
		}
		n, of := c.Calls, "calls"
		if c.Replicates > 1 {
			n, of = c.Replicates, "processes"
		}
		if p.Of == "" || n < p.N {
			p.N, p.Of = n, of
		}
		if slices.Index(verdicts, c.Verdict) >= slices.Index(verdicts, p.Verdict) {
			p.Verdict = c.Verdict
		}
	}
}
