package device

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

func (a *Answer) section() doc.Section {
	if len(a.Cells) == 0 {
		return doc.Section{}
	}
	sec := doc.Section{Title: "Device time, memory and power"}
	a.times(&sec)
	a.exponents(&sec)
	a.memory(&sec)
	a.placement(&sec)
	a.power(&sec)
	return sec
}

// deviceColumn is a column of a table of device cells.
type deviceColumn = doc.Column[*Cell]

var deviceNames = []deviceColumn{
	{Head: "<backend", Cell: func(d *Cell) string { return prose.Series{Series: d.Series()}.String() }},
	{Head: "<model", Cell: func(d *Cell) string { return doc.Text(d.Model) }},
	{Head: "parameters (millions)", Cell: func(d *Cell) string { return doc.SizeOf(d.ParamsM) }},
}

var deviceCellNames = []deviceColumn{
	{Head: "<scenario", Cell: func(d *Cell) string { return doc.Text(d.Scenario) }},
	{Head: "<mode", Cell: func(d *Cell) string { return prose.Mode(d.Mode) }},
}

// showCells puts the table of the longest prompts, and that of all cells folded.
func (a *Answer) showCells(sec *doc.Section, what string, columns []deviceColumn) {
	var picked, all []*Cell // end-to-end is left to the table of all cells
	for i := range a.Cells {
		d := &a.Cells[i]
		all = append(all, d)
		if d.LongestPrompt && d.Mode != record.ModeE2E {
			picked = append(picked, d)
		}
	}
	sec.FoldAbove(longTable, what+" with the longest prompt", doc.TableOf(picked, deviceNames, deviceCellNames, columns))
	if len(all) > len(picked) {
		sec.Fold(fmt.Sprintf("%s of all %d cells and modes", what, len(all)), doc.TableOf(all, deviceNames, deviceCellNames, columns))
	}
}

// longTable is the number of rows above which a table is folded away.
const longTable = 40

func (a *Answer) times(sec *doc.Section) {
	sec.Say("The host's clock runs from before the first call into llama.cpp to after the last synchronisation; CUDA events on ggml's own stream stand at the same edges and count the device's time, its waits for the next launch included. The gap is what the host has more: the first event's way to the device, waking up after the last kernel, in decode the last choice of a token. A small gap does not say that the device was busy. Medians over the calls, of each model in the scenario with the longest prompt. CUDA graphs captured in these calls should be none: a call that captures one pays for the others.")
	a.showCells(sec, "Times", []deviceColumn{
		{Head: "calls", Cell: func(d *Cell) string { return fmt.Sprint(d.N) }},
		{Head: "host (ms)", Cell: func(d *Cell) string { return doc.Number(d.HostMS) }},
		{Head: "device (ms)", Cell: func(d *Cell) string { return doc.NumberOf(d.DeviceMS) }},
		{Head: "gap (ms)", Cell: func(d *Cell) string { return doc.NumberOf(d.GapMS) }},
		{Head: "gap (% of host)", Cell: func(d *Cell) string { return doc.Percent(d.GapShare) }},
		{Head: "graphs captured", Cell: func(d *Cell) string { return wholeOf(d.GraphCaptures) }},
		{Head: "<doubts", Cell: func(d *Cell) string { return doubts(d, "graph_captured", "host_gap") }},
	})
}

// doubts names the warnings beside a cell, of those given.
func doubts(d *Cell, codes ...string) string {
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

// exponents sets the exponents by both clocks side by side.
func (a *Answer) exponents(sec *doc.Section) {
	t := doc.Table{Head: []string{"<mode", "<backend", "models", "exponent by the host", "95 % t-interval", "exponent by the device", "95 % t-interval"}}
	for _, f := range a.Fits {
		row := []string{prose.Mode(f.Mode), prose.Series{Series: f.Series}.String(), fmt.Sprint(f.Host.NModels)}
		if !f.Host.OK || !f.Device.OK {
			t.Rows = append(t.Rows, append(row, "unknown: "+doc.Text(f.Host.Reason), doc.Unknown, doc.Unknown, doc.Unknown))
			continue
		}
		t.Rows = append(t.Rows, append(row, doc.Fixed(f.Host.Slope, 3), doc.Interval(f.Host.SlopeT, 3), doc.Fixed(f.Device.Slope, 3), doc.Interval(f.Device.SlopeT, 3)))
	}
	if len(t.Rows) > 0 {
		sec.Say("Exponents of decode by both clocks, over the same models and all scenarios. All other fits of this report are of the host's times, so that they compare with runs on a CPU; “Scaling fits” says whether one exponent describes all sizes.")
		sec.Add(t)
	}
}

func (a *Answer) memory(sec *doc.Section) {
	known := slices.ContainsFunc(a.Cells, func(d Cell) bool {
		return d.PeakMiB != nil || d.LoadedMiB != nil || d.WeightsMiB != nil
	})
	if !known {
		sec.Say("What device memory the models took is not known.")
		return
	}
	mib := func(head string, of func(d *Cell) *float64) deviceColumn {
		return deviceColumn{Head: head + " (MiB)", Cell: func(d *Cell) string { return doc.Whole(of(d)) }}
	}
	sec.Say("Device memory in use by all programs (and by what a vram_limit_gib holds back): before the model is loaded, after its weights, after its context, and at the peak of its calls; beside it llama.cpp's own account. The rest is the peak less what was there before and less that account: the CUDA context, pools that ggml and cuBLAS grow, and whatever else.")
	sec.FoldAbove(longTable, "Memory of each model", doc.TableOf(stats.Map(a.Models, func(m Model) *Cell { return m.peak }), deviceNames, []deviceColumn{
		mib("before", func(d *Cell) *float64 { return d.BeforeMiB }),
		mib("after load", func(d *Cell) *float64 { return d.LoadedMiB }),
		mib("after context", func(d *Cell) *float64 { return d.ContextMiB }),
		mib("peak", func(d *Cell) *float64 { return d.PeakMiB }),
		mib("weights", func(d *Cell) *float64 { return d.WeightsMiB }),
		mib("KV cache", func(d *Cell) *float64 { return d.KVMiB }),
		mib("compute", func(d *Cell) *float64 { return d.ComputeMiB }),
		mib("rest", func(d *Cell) *float64 { return d.RestMiB }),
	}))
}
