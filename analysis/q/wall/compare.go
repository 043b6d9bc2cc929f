package wall

import (
	"cmp"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// ratios compares the models that are not whole with the same model under another backend.
func (w *Wall) ratios() {
	type work struct {
		weights, settings string
		scenarios         int
	}
	of := func(c *Cell) work { return work{c.WeightType, c.settings, c.Scenarios} }
	whole := map[work][]*Cell{}
	for i := range w.Cells {
		if c := &w.Cells[i]; c.State == Whole {
			whole[of(c)] = append(whole[of(c)], c)
		}
	}
	for _, cs := range whole { // without a limit, or with the largest
		slices.SortStableFunc(cs, func(x, y *Cell) int { return cmp.Compare(cells.OrInf(y.MemoryMiB), cells.OrInf(x.MemoryMiB)) })
	}
	for i := range w.Cells {
		c := &w.Cells[i]
		if !c.inPart() && (c.State != Whole || c.MemoryMiB == nil) {
			continue
		}
		for _, o := range whole[of(c)] {
			if o.Model == c.Model && c.OverWhole == nil && (!c.host() || cells.OrInf(o.MemoryMiB) > cells.OrInf(c.MemoryMiB)) {
				c.over(o)
			}
		}
	}
}

// over compares the cell with the same model whole.
func (c *Cell) over(o *Cell) {
	ratio, ci, basis := cells.Ratio(o.decodes, c.decodes)
	c.OverWhole, c.WholeIn, c.Basis = stats.Finite(ratio), o.Backend, basis
	if ci != nil {
		c.OverLow, c.OverHigh = &ci.Low, &ci.High
	}
	if c.inPart() && c.host() {
		c.explain(o)
	}
}

// Edge is where one backend changes from one state to the next.
type Edge struct {
	Way
	WeightType string `json:"weight_type" doc:"type of the weights"`

	LastWhole     string   `json:"last_whole" doc:"largest model that is whole on the GPU"` // "" where there is none
	LastWholeM    *float64 `json:"last_whole_params_millions" unit:"1e6" doc:"its parameters"`
	FirstPartial  string   `json:"first_partial" doc:"smallest model with layers on the CPU"`
	FirstPartialM *float64 `json:"first_partial_params_millions" unit:"1e6" doc:"its parameters"`
	FirstTooBig   string   `json:"first_did_not_fit" doc:"smallest model that did not fit"`
	FirstTooBigM  *float64 `json:"first_did_not_fit_params_millions" unit:"1e6" doc:"its parameters"`
}

// edges finds for each backend and weight type the sizes at which things change.
func (w *Wall) edges() {
	type key struct {
		cells.Series
		weights string
	}
	order, groups := stats.GroupBy(w.Cells, func(c Cell) key { return key{c.Series, c.WeightType} })
	for _, k := range order {
		all := groups[k]
		e := Edge{Way: all[0].Way, WeightType: k.weights}
		for i := range all {
			c := &all[i]
			switch {
			case c.State == Whole:
				e.LastWhole, e.LastWholeM = c.Model, c.ParamsM
			case c.inPart() && e.FirstPartial == "":
				e.FirstPartial, e.FirstPartialM = c.Model, c.ParamsM
			case c.State == TooBig && e.FirstTooBig == "":
				e.FirstTooBig, e.FirstTooBigM = c.Model, c.ParamsM
			}
		}
		w.Edges = append(w.Edges, e)
	}
}
