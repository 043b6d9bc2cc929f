package wall

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// A trend of whole models goes through trendSizes sizes, and is not followed beyond
// trendReach times the largest of them.
const (
	trendSizes = 3
	trendReach = 8.0
)

// ratios compares the models that are not whole on the GPU with those that are: with
// the same model under another backend, and with the trend of the smaller ones.
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
		bySize := map[float64][]float64{}
		for _, o := range whole[of(c)] {
			if o.Model == c.Model && c.OverWhole == nil && (!c.host() || cells.OrInf(o.MemoryMiB) > cells.OrInf(c.MemoryMiB)) {
				c.over(o)
			}
			if o.ParamsM != nil && c.ParamsM != nil && *o.ParamsM < *c.ParamsM {
				bySize[*o.ParamsM] = append(bySize[*o.ParamsM], *o.DecodeMS)
			}
		}
		if c.inPart() {
			c.overTrend(bySize)
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
	if len(o.prefills) > 0 && len(o.prefills) == len(c.prefills) {
		ratio, _, _ := cells.Ratio(o.prefills, c.prefills)
		c.PrefillOver = stats.Finite(ratio)
	}
	if c.inPart() && c.host() {
		c.explain(o)
	}
}

// overTrend is decode over the power law through the largest whole models: the
// smallest ones are bound by something else than size, which no power law follows.
func (c *Cell) overTrend(bySize map[float64][]float64) {
	sizes := slices.Sorted(maps.Keys(bySize))
	if len(sizes) < trendSizes {
		return
	}
	sizes = sizes[len(sizes)-trendSizes:]
	reach := *c.ParamsM / sizes[trendSizes-1]
	if reach > trendReach {
		return
	}
	l, ok := stats.OLS(stats.Map(sizes, math.Log), stats.Map(sizes, func(s float64) float64 { return math.Log(stats.Geomean(bySize[s])) }))
	if !ok {
		return
	}
	c.OverTrend, c.TrendReach = stats.Finite(*c.DecodeMS/math.Exp(l.A+l.B*math.Log(*c.ParamsM))), stats.Finite(reach)
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
