package analysis

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
	// ByteTolerance is by how much a type may take longer than its bytes before it
	// counts as slower than they are.
	ByteTolerance = 0.10
	minTypes      = 4 // of a line over the types
	minVerdict    = 3 // types before dequantising can be told from a fixed cost
	minBytes      = 3 // different bytes: a line through two leaves no error
)

// WeightTypes compares the weight types of one model on one device, all else
// equal. There are none where every model was measured in one type.
type WeightTypes struct {
	Model       string   `json:"model"`
	BackendKind string   `json:"backend_kind"`
	Device      string   `json:"device"`
	BatchSize   int      `json:"batch_size"`
	At          string   `json:"at,omitempty"` // settings that these types share and others of the model were measured without
	ParamsM     *float64 `json:"params_millions_effective"`
	Base        string   `json:"base_weight_type"` // reads most bytes, and of several such the fastest: ratios are to it

	// SharedFixedMS is the largest cost per token, the same for all types, that
	// their times leave room for; nil where that cannot be told.
	SharedFixedMS *float64      `json:"shared_fixed_max_ms"`
	Types         []WeightType  `json:"types"` // by falling bytes; the first is Base
	Fit           WeightTypeFit `json:"fit"`
}

// WeightType is a model in one weight type.
type WeightType struct {
	Backend       string            `json:"backend"`
	WeightType    string            `json:"weight_type"`
	BitsPerWeight *float64          `json:"bits_per_weight"`
	BytesPerToken int64             `json:"bytes_read_per_token"`
	Times         []WeightTypeTimes `json:"times"` // of each scenario, then of AllScenarios

	OverBytes   *float64        `json:"decode_over_bytes"`                   // decode time over what its bytes take at the rate of Base, with SharedFixedMS
	OverBytesCI *stats.Interval `json:"decode_over_bytes_ci_within_process"` // 95 %, SharedFixedMS taken as given
	Residual    *float64        `json:"decode_residual"`                     // decode time over the line's, less 1
}

// WeightTypeTimes are the times of one type in one scenario. Over AllScenarios
// they are geometric means. Intervals are of 95 %, from the scatter of the calls,
// which for each type come from one process.
type WeightTypeTimes struct {
	Scenario       string          `json:"scenario"`      // or AllScenarios
	PromptTokens   *float64        `json:"prompt_tokens"` // nil over AllScenarios
	N              int             `json:"n"`             // decode calls; the fewest in a scenario
	PrefillMS      *float64        `json:"prefill_median_ms"`
	PrefillRatio   *float64        `json:"prefill_ratio"` // to Base
	PrefillRatioCI *stats.Interval `json:"prefill_ratio_ci_within_process"`
	DecodeMS       float64         `json:"decode_ms_per_token"`
	DecodeRatio    float64         `json:"decode_ratio"` // to Base
	DecodeRatioCI  *stats.Interval `json:"decode_ratio_ci_within_process"`
	GBPerS         float64         `json:"weights_gb_per_s"` // 1e9 bytes of weights read in a second of decode

	prefill, decode [][]float64 // ms, and ms per token, of the calls of each scenario
}

// WeightTypeFit is decode_ms_per_token = FixedMS + MSPerMB * MB read per token
// over the types of one model.
type WeightTypeFit struct {
	NTypes  int             `json:"n_types"`
	N       int             `json:"n"` // points: more than types where two backends have one type
	OK      bool            `json:"ok"`
	Reason  string          `json:"reason"` // why not OK
	FixedMS *float64        `json:"fixed_ms"`
	FixedSE *float64        `json:"fixed_se_ms"`
	FixedT  *stats.Interval `json:"fixed_t_ci_ms"` // 95 %, Student t
	MSPerMB *float64        `json:"ms_per_mb"`
	MBSE    *float64        `json:"ms_per_mb_se"`
	MBT     *stats.Interval `json:"ms_per_mb_t_ci"` // 95 %, Student t
	GBPerS  *float64        `json:"gb_per_s"`       // 1/MSPerMB; nil where time does not rise with bytes
	R2      *float64        `json:"r2"`
}

// Line is the fitted decode time per token at mb megabytes; ok is false where
// there is no fit.
func (f *WeightTypeFit) Line(mb float64) (ms float64, ok bool) {
	if !f.OK || f.FixedMS == nil || f.MSPerMB == nil {
		return 0, false
	}
	return *f.FixedMS + *f.MSPerMB*mb, true
}

// Name is a type of w, with its backend where another one has the same type.
func (w *WeightTypes) Name(t *WeightType) string {
	for i := range w.Types {
		if o := &w.Types[i]; o.WeightType == t.WeightType && o.Backend != t.Backend {
			return fmt.Sprintf("%s (%s)", t.WeightType, t.Backend)
		}
	}
	return t.WeightType
}

// All are the type's times over all scenarios.
func (t *WeightType) All() *WeightTypeTimes { return &t.Times[len(t.Times)-1] }

// MB is what one decoded token reads, in 1e6 bytes.
func (t *WeightType) MB() float64 { return float64(t.BytesPerToken) / 1e6 }

// sameWork is what two backends must share for their weight types to be compared.
type sameWork struct {
	model, kind, device string
	batch               int
	params              int64
	settings            string // all others but the type itself
}

// typed is one model as one backend ran it.
type typed struct {
	model     *cells.Model
	settings  cells.Settings
	row       WeightType
	scenarios []string
}

// weightTypes compares the weight types of each model that was measured in more
// than one.
func (a *analyzer) weightTypes() {
	var order []sameWork
	groups := map[sameWork][]*typed{}
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			z, work, ok := a.typedModel(s, m)
			if !ok {
				continue
			}
			if groups[work] == nil {
				order = append(order, work)
			}
			groups[work] = append(groups[work], z)
		}
	}
	slices.SortStableFunc(order, func(x, y sameWork) int {
		return cmp.Or(cmp.Compare(cells.OrInf(groups[x][0].model.ParamsMillions), cells.OrInf(groups[y][0].model.ParamsMillions)), strings.Compare(x.model, y.model))
	})
	for _, work := range order {
		kinds := func(all []*typed) int {
			seen := map[string]bool{}
			for _, z := range all {
				seen[z.row.WeightType] = true
			}
			return len(seen)
		}
		all := groups[work]
		if kinds(all) < 2 {
			continue
		}
		if all = a.equalScenarios(work, all); kinds(all) < 2 {
			continue
		}
		a.compareTypes(work, all, kinds(all), typesAt(groups, work))
	}
}

// typedModel gathers one model's times; ok is false where its type or bytes are
// unknown or it has no decode.
func (a *analyzer) typedModel(s cells.Series, m *cells.Model) (z *typed, work sameWork, ok bool) {
	if m.WeightType == "" || m.BytesPerToken <= 0 {
		return nil, work, false
	}
	z = &typed{model: m, row: WeightType{Backend: s.Backend, WeightType: m.WeightType, BytesPerToken: m.BytesPerToken}}
	if m.WeightBytes > 0 && m.ParamsTotal > 0 {
		z.row.BitsPerWeight = stats.Finite(8 * float64(m.WeightBytes) / float64(m.ParamsTotal))
	}
	all := WeightTypeTimes{Scenario: cells.AllScenarios}
	var decodes, prefills []float64
	for _, sc := range a.Joined() {
		decode, prefill := a.Cell(s, m.Name, sc, record.ModeDecode), a.Cell(s, m.Name, sc, record.ModePrefill)
		if decode == nil || decode.MSPerToken == nil || !(*decode.MSPerToken > 0) {
			continue
		}
		rows := a.Group(s.Key(m.Name, sc, record.ModeDecode)).Rows
		r := rows[0]
		z.settings = settingsOf(r)
		work = sameWork{m.Name, m.BackendKind, r.Device, s.BatchSize, m.ParamsTotal, z.settings.Without(cells.SettingDType)}
		t := WeightTypeTimes{Scenario: sc, PromptTokens: cells.MedianField(rows, func(r *runs.Row) *float64 { return cells.Float(r.PromptEach()) }), N: decode.N, DecodeMS: *decode.MSPerToken}
		perToken := stats.Map(rows, func(r *runs.Row) float64 {
			ms, _ := r.Latency()
			return ms / float64(cells.AnswerTokens(r))
		})
		t.decode = [][]float64{perToken}
		if prefill != nil {
			t.PrefillMS = new(prefill.MedianMS)
			t.prefill = [][]float64{prefill.LatenciesMS}
			prefills = append(prefills, prefill.MedianMS)
		}
		if len(z.row.Times) == 0 || t.N < all.N {
			all.N = t.N
		}
		all.decode, all.prefill = append(all.decode, t.decode...), append(all.prefill, t.prefill...)
		decodes = append(decodes, t.DecodeMS)
		z.row.Times, z.scenarios = append(z.row.Times, t), append(z.scenarios, sc)
	}
	if len(decodes) == 0 {
		return nil, work, false
	}
	all.DecodeMS = stats.Geomean(decodes)
	if len(prefills) == len(decodes) {
		all.PrefillMS = stats.Finite(stats.Geomean(prefills))
	} else {
		all.prefill = nil
	}
	z.row.Times = append(z.row.Times, all)
	for i := range z.row.Times {
		z.row.Times[i].GBPerS = z.row.MB() / z.row.Times[i].DecodeMS // MB/ms
	}
	return z, work, true
}

// equalScenarios leaves out the types that ran in other scenarios than most:
// their mean is of other work. The set that counts is chosen as in wholeSet.
func (a *analyzer) equalScenarios(work sameWork, all []*typed) []*typed {
	types := map[string]int{}
	var set []string
	for _, z := range all {
		k := strings.Join(z.scenarios, "\x00")
		types[k]++
		if len(z.scenarios) > len(set) || len(z.scenarios) == len(set) && types[k] > types[strings.Join(set, "\x00")] {
			set = z.scenarios
		}
	}
	var kept []*typed
	var left []string
	for _, z := range all {
		if slices.Equal(z.scenarios, set) {
			kept = append(kept, z)
		} else {
			left = append(left, fmt.Sprintf("%s (%s)", z.row.WeightType, z.row.Backend))
		}
	}
	if len(left) > 0 {
		a.Warn("unequal_scenarios", work.model+" weight types", "measured in other scenarios than the other types, and left out of their comparison: "+strings.Join(left, ", "),
			"complete the run with --resume, or drop the scenarios that only some types ran")
	}
	return kept
}

// typesAt says the settings that tell these types from others of the model.
func typesAt(groups map[sameWork][]*typed, work sameWork) string {
	var all []cells.Settings
	for w, zs := range groups {
		if w.model == work.model {
			all = append(all, zs[0].settings)
		}
	}
	return groups[work][0].settings.Among(all, cells.SettingDType, cells.SettingBatchSize, cells.SettingKind, "device")
}

func (a *analyzer) compareTypes(work sameWork, all []*typed, kinds int, at string) {
	w := WeightTypes{At: at, Model: work.model, BackendKind: work.kind, Device: work.device, BatchSize: work.batch, ParamsM: all[0].model.ParamsMillions}
	for _, z := range all {
		w.Types = append(w.Types, z.row)
	}
	slices.SortStableFunc(w.Types, func(x, y WeightType) int {
		return cmp.Or(cmp.Compare(y.BytesPerToken, x.BytesPerToken), cmp.Compare(x.All().DecodeMS, y.All().DecodeMS))
	})
	base := &w.Types[0]
	w.Base = w.Name(base)
	for i := range w.Types {
		for j := range w.Types[i].Times {
			t, b := &w.Types[i].Times[j], &base.Times[j]
			t.DecodeRatio, t.DecodeRatioCI = stats.MedianRatio(b.decode, t.decode)
			if t.PrefillMS != nil && b.PrefillMS != nil {
				ratio, ci := stats.MedianRatio(b.prefill, t.prefill)
				t.PrefillRatio, t.PrefillRatioCI = stats.Finite(ratio), ci
			}
			if i == 0 { // against itself there is nothing to estimate
				t.DecodeRatioCI, t.PrefillRatioCI = nil, nil
			}
		}
	}
	w.overBytes(kinds)
	w.fit(kinds)
	a.res.WeightTypes = append(a.res.WeightTypes, w)
	a.res.Answers.WeightTypes = append(a.res.Answers.WeightTypes, w.answer(kinds))
}

// overBytes compares each type's decode with what its bytes alone would take, at
// the rate of the type with the most. A cost of each token that all types share
// (attention, the choice of the token) makes light types slower than that without
// any dequantising, so as much of it is allowed for as the times can hold: the
// type nearest to its bytes bounds it, at the upper end of its interval.
func (w *WeightTypes) overBytes(kinds int) {
	base := &w.Types[0]
	share := func(t *WeightType) float64 { return float64(t.BytesPerToken) / float64(base.BytesPerToken) }
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
	if kinds < minVerdict || math.IsInf(fixed, 1) {
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
func (w *WeightTypes) fit(kinds int) {
	f := &w.Fit
	f.NTypes, f.N = kinds, len(w.Types)
	var x, y []float64
	for i := range w.Types {
		x, y = append(x, w.Types[i].MB()), append(y, w.Types[i].All().DecodeMS)
	}
	switch n := stats.Distinct(x); {
	case kinds < minTypes:
		f.Reason = fmt.Sprintf("%s; a line over the bytes takes %d", words.Counted(kinds, "weight type", "weight types"), minTypes)
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

// answer names the fastest types and says whether decode follows the bytes.
func (w *WeightTypes) answer(kinds int) WeightTypeAnswer {
	out := WeightTypeAnswer{At: w.At, Model: w.Model, BackendKind: w.BackendKind, Device: w.Device, BatchSize: w.BatchSize, ParamsM: w.ParamsM,
		NTypes: kinds, Base: w.Base, Tolerance: ByteTolerance, Verdict: "unknown"}
	last := len(w.Types[0].Times) - 1
	decode := w.race(last, func(t *WeightTypeTimes) (*float64, [][]float64) { return &t.DecodeMS, t.decode })
	out.Decode = *decode
	// The longest prompt: prefill of a short one is decode under another name.
	longest := -1
	for i := range last {
		p := w.Types[0].Times[i].PromptTokens
		if p != nil && (longest < 0 || *p > *w.Types[0].Times[longest].PromptTokens) {
			longest = i
		}
	}
	if longest >= 0 {
		out.Prefill = w.race(longest, func(t *WeightTypeTimes) (*float64, [][]float64) { return t.PrefillMS, t.prefill })
	}
	switch {
	case kinds < minVerdict:
		out.Why = fmt.Sprintf("%s; a verdict takes %d, because dequantising and a fixed cost of each token look alike with fewer", words.Counted(kinds, "weight type", "weight types"), minVerdict)
		return out
	case w.SharedFixedMS == nil:
		out.Why = fmt.Sprintf("the types' ratios have no interval: that takes %d calls of each scenario, and types of different bytes", stats.MinRatioCalls)
		return out
	}
	for i := range w.Types[1:] {
		t := &w.Types[i+1]
		ci := t.OverBytesCI
		switch {
		case ci.Low > 1+ByteTolerance:
			out.Slower = append(out.Slower, w.Name(t))
		case ci.High < 1-ByteTolerance:
			out.Faster = append(out.Faster, w.Name(t))
		case ci.Low < 1-ByteTolerance || ci.High > 1+ByteTolerance:
			out.Open = append(out.Open, w.Name(t))
		}
	}
	rate := fmt.Sprintf("the rate of %s, %.3g GB/s, with at most %.3g ms per token that all types share", w.Base, w.Types[0].All().GBPerS, *w.SharedFixedMS)
	switch {
	case len(out.Slower) > 0:
		out.Verdict, out.Why = "slower", fmt.Sprintf("the 95 %% interval within one process lies more than %.0f %% above what the bytes take at %s", 100*ByteTolerance, rate)
	case len(out.Faster) > 0:
		out.Verdict, out.Why = "faster", fmt.Sprintf("the 95 %% interval within one process lies more than %.0f %% below what the bytes take at %s: that type is not bound by memory, or the lighter ones stay in a cache", 100*ByteTolerance, rate)
	case len(out.Open) == 0:
		out.Verdict, out.Why = "follows", fmt.Sprintf("every type's 95 %% interval within one process lies within %.0f %% of what its bytes take at %s", 100*ByteTolerance, rate)
	default:
		out.Verdict, out.Why = "not_identified", fmt.Sprintf("the interval within one process of %s reaches beyond %.0f %% of what the bytes take at %s", strings.Join(out.Open, ", "), 100*ByteTolerance, rate)
	}
	return out
}

// race puts the types in order of one time, that of Times[at]; nil where one lacks
// it.
func (w *WeightTypes) race(at int, of func(*WeightTypeTimes) (ms *float64, calls [][]float64)) *FastestType {
	type runner struct {
		t     *WeightType
		ms    float64
		calls [][]float64
	}
	var all []runner
	for i := range w.Types {
		ms, calls := of(&w.Types[i].Times[at])
		if ms == nil {
			return nil
		}
		all = append(all, runner{&w.Types[i], *ms, calls})
	}
	base := all[0]
	slices.SortStableFunc(all, func(x, y runner) int { return cmp.Compare(x.ms, y.ms) })
	first, next, last := all[0], all[1], all[len(all)-1]
	out := &FastestType{Scenario: w.Types[0].Times[at].Scenario, PromptTokens: w.Types[0].Times[at].PromptTokens,
		Type: w.Name(first.t), MS: first.ms, Next: w.Name(next.t), Slowest: w.Name(last.t)}
	out.NextRatio, out.NextRatioCI = stats.MedianRatio(first.calls, next.calls)
	if out.BaseRatio = 1; first.t != base.t {
		out.BaseRatio, out.BaseRatioCI = stats.MedianRatio(first.calls, base.calls)
	}
	if out.SlowestRatio = 1; last.t != base.t {
		out.SlowestRatio, out.SlowestRatioCI = stats.MedianRatio(base.calls, last.calls)
	}
	return out
}
