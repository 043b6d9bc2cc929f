package policy

import (
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Verdicts of a comparison.
const (
	Faster   = "faster"
	Slower   = "slower"
	NotShown = "no difference shown"
	Unknown  = "unknown" // too few calls
)

// Interval is one of 95 %.
type Interval = stats.Interval

// Sample is one cell of a run: the calls of one backend x model x scenario x mode.
type Sample struct {
	cells.Key
	Settings cells.Settings
	ParamsM  *float64    // nil: unknown
	Times    cells.Times // of the calls: of a prefill, or of one token of each sequence, ms
}

// samples are the cells of prefill and decode.
func samples(c *cells.Set) (out []Sample) {
	c.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if len(g.Rows) == 0 || k.Mode == record.ModeE2E {
			return
		}
		s := Sample{Key: k, Settings: g.Settings(), ParamsM: m.ParamsMillions, Times: g.Times()}
		if k.Mode == record.ModeDecode {
			cell := c.Cell(k.Series, k.Model, k.Scenario, k.Mode)
			if cell == nil || cell.MSPerToken == nil {
				return
			}
			s.Times = cells.TimesOf(g.Rows, func(r *runs.Row) *float64 { return stats.Ratio(r.LatencyMS, cell.GenTokens) })
		}
		out = append(out, s)
	})
	return out
}

// Comparison sets one cell beside that of the backend with the axis's first value,
// all other settings equal.
type Comparison struct {
	Axis     string   `json:"axis" doc:"the setting"`
	Base     string   `json:"base_value" doc:"its first value"`
	Value    string   `json:"value" doc:"the value that is compared with it"`
	At       string   `json:"at" doc:"settings that both have and others of the run have not"`
	Mode     string   `json:"mode" doc:"prefill or kv_decode"`
	Scenario string   `json:"scenario" doc:"name of the scenario"`
	Model    string   `json:"model" doc:"name of the model"`
	ParamsM  *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters"`

	BaseBackend string  `json:"base_backend" doc:"backend of the first value"`
	Backend     string  `json:"backend" doc:"backend of the value"`
	BaseN       int     `json:"base_n" unit:"calls" doc:"calls of the first"`
	N           int     `json:"n" unit:"calls" doc:"calls of the other"`
	BaseMS      float64 `json:"base_median_ms" unit:"ms" doc:"median prefill, or decode step, of the first"`
	MS          float64 `json:"median_ms" unit:"ms" doc:"the same of the other"`

	Ratio   float64   `json:"ratio" doc:"of the times, over the first's; along batch_size of the times per sequence"`
	RatioCI *Interval `json:"ratio_ci" doc:"its 95 % interval: paired t over blocks; on basis 'one process' with what processes are taken to differ by"`
	Verdict string    `json:"verdict" doc:"faster, slower, no difference shown (ratio_ci holds 1) or unknown (too few calls)"`
	Basis   string    `json:"basis" doc:"processes, or 'one process' of each"`

	base, this   cells.Key
	times, other cells.Times // of the base and of the value
}

// compare compares what can be: backends that differ in exactly one of the settings
// that bear on a mode's time, each with the first value of that setting (the least
// number, else the first of the plan).
func compare(all []group) (out []Comparison) {
	for _, g := range all {
		for i := 1; i < len(g.values); i++ {
			out = append(out, g.compare(&g.values[0], &g.values[i]))
		}
	}
	return out
}

// group is cells of one model, mode and scenario that differ in one key, by its
// values.
type group struct {
	key    *cells.Setting
	at     string
	values []Sample
}

// groups finds what can be compared, axis by axis. samples are in the order of the plan.
func groups(samples []Sample) []group {
	type work struct{ rest, model, scenario, mode string }
	var out []group
	of := map[string][]cells.Settings{} // each model's
	for _, s := range samples {
		if !slices.ContainsFunc(of[s.Model], func(o cells.Settings) bool { return len(o.Differing(s.Settings)) == 0 }) {
			of[s.Model] = append(of[s.Model], s.Settings)
		}
	}
	for i := range cells.AllSettings {
		k := &cells.AllSettings[i]
		differs := func(s Sample) bool { return s.Settings.Get(k.Name).ID != samples[0].Settings.Get(k.Name).ID }
		if k.Held || !slices.ContainsFunc(samples, differs) {
			continue
		}
		bearing := slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return s.Mode == record.ModeE2E || !k.BearsOn(s.Mode) })
		works, members := stats.GroupBy(bearing, func(s Sample) work {
			return work{s.Settings.Without(append(idle(s.Mode), k.Name)...), s.Model, s.Scenario, s.Mode}
		})
		for _, w := range works {
			g := group{key: k, values: oneEach(k, members[w])}
			if len(g.values) > 1 {
				g.at = g.values[0].Settings.Among(of[w.model], append(idle(w.mode), k.Name)...)
				out = append(out, g)
			}
		}
	}
	return out
}

// idle names the keys that do not bear on a mode's time.
func idle(mode string) (names []string) {
	for i := range cells.AllSettings {
		if !cells.AllSettings[i].BearsOn(mode) {
			names = append(names, cells.AllSettings[i].Name)
		}
	}
	return names
}

// oneEach has one backend for each value of the key, by value. Where several have
// one value they differ in what does not bear on the mode: those are taken that are
// alike in that, as far as there are such.
func oneEach(k *cells.Setting, all []Sample) []Sample {
	var best []Sample
	consider := func(some []Sample) {
		var picked []Sample
		for _, s := range some {
			if !slices.ContainsFunc(picked, func(p Sample) bool { return p.Settings.Get(k.Name).ID == s.Settings.Get(k.Name).ID }) {
				picked = append(picked, s)
			}
		}
		if len(picked) > len(best) {
			best = picked
		}
	}
	rests, alike := stats.GroupBy(all, func(s Sample) string { return s.Settings.Without(k.Name) })
	for _, rest := range rests {
		consider(alike[rest])
	}
	consider(all)
	slices.SortStableFunc(best, func(x, y Sample) int { return k.Order(x.Settings.Get(k.Name), y.Settings.Get(k.Name)) })
	return best
}

func (g *group) compare(base, s *Sample) Comparison {
	k := g.key.Name
	c := Comparison{Axis: k, Base: base.Settings.Get(k).Label, Value: s.Settings.Get(k).Label, At: g.at, Mode: s.Mode, Scenario: s.Scenario, Model: s.Model, ParamsM: s.ParamsM,
		BaseBackend: base.Backend, Backend: s.Backend, BaseN: len(base.Times.All), N: len(s.Times.All), base: base.Key, this: s.Key, times: base.Times, other: s.Times}
	if c.Base == c.Value { // two builds of one name
		c.Base, c.Value = c.Base+" ("+base.Backend+")", c.Value+" ("+s.Backend+")"
	}
	c.BaseMS, c.MS = base.Times.Typical(), s.Times.Typical()
	c.Ratio, c.RatioCI, c.Basis, c.Verdict = ratio(base.Times, s.Times, c.share())
	return c
}

// share makes of the ratio of the times of two steps that of one sequence in them.
func (c *Comparison) share() float64 { return float64(c.base.BatchSize) / float64(c.this.BatchSize) }

// ratio is y's times over x's, times share, with its interval and the verdict on y by it.
func ratio(x, y cells.Times, share float64) (r float64, ci *Interval, basis, verdict string) {
	of := Size{Base: []cells.Times{x}, Other: []cells.Times{y}, Share: share}
	e, basis := of.contrast()
	if r = math.Exp(e.Value); basis == "" {
		return r, nil, basis, Unknown
	}
	ci, verdict = e.ExpInterval(), NotShown
	switch {
	case ci.High < 1:
		verdict = Faster
	case ci.Low > 1:
		verdict = Slower
	}
	return r, ci, basis, verdict
}
