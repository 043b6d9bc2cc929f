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

// DisturbedCall is a repetition during which the worker lost its cores far more often than in its cell's others. It
// stays in all figures: medians hardly move, means and tails do.
type DisturbedCall struct {
	Backend        string   `json:"backend"`
	BatchSize      int      `json:"batch_size"`
	Model          string   `json:"model"`
	Scenario       string   `json:"scenario"`
	Rep            int      `json:"rep"`
	Switches       float64  `json:"involuntary_ctx_switches"`
	MedianSwitches float64  `json:"median_involuntary_ctx_switches"` // of the cell's repetitions
	E2EMS          *float64 `json:"e2e_kv_ms"`
	MedianE2EMS    *float64 `json:"median_e2e_kv_ms"`
}

// A repetition is disturbed that has so many times the switches of its cell's median, and so many more: of a few
// switches a multiple is soon reached.
const (
	disturbedTimes = 5
	disturbedMore  = 50
	disturbedOf    = 3 // fewer repetitions have no median to speak of
)

// disturbed finds the repetitions that something took the cores from.
func (a *asker) disturbed() {
	a.EachScenario(func(at cells.ScenarioKey, m *cells.Model) {
		g := a.Group(at.Series.Key(at.Model, at.Scenario, record.ModeE2E))
		if g == nil {
			return
		}
		var rows []*runs.Row
		for _, r := range g.All {
			if r.Rep != nil && r.InvoluntaryCtx != nil {
				rows = append(rows, r)
			}
		}
		if len(rows) < disturbedOf {
			return
		}
		median := *stats.MedianOf(stats.Map(rows, func(r *runs.Row) float64 { return float64(*r.InvoluntaryCtx) }))
		for _, r := range rows {
			if n := float64(*r.InvoluntaryCtx); n >= disturbedTimes*median && n >= median+disturbedMore {
				a.out.Disturbed = append(a.out.Disturbed, DisturbedCall{
					Backend: at.Backend, BatchSize: at.BatchSize, Model: m.Name, Scenario: at.Scenario, Rep: *r.Rep,
					Switches: n, MedianSwitches: median, E2EMS: r.E2EKVMS, MedianE2EMS: cells.MedianField(rows, func(r *runs.Row) *float64 { return r.E2EKVMS }),
				})
			}
		}
	})
	if len(a.out.Disturbed) == 0 {
		return
	}
	worst := slices.Clone(a.out.Disturbed)
	slices.SortStableFunc(worst, func(x, y DisturbedCall) int { return cmp.Compare(y.Switches, x.Switches) })
	var named []string
	for _, c := range worst[:min(len(worst), 3)] {
		named = append(named, c.text())
	}
	text := fmt.Sprintf("%s at least %d times as many involuntary switches as the median of its cell", words.Counted(len(worst), "repetition has", "repetitions have"), disturbedTimes)
	if len(worst) > len(named) {
		text += ", most of all"
	}
	a.out.Warn("disturbed_calls", "run", text+": "+strings.Join(named, "; "),
		"something else took the cores: these calls stay in all figures, so quote medians of their cells and no means or tails, or measure again on a quiet machine")
}

func (c DisturbedCall) text() string {
	out := fmt.Sprintf("%s/%s/%s rep %d: %.0f, the median is %.0f", c.Model, c.Backend, c.Scenario, c.Rep, c.Switches, c.MedianSwitches)
	if c.E2EMS != nil && c.MedianE2EMS != nil {
		out += fmt.Sprintf(" (%.4g ms, %.4g)", *c.E2EMS, *c.MedianE2EMS)
	}
	return out
}
