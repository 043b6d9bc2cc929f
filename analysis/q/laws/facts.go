package laws

import (
	"fmt"
	"math"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// reasons are the facts that set a model apart from the others, of those that bear on
// its time.
func reasons(m *cells.Model, all []*cells.Model) (out []string) {
	var others []*cells.Model
	for _, o := range all {
		if o != m {
			others = append(others, o)
		}
	}
	every := func(of func(*cells.Model) bool) bool {
		for _, o := range others {
			if !of(o) {
				return false
			}
		}
		return len(others) > 0
	}
	if m.ParamsTotal > 0 && m.ParamsActive > 0 && m.ParamsActive < m.ParamsTotal && every(func(o *cells.Model) bool { return o.ParamsActive >= o.ParamsTotal }) {
		out = append(out, fmt.Sprintf("it is a mixture of experts, of which a token uses %.0f %% of the parameters", 100*float64(m.ParamsActive)/float64(m.ParamsTotal)))
	}
	if m.GPULayers != nil && m.NLayer > 0 && !m.WholeOnGPU(*m.GPULayers) && every(func(o *cells.Model) bool { return o.GPULayers == nil || o.WholeOnGPU(*o.GPULayers) }) {
		out = append(out, fmt.Sprintf("%d of its %d layers are on the GPU, the rest in main memory", *m.GPULayers, m.NLayer+1))
	}
	share := func(o *cells.Model) float64 {
		if o.ParamsTotal <= 0 || o.ParamsNonEmbedding <= 0 {
			return math.NaN()
		}
		return 1 - float64(o.ParamsNonEmbedding)/float64(o.ParamsTotal)
	}
	if s := share(m); s > .5 && every(func(o *cells.Model) bool { return share(o) < s-.1 }) {
		out = append(out, fmt.Sprintf("%.1f %% of its parameters are embeddings, of the others %.0f %% at most", 100*s, 100*most(others, share)))
	}
	width := func(o *cells.Model) float64 { return float64(o.NEmbd) }
	if w := width(m); w > 0 && every(func(o *cells.Model) bool { return width(o) >= 4*w }) {
		out = append(out, fmt.Sprintf("it is %.0f wide, the others %.0f at least", w, -most(others, func(o *cells.Model) float64 { return -width(o) })))
	}
	for _, of := range []struct {
		what string
		get  func(*cells.Model) string
	}{{"weight type", func(o *cells.Model) string { return o.WeightType }}, {"architecture", func(o *cells.Model) string { return o.Architecture }}} {
		if v := of.get(m); v != "" && every(func(o *cells.Model) bool { return of.get(o) != "" && of.get(o) == of.get(others[0]) && of.get(o) != v }) {
			out = append(out, fmt.Sprintf("its %s is %s, the others' %s", of.what, v, of.get(others[0])))
		}
	}
	return out
}

func most(models []*cells.Model, of func(*cells.Model) float64) float64 {
	out := math.Inf(-1)
	for _, m := range models {
		out = max(out, of(m))
	}
	return out
}

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
