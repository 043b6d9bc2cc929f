package device

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// placementWords say what a placement is.
var placementWords = map[string]string{
	PlacedWhole:    "whole on the GPU",
	PlacedLookup:   "whole on the GPU",
	PlacedPartial:  "part of the layers on the GPU",
	PlacedFallback: "**not whole on the GPU**",
}

// shown is a model with its decode behind the longest prompt, which stands for its other cells.
type shown struct {
	*Model
	*Cell
}

// Sections are what the GPU says.
func (a *Answer) Sections() []doc.Section {
	if len(a.Cells) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: "Device time, memory and power", Warned: []string{"cpu_fallback", "throttled", "graph_captured", "host_gap"}}
	sec.Say("Each model's decode behind its longest prompt. The gap is what the host's clock has more than CUDA events; energy has idle power in it.")
	sec.Show(doc.TableOf(a.shown(), deviceColumns), "device.csv")
	return []doc.Section{sec}
}

// title says what the CPU computes, and how far the two clocks are apart.
func (a *Answer) title() string {
	known, whole := 0, 0
	for _, m := range a.Models {
		if m.placed != nil {
			known++
		}
		if m.Whole {
			whole++
		}
	}
	s := fmt.Sprintf("%d of %d models run whole on the GPU", whole, known)
	switch known {
	case 0:
		s = "What the CPU computes is not known"
	case whole:
		s = "All models run whole on the GPU"
	}
	var gaps []float64
	for _, x := range a.shown() {
		if x.GapShare != nil {
			gaps = append(gaps, *x.GapShare)
		}
	}
	if len(gaps) > 0 {
		s += fmt.Sprintf("; the host's clock adds %s %% to decode", doc.Percent(stats.MedianOf(gaps)))
	}
	return s
}

// shown are the models, the largest first.
func (a *Answer) shown() (out []shown) {
	for i := range a.Models {
		if m := &a.Models[i]; m.decode != nil {
			out = append(out, shown{m, m.decode})
		}
	}
	slices.SortStableFunc(out, func(x, y shown) int { return cmp.Compare(cells.OrInf(y.Cell.ParamsM), cells.OrInf(x.Cell.ParamsM)) })
	return out
}

var deviceColumns = []doc.Column[shown]{
	{Head: "<model", Cell: func(x shown) string { return doc.Text(x.Model.Model) }},
	{Head: "<backend", Cell: func(x shown) string { return prose.Series{Series: x.Cell.Series()}.String() }},
	{Head: "device (ms)", Cell: func(x shown) string { return doc.NumberOf(x.DeviceMS) }},
	{Head: "gap (% of host)", Cell: func(x shown) string { return doc.Percent(x.GapShare) }},
	{Head: "peak memory (MiB)", Cell: func(x shown) string { return doc.Whole(x.Model.PeakMiB) }},
	{Head: "energy (J/token)", Cell: func(x shown) string { return doc.NumberOf(x.JPerToken) }},
	{Head: "<placement", Cell: func(x shown) string {
		if x.Model.Placement == PlacedFallback {
			return placementWords[PlacedFallback] + ": " + doc.Text(strings.Join(x.placed.CPUNames, ", "))
		}
		return doc.OrPlain(placementWords[x.Model.Placement])
	}},
	{Head: "<clocks held down by", Cell: func(x shown) string { return x.throttle() }},
}

// throttle names what held the clocks down, what spoils figures in bold.
func (d *Cell) throttle() string {
	if d.Throttle == nil {
		return doc.Unknown
	}
	var out []string
	for _, x := range d.Throttle {
		name := doc.Text(x)
		if slices.Contains(spoilingReasons, x) {
			name = "**" + name + "**"
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}
