package device

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	words "llmscale/internal/text"
)

// placementWords say what a placement is.
var placementWords = map[string]string{
	PlacedWhole:    "whole on the GPU",
	PlacedLookup:   "whole on the GPU but for the embedding lookup",
	PlacedPartial:  "part of the layers on the GPU",
	PlacedFallback: "**not whole on the GPU**",
}

// placement says what the CPU computes.
func (a *Answer) placement(sec *doc.Section) {
	known := slices.DeleteFunc(slices.Clone(a.Models), func(m Model) bool { return m.placed == nil })
	if len(known) == 0 {
		sec.Say("What the CPU computes of these models' graphs is not known.")
		return
	}
	sec.Say("What the CPU computes though a GPU is in use. llama.cpp looks up the tokens' embeddings (GET_ROWS) on the CPU and copies the rows over, also where all layers are on the GPU: its normal way, a few kilobytes, and no doubt about the times. Any other operation on the CPU of a model whose layers were all given to the GPU is a fallback.")
	var other doc.Table
	normal := 0 // models of which nothing but the lookup is on the CPU
	all := doc.Table{Wrap: true, Head: []string{"<backend", "<model", "parameters (millions)", "layers on the GPU", "<placement", "pieces, prefill", "pieces, decode", "CPU operations, prefill", "CPU operations, decode", "their bytes, prefill", "their bytes, decode", "<operations"}}
	for _, m := range known {
		d := m.placed
		row := []string{prose.Series{Series: m.Series()}.String(), doc.Text(m.Model), doc.SizeOf(d.ParamsM), fmt.Sprintf("%s of %d", prose.Layers(d.GPULayers), d.Layers), placementWords[m.Placement]}
		row = append(row, graphFacts(m.prefill, m.decode, func(d *Cell) string { return wholeOf(d.Splits) })...)
		row = append(row, graphFacts(m.prefill, m.decode, func(d *Cell) string { return wholeOf(d.CPUOps) })...)
		row = append(row, graphFacts(m.prefill, m.decode, func(d *Cell) string {
			if d.CPUBytes == nil {
				return doc.Unknown
			}
			return words.Size(*d.CPUBytes)
		})...)
		row = append(row, doc.OrNone(strings.Join(d.CPUNames, ", ")))
		all.Rows = append(all.Rows, row)
		if m.Whole {
			normal++
		} else {
			other.Rows = append(other.Rows, row)
		}
	}
	other.Wrap, other.Head = true, all.Head
	switch {
	case normal == len(known):
		sec.Say("Of all %s the graphs run whole on the GPU but for that.", doc.Count(normal, "pair of model and backend", "pairs of model and backend"))
	default:
		sec.Say("Of %d of %s the graphs run whole on the GPU but for that. The others:", normal, doc.Count(len(known), "pair of model and backend", "pairs of model and backend"))
		sec.FoldAbove(longTable, "What the CPU computes of them", other)
	}
	if normal > 0 {
		sec.Fold(fmt.Sprintf("Placement of each model (%d)", len(all.Rows)), all)
	}
}

// graphFacts is one fact of prefill's graph and of decode's.
func graphFacts(prefill, decode *Cell, of func(*Cell) string) []string {
	out := []string{doc.Unknown, doc.Unknown}
	for i, d := range []*Cell{prefill, decode} {
		if d != nil {
			out[i] = of(d)
		}
	}
	return out
}

func (a *Answer) power(sec *doc.Section) {
	known := slices.ContainsFunc(a.Cells, func(d Cell) bool {
		return d.PowerW != nil || d.SMClockMHz != nil || d.Throttle != nil
	})
	if !known {
		sec.Say("Power, clocks and temperature were not read.")
		return
	}
	sec.Say("Power, clocks and temperature during the phase itself. Energy per token is by the card's counter, idle power included; ± is what one tick of the counter at either end leaves open, as a bound, without the sensor's own error. It is missing where a phase is shorter than a few of the counter's ticks: a longer answer or prompt gives it. What held the clocks down is in NVML's words: a power cap (sw_power_cap) is the normal state of a loaded card and ties the times to that limit; slowdowns by heat or by the hardware spoil them (`throttled`).")
	a.showCells(sec, "Power and clocks", []deviceColumn{
		{Head: "power (W)", Cell: func(d *Cell) string { return doc.NumberOf(d.PowerW) }},
		{Head: "energy (J/token)", Cell: func(d *Cell) string { return doc.NumberOf(d.JPerToken) }},
		{Head: "± (J/token)", Cell: func(d *Cell) string { return doc.NumberOf(d.JPerTokenPM) }},
		{Head: "calls with energy", Cell: func(d *Cell) string { return fmt.Sprintf("%d of %d", d.EnergyCalls, d.N) }},
		{Head: "SM clock (MHz)", Cell: func(d *Cell) string { return doc.Whole(d.SMClockMHz) }},
		{Head: "its least (MHz)", Cell: func(d *Cell) string { return doc.Whole(d.SMClockMinMHz) }},
		{Head: "memory clock (MHz)", Cell: func(d *Cell) string { return doc.Whole(d.MemClockMHz) }},
		{Head: "hottest (°C)", Cell: func(d *Cell) string { return doc.Whole(d.TemperatureC) }},
		{Head: "<clocks held down by", Cell: throttleText},
	})
}

// throttleText names what held the clocks down, what spoils figures in bold.
func throttleText(d *Cell) string {
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
