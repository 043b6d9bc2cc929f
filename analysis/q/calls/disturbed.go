package calls

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// A repetition is disturbed that has so many times the switches of its cell's median, and so many more: of a few
// switches a multiple is soon reached.
const (
	disturbedTimes = 5
	disturbedMore  = 50
	disturbedOf    = 3 // fewer repetitions have no median to speak of
)

// disturbed warns of the repetitions during which the worker lost its cores far more often than in its cell's others. They
// stay in all figures: medians hardly move, means and tails do.
func (a *Answer) disturbed(set *cells.Set) {
	type call struct {
		switches float64
		text     string
	}
	var all []call
	set.EachScenario(func(at cells.ScenarioKey, m *cells.Model) {
		g := set.Group(at.Series.Key(at.Model, at.Scenario, record.ModeE2E))
		if g == nil {
			return
		}
		rows := slices.DeleteFunc(slices.Clone(g.All), func(r *runs.Row) bool { return r.Rep == nil || r.InvoluntaryCtx == nil })
		if len(rows) < disturbedOf {
			return
		}
		median := stats.Median(stats.Map(rows, func(r *runs.Row) float64 { return float64(*r.InvoluntaryCtx) }))
		usual := cells.MedianField(rows, func(r *runs.Row) *float64 { return r.E2EKVMS })
		for _, r := range rows {
			n := float64(*r.InvoluntaryCtx)
			if n < disturbedTimes*median || n < median+disturbedMore {
				continue
			}
			text := fmt.Sprintf("%s/%s/%s rep %d: %.0f, the median is %.0f", m.Name, at.Backend, at.Scenario, *r.Rep, n, median)
			if r.E2EKVMS != nil && usual != nil {
				text += fmt.Sprintf(" (%.4g ms, %.4g)", *r.E2EKVMS, *usual)
			}
			all = append(all, call{n, text})
		}
	})
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(x, y call) int { return cmp.Compare(y.switches, x.switches) })
	worst := stats.Map(all[:min(len(all), 3)], func(c call) string { return c.text })
	text := fmt.Sprintf("%s at least %d times as many involuntary switches as the median of its cell", words.Counted(len(all), "repetition has", "repetitions have"), disturbedTimes)
	if len(all) > len(worst) {
		text += ", most of all"
	}
	a.Warn("disturbed_calls", "run", text+": "+strings.Join(worst, "; "),
		"something else took the cores: these calls stay in all figures, so quote medians of their cells and no means or tails, or measure again on a quiet machine")
}
