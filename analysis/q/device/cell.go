package device

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
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

// Cell is what a GPU's own clock, memory and sensors say of one backend x
// model x scenario x mode. Medians are over the calls that are summarised.
type Cell struct {
	cells.Subject
	Scenario string `json:"scenario" doc:"name of the scenario"`
	Mode     string `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	GPU      string `json:"gpu_name" doc:"the GPU"`
	N        int    `json:"n" unit:"calls" doc:"calls summarised"`

	HostMS        float64  `json:"host_median_ms" unit:"ms" doc:"median host time"`
	DeviceMS      *float64 `json:"device_median_ms" unit:"ms" doc:"median time by CUDA events"`
	GapMS         *float64 `json:"host_gap_median_ms" unit:"ms" doc:"median of host less device time"`
	GapShare      *float64 `json:"host_gap_share_median" doc:"median of the same over the host time"`
	GraphCaptures *int64   `json:"graph_captures" doc:"CUDA graphs captured in these calls; 0 in a steady state"`
	CapturedCalls int      `json:"captured_calls" unit:"calls" doc:"calls that captured any"`

	BeforeMiB  *float64 `json:"vram_before_mib" unit:"MiB" doc:"device memory in use before the model was loaded"`
	PeakMiB    *float64 `json:"vram_peak_mib" unit:"MiB" doc:"highest in use in any call's phase"`
	WeightsMiB *float64 `json:"vram_weights_mib" unit:"MiB" doc:"weights, by llama.cpp's own account"`
	KVMiB      *float64 `json:"vram_kv_mib" unit:"MiB" doc:"KV cache, by llama.cpp's own account"`
	ComputeMiB *float64 `json:"vram_compute_mib" unit:"MiB" doc:"intermediate results, by llama.cpp's own account"`
	RestMiB    *float64 `json:"vram_rest_mib" unit:"MiB" doc:"peak less before and these three: the CUDA context, pools, other programs"`

	GPULayers int      `json:"n_gpu_layers" doc:"layers on the GPU"`
	Layers    int      `json:"n_layers" doc:"layers that there are, the output head counted as one"`
	Placement string   `json:"placement" doc:"whole: the CPU computes nothing; lookup: the tokens' embeddings alone; partial: the layers that the GPU was not given; fallback: what the GPU was given and does not compute"`
	Splits    *int     `json:"graph_splits" doc:"pieces that the mode's graph is cut into"`
	CPUOps    *int     `json:"cpu_ops" doc:"operations of that graph that the CPU computes"`
	CPUNames  []string `json:"cpu_op_names" sep:"; " doc:"their names with counts, of prefill's and decode's graph together"`

	PowerW              *float64 `json:"power_median_w" unit:"W" doc:"median over the calls of the mean power"`
	EnergyCalls         int      `json:"energy_calls" unit:"calls" doc:"calls whose energy is known: phases of a few ticks of the counter"`
	JPerToken           *float64 `json:"j_per_token" unit:"J/token" doc:"energy of these calls over their tokens: prompt tokens for prefill, decoded ones for decode; idle power included"`
	JPerTokenPM         *float64 `json:"j_per_token_uncertainty" unit:"J/token" doc:"bound from the counter's ticks, to either side; the sensor's own error is not in it"`
	SMClockMHz          *float64 `json:"sm_clock_median_mhz" unit:"MHz" doc:"clock of the multiprocessors"`
	SMClockMinMHz       *float64 `json:"sm_clock_min_mhz" unit:"MHz" doc:"the lowest seen"`
	MemClockMHz         *float64 `json:"mem_clock_median_mhz" unit:"MHz" doc:"clock of the device memory"`
	TemperatureC        *float64 `json:"temperature_max_c" unit:"C" doc:"highest temperature"`
	Throttle            []string `json:"throttle_reasons" doc:"what held the clocks down in any call, in NVML's words; an idle GPU is not named"`
	ThrottleSpoiltCalls int      `json:"throttle_spoilt_calls" unit:"calls" doc:"calls with a reason that spoils figures"`

	Warnings []finding.Warning `json:"warnings" doc:"codes of the doubts"`
}

// summarise tells what the GPU says, of the cells that ran on one.
func (a *Answer) summarise() {
	placed := map[cells.ModelKey]bool{}
	a.set.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if len(g.Rows) == 0 || g.Rows[0].Device != ceilings.CUDA {
			return
		}
		d := cellOf(k, m, g.Rows)
		// What concerns a call is said once for its three modes, what concerns a
		// model once for all of its cells.
		warn := func(code, where, text, advice string, again bool) {
			w := finding.Warning{Code: code, Where: where, Text: text, Advice: advice}
			d.Warnings = append(d.Warnings, w)
			if !again {
				a.Add(w)
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
		if spoiling := d.spoiling(); len(spoiling) > 0 {
			warn("throttled", cell,
				fmt.Sprintf("%s held the clocks down in %d of %s", strings.Join(spoiling, ", "), d.ThrottleSpoiltCalls, words.Counted(d.N, "call", "calls")),
				"cool the card, or give it the power that it asks for, and measure again: these times are no property of the work", k.Mode != record.ModeE2E)
		}
		if k.Mode == record.ModePrefill && d.GapShare != nil && math.Abs(*d.GapShare) > HostGapShare {
			warn("host_gap", cell,
				fmt.Sprintf("prefill takes %.4g ms on the host and %.4g ms by CUDA events: %.1f %% lie between", d.HostMS, *d.DeviceMS, 100**d.GapShare),
				"the first event's way to the device and waking up after the last kernel take about the same whatever the prompt, and are much of a short prefill: quote the device's time for the GPU and the host's for the user, or measure longer prompts", false)
		}
		a.Cells = append(a.Cells, d)
	})
}

// cellOf summarises one cell's calls.
func cellOf(k cells.Key, m *cells.Model, rows []*runs.Row) Cell {
	first := rows[0]
	d := Cell{Subject: k.Series.Of(m), Scenario: k.Scenario, Mode: k.Mode,
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

func (d *Cell) memory(rows []*runs.Row) {
	of := func(field func(*record.Costs) *float64) *float64 {
		return cells.MedianField(rows, func(r *runs.Row) *float64 { return field(&r.Costs) })
	}
	d.BeforeMiB = of(func(m *record.Costs) *float64 { return m.VRAMBeforeMiB })
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
