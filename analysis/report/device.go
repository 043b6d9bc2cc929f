package report

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// device has what the GPU says of the cells that ran on it; nothing where none did.
func (w *writer) device() {
	if len(w.r.Device) == 0 {
		return
	}
	w.doc.Section("Device time, memory and power")
	w.deviceTimes()
	w.deviceExponents()
	w.deviceMemory()
	w.devicePlacement()
	w.devicePower()
}

// deviceColumn is a column of a table of device cells.
type deviceColumn = doc.Column[*analysis.DeviceCell]

var deviceNames = []deviceColumn{
	{Head: "<backend", Cell: func(d *analysis.DeviceCell) string { return series(d.Backend, d.BatchSize) }},
	{Head: "<model", Cell: func(d *analysis.DeviceCell) string { return doc.Text(d.Model) }},
	{Head: "parameters (millions)", Cell: func(d *analysis.DeviceCell) string { return doc.SizeOf(d.ParamsM) }},
}

var deviceCellNames = []deviceColumn{
	{Head: "<scenario", Cell: func(d *analysis.DeviceCell) string { return doc.Text(d.Scenario) }},
	{Head: "<mode", Cell: func(d *analysis.DeviceCell) string { return prose.Mode(d.Mode) }},
}

// longestPrompts picks of each model and mode the scenario with the longest
// prompt, in which least of a prefill is a fixed cost. End-to-end is left to the
// table of all cells.
func (w *writer) longestPrompts() (picked, all []*analysis.DeviceCell) {
	type one struct {
		prose.Series
		model, mode string
	}
	prompts := map[string]float64{}
	for _, c := range w.r.Cells {
		if n := c.PromptEach(); n != nil {
			prompts[c.Scenario] = max(prompts[c.Scenario], *n)
		}
	}
	at := map[one]int{}
	for i := range w.r.Device {
		d := &w.r.Device[i]
		all = append(all, d)
		if d.Mode == record.ModeE2E {
			continue
		}
		k := one{prose.Of(d.Backend, d.BatchSize), d.Model, d.Mode}
		j, seen := at[k]
		if !seen {
			at[k] = len(picked)
			picked = append(picked, d)
		} else if prompts[d.Scenario] > prompts[picked[j].Scenario] {
			picked[j] = d
		}
	}
	return picked, all
}

// showCells puts the table of the longest prompts, and that of all cells folded.
func (w *writer) showCells(what string, columns []deviceColumn) {
	picked, all := w.longestPrompts()
	w.foldLong(what+" with the longest prompt", doc.TableOf(picked, deviceNames, deviceCellNames, columns))
	if len(all) > len(picked) {
		w.doc.Fold(fmt.Sprintf("%s of all %d cells and modes", what, len(all)), doc.TableOf(all, deviceNames, deviceCellNames, columns))
	}
}

// longTable is the number of rows above which a table is folded away.
const longTable = 40

func (w *writer) foldLong(what string, t doc.Table) { w.foldAbove(longTable, what, t) }

func (w *writer) foldAbove(most int, what string, t doc.Table) {
	if len(t.Rows) > most {
		w.doc.Fold(fmt.Sprintf("%s (%d)", what, len(t.Rows)), t)
		return
	}
	w.doc.Add(t)
}

func (w *writer) deviceTimes() {
	w.doc.Say("The host's clock runs from before the first call into llama.cpp to after the last synchronisation; CUDA events on ggml's own stream stand at the same edges and count the device's time, its waits for the next launch included. The gap is what the host has more: the first event's way to the device, waking up after the last kernel, in decode the last choice of a token. A small gap does not say that the device was busy. Medians over the calls, of each model in the scenario with the longest prompt. CUDA graphs captured in these calls should be none: a call that captures one pays for the others.")
	w.showCells("Times", []deviceColumn{
		{Head: "calls", Cell: func(d *analysis.DeviceCell) string { return fmt.Sprint(d.N) }},
		{Head: "host (ms)", Cell: func(d *analysis.DeviceCell) string { return doc.Number(d.HostMS) }},
		{Head: "device (ms)", Cell: func(d *analysis.DeviceCell) string { return doc.NumberOf(d.DeviceMS) }},
		{Head: "gap (ms)", Cell: func(d *analysis.DeviceCell) string { return doc.NumberOf(d.GapMS) }},
		{Head: "gap (% of host)", Cell: func(d *analysis.DeviceCell) string { return doc.Percent(d.GapShare) }},
		{Head: "graphs captured", Cell: func(d *analysis.DeviceCell) string { return wholeOf(d.GraphCaptures) }},
		{Head: "<doubts", Cell: func(d *analysis.DeviceCell) string { return doubts(d, "graph_captured", "host_gap") }},
	})
}

// doubts names the warnings beside a cell, of those given.
func doubts(d *analysis.DeviceCell, codes ...string) string {
	var out []string
	for _, x := range d.Warnings {
		if slices.Contains(codes, x.Code) && !slices.Contains(out, x.Code) {
			out = append(out, x.Code)
		}
	}
	return doc.OrNone(strings.Join(out, ", "))
}

func wholeOf[T int | int64](v *T) string {
	if v == nil {
		return doc.Unknown
	}
	return fmt.Sprint(*v)
}

// deviceExponents sets the exponents by both clocks side by side.
func (w *writer) deviceExponents() {
	t := doc.Table{Head: []string{"<mode", "<backend", "models", "exponent by the host", "95 % t-interval", "exponent by the device", "95 % t-interval"}}
	for _, f := range w.r.DeviceFits {
		row := []string{prose.Mode(f.Mode), series(f.Backend, f.BatchSize), fmt.Sprint(f.Host.NModels)}
		if !f.Host.OK || !f.Device.OK {
			t.Rows = append(t.Rows, append(row, "unknown: "+doc.Text(f.Host.Reason), doc.Unknown, doc.Unknown, doc.Unknown))
			continue
		}
		t.Rows = append(t.Rows, append(row, doc.Fixed(f.Host.Slope, 3), doc.Interval(f.Host.SlopeT, 3), doc.Fixed(f.Device.Slope, 3), doc.Interval(f.Device.SlopeT, 3)))
	}
	if len(t.Rows) > 0 {
		w.doc.Say("Exponents of decode by both clocks, over the same models and all scenarios. All other fits of this report are of the host's times, so that they compare with runs on a CPU; “Scaling fits” says whether one exponent describes all sizes.")
		w.doc.Add(t)
	}
}

// perModel has one cell of each model: the one whose memory peaks highest.
func (w *writer) perModel(of func(d *analysis.DeviceCell) *float64) []*analysis.DeviceCell {
	type one struct {
		prose.Series
		model string
	}
	at := map[one]int{}
	var out []*analysis.DeviceCell
	for i := range w.r.Device {
		d := &w.r.Device[i]
		k := one{prose.Of(d.Backend, d.BatchSize), d.Model}
		j, seen := at[k]
		if !seen {
			at[k] = len(out)
			out = append(out, d)
		} else if v, was := of(d), of(out[j]); v != nil && (was == nil || *v > *was) {
			out[j] = d
		}
	}
	return out
}

func (w *writer) deviceMemory() {
	known := slices.ContainsFunc(w.r.Device, func(d analysis.DeviceCell) bool {
		return d.PeakMiB != nil || d.LoadedMiB != nil || d.WeightsMiB != nil
	})
	if !known {
		w.doc.Say("What device memory the models took is not known.")
		return
	}
	mib := func(head string, of func(d *analysis.DeviceCell) *float64) deviceColumn {
		return deviceColumn{Head: head + " (MiB)", Cell: func(d *analysis.DeviceCell) string { return doc.Whole(of(d)) }}
	}
	w.doc.Say("Device memory in use by all programs (and by what a vram_limit_gib holds back): before the model is loaded, after its weights, after its context, and at the peak of its calls; beside it llama.cpp's own account. The rest is the peak less what was there before and less that account: the CUDA context, pools that ggml and cuBLAS grow, and whatever else.")
	w.foldLong("Memory of each model", doc.TableOf(w.perModel(func(d *analysis.DeviceCell) *float64 { return d.PeakMiB }), deviceNames, []deviceColumn{
		mib("before", func(d *analysis.DeviceCell) *float64 { return d.BeforeMiB }),
		mib("after load", func(d *analysis.DeviceCell) *float64 { return d.LoadedMiB }),
		mib("after context", func(d *analysis.DeviceCell) *float64 { return d.ContextMiB }),
		mib("peak", func(d *analysis.DeviceCell) *float64 { return d.PeakMiB }),
		mib("weights", func(d *analysis.DeviceCell) *float64 { return d.WeightsMiB }),
		mib("KV cache", func(d *analysis.DeviceCell) *float64 { return d.KVMiB }),
		mib("compute", func(d *analysis.DeviceCell) *float64 { return d.ComputeMiB }),
		mib("rest", func(d *analysis.DeviceCell) *float64 { return d.RestMiB }),
	}))
}

// placementWords say what a placement is.
var placementWords = map[string]string{
	analysis.PlacedWhole:    "whole on the GPU",
	analysis.PlacedLookup:   "whole on the GPU but for the embedding lookup",
	analysis.PlacedPartial:  "part of the layers on the GPU",
	analysis.PlacedFallback: "**not whole on the GPU**",
}

// devicePlacement says what the CPU computes.
func (w *writer) devicePlacement() {
	type model struct {
		prefill, decode *analysis.DeviceCell
	}
	type one struct {
		prose.Series
		model string
	}
	var order []one
	models := map[one]*model{}
	for i := range w.r.Device {
		d := &w.r.Device[i]
		if d.Placement == "" || d.Mode == record.ModeE2E {
			continue
		}
		k := one{prose.Of(d.Backend, d.BatchSize), d.Model}
		if models[k] == nil {
			order = append(order, k)
			models[k] = &model{}
		}
		// The cell with most on the CPU speaks for the model: a long prompt may be
		// computed elsewhere than a short one.
		at := &models[k].decode
		if d.Mode == record.ModePrefill {
			at = &models[k].prefill
		}
		if *at == nil || d.CPUOps != nil && ((*at).CPUOps == nil || *d.CPUOps > *(*at).CPUOps) {
			*at = d
		}
	}
	if len(order) == 0 {
		w.doc.Say("What the CPU computes of these models' graphs is not known.")
		return
	}
	w.doc.Say("What the CPU computes though a GPU is in use. llama.cpp looks up the tokens' embeddings (GET_ROWS) on the CPU and copies the rows over, also where all layers are on the GPU: its normal way, a few kilobytes, and no doubt about the times. Any other operation on the CPU of a model whose layers were all given to the GPU is a fallback.")
	var other doc.Table
	normal := 0 // models of which nothing but the lookup is on the CPU
	all := doc.Table{Wrap: true, Head: []string{"<backend", "<model", "parameters (millions)", "layers on the GPU", "<placement", "pieces, prefill", "pieces, decode", "CPU operations, prefill", "CPU operations, decode", "their bytes, prefill", "their bytes, decode", "<operations"}}
	for _, k := range order {
		m := models[k]
		d := m.decode
		if d == nil || m.prefill != nil && m.prefill.Placement == analysis.PlacedFallback {
			d = m.prefill
		}
		row := []string{k.Series.String(), doc.Text(k.model), doc.SizeOf(d.ParamsM), fmt.Sprintf("%s of %d", prose.Layers(d.GPULayers), d.Layers), placementWords[d.Placement]}
		row = append(row, graphFacts(m.prefill, m.decode, func(d *analysis.DeviceCell) string { return wholeOf(d.Splits) })...)
		row = append(row, graphFacts(m.prefill, m.decode, func(d *analysis.DeviceCell) string { return wholeOf(d.CPUOps) })...)
		row = append(row, graphFacts(m.prefill, m.decode, func(d *analysis.DeviceCell) string {
			if d.CPUBytes == nil {
				return doc.Unknown
			}
			return words.Size(*d.CPUBytes)
		})...)
		row = append(row, doc.OrNone(strings.Join(d.CPUNames, ", ")))
		all.Rows = append(all.Rows, row)
		if d.Placement == analysis.PlacedWhole || d.Placement == analysis.PlacedLookup {
			normal++
		} else {
			other.Rows = append(other.Rows, row)
		}
	}
	other.Wrap, other.Head = true, all.Head
	switch {
	case normal == len(order):
		w.doc.Say("Of all %s the graphs run whole on the GPU but for that.", doc.Count(normal, "pair of model and backend", "pairs of model and backend"))
	default:
		w.doc.Say("Of %d of %s the graphs run whole on the GPU but for that. The others:", normal, doc.Count(len(order), "pair of model and backend", "pairs of model and backend"))
		w.foldLong("What the CPU computes of them", other)
	}
	if normal > 0 {
		w.doc.Fold(fmt.Sprintf("Placement of each model (%d)", len(all.Rows)), all)
	}
}

// graphFacts is one fact of prefill's graph and of decode's.
func graphFacts(prefill, decode *analysis.DeviceCell, of func(*analysis.DeviceCell) string) []string {
	out := []string{doc.Unknown, doc.Unknown}
	for i, d := range []*analysis.DeviceCell{prefill, decode} {
		if d != nil {
			out[i] = of(d)
		}
	}
	return out
}

func (w *writer) devicePower() {
	known := slices.ContainsFunc(w.r.Device, func(d analysis.DeviceCell) bool {
		return d.PowerW != nil || d.SMClockMHz != nil || d.Throttle != nil
	})
	if !known {
		w.doc.Say("Power, clocks and temperature were not read.")
		return
	}
	w.doc.Say("Power, clocks and temperature during the phase itself. Energy per token is by the card's counter, idle power included; ± is what one tick of the counter at either end leaves open, as a bound, without the sensor's own error. It is missing where a phase is shorter than a few of the counter's ticks: a longer answer or prompt gives it. What held the clocks down is in NVML's words: a power cap (sw_power_cap) is the normal state of a loaded card and ties the times to that limit; slowdowns by heat or by the hardware spoil them (`throttled`).")
	w.showCells("Power and clocks", []deviceColumn{
		{Head: "power (W)", Cell: func(d *analysis.DeviceCell) string { return doc.NumberOf(d.PowerW) }},
		{Head: "energy (J/token)", Cell: func(d *analysis.DeviceCell) string { return doc.NumberOf(d.JPerToken) }},
		{Head: "± (J/token)", Cell: func(d *analysis.DeviceCell) string { return doc.NumberOf(d.JPerTokenPM) }},
		{Head: "calls with energy", Cell: func(d *analysis.DeviceCell) string { return fmt.Sprintf("%d of %d", d.EnergyCalls, d.N) }},
		{Head: "SM clock (MHz)", Cell: func(d *analysis.DeviceCell) string { return doc.Whole(d.SMClockMHz) }},
		{Head: "its least (MHz)", Cell: func(d *analysis.DeviceCell) string { return doc.Whole(d.SMClockMinMHz) }},
		{Head: "memory clock (MHz)", Cell: func(d *analysis.DeviceCell) string { return doc.Whole(d.MemClockMHz) }},
		{Head: "hottest (°C)", Cell: func(d *analysis.DeviceCell) string { return doc.Whole(d.TemperatureC) }},
		{Head: "<clocks held down by", Cell: throttleText},
	})
}

// throttleText names what held the clocks down, what spoils figures in bold.
func throttleText(d *analysis.DeviceCell) string {
	if d.Throttle == nil {
		return doc.Unknown
	}
	var out []string
	for _, x := range d.Throttle {
		name := doc.Text(x)
		if slices.Contains(d.ThrottleSpoiling, x) {
			name = "**" + name + "**"
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// gpus names the cards: those of the records, else what TR121's manifest has.
func (w *writer) gpus() string {
	var names []string
	for _, d := range w.r.Device {
		if d.GPU != "" && !slices.Contains(names, d.GPU) {
			names = append(names, d.GPU)
		}
	}
	if len(names) == 0 {
		names = []string{w.r.Manifest.Text("nvml", "name")}
	}
	return doc.Text(strings.Join(names, ", "))
}
