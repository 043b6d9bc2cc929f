package policy

import (
	"cmp"
	"math"
	"slices"

	"llmscale/analysis/cells"
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

const (
	confidence = 0.95
	// minCalls is how many calls either side needs for an interval of their ratio, as
	// everywhere in the analysis.
	minCalls = 3
)

// Interval is one of 95 %.
type Interval = stats.Interval

// Sample is one cell of a run: the calls of one backend x model x scenario x mode.
type Sample struct {
	cells.Key
	Settings   cells.Settings
	ParamsM    *float64  // nil: unknown
	LatencyMS  []float64 // of the calls
	PerMS      float64   // what a latency is divided by: tokens per sequence in decode, else 1
	WeightType string
}

// samples are the cells of prefill and decode.
func samples(c *cells.Set) (out []Sample) {
	c.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if len(g.Rows) == 0 || k.Mode == record.ModeE2E {
			return
		}
		s := Sample{Key: k, Settings: g.Settings(), ParamsM: m.ParamsMillions, WeightType: m.WeightType, LatencyMS: cells.Latencies(g.Rows), PerMS: 1}
		if k.Mode == record.ModeDecode {
			cell := c.Cell(k.Series, k.Model, k.Scenario, k.Mode)
			if cell == nil || cell.MSPerToken == nil {
				return
			}
			s.PerMS = *cell.GenTokens
		}
		out = append(out, s)
	})
	return out
}

// ms are the calls' times for one token of each sequence, or of one prefill.
func (s *Sample) ms() []float64 {
	out := make([]float64, len(s.LatencyMS))
	for i, v := range s.LatencyMS {
		out[i] = v / s.PerMS
	}
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

	Ratio    float64   `json:"ratio" doc:"of the times, over the first's; along batch_size of the times per sequence"`
	RatioCI  *Interval `json:"ratio_ci" doc:"its 95 % interval, with what processes differ by"`
	WithinCI *Interval `json:"ratio_ci_within_process" doc:"its 95 % interval from the calls alone, which are of one process each"`
	Verdict  string    `json:"verdict" doc:"faster, slower, no difference shown (ratio_ci holds 1) or unknown (too few calls)"`

	base, this cells.Key
}

// Speed is how many times as fast as the base it is.
func (c *Comparison) Speed() float64 { return 1 / c.Ratio }

// compare compares what can be: backends that differ in exactly one of the settings
// that bear on a mode's time, each with the first value of that setting (the least
// number, else the first of the plan).
func compare(all []group) []Comparison {
	var out []Comparison
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
	type work struct{ axis, rest, model, scenario, mode string }
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
		var order []work
		members := map[work][]Sample{}
		for _, s := range samples {
			if s.Mode == record.ModeE2E || !k.BearsOn(s.Mode) {
				continue
			}
			w := work{k.Name, s.Settings.Without(append(idle(s.Mode), k.Name)...), s.Model, s.Scenario, s.Mode}
			if members[w] == nil {
				order = append(order, w)
			}
			members[w] = append(members[w], s)
		}
		for _, w := range order {
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
	alike := map[string][]Sample{}
	var order []string
	for _, s := range all {
		rest := s.Settings.Without(k.Name)
		if alike[rest] == nil {
			order = append(order, rest)
		}
		alike[rest] = append(alike[rest], s)
	}
	for _, rest := range order {
		consider(alike[rest])
	}
	consider(all)
	slices.SortStableFunc(best, func(x, y Sample) int { return k.Order(x.Settings.Get(k.Name), y.Settings.Get(k.Name)) })
	return best
}

func (g *group) compare(base, s *Sample) Comparison {
	k := g.key.Name
	c := Comparison{Axis: k, Base: base.Settings.Get(k).Label, Value: s.Settings.Get(k).Label, At: g.at, Mode: s.Mode, Scenario: s.Scenario, Model: s.Model, ParamsM: s.ParamsM,
		BaseBackend: base.Backend, Backend: s.Backend, BaseN: len(base.LatencyMS), N: len(s.LatencyMS), base: base.Key, this: s.Key}
	if c.Base == c.Value { // two builds of one name
		c.Base, c.Value = c.Base+" ("+base.Backend+")", c.Value+" ("+s.Backend+")"
	}
	x, y := base.ms(), s.ms()
	c.BaseMS, c.MS = stats.Median(x), stats.Median(y)
	share := 1.0
	if k == cells.SettingBatchSize {
		share = float64(base.BatchSize) / float64(s.BatchSize)
	}
	c.Ratio, c.WithinCI, c.RatioCI, c.Verdict = ratio(x, y, share)
	return c
}

// ratio is median(y)/median(x)*share with its two intervals, and the verdict on y by
// the wider one. Backends are processes of their own, and processes of one model
// differ (stats.ProcessSD).
func ratio(x, y []float64, share float64) (r float64, within, across *Interval, verdict string) {
	r = stats.Median(y) / stats.Median(x) * share
	if min(len(x), len(y)) < minCalls {
		return r, nil, nil, Unknown
	}
	calls := stats.OrderedLog(y).Minus(stats.OrderedLog(x))
	both := stats.Sum(calls, stats.Estimate{Variance: 2 * stats.ProcessSD * stats.ProcessSD, DF: math.Inf(1)})
	reach := func(e stats.Estimate) *Interval {
		f := math.Exp(e.Half(1 - confidence))
		return &Interval{Low: r / f, High: r * f}
	}
	within, across, verdict = reach(calls), reach(both), NotShown
	switch {
	case across.High < 1:
		verdict = Faster
	case across.Low > 1:
		verdict = Slower
	}
	return r, within, across, verdict
}

// Span is the same verdict on sizes next to each other, from the smallest up.
type Span struct {
	Verdict   string   `json:"verdict"`
	From      string   `json:"from_model"`
	FromM     *float64 `json:"from_params_millions"`
	To        string   `json:"to_model"`
	ToM       *float64 `json:"to_params_millions"`
	Models    int      `json:"n_models"`
	LeastFast float64  `json:"least_times_as_fast"` // of the models' ratios
	MostFast  float64  `json:"most_times_as_fast"`
}

// Trend is one value of an axis against its base over the sizes of the run: from
// which size on it is faster.
type Trend struct {
	Axis     string `json:"axis"`
	Base     string `json:"base_value"`
	Value    string `json:"value"`
	At       string `json:"at"`
	Mode     string `json:"mode"`
	Scenario string `json:"scenario"`
	Spans    []Span `json:"spans"`
}

// Trends puts the comparisons of each value, mode and scenario in the order of size.
func Trends(all []Comparison) []Trend {
	type of struct{ axis, base, value, at, mode, scenario string }
	var order []of
	by := map[of][]*Comparison{}
	for i := range all {
		c := &all[i]
		k := of{c.Axis, c.Base, c.Value, c.At, c.Mode, c.Scenario}
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], c)
	}
	var out []Trend
	for _, k := range order {
		t := Trend{Axis: k.axis, Base: k.base, Value: k.value, At: k.at, Mode: k.mode, Scenario: k.scenario}
		cs := by[k]
		slices.SortStableFunc(cs, func(x, y *Comparison) int { return cmp.Compare(size(x.ParamsM), size(y.ParamsM)) })
		for _, c := range cs {
			n := len(t.Spans)
			if n == 0 || t.Spans[n-1].Verdict != c.Verdict {
				t.Spans = append(t.Spans, Span{Verdict: c.Verdict, From: c.Model, FromM: c.ParamsM, LeastFast: math.Inf(1)})
				n++
			}
			s := &t.Spans[n-1]
			s.To, s.ToM = c.Model, c.ParamsM
			s.Models++
			s.LeastFast, s.MostFast = min(s.LeastFast, c.Speed()), max(s.MostFast, c.Speed())
		}
		out = append(out, t)
	}
	return out
}

func size(m *float64) float64 {
	if m == nil {
		return math.Inf(1)
	}
	return *m
}
