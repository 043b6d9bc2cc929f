package device

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Model is one model as one series ran it on a GPU, by those of its cells that speak for it.
type Model struct {
	cells.Subject
	Placement string   `json:"placement"`     // of the graph with most operations on the CPU, see Cell; "" where it is not known
	Whole     bool     `json:"whole"`         // the CPU computes nothing but the lookup of embeddings
	PeakMiB   *float64 `json:"vram_peak_mib"` // of the cell that takes most

	placed *Cell // which says the placement
	decode *Cell // behind the longest prompt, which stands for the others
}

// models lists the models.
func (a *Answer) models() {
	prompts := map[string]float64{} // by scenario
	for i := range a.set.Cells {
		c := &a.set.Cells[i]
		if n := c.PromptEach(); n != nil {
			prompts[c.Scenario] = max(prompts[c.Scenario], *n)
		}
	}
	at := map[cells.Key]*Model{}
	series, of := stats.GroupBy(a.Cells, func(d Cell) cells.Key { return d.Series().Key(d.Model, "", "") })
	a.Models = make([]Model, len(series))
	for i, k := range series {
		a.Models[i].Subject, at[k] = of[k][0].Subject, &a.Models[i]
	}
	for i := range a.Cells {
		d := &a.Cells[i]
		m := at[d.Series().Key(d.Model, "", "")]
		m.PeakMiB = stats.Larger(m.PeakMiB, d.PeakMiB)
		if d.Mode == record.ModeDecode && (m.decode == nil || prompts[d.Scenario] > prompts[m.decode.Scenario]) {
			m.decode = d
		}
		if d.Placement != "" && d.Mode != record.ModeE2E && (m.placed == nil || orZero(d.CPUOps) > orZero(m.placed.CPUOps)) {
			m.placed, m.Placement = d, d.Placement
			m.Whole = d.Placement == PlacedWhole || d.Placement == PlacedLookup
		}
	}
}
