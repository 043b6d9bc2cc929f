package analysis

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// HostGapShare is how far prefill's time by CUDA events may lie from the host's,
// as a share of the host's, before a warning says so.
const HostGapShare = 0.03

// What the CPU computes of a model that is on a GPU.
const (
	PlacedWhole    = "whole"    // nothing
	PlacedLookup   = "lookup"   // the lookup of the tokens' embeddings, as llama.cpp always has it
	PlacedPartial  = "partial"  // layers that the GPU was not given
	PlacedFallback = "fallback" // operations that the GPU was given and does not compute
)

// opLookup is ggml's name of the operation that looks up embeddings.
const opLookup = "GET_ROWS"

// spoilingReasons are the throttle reasons, in NVML's words, under which a time is
// no property of the work; the others qualify a figure (a power cap is the normal
// state of a loaded card) or are harmless. cuda/telemetry judges them; a test
// keeps the two alike.
var spoilingReasons = []string{"hw_slowdown", "sync_boost", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"}

// harmlessReasons are not worth a word.
var harmlessReasons = []string{"gpu_idle"}

// DeviceCell is what a GPU's own clock, memory and sensors say of one backend x
// model x scenario x mode. Medians are over the calls that are summarised.
type DeviceCell struct {
	Backend     string   `json:"backend"`
	BackendKind string   `json:"backend_kind"`
	BatchSize   int      `json:"batch_size"`
	Model       string   `json:"model"`
	ParamsM     *float64 `json:"params_millions_effective"`
	Scenario    string   `json:"scenario"`
	Mode        string   `json:"mode"`
	GPU         string   `json:"gpu_name"`
	N           int      `json:"n"`

	HostMS        float64  `json:"host_median_ms"`
	DeviceMS      *float64 `json:"device_median_ms"`
	GapMS         *float64 `json:"host_gap_median_ms"`
	GapShare      *float64 `json:"host_gap_share_median"` // of the host's time
	GraphCaptures *int64   `json:"graph_captures"`        // in all calls
	CapturedCalls int      `json:"captured_calls"`        // that had any

	BeforeMiB  *float64 `json:"vram_before_mib"`
	LoadedMiB  *float64 `json:"vram_after_load_mib"`
	ContextMiB *float64 `json:"vram_after_context_mib"`
	PeakMiB    *float64 `json:"vram_peak_mib"` // highest of all calls
	WeightsMiB *float64 `json:"vram_weights_mib"`
	KVMiB      *float64 `json:"vram_kv_mib"`
	ComputeMiB *float64 `json:"vram_compute_mib"`
	RestMiB    *float64 `json:"vram_rest_mib"` // peak less before and llama.cpp's account: the CUDA context, pools, other programs

	GPULayers int      `json:"n_gpu_layers"`
	Layers    int      `json:"n_layers"`  // that there are, the output head counted as one
	Placement string   `json:"placement"` // one of Placed...; "" where it is not known
	Splits    *int     `json:"graph_splits"`
	CPUOps    *int     `json:"cpu_ops"`
	CPUBytes  *int64   `json:"cpu_op_bytes"`
	CPUNames  []string `json:"cpu_op_names"` // of prefill's or decode's graph, with counts

	PowerW              *float64 `json:"power_median_w"`
	EnergyCalls         int      `json:"energy_calls"` // whose energy is known
	JPerToken           *float64 `json:"j_per_token"`  // of prefill per prompt token, of decode per step and sequence
	JPerTokenPM         *float64 `json:"j_per_token_uncertainty"`
	EnergyJ             *float64 `json:"energy_median_j"`
	SMClockMHz          *float64 `json:"sm_clock_median_mhz"`
	SMClockMinMHz       *float64 `json:"sm_clock_min_mhz"`
	MemClockMHz         *float64 `json:"mem_clock_median_mhz"`
	TemperatureC        *float64 `json:"temperature_max_c"`
	Throttle            []string `json:"throttle_reasons"`          // in any call; nil: not known
	ThrottleSpoiling    []string `json:"throttle_reasons_spoiling"` // those of them that spoil figures
	ThrottleSpoiltCalls int      `json:"throttle_spoilt_calls"`     // calls that had any of these

	Warnings []finding.Warning `json:"warnings"`
}

// device summarises what the GPU says, of the cells that ran on one.
func (a *analyzer) device() {
	placed := map[cells.ModelKey]bool{}
	a.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if len(g.Rows) == 0 || g.Rows[0].Device != ceilings.CUDA {
			return
		}
		d := a.deviceCell(k, m, g.Rows)
		// What concerns a call is said once for its three modes, what concerns a
		// model once for all of its cells.
		warn := func(code, where, text, advice string, again bool) {
			w := finding.Warning{Code: code, Where: where, Text: text, Advice: advice}
			d.Warnings = append(d.Warnings, w)
			if !again {
				a.Warnings = append(a.Warnings, w)
			}
		}
		cell := strings.Join([]string{k.Backend, m.Name, k.Scenario}, " ")
		if d.CapturedCalls > 0 {
			warn("graph_captured", cell,
				fmt.Sprintf("%s captured in %d of %s, which paid for what the others are spared", words.Counted(int(*d.GraphCaptures), "CUDA graph was", "CUDA graphs were"), d.CapturedCalls, words.Counted(d.N, "call", "calls")),
				"look at token_ns: a step that captured stands out. llama.cpp captures anew where the KV cache passes a multiple of 256 positions (keep prompt and gen_tokens between two of them), and in a process's first calls (more warmup_repetitions)", k.Mode != record.ModeDecode)
		}
		if d.Placement == PlacedFallback {
			key := cells.ModelKey{Backend: k.Backend, Model: m.Name}
			warn("cpu_fallback", strings.Join([]string{k.Backend, m.Name}, " "),
				fmt.Sprintf("all layers were given to the GPU, and the CPU computes %s", strings.Join(d.CPUNames, ", ")),
				"these times are of both processors and of the copies between them: do not quote them as the GPU's. llama.cpp has no CUDA kernel for these operations at this shape and type; try flash_attn off, or another kv_type", placed[key])
			placed[key] = true
		}
		if len(d.ThrottleSpoiling) > 0 {
			warn("throttled", cell,
				fmt.Sprintf("%s held the clocks down in %d of %s", strings.Join(d.ThrottleSpoiling, ", "), d.ThrottleSpoiltCalls, words.Counted(d.N, "call", "calls")),
				"cool the card, or give it the power that it asks for, and measure again: these times are no property of the work", k.Mode != record.ModeE2E)
		}
		if k.Mode == record.ModePrefill && d.GapShare != nil && math.Abs(*d.GapShare) > HostGapShare {
			warn("host_gap", cell,
				fmt.Sprintf("prefill takes %.4g ms on the host and %.4g ms by CUDA events: %.1f %% lie between", d.HostMS, *d.DeviceMS, 100**d.GapShare),
				"the first event's way to the device and waking up after the last kernel take about the same whatever the prompt, and are much of a short prefill: quote the device's time for the GPU and the host's for the user, or measure longer prompts", false)
		}
		a.res.Device = append(a.res.Device, d)
	})
	a.deviceFits()
}

// deviceCell summarises one cell's calls.
func (a *analyzer) deviceCell(k cells.Key, m *cells.Model, rows []*runs.Row) DeviceCell {
	first := rows[0]
	d := DeviceCell{Backend: k.Backend, BackendKind: m.BackendKind, BatchSize: k.BatchSize, Model: m.Name, ParamsM: m.ParamsMillions, Scenario: k.Scenario, Mode: k.Mode,
		N: len(rows), HostMS: stats.Median(cells.Latencies(rows)), GPULayers: first.NGPULayers, Layers: m.NLayer + 1}
	if first.GPUName != nil {
		d.GPU = *first.GPUName
	}
	d.DeviceMS = cells.MedianField(rows, func(r *runs.Row) *float64 { return r.CUDAEventMS })
	d.GapMS = cells.MedianField(rows, hostGap)
	d.GapShare = cells.MedianField(rows, func(r *runs.Row) *float64 {
		gap := hostGap(r)
		ms, ok := r.Latency()
		if gap == nil || !ok {
			return nil
		}
		return new(*gap / ms)
	})
	for _, r := range rows {
		if n := r.GraphCaptures; n != nil {
			if d.GraphCaptures == nil {
				d.GraphCaptures = new(int64)
			}
			*d.GraphCaptures += *n
			if *n > 0 {
				d.CapturedCalls++
			}
		}
	}
	d.memory(rows)
	d.placement(m, rows)
	d.sensors(rows)
	return d
}

// hostGap is what the host's time of a call has more than the device's.
func hostGap(r *runs.Row) *float64 {
	ms, ok := r.Latency()
	switch {
	case r.HostGapMS != nil:
		return r.HostGapMS
	case ok && r.CUDAEventMS != nil:
		return new(ms - *r.CUDAEventMS)
	}
	return nil
}

func (d *DeviceCell) memory(rows []*runs.Row) {
	of := func(field func(*record.Costs) *float64) *float64 {
		return cells.MedianField(rows, func(r *runs.Row) *float64 { return field(&r.Costs) })
	}
	d.BeforeMiB = of(func(m *record.Costs) *float64 { return m.VRAMBeforeMiB })
	d.LoadedMiB = of(func(m *record.Costs) *float64 { return m.VRAMLoadedMiB })
	d.ContextMiB = of(func(m *record.Costs) *float64 { return m.VRAMContextMiB })
	d.WeightsMiB = of(func(m *record.Costs) *float64 { return m.VRAMWeightsMiB })
	d.KVMiB = of(func(m *record.Costs) *float64 { return m.VRAMKVMiB })
	d.ComputeMiB = of(func(m *record.Costs) *float64 { return m.VRAMComputeMiB })
	for _, r := range rows {
		d.PeakMiB = stats.Larger(d.PeakMiB, peakOf(r))
	}
	if d.PeakMiB != nil && d.BeforeMiB != nil && d.WeightsMiB != nil && d.KVMiB != nil && d.ComputeMiB != nil {
		d.RestMiB = stats.Finite(*d.PeakMiB - *d.BeforeMiB - *d.WeightsMiB - *d.KVMiB - *d.ComputeMiB)
	}
}

// peakOf is the phase's own peak where the sensors saw it, else the call's.
func peakOf(r *runs.Row) *float64 {
	if r.VRAMPeakMiB != nil {
		return r.VRAMPeakMiB
	}
	return r.GPUPeakMB
}

// placement says what the CPU computes. Names are recorded for both graphs
// together; every graph has the lookup, so that more operations than lookups are
// something else.
func (d *DeviceCell) placement(m *cells.Model, rows []*runs.Row) {
	for _, r := range rows {
		splits, ops, bytes := r.SplitsDecode, r.CPUOpsDecode, r.CPUBytesDecode
		switch d.Mode {
		case record.ModePrefill:
			splits, ops, bytes = r.SplitsPrefill, r.CPUOpsPrefill, r.CPUBytesPrefill
		case record.ModeE2E:
			splits, ops, bytes = nil, nil, nil
		}
		if r.CPUOpsDecode == nil && r.CPUOpsPrefill == nil {
			continue
		}
		d.Splits, d.CPUOps, d.CPUBytes, d.CPUNames = splits, ops, bytes, r.CPUOpNames
		n := max(orZero(r.CPUOpsPrefill), orZero(r.CPUOpsDecode))
		if ops != nil {
			n = *ops
		}
		switch {
		case !m.WholeOnGPU(d.GPULayers):
			d.Placement = PlacedPartial
		case n == 0:
			d.Placement = PlacedWhole
		case n <= opCount(r.CPUOpNames, opLookup):
			d.Placement = PlacedLookup
		default:
			d.Placement = PlacedFallback
		}
		return // the same graphs for all calls of a cell
	}
	if m.NLayer > 0 && !m.WholeOnGPU(d.GPULayers) {
		d.Placement = PlacedPartial
	}
}

func orZero(v *int) int {
	if v == nil {
		return 0
	}
	return *v
}

// opCount reads the count of an operation among "NAME x n".
func opCount(names []string, op string) int {
	for _, s := range names {
		name, n, found := strings.Cut(s, " x ")
		if name != op {
			continue
		}
		if !found {
			return 1
		}
		count, err := strconv.Atoi(n)
		if err == nil {
			return count
		}
	}
	return 0
}

func (d *DeviceCell) sensors(rows []*runs.Row) {
	of := func(field func(*record.DeviceWindow) *float64) *float64 {
		return cells.MedianField(rows, func(r *runs.Row) *float64 { return field(r.DeviceWindow) })
	}
	d.PowerW = of(func(w *record.DeviceWindow) *float64 { return w.PowerMeanW })
	d.EnergyJ = of(func(w *record.DeviceWindow) *float64 { return w.EnergyJ })
	d.SMClockMHz = of(func(w *record.DeviceWindow) *float64 { return w.SMClockMedianMHz })
	d.MemClockMHz = of(func(w *record.DeviceWindow) *float64 { return w.MemClockMedianMHz })
	joule, pm, tokens := 0.0, 0.0, 0.0
	for _, r := range rows {
		if v := r.SMClockMinMHz; v != nil && (d.SMClockMinMHz == nil || *v < *d.SMClockMinMHz) {
			d.SMClockMinMHz = v
		}
		d.TemperatureC = stats.Larger(d.TemperatureC, r.TemperatureMaxC)
		if r.EnergyJ != nil && r.EnergyUncertaintyJ != nil && r.TokensTotal != nil && *r.TokensTotal > 0 {
			d.EnergyCalls++
			joule, pm, tokens = joule+*r.EnergyJ, pm+*r.EnergyUncertaintyJ, tokens+float64(*r.TokensTotal)
		}
		if r.ThrottleReasons == nil {
			continue
		}
		if d.Throttle == nil {
			d.Throttle = []string{}
		}
		spoilt := false
		for _, reason := range r.ThrottleReasons {
			spoils := slices.Contains(spoilingReasons, reason)
			spoilt = spoilt || spoils
			if slices.Contains(harmlessReasons, reason) || slices.Contains(d.Throttle, reason) {
				continue
			}
			d.Throttle = append(d.Throttle, reason)
			if spoils {
				d.ThrottleSpoiling = append(d.ThrottleSpoiling, reason)
			}
		}
		if spoilt {
			d.ThrottleSpoiltCalls++
		}
	}
	// The counter's uncertainty of a call is a bound, not a deviation: bounds add up.
	// A token of end-to-end would be a mean of prompt and answer, which is neither.
	if tokens > 0 && d.Mode != record.ModeE2E {
		d.JPerToken, d.JPerTokenPM = stats.Finite(joule/tokens), stats.Finite(pm/tokens)
	}
}

// DeviceFit is the scaling of decode by both clocks, over the models that have
// device times in every scenario.
type DeviceFit struct {
	Backend   string      `json:"backend"`
	BatchSize int         `json:"batch_size"`
	Mode      string      `json:"mode"`
	Host      scaling.Fit `json:"host"`
	Device    scaling.Fit `json:"device"`
}

// deviceFits fits decode by the device's clock, and by the host's over the same
// models, so that the two exponents differ in nothing but the clock.
func (a *analyzer) deviceFits() {
	times := map[cells.Key]*DeviceCell{}
	for i := range a.res.Device {
		d := &a.res.Device[i]
		times[d.series().Key(d.Model, d.Scenario, d.Mode)] = d
	}
	for _, s := range a.Series {
		whole := a.WholeSet(s, record.ModeDecode)
		var host, device []scaling.Point
		for _, m := range a.ModelsOf(s.Backend) {
			x, ok := a.X(m)
			var h, d []float64
			for _, sc := range whole {
				if c := times[s.Key(m.Name, sc, record.ModeDecode)]; c != nil && c.DeviceMS != nil && *c.DeviceMS > 0 {
					h, d = append(h, c.HostMS), append(d, *c.DeviceMS)
				}
			}
			if ok && len(h) > 0 && len(h) == len(whole) {
				host, device = append(host, scaling.Point{Model: m.Name, X: x, Y: stats.Geomean(h)}), append(device, scaling.Point{Model: m.Name, X: x, Y: stats.Geomean(d)})
			}
		}
		if len(host) == 0 {
			continue
		}
		fit := func(points []scaling.Point) scaling.Fit {
			f := scaling.Fit{Subject: scaling.Subject{Series: s, Mode: record.ModeDecode, Scenario: cells.AllScenarios}, Aggregation: scaling.AggGeomean, Axis: a.Axis.Name}
			scaling.FitLogLog(&f, points, a.Opt)
			return f
		}
		a.res.DeviceFits = append(a.res.DeviceFits, DeviceFit{Backend: s.Backend, BatchSize: s.BatchSize, Mode: record.ModeDecode, Host: fit(host), Device: fit(device)})
	}
}
