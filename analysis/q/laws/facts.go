package laws

import (
	"fmt"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// limits are the times that a call takes at least at the measured ceilings.
type limits struct {
	set     *cells.Set
	budgets map[cells.Key]*regimes.Budget
	flops   map[string]float64 // of a device, 1e12 operations a second at most
}

func device(machine, kind string, threads int) string { return fmt.Sprint(machine, kind, threads) }

func limitsOf(c *cells.Set, found *regimes.Answer) limits {
	l := limits{c, map[cells.Key]*regimes.Budget{}, map[string]float64{}}
	for i := range found.Budgets {
		if b := &found.Budgets[i]; b.ReadMS != nil && *b.ReadMS > 0 {
			l.budgets[b.Series().Key(b.Model, b.Scenario, b.Mode)] = b
		}
	}
	for _, d := range found.Devices {
		for _, v := range []*float64{d.FMA32, d.TensorHF} {
			if v != nil {
				l.flops[device(d.Machine, d.Kind, d.Threads)] = *v
			}
		}
	}
	return l
}

// of is how long a model's call takes at least to read and to compute, in ms; over all
// scenarios their geometric mean. 0 is unknown.
func (l limits) of(s scaling.Subject, model string) (reads, computes float64) {
	scenarios := []string{s.Scenario}
	if s.Scenario == cells.AllScenarios {
		scenarios = l.set.WholeSet(s.Series, s.Mode)
	}
	var r, c []float64
	for _, scenario := range scenarios {
		k := s.Series.Key(model, scenario, s.Mode)
		b, cell, m := l.budgets[k], l.set.Cell(k.Series, model, scenario, s.Mode), l.set.Model(s.Backend, model)
		if b == nil || cell == nil || m == nil {
			return 0, 0
		}
		steps := 1.0
		if s.Mode == record.ModeDecode && cell.GenTokens != nil {
			steps = *cell.GenTokens
		}
		r = append(r, steps**b.ReadMS)
		if rate := l.flops[device(b.Machine, b.Device, b.Threads)]; rate > 0 && m.ParamsActive > 0 {
			// A token is a multiplication and an addition for each parameter in use.
			c = append(c, steps*2*float64(m.ParamsActive)*float64(b.Tokens)/rate/1e9)
		}
	}
	if len(r) == 0 {
		return 0, 0
	}
	if reads = stats.Geomean(r); len(c) == len(r) {
		computes = stats.Geomean(c)
	}
	return reads, computes
}
