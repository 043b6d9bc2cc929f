// Package weights asks whether decode takes as long as the bytes that a weight type reads, or longer.
package weights

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// Tolerance is by how much a type may take longer than its bytes before it counts as slower than they are.
const Tolerance = 0.10

const file = "weight_types.csv"

const minTypes = 3 // before dequantising can be told from a fixed cost of each token

// Verdicts on a type.
const (
	Base    = "base"    // reads most bytes
	Follows = "follows" // its bytes, within Tolerance
	Slower  = "slower"  // than its bytes: unpacking them costs time
	Faster  = "faster"  // than its bytes: the base is not bound by memory, or this type stays in a cache
	Unknown = "unknown"
)

// Answer is empty where no model was measured in three types.
type Answer struct {
	finding.Notes
	WeightTypes []Type `json:"weight_types,omitempty"` // of each model by falling bytes
}

// Type is a model in one weight type, over the scenarios that join.
type Type struct {
	Model         string          `json:"model" doc:"name of the model"`
	ParamsM       *float64        `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
	At            string          `json:"at" doc:"settings that these types share and others of the run have not"`
	Backend       string          `json:"backend" doc:"name of the backend"`
	WeightType    string          `json:"weight_type" doc:"type that holds most of the weights"`
	BitsPerWeight *float64        `json:"bits_per_weight" unit:"bits" doc:"weight bytes * 8 / parameters"`
	BytesPerToken int64           `json:"bytes_read_per_token" unit:"B" doc:"weight bytes read per decoded token"`
	MS            float64         `json:"decode_ms_per_token" unit:"ms/token" doc:"decode time per token: geometric mean over the scenarios"`
	Ratio         float64         `json:"decode_ratio" doc:"of the times, over those of the type that reads most bytes"`
	RatioCI       *stats.Interval `json:"decode_ratio_ci" doc:"its 95 % interval"`
	GBPerS        float64         `json:"weights_gb_per_s" unit:"GB/s" doc:"1e9 bytes of weights read in a second of decode"`
	SharedFixedMS *float64        `json:"shared_fixed_max_ms" unit:"ms/token" doc:"largest cost per token, the same for all types, that their times leave room for"`
	OverBytes     *float64        `json:"decode_over_bytes" doc:"decode time over what the type's bytes take at the rate of the type with most, with shared_fixed_max_ms"`
	OverCI        *stats.Interval `json:"decode_over_bytes_ci" doc:"its 95 % interval, with shared_fixed_max_ms taken as given"`
	Verdict       string          `json:"verdict" doc:"base (the type with most bytes), follows (within 10 % of its bytes), slower (unpacking costs time), faster, or unknown"`
	Basis         string          `json:"basis" doc:"of the intervals: processes, or 'one process' of each type: then another one may differ by more"`

	batch     int
	settings  cells.Settings
	scenarios []string
	times     []cells.Times
}

// share is of the base's bytes.
func (t *Type) share(base *Type) float64 {
	return float64(t.BytesPerToken) / float64(base.BytesPerToken)
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	type group struct {
		model, settings string
		params          int64
	}
	a := &Answer{}
	groups := map[group][]*Type{}
	var order []group
	var all []cells.Settings
	for _, s := range c.Series {
		for _, m := range c.ModelsOf(s.Backend) {
			t := typeOf(c, s, m)
			if t == nil {
				continue
			}
			g := group{m.Name, t.settings.Without(cells.SettingDType), m.ParamsTotal}
			if groups[g] == nil {
				order = append(order, g)
				all = append(all, t.settings)
			}
			groups[g] = append(groups[g], t)
		}
	}
	slices.SortStableFunc(order, func(x, y group) int {
		return cmp.Or(cmp.Compare(cells.OrInf(groups[x][0].ParamsM), cells.OrInf(groups[y][0].ParamsM)), strings.Compare(x.model, y.model))
	})
	for _, g := range order {
		types := a.equalScenarios(groups[g])
		if kinds, _ := stats.GroupBy(types, func(t *Type) string { return t.WeightType }); len(kinds) < minTypes {
			continue
		}
		compare(types)
		for _, t := range types {
			t.At = t.settings.Among(all, cells.SettingDType, cells.SettingBatchSize)
			a.WeightTypes = append(a.WeightTypes, *t)
		}
	}
	return a
}

// typeOf gathers one model's times; nil where its type or bytes are unknown or it has no decode.
func typeOf(c *cells.Set, s cells.Series, m *cells.Model) *Type {
	if m.WeightType == "" || m.BytesPerToken <= 0 {
		return nil
	}
	t := &Type{Model: m.Name, ParamsM: m.ParamsMillions, Backend: s.Backend, WeightType: m.WeightType, BytesPerToken: m.BytesPerToken, batch: s.BatchSize}
	if m.WeightBytes > 0 && m.ParamsTotal > 0 {
		t.BitsPerWeight = stats.Finite(8 * float64(m.WeightBytes) / float64(m.ParamsTotal))
	}
	for _, sc := range c.Joined() {
		g := c.Group(s.Key(m.Name, sc, record.ModeDecode))
		if g == nil {
			continue
		}
		if times := g.StepTimes(); len(times.All) > 0 {
			t.settings, t.scenarios, t.times = g.Settings(), append(t.scenarios, sc), append(t.times, times)
		}
	}
	if len(t.times) == 0 {
		return nil
	}
	t.MS = stats.Geomean(stats.Map(t.times, cells.Times.Typical))
	t.GBPerS = float64(m.BytesPerToken) / 1e6 / t.MS
	return t
}

// equalScenarios leaves out the types that ran in other scenarios than most: their mean is of other work.
func (a *Answer) equalScenarios(all []*Type) (kept []*Type) {
	whole := cells.Largest(stats.Map(all, func(t *Type) []string { return t.scenarios }))
	var left []string
	for _, t := range all {
		if slices.Equal(t.scenarios, whole) {
			kept = append(kept, t)
		} else {
			left = append(left, fmt.Sprintf("%s (%s)", t.WeightType, t.Backend))
		}
	}
	if len(left) > 0 {
		a.Warn("unequal_scenarios", all[0].Model+" weight types", "measured in other scenarios than the other types, and left out of their comparison: "+strings.Join(left, ", "),
			"complete the run with --resume, or drop the scenarios that only some types ran")
	}
	return kept
}

// compare sets each type's decode beside what its bytes alone would take, at the rate of the type with the most. A cost of
// each token that all types share (attention, the choice of the token) makes light types slower than that without any
// dequantising, so as much of it is allowed for as the times can hold: the type nearest to its bytes bounds it, at the
// upper end of its interval.
func compare(types []*Type) {
	slices.SortStableFunc(types, func(x, y *Type) int {
		return cmp.Or(cmp.Compare(y.BytesPerToken, x.BytesPerToken), cmp.Compare(x.MS, y.MS))
	})
	base := types[0]
	base.Ratio, base.Verdict = 1, Base
	fixed := math.Inf(1) // as a share of the base's time
	for _, t := range types[1:] {
		t.Verdict = Unknown
		t.Ratio, t.RatioCI, t.Basis = cells.Ratio(base.times, t.times)
		if q := t.share(base); t.RatioCI == nil {
			fixed = math.NaN()
		} else if q < 1 {
			fixed = min(fixed, max(0, (t.RatioCI.High-q)/(1-q)))
		}
	}
	if math.IsInf(fixed, 1) || math.IsNaN(fixed) {
		return
	}
	fixed = min(fixed, 1)
	for _, t := range types {
		t.SharedFixedMS = new(fixed * base.MS)
		expected := fixed + (1-fixed)*t.share(base)
		t.OverBytes = stats.Finite(t.Ratio / expected)
		if t == base {
			continue
		}
		t.OverCI = stats.NewInterval(t.RatioCI.Low/expected, t.RatioCI.High/expected)
		switch ci := t.OverCI; {
		case ci.Low > 1+Tolerance:
			t.Verdict = Slower
		case ci.High < 1-Tolerance:
			t.Verdict = Faster
		case ci.Low >= 1-Tolerance && ci.High <= 1+Tolerance:
			t.Verdict = Follows
		}
	}
}

// Follows are the weight types by which a model's decode is shown to take as long as its
// bytes, on a series that measured one of them; "" where that is not shown.
func (a *Answer) Follows(s cells.Series, model string) string {
	for i := range a.WeightTypes { // of each model and setting the base comes first
		base := &a.WeightTypes[i]
		if base.Verdict != Base || base.Model != model {
			continue
		}
		types := []string{base.WeightType}
		among := base.Series() == s
		for _, t := range a.WeightTypes[i+1:] {
			if t.Verdict == Base {
				break
			}
			if t.Verdict == Follows {
				types = append(types, t.WeightType)
				among = among || t.Series() == s
			}
		}
		if among && len(types) > 1 {
			return text.List(types, "and")
		}
	}
	return ""
}

// Series is the type's.
func (t *Type) Series() cells.Series { return cells.Series{Backend: t.Backend, BatchSize: t.batch} }

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf(file, "The weight types of one model, where there are three: decode against the bytes that a token reads, over the scenarios.", a.WeightTypes, ""),
	}
}
