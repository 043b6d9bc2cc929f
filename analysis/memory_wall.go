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
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// How a model came to lie in device memory.
const (
	WallWhole   = "whole"       // all of its layers are on the GPU
	WallPartial = "partial"     // some are
	WallNone    = "none"        // none is: the GPU was there, and had room for no layer
	WallTooBig  = "did_not_fit" // status oom
	WallFailed  = "failed"      // another status than ok, oom and waived
	WallInvalid = "invalid"     // ran, and no call of it counts
)

// A trend of whole models goes through trendSizes sizes, and is not followed
// beyond trendReach times the largest of them.
const (
	trendSizes = 3
	trendReach = 8.0
)

// MemoryWall is where the models of a run stop fitting into device memory.
type MemoryWall struct {
	Cells []WallCell `json:"cells"` // by backend and size
	Edges []WallEdge `json:"edges"` // by backend and weight type
}

// WallCell is one model as one backend held it, over all scenarios.
type WallCell struct {
	Backend    string   `json:"backend"`
	BatchSize  int      `json:"batch_size"`
	LimitGiB   *float64 `json:"vram_limit_gib"` // nil: the whole card
	Asked      string   `json:"asked"`          // layers, as the config has them: all, fit or a number; "" where that is not known
	Model      string   `json:"model"`
	ParamsM    *float64 `json:"params_millions_effective"`
	WeightType string   `json:"weight_type"`

	State     string `json:"state"` // one of Wall...
	GPULayers *int   `json:"n_gpu_layers"`
	Layers    int    `json:"n_layers"` // that there are, the output head counted as one; 0: not known
	Status    string `json:"status"`
	Reason    string `json:"reason"`

	Scenarios  int      `json:"n_scenarios"`                 // with decode
	DecodeMS   *float64 `json:"decode_ms_per_token"`         // geometric mean over scenarios of the medians, by the host
	DeviceMS   *float64 `json:"decode_device_ms_per_token"`  // the same by CUDA events
	PeakMiB    *float64 `json:"vram_peak_mib"`               // by all programs and the limit's reserve
	OwnMiB     *float64 `json:"vram_own_mib"`                // less what was in use before the model was loaded
	OverWhole  *float64 `json:"times_same_model_whole"`      // decode over that of the same model and type, whole on the GPU under WholeIn
	WholeIn    string   `json:"same_model_whole_in_backend"` // "" where it was whole nowhere
	OverTrend  *float64 `json:"times_trend_of_whole"`        // decode over the trend of the whole models
	TrendReach *float64 `json:"trend_reach"`                 // size over that of the largest model of the trend

	settings string // all but where its layers lie
}

// WallEdge is where one backend changes from one state to the next.
type WallEdge struct {
	Backend    string   `json:"backend"`
	BatchSize  int      `json:"batch_size"`
	LimitGiB   *float64 `json:"vram_limit_gib"`
	Asked      string   `json:"asked"`
	WeightType string   `json:"weight_type"`

	LastWhole     string   `json:"last_whole"` // largest model that is whole on the GPU; "" where there is none
	LastWholeM    *float64 `json:"last_whole_params_millions"`
	FirstPartial  string   `json:"first_partial"` // smallest with layers on both sides, or on the CPU alone
	FirstPartialM *float64 `json:"first_partial_params_millions"`
	FirstTooBig   string   `json:"first_did_not_fit"`
	FirstTooBigM  *float64 `json:"first_did_not_fit_params_millions"`
}

// wallBackend is what the config says of a backend.
type wallBackend struct {
	Name   string   `json:"name"`
	Layers *int     `json:"n_gpu_layers"`
	Limit  *float64 `json:"vram_limit_gib"`
}

// Values of n_gpu_layers that are no number of layers, as in runner/config.
const (
	askedAll = -1
	askedFit = -2
)

func asked(layers *int) string {
	switch {
	case layers == nil:
		return ""
	case *layers == askedAll:
		return "all"
	case *layers == askedFit:
		return "fit"
	}
	return fmt.Sprint(*layers)
}

// memoryWall looks for the wall where the run may show one: backends that differ
// in their device memory or in the layers asked for, models that are there in
// part, or that did not fit.
func (a *analyzer) memoryWall() {
	config := map[string]wallBackend{}
	var list []wallBackend
	if !a.Run.Manifest.Decode(&list, "resolved", "backends") {
		a.Run.Manifest.Decode(&list, "config", "backends")
	}
	for _, b := range list {
		config[b.Name] = b
	}
	rows := map[cells.Key][]*runs.Row{} // of a series' model
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		if r.Device == ceilings.CUDA && r.Status != record.StatusWaived {
			k := cells.Key{Series: cells.SeriesOf(r), Model: r.Model}
			rows[k] = append(rows[k], r)
		}
	}
	wall := &MemoryWall{}
	ways := map[string]bool{}
	shows := false
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			mine := rows[cells.Key{Series: s, Model: m.Name}]
			if len(mine) == 0 {
				continue
			}
			c := a.wallCell(s, m, mine, config[s.Backend])
			wall.Cells = append(wall.Cells, c)
			ways[fmt.Sprint(opt(c.LimitGiB), " ", c.Asked)] = true
			shows = shows || c.State == WallPartial || c.State == WallNone || c.State == WallTooBig
		}
	}
	if len(ways) < 2 && !shows {
		return
	}
	a.wallTypes(wall)
	wall.ratios()
	wall.edges()
	a.res.MemoryWall = wall
}

func (a *analyzer) wallCell(s cells.Series, m *cells.Model, rows []*runs.Row, config wallBackend) WallCell {
	c := WallCell{Backend: s.Backend, BatchSize: s.BatchSize, Asked: asked(config.Layers), Model: m.Name, ParamsM: m.ParamsMillions, WeightType: m.WeightType, Status: record.StatusOK}
	if m.NLayer > 0 {
		c.Layers = m.NLayer + 1
	}
	ran := false
	told := rows[max(slices.IndexFunc(rows, (*runs.Row).OK), 0)] // a call that failed knows what was asked for, and not what came of it
	c.settings = cells.SettingsOf(told).Without(cells.SettingGPULayers, cells.SettingVRAMLimit, cells.SettingDType)
	var worst *runs.Row
	for _, r := range rows {
		if c.LimitGiB == nil {
			c.LimitGiB = r.VRAMLimitGiB
		}
		if r.OK() {
			ran = true
			if c.GPULayers == nil {
				c.GPULayers = new(r.NGPULayers)
			}
			if peak := r.GPUPeakMB; r.Counts() && peak != nil {
				c.PeakMiB = larger(c.PeakMiB, peak)
				if r.VRAMBeforeMiB != nil {
					c.OwnMiB = larger(c.OwnMiB, stats.Finite(*peak-*r.VRAMBeforeMiB))
				}
			}
			continue
		}
		if c.Asked == "" && r.NGPULayers < 0 { // not loaded: what was asked for
			c.Asked = asked(&r.NGPULayers)
		}
		if worst == nil || severityOf(r.Status) < severityOf(worst.Status) {
			worst = r
		}
	}
	var host, device []float64
	for _, x := range a.CellsOfModel(s, m.Name) {
		if x.Mode == record.ModeDecode && a.Joins(x.Scenario) && x.MSPerToken != nil {
			host = append(host, *x.MSPerToken)
			if x.CUDAEventMS != nil && x.GenTokens != nil && *x.GenTokens > 0 {
				device = append(device, *x.CUDAEventMS / *x.GenTokens)
			}
		}
	}
	if c.Scenarios = len(host); c.Scenarios > 0 {
		c.DecodeMS = stats.Finite(stats.Geomean(host))
		if len(device) == len(host) {
			c.DeviceMS = stats.Finite(stats.Geomean(device))
		}
	}
	if worst != nil {
		c.Status = worst.Status
		if worst.Error != nil {
			c.Reason = strings.TrimSpace(*worst.Error)
		}
	}
	switch {
	case worst != nil && worst.Status == record.StatusOOM:
		c.State = WallTooBig
	case worst != nil && !ran:
		c.State = WallFailed
	case c.DecodeMS == nil:
		c.State = WallInvalid
	case m.WholeOnGPU(*c.GPULayers):
		c.State = WallWhole
	case *c.GPULayers == 0:
		c.State = WallNone
	default:
		c.State = WallPartial
	}
	return c
}

// wallTypes gives models that were never loaded the type that the others of their
// backend have, if that is one.
func (a *analyzer) wallTypes(w *MemoryWall) {
	types := map[string][]string{}
	for i := range w.Cells {
		if c := &w.Cells[i]; c.WeightType != "" && !slices.Contains(types[c.Backend], c.WeightType) {
			types[c.Backend] = append(types[c.Backend], c.WeightType)
		}
	}
	for i := range w.Cells {
		if c := &w.Cells[i]; c.WeightType == "" && len(types[c.Backend]) == 1 {
			c.WeightType = types[c.Backend][0]
		}
	}
}

// ratios compares the models that are not whole on the GPU with those that are: of
// the same model under another backend, and of the trend of the smaller ones.
func (w *MemoryWall) ratios() {
	for i := range w.Cells {
		c := &w.Cells[i]
		if c.State != WallPartial && c.State != WallNone || c.DecodeMS == nil {
			continue
		}
		bySize := map[float64][]float64{}
		for j := range w.Cells {
			o := &w.Cells[j]
			if o.State != WallWhole || o.WeightType != c.WeightType || o.settings != c.settings || o.BatchSize != c.BatchSize || o.DecodeMS == nil || o.Scenarios != c.Scenarios {
				continue
			}
			if o.Model == c.Model && c.OverWhole == nil {
				c.OverWhole, c.WholeIn = stats.Finite(*c.DecodeMS / *o.DecodeMS), o.Backend
			}
			if o.ParamsM != nil && c.ParamsM != nil && *o.ParamsM < *c.ParamsM {
				bySize[*o.ParamsM] = append(bySize[*o.ParamsM], *o.DecodeMS)
			}
		}
		c.overTrend(bySize)
	}
}

// overTrend is decode over the power law through the largest whole models: the
// smallest ones are bound by something else than size, which no power law follows.
func (c *WallCell) overTrend(bySize map[float64][]float64) {
	var sizes []float64
	for s := range bySize {
		sizes = append(sizes, s)
	}
	slices.Sort(sizes)
	if len(sizes) < trendSizes {
		return
	}
	sizes = sizes[len(sizes)-trendSizes:]
	reach := *c.ParamsM / sizes[trendSizes-1]
	if reach > trendReach {
		return
	}
	ms := make([]float64, trendSizes)
	for i, s := range sizes {
		ms[i] = math.Log(stats.Geomean(bySize[s]))
	}
	l, ok := stats.OLS(stats.Map(sizes, math.Log), ms)
	if !ok {
		return
	}
	c.OverTrend, c.TrendReach = stats.Finite(*c.DecodeMS/math.Exp(l.A+l.B*math.Log(*c.ParamsM))), stats.Finite(reach)
}

// edges finds for each backend and weight type the sizes at which things change.
func (w *MemoryWall) edges() {
	type key struct {
		cells.Series
		weights string
	}
	var order []key
	byKey := map[key][]*WallCell{}
	for i := range w.Cells {
		c := &w.Cells[i]
		k := key{cells.Series{Backend: c.Backend, BatchSize: c.BatchSize}, c.WeightType}
		if byKey[k] == nil {
			order = append(order, k)
		}
		byKey[k] = append(byKey[k], c)
	}
	for _, k := range order {
		all := byKey[k]
		slices.SortStableFunc(all, func(x, y *WallCell) int { return cmp.Compare(cells.OrInf(x.ParamsM), cells.OrInf(y.ParamsM)) })
		e := WallEdge{Backend: k.Backend, BatchSize: k.BatchSize, LimitGiB: all[0].LimitGiB, Asked: all[0].Asked, WeightType: k.weights}
		for _, c := range all {
			switch {
			case c.State == WallWhole:
				e.LastWhole, e.LastWholeM = c.Model, c.ParamsM
			case (c.State == WallPartial || c.State == WallNone) && e.FirstPartial == "":
				e.FirstPartial, e.FirstPartialM = c.Model, c.ParamsM
			case c.State == WallTooBig && e.FirstTooBig == "":
				e.FirstTooBig, e.FirstTooBigM = c.Model, c.ParamsM
			}
		}
		w.Edges = append(w.Edges, e)
	}
}
