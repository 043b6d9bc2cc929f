package wall

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// States: how a model came to lie in memory.
const (
	Whole   = "whole"       // all of its layers are on the GPU; on the CPU, all of its weights in memory
	Partial = "partial"     // some are: the CPU computes the others, or the disk gives them again and again
	None    = "none"        // none is: the GPU was there, and had room for no layer
	TooBig  = "did_not_fit" // status oom
	Failed  = "failed"      // another status than ok, oom and waived
	Invalid = "invalid"     // ran, and no call of it counts
)

// Way is what of a backend decides how models lie in memory.
type Way struct {
	cells.Series
	Device    string   `json:"device" doc:"whose memory it is"`
	MemoryMiB *float64 `json:"memory_limit_mib" unit:"MiB" doc:"on the CPU: memory that the worker was held to; nothing: no limit"`
	LimitGiB  *float64 `json:"vram_limit_gib" unit:"GiB" doc:"device memory that the card pretended to have; nothing: all of it"`
	Asked     string   `json:"asked" doc:"layers that the config asks for: all, fit or a number"` // "" where that is not known
}

// Cell is one model as one backend held it, over all scenarios.
type Cell struct {
	Way
	Model      string   `json:"model" doc:"name of the model"`
	ParamsM    *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
	WeightType string   `json:"weight_type" doc:"type of the weights"`

	State     string `json:"state" doc:"whole, partial or none (of its layers on the GPU; on the CPU, of its weights in memory: what is not there is read from the disk in every step), did_not_fit (status oom), failed (another status), invalid (no call counts)"`
	GPULayers *int   `json:"n_gpu_layers" doc:"layers on the GPU"`
	Layers    int    `json:"n_layers" doc:"layers that there are, the output head counted as one" zero:"unknown"`
	Status    string `json:"status" doc:"worst status of its calls"`
	Reason    string `json:"reason" doc:"why it did not run"`

	Scenarios   int      `json:"n_scenarios" doc:"scenarios that the times are means over"`
	DecodeMS    *float64 `json:"decode_ms_per_token" unit:"ms/token" doc:"decode by the host: geometric mean over the scenarios of the medians"`
	PeakMiB     *float64 `json:"vram_peak_mib" unit:"MiB" doc:"peak of device memory in use, by all programs and by what the limit holds back"`
	OwnMiB      *float64 `json:"vram_own_mib" unit:"MiB" doc:"the same less what was in use before the model was loaded"`
	PrefillMS   *float64 `json:"prefill_ms" unit:"ms" doc:"prefill by the host: geometric mean over the scenarios of the medians"`
	NeedMiB     *float64 `json:"memory_need_mib" unit:"MiB" doc:"on the CPU: memory that the load was estimated to need"`
	Missing     *float64 `json:"weights_not_fitting" doc:"on the CPU: share of the mapped weights for which the limit has no room, by that reckoning"`
	HostPeakMiB *float64 `json:"memory_peak_mib" unit:"MiB" doc:"on the CPU: most memory that the worker with a limit took"`
	UnmappedMiB *float64 `json:"memory_unmapped_mib" unit:"MiB" doc:"on the CPU: of that, what cannot be dropped and read again"`
	ReadMiB     *float64 `json:"disk_read_mib_per_pass" unit:"MiB" doc:"on the CPU: read from the disk for each pass through the weights (a decode step, a micro-batch of prefill), median of the calls"`
	DiskMBPerS  *float64 `json:"disk_read_mb_per_s" unit:"MB/s" doc:"on the CPU: speed of one reader of the file, before the loads, median"`
	Explained   *float64 `json:"share_explained_by_disk" doc:"on the CPU: time in which that speed gives the bytes read for a step, over the time by which decode is longer than whole"`
	OverWhole   *float64 `json:"times_same_model_whole" doc:"decode over that of the same model and type when whole"`
	OverLow     *float64 `json:"times_low" doc:"its 95 % interval"`
	OverHigh    *float64 `json:"times_high" doc:"likewise"`
	Basis       string   `json:"times_basis" doc:"what the interval is made of: processes (paired by blocks), or one process; nothing: too few calls for one"`
	WholeIn     string   `json:"same_model_whole_in_backend" doc:"where it was whole"`

	settings  string        // all but where it lies in memory
	decodes   []cells.Times // by scenario
	mappedMiB float64       // weights that are mapped
	kvMiB     float64       // KV cache of one token
	context   int           // tokens
}

// host is a model in the CPU's memory.
func (c *Cell) host() bool { return c.Device != ceilings.CUDA }

// inPart is a model that is not whole, and runs.
func (c *Cell) inPart() bool { return c.State == Partial || c.State == None }

// backend is what the config says of a backend.
type backend struct {
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

// collect has the models that a GPU was asked to hold, and where a limit of the CPU's memory bears on some, those of the CPU.
func collect(c *cells.Set) (out []Cell) {
	config := map[string]backend{}
	var list []backend
	if !c.Run.Manifest.Decode(&list, "resolved", "backends") {
		c.Run.Manifest.Decode(&list, "config", "backends")
	}
	for _, b := range list {
		config[b.Name] = b
	}
	rows := map[cells.Key][]*runs.Row{} // of a series' model
	limited := slices.ContainsFunc(c.Run.Rows, func(r runs.Row) bool { return r.MemoryLimitMiB != nil || rereads(&r) })
	for i := range c.Run.Rows {
		r := &c.Run.Rows[i]
		if (r.Device == ceilings.CUDA || limited && r.MemoryNeedMiB != nil) && r.Status != record.StatusWaived {
			k := cells.SeriesOf(r).Key(r.Model, "", "")
			rows[k] = append(rows[k], r)
		}
	}
	for _, s := range c.Series {
		for _, m := range c.ModelsOf(s.Backend) {
			if mine := rows[s.Key(m.Name, "", "")]; len(mine) > 0 {
				out = append(out, cellOf(c, s, m, mine, asked(config[c.Configured(s.Backend)].Layers)))
			}
		}
	}
	return out
}

// shows reports whether the run varies anything, or some model is not whole.
func (w *Wall) shows() bool {
	type way struct {
		limit, memory float64
		asked         string
	}
	ways := map[way]bool{}
	for i := range w.Cells {
		c := &w.Cells[i]
		if c.inPart() || c.State == TooBig {
			return true
		}
		ways[way{cells.OrInf(c.LimitGiB), cells.OrInf(c.MemoryMiB), c.Asked}] = true
	}
	return len(ways) > 1
}

func cellOf(set *cells.Set, s cells.Series, m *cells.Model, rows []*runs.Row, layersAsked string) Cell {
	c := Cell{Way: Way{Series: s, Asked: layersAsked}, Model: m.Name, ParamsM: m.ParamsMillions, WeightType: m.WeightType, Status: record.StatusOK}
	if m.NLayer > 0 {
		c.Layers = m.NLayer + 1
	}
	told := rows[max(slices.IndexFunc(rows, (*runs.Row).OK), 0)] // a call that failed knows what was asked for, and not what came of it
	c.settings = cells.SettingsOf(told).Without(cells.SettingGPULayers, cells.SettingVRAMLimit, cells.SettingMemoryLimit, cells.SettingDType)
	c.Device = told.Device
	c.inMemory(rows, m)
	ran := false
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
				c.PeakMiB = stats.Larger(c.PeakMiB, peak)
				if r.VRAMBeforeMiB != nil {
					c.OwnMiB = stats.Larger(c.OwnMiB, stats.Finite(*peak-*r.VRAMBeforeMiB))
				}
			}
			continue
		}
		if c.Asked == "" && r.NGPULayers < 0 { // not loaded: what was asked for
			c.Asked = asked(&r.NGPULayers)
		}
		if worst == nil || cells.Severity(r.Status) < cells.Severity(worst.Status) {
			worst = r
		}
	}
	c.decode(set)
	if worst != nil {
		c.Status = worst.Status
		if worst.Error != nil {
			c.Reason = strings.TrimSpace(*worst.Error)
		}
	}
	switch {
	case worst != nil && worst.Status == record.StatusOOM:
		c.State = TooBig
	case worst != nil && !ran:
		c.State = Failed
	case c.DecodeMS == nil:
		c.State = Invalid
	case c.host() && cells.OrInf(c.ReadMiB) <= rereadShare*c.mappedMiB, !c.host() && m.WholeOnGPU(*c.GPULayers):
		c.State = Whole
	case !c.host() && *c.GPULayers == 0:
		c.State = None
	default:
		c.State = Partial
	}
	return c
}

// decode joins the times of the scenarios.
func (c *Cell) decode(set *cells.Set) {
	var host, prefill []float64
	for _, x := range set.CellsOfModel(c.Series, c.Model) {
		if !set.Joins(x.Scenario) {
			continue
		}
		g := set.Group(c.Series.Key(c.Model, x.Scenario, x.Mode))
		if x.Mode == record.ModePrefill && g != nil {
			prefill = append(prefill, g.Times().Typical())
		}
		if x.Mode != record.ModeDecode || x.MSPerToken == nil {
			continue
		}
		host = append(host, *x.MSPerToken)
		if g != nil {
			c.decodes = append(c.decodes, g.StepTimes())
		}
	}
	if c.Scenarios = len(host); c.Scenarios > 0 {
		c.DecodeMS = stats.Finite(stats.Geomean(host))
	}
	if len(prefill) > 0 {
		c.PrefillMS = stats.Finite(stats.Geomean(prefill))
	}
}

// inferTypes gives models that were never loaded the type that the others of their
// backend have, if that is one.
func (w *Wall) inferTypes() {
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
