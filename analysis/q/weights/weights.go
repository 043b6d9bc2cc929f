package weights

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Thresholds of what is said about weight types. docs/statistics.md says why.
const (
	// Tolerance is by how much a type may take longer than its bytes before it counts
	// as slower than they are.
	Tolerance  = 0.10
	minTypes   = 4 // of a line over the types
	minVerdict = 3 // types before dequantising can be told from a fixed cost
	minBytes   = 3 // different bytes: a line through two leaves no error
)

// Work is what weight types that are compared have in common.
type Work struct {
	Model       string   `json:"model" doc:"name of the model"`
	BackendKind string   `json:"backend_kind" doc:"runtime"`
	Device      string   `json:"device" doc:"device"`
	BatchSize   int      `json:"batch_size" unit:"sequences" doc:"sequences decoded together"`
	At          string   `json:"at,omitempty"` // settings that these types share and others of the model were measured without
	ParamsM     *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
}

// Comparison sets the weight types of one model on one device side by side, all else
// equal.
type Comparison struct {
	Work
	Base string `json:"base_weight_type" doc:"type that reads most bytes"` // of several such the fastest: ratios are to it

	// SharedFixedMS is nil where it cannot be told.
	SharedFixedMS *float64 `json:"shared_fixed_max_ms" unit:"ms/token" doc:"largest cost per token, the same for all types, that their times leave room for"`
	Types         []Type   `json:"types"` // by falling bytes; the first is Base
	Fit           Fit      `json:"fit" csv:"+"`
}

// Type is a model in one weight type.
type Type struct {
	Backend       string   `json:"backend" doc:"name of the backend"`
	WeightType    string   `json:"weight_type" doc:"type that holds most of the weights"`
	BitsPerWeight *float64 `json:"bits_per_weight" unit:"bits" doc:"weight bytes * 8 / parameters"`
	BytesPerToken int64    `json:"bytes_read_per_token" unit:"B" doc:"weight bytes read per decoded token"`
	Times         []Times  `json:"times"` // of each scenario, then of AllScenarios
	OverAll
}

// OverAll is what is known of a type over all scenarios.
type OverAll struct {
	OverBytes   *float64        "json:\"decode_over_bytes\" doc:\"`__all__`: decode time over what the type's bytes take at the rate of the type with most, with `shared_fixed_max_ms`\""
	OverBytesCI *stats.Interval "json:\"decode_over_bytes_ci\" doc:\"`__all__`: its 95 % interval, with `shared_fixed_max_ms` taken as given\""
	Residual    *float64        "json:\"decode_residual\" doc:\"`__all__`: decode time over the line's, less 1\""
}

// Times are those of one type in one scenario. Over AllScenarios they are geometric
// means. Intervals are by paired t over blocks, or from the calls of one process each.
type Times struct {
	Scenario       string          "json:\"scenario\" doc:\"scenario, or `__all__` (geometric means)\""
	PromptTokens   *float64        `json:"prompt_tokens"` // nil over AllScenarios
	N              int             "json:\"n\" unit:\"calls\" doc:\"decode calls; of `__all__` the fewest in a scenario\""
	PrefillMS      *float64        `json:"prefill_median_ms" unit:"ms" doc:"median prefill"`
	PrefillRatio   *float64        `json:"prefill_ratio" doc:"its ratio"`
	PrefillRatioCI *stats.Interval `json:"prefill_ratio_ci" doc:"its 95 % interval"`
	DecodeMS       float64         `json:"decode_ms_per_token" unit:"ms/token" doc:"median decode time per token"`
	DecodeRatio    float64         `json:"decode_ratio" doc:"its ratio"`
	DecodeRatioCI  *stats.Interval `json:"decode_ratio_ci" doc:"its 95 % interval"`
	Basis          string          `json:"basis" doc:"of the intervals: processes, or 'one process' of each type: then another one may differ by more"`
	GBPerS         float64         `json:"weights_gb_per_s" unit:"GB/s" doc:"1e9 bytes of weights read in a second of decode"`

	prefill, decode []cells.Times // ms, and ms per token, of the calls of each scenario
}

// Fit is decode_ms_per_token = FixedMS + MSPerMB * MB read per token over the types
// of one model. Intervals are Student's.
type Fit struct {
	NTypes  int             `json:"n_types" doc:"weight types"`
	N       int             `json:"n" doc:"points of the line"` // more than types where two backends have one type
	OK      bool            `json:"ok" doc:"whether there is a line"`
	Reason  string          `json:"reason" doc:"why there is no line"`
	FixedMS *float64        `json:"fixed_ms" unit:"ms/token" doc:"the line at no bytes"`
	FixedSE *float64        `json:"fixed_se_ms" unit:"ms/token" doc:"its standard error"`
	FixedT  *stats.Interval `json:"fixed_t_ci_ms" unit:"ms/token" doc:"its 95 % t-interval"`
	MSPerMB *float64        `json:"ms_per_mb" unit:"ms/MB" doc:"its slope"`
	MBSE    *float64        `json:"ms_per_mb_se" unit:"ms/MB" doc:"the slope's standard error"`
	MBT     *stats.Interval `json:"ms_per_mb_t_ci" unit:"ms/MB" doc:"the slope's 95 % t-interval"`
	GBPerS  *float64        `json:"gb_per_s" unit:"GB/s" doc:"one over the slope"` // nil where time does not rise with bytes
	R2      *float64        `json:"r2" doc:"R2"`
}

// Line is the fitted decode time per token at mb megabytes; ok is false where
// there is no fit.
func (f *Fit) Line(mb float64) (ms float64, ok bool) {
	if !f.OK || f.FixedMS == nil || f.MSPerMB == nil {
		return 0, false
	}
	return *f.FixedMS + *f.MSPerMB*mb, true
}

// Name is a type of w, with its backend where another one has the same type.
func (w *Comparison) Name(t *Type) string {
	for i := range w.Types {
		if o := &w.Types[i]; o.WeightType == t.WeightType && o.Backend != t.Backend {
			return fmt.Sprintf("%s (%s)", t.WeightType, t.Backend)
		}
	}
	return t.WeightType
}

// All are the type's times over all scenarios.
func (t *Type) All() *Times { return &t.Times[len(t.Times)-1] }

// MB is what one decoded token reads, in 1e6 bytes.
func (t *Type) MB() float64 { return float64(t.BytesPerToken) / 1e6 }

// group is the models of one name and size whose settings differ in the weight type
// alone.
type group struct {
	model, settings string
	params          int64
}

// candidate is one model as one backend ran it.
type candidate struct {
	Type
	Work
	group
	settings  cells.Settings
	scenarios []string
}

// kinds counts the weight types.
func kinds(all []*candidate) int {
	seen := map[string]bool{}
	for _, z := range all {
		seen[z.WeightType] = true
	}
	return len(seen)
}

// compare compares the weight types of each model that was measured in more than one.
func (a *asker) compare() {
	var order []group
	groups := map[group][]*candidate{}
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			if z := a.candidate(s, m); z != nil {
				if groups[z.group] == nil {
					order = append(order, z.group)
				}
				groups[z.group] = append(groups[z.group], z)
			}
		}
	}
	slices.SortStableFunc(order, func(x, y group) int {
		return cmp.Or(cmp.Compare(cells.OrInf(groups[x][0].ParamsM), cells.OrInf(groups[y][0].ParamsM)), strings.Compare(x.model, y.model))
	})
	for _, g := range order {
		all := groups[g]
		if kinds(all) < 2 {
			continue
		}
		if all = a.equalScenarios(g.model, all); kinds(all) < 2 {
			continue
		}
		w := comparison(all)
		w.At = at(groups, g)
		a.out.WeightTypes = append(a.out.WeightTypes, w)
	}
	for i := range a.out.WeightTypes {
		a.out.Answers.WeightTypes = append(a.out.Answers.WeightTypes, a.out.WeightTypes[i].verdict())
	}
}

// candidate gathers one model's times; nil where its type or bytes are unknown or it
// has no decode.
func (a *asker) candidate(s cells.Series, m *cells.Model) *candidate {
	if m.WeightType == "" || m.BytesPerToken <= 0 {
		return nil
	}
	z := &candidate{Type: Type{Backend: s.Backend, WeightType: m.WeightType, BytesPerToken: m.BytesPerToken}}
	if m.WeightBytes > 0 && m.ParamsTotal > 0 {
		z.BitsPerWeight = stats.Finite(8 * float64(m.WeightBytes) / float64(m.ParamsTotal))
	}
	all := Times{Scenario: cells.AllScenarios}
	var decodes, prefills []float64
	for _, sc := range a.Joined() {
		decode, prefill := a.Cell(s, m.Name, sc, record.ModeDecode), a.Cell(s, m.Name, sc, record.ModePrefill)
		if decode == nil || decode.MSPerToken == nil || !(*decode.MSPerToken > 0) {
			continue
		}
		calls := a.Group(s.Key(m.Name, sc, record.ModeDecode))
		z.settings = calls.Settings()
		t := Times{Scenario: sc, PromptTokens: cells.MedianField(calls.Rows, func(r *runs.Row) *float64 { return cells.Float(r.PromptEach()) }), N: decode.N, DecodeMS: *decode.MSPerToken}
		t.decode = []cells.Times{cells.TimesOf(calls.Rows, cells.MSPerToken)}
		if prefill != nil {
			t.PrefillMS = new(prefill.MedianMS)
			t.prefill = []cells.Times{a.Group(s.Key(m.Name, sc, record.ModePrefill)).Times()}
			prefills = append(prefills, prefill.MedianMS)
		}
		if len(z.Times) == 0 || t.N < all.N {
			all.N = t.N
		}
		all.decode, all.prefill = append(all.decode, t.decode...), append(all.prefill, t.prefill...)
		decodes = append(decodes, t.DecodeMS)
		z.Times, z.scenarios = append(z.Times, t), append(z.scenarios, sc)
	}
	if len(decodes) == 0 {
		return nil
	}
	z.group = group{m.Name, z.settings.Without(cells.SettingDType), m.ParamsTotal}
	z.Work = Work{Model: m.Name, BackendKind: m.BackendKind, Device: z.settings.Get(cells.SettingDevice).Label, BatchSize: s.BatchSize, ParamsM: m.ParamsMillions}
	all.DecodeMS = stats.Geomean(decodes)
	if len(prefills) == len(decodes) {
		all.PrefillMS = stats.Finite(stats.Geomean(prefills))
	} else {
		all.prefill = nil
	}
	z.Times = append(z.Times, all)
	for i := range z.Times {
		z.Times[i].GBPerS = z.MB() / z.Times[i].DecodeMS // MB/ms
	}
	return z
}

// equalScenarios leaves out the types that ran in other scenarios than most: their
// mean is of other work.
func (a *asker) equalScenarios(model string, all []*candidate) []*candidate {
	whole := cells.Largest(stats.Map(all, func(z *candidate) []string { return z.scenarios }))
	var kept []*candidate
	var left []string
	for _, z := range all {
		if slices.Equal(z.scenarios, whole) {
			kept = append(kept, z)
		} else {
			left = append(left, fmt.Sprintf("%s (%s)", z.WeightType, z.Backend))
		}
	}
	if len(left) > 0 {
		a.out.Warn("unequal_scenarios", model+" weight types", "measured in other scenarios than the other types, and left out of their comparison: "+strings.Join(left, ", "),
			"complete the run with --resume, or drop the scenarios that only some types ran")
	}
	return kept
}

// at says the settings that tell these types from others of the model.
func at(groups map[group][]*candidate, g group) string {
	var all []cells.Settings
	for o, zs := range groups {
		if o.model == g.model {
			all = append(all, zs[0].settings)
		}
	}
	return groups[g][0].settings.Among(all, cells.SettingDType, cells.SettingBatchSize, cells.SettingKind, cells.SettingDevice)
}

func comparison(all []*candidate) Comparison {
	w := Comparison{Work: all[0].Work}
	for _, z := range all {
		w.Types = append(w.Types, z.Type)
	}
	slices.SortStableFunc(w.Types, func(x, y Type) int {
		return cmp.Or(cmp.Compare(y.BytesPerToken, x.BytesPerToken), cmp.Compare(x.All().DecodeMS, y.All().DecodeMS))
	})
	base := &w.Types[0]
	w.Base = w.Name(base)
	for i := range w.Types {
		for j := range w.Types[i].Times {
			t, b := &w.Types[i].Times[j], &base.Times[j]
			t.DecodeRatio, t.DecodeRatioCI, t.Basis = cells.Ratio(b.decode, t.decode)
			if t.PrefillMS != nil && b.PrefillMS != nil {
				ratio, ci, _ := cells.Ratio(b.prefill, t.prefill)
				t.PrefillRatio, t.PrefillRatioCI = stats.Finite(ratio), ci
			}
			if i == 0 { // against itself there is nothing to estimate
				t.DecodeRatioCI, t.PrefillRatioCI = nil, nil
			}
		}
	}
	w.Fit.NTypes, w.Fit.N = kinds(all), len(w.Types)
	w.overBytes()
	w.fit()
	return w
}

// overBytes compares each type's decode with what its bytes alone would take, at
// the rate of the type with the most. A cost of each token that all types share
// (attention, the choice of the token) makes light types slower than that without
// any dequantising, so as much of it is allowed for as the times can hold: the
// type nearest to its bytes bounds it, at the upper end of its interval.
func (w *Comparison) overBytes() {
	base := &w.Types[0]
	share := func(t *Type) float64 { return float64(t.BytesPerToken) / float64(base.BytesPerToken) }
	fixed := math.Inf(1) // as a share of the base's time
	for i := range w.Types[1:] {
		t := &w.Types[i+1]
		ci, q := t.All().DecodeRatioCI, share(t)
		if ci == nil {
			return
		}
		if q < 1 {
			fixed = min(fixed, max(0, (ci.High-q)/(1-q)))
		}
	}
	if w.Fit.NTypes < minVerdict || math.IsInf(fixed, 1) {
		return
	}
	fixed = min(fixed, 1)
	w.SharedFixedMS = stats.Finite(fixed * base.All().DecodeMS)
	for i := range w.Types {
		t := &w.Types[i]
		expected := fixed + (1-fixed)*share(t)
		t.OverBytes = stats.Finite(t.All().DecodeRatio / expected)
		if ci := t.All().DecodeRatioCI; ci != nil {
			t.OverBytesCI = stats.NewInterval(ci.Low/expected, ci.High/expected)
		}
	}
}

// fit is ordinary least squares of the decode time per token on the bytes read.
func (w *Comparison) fit() {
	f := &w.Fit
	var x, y []float64
	for i := range w.Types {
		x, y = append(x, w.Types[i].MB()), append(y, w.Types[i].All().DecodeMS)
	}
	switch n := stats.Distinct(x); {
	case f.NTypes < minTypes:
		f.Reason = fmt.Sprintf("%s; a line over the bytes takes %d", words.Counted(f.NTypes, "weight type", "weight types"), minTypes)
		return
	case n < minBytes:
		f.Reason = fmt.Sprintf("the types read %s per token; a line takes %d", words.Counted(n, "number of bytes", "different numbers of bytes"), minBytes)
		return
	}
	l, ok := stats.OLS(x, y)
	if !ok {
		f.Reason = "no line can be fitted to these types"
		return
	}
	f.OK = true
	t := stats.TQuantile(l.N - 2)
	f.FixedMS, f.FixedSE, f.FixedT = stats.Finite(l.A), stats.Finite(l.SEA), stats.NewInterval(l.A-t*l.SEA, l.A+t*l.SEA)
	f.MSPerMB, f.MBSE, f.MBT = stats.Finite(l.B), stats.Finite(l.SEB), stats.NewInterval(l.B-t*l.SEB, l.B+t*l.SEB)
	f.R2 = stats.Finite(l.R2)
	if l.B > 0 {
		f.GBPerS = stats.Finite(1 / l.B)
	}
	for i := range w.Types {
		if line := l.A + float64(l.B*x[i]); line > 0 {
			w.Types[i].Residual = stats.Finite(y[i]/line - 1)
		}
	}
}
