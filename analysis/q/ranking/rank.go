package ranking

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// entry is one backend's times of one model in an event.
type entry struct {
	cells.Series
	model    *cells.Model
	settings cells.Settings
	times    []cells.Times // of each scenario
}

func (e *entry) typical() float64 {
	return stats.Geomean(stats.Map(e.times, cells.Times.Typical))
}

// event is what is ranked together: one mode and scenario, and what of the settings says what is done.
type event struct {
	mode, scenario string
	entries        []entry // in the order of the plan, those of each backend by size
}

// events are those in which two backends took part.
func events(c *cells.Set) (out []event) {
	scenarios := stats.Map(c.Scenarios, func(s string) []string { return []string{s} })
	if joined := c.Joined(); len(joined) > 1 {
		scenarios = append(scenarios, joined)
	}
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, names := range scenarios {
			var all []entry
			for _, s := range c.Series {
				for _, m := range c.ModelsOf(s.Backend) {
					if times := c.TimesIn(s, m.Name, mode, names); times != nil {
						all = append(all, entry{s, m, c.Group(s.Key(m.Name, names[0], mode)).Settings(), times})
					}
				}
			}
			scenario := names[0]
			if len(names) > 1 {
				scenario = cells.AllScenarios
			}
			works, of := stats.GroupBy(all, func(e entry) string { return e.settings.Work() })
			for _, w := range works {
				out = append(out, event{mode, scenario, of[w]})
			}
		}
	}
	return out
}

// Rank is a backend's place among those that ran a model.
type Rank struct {
	Mode     string   `json:"mode" doc:"prefill or kv_decode"`
	Scenario string   "json:\"scenario\" doc:\"name of the scenario, or `__all__`\""
	Model    string   `json:"model" doc:"name of the model"`
	ParamsM  *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
	Rank     int      `json:"rank" doc:"1 is the fastest"`
	cells.Series
	MS       float64         `json:"typical_ms" unit:"ms" doc:"of a prefill, or of a decode step"`
	Ratio    float64         `json:"ratio_to_first" doc:"of the times, over the fastest's"`
	CI       *stats.Interval `json:"ratio_to_first_ci" doc:"its 95 % interval; on basis 'one process' with what processes are taken to differ by"`
	First    bool            `json:"told_from_first" doc:"whether it is shown to be slower than the fastest"`
	Previous bool            `json:"told_from_previous" doc:"whether it is shown to be slower than the next faster one"`
	Basis    string          `json:"basis" doc:"of the intervals: processes, or 'one process' of each"`

	work string
}

// ranks orders the backends of each model.
func (e *event) ranks() (out []Rank) {
	models, of := stats.GroupBy(e.entries, func(x entry) string { return x.model.Name })
	slices.SortStableFunc(models, func(x, y string) int {
		return cmp.Or(cmp.Compare(cells.OrInf(of[x][0].model.ParamsMillions), cells.OrInf(of[y][0].model.ParamsMillions)), strings.Compare(x, y))
	})
	for _, m := range models {
		all := slices.Clone(of[m])
		if len(all) < 2 {
			continue
		}
		slices.SortStableFunc(all, func(x, y entry) int { return cmp.Compare(x.typical(), y.typical()) })
		for i := range all {
			x := &all[i]
			r := Rank{Mode: e.mode, Scenario: e.scenario, Model: m, ParamsM: x.model.ParamsMillions, Rank: i + 1, Series: x.Series, MS: x.typical(), Ratio: 1, work: x.settings.Work()}
			if i > 0 {
				first, basis := cells.ProcessContrast(all[0].times, x.times)
				r.Ratio, r.Basis = math.Exp(first.Value), basis
				if basis != "" {
					r.CI = first.ExpInterval()
					r.First = r.CI.Low > 1
					previous, _ := cells.ProcessContrast(all[i-1].times, x.times)
					r.Previous = previous.Value > previous.Half(1-stats.Confidence)
				}
			}
			out = append(out, r)
		}
	}
	return out
}
