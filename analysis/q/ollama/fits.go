package ollama

import (
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// lengthLimited keeps the answers that ran to the target length.
const lengthLimited = "length_limited_decode_only"

// lengthLimited repeats the fits without the rows that were scaled up from a short
// answer. Prefill does not depend on the answer and is left alone.
func (a *Answer) lengthLimited(set *cells.Set, s cells.Series) {
	for _, mode := range set.Modes {
		if mode == record.ModePrefill {
			continue
		}
		fit := func(scenario, agg string, points []scaling.Point, models []*cells.Model, unequal []string) {
			f := scaling.Fit{Subject: scaling.Subject{Series: s, BackendKind: cells.KindOllama, Mode: mode, Scenario: scenario}, Aggregation: agg, Filter: lengthLimited, Axis: set.Axis.Name}
			scaling.FitLogLog(&f, points, set.Opt)
			f.Doubt(set, models, nil, unequal)
			a.Ollama.LengthLimited = append(a.Ollama.LengthLimited, f)
		}
		medians := map[string][]float64{} // by model, over the scenarios
		most := 0
		for _, sc := range set.Scenarios {
			var points []scaling.Point
			var models []*cells.Model
			for _, m := range set.ModelsOf(s.Backend) {
				rows := slices.DeleteFunc(slices.Clone(set.RowsOf(s, m.Name, sc, mode)), func(r *runs.Row) bool { return !ranToTarget(r) })
				x, ok := set.X(m)
				if len(rows) == 0 || !ok {
					continue
				}
				ms := stats.Median(cells.Latencies(rows))
				points, models = append(points, scaling.Point{Model: m.Name, X: x, Y: ms}), append(models, m)
				if set.Joins(sc) {
					medians[m.Name] = append(medians[m.Name], ms)
					most = max(most, len(medians[m.Name]))
				}
			}
			fit(sc, scaling.AggScenario, points, models, nil)
		}
		var points []scaling.Point
		var models []*cells.Model
		var unequal []string
		for _, m := range set.ModelsOf(s.Backend) {
			switch mine := medians[m.Name]; {
			case len(mine) == 0:
			case len(mine) < most:
				unequal = append(unequal, m.Name)
			default:
				x, _ := set.X(m)
				points, models = append(points, scaling.Point{Model: m.Name, X: x, Y: stats.Geomean(mine)}), append(models, m)
			}
		}
		fit(cells.AllScenarios, scaling.AggGeomean, points, models, unequal)
	}
}
