package intervals

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
)

// Mark gives a figure's point what is known of its cell.
func (a *Answer) Mark(p *figure.Point, k cells.Key) {
	c := a.Cell(k)
	if c == nil {
		return
	}
	p.Verdict, p.N, p.Of = c.Verdict, c.Calls, "calls"
	if c.Replicates > 1 {
		p.N, p.Of = c.Replicates, "processes"
	}
}
