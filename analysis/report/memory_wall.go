package report

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/analysis/plot"
)

// memoryWall says where models stop fitting into device memory; nothing where the
// run does not vary that and all of them fit.
func (w *writer) memoryWall() {
	wall := w.r.MemoryWall
	if wall == nil || len(wall.Cells) == 0 {
		return
	}
	w.doc.Section("Memory wall")
	w.doc.Say("What changes as models outgrow the device memory. A limit (vram_limit_gib) reserves the rest of the card before the model is loaded. With all layers asked for, a model is whole on the GPU or does not fit; with “fit”, layers that have no room stay with the CPU, from the first one up. Decode is the geometric mean over the scenarios of the medians, by the host's clock.")
	w.doc.Say("On this machine, the sizes at which each thing changes first:")
	w.doc.Add(wallEdges(wall))
	w.wallMatrices(wall)
	w.figures(plot.KindWall)
	if s := w.wallSlowdowns(wall); len(s) > 0 {
		w.doc.Say("How much slower decode is where layers stay with the CPU, as measured: over the same model whole on the GPU where that ran, and over the trend of whole ones, which is the power law through the three largest smaller models that are whole and is followed to 8 times the last of them at most.")
		w.doc.Add(s...)
	}
	w.doc.Fold(fmt.Sprintf("Each model under each limit (%d)", len(wall.Cells)), wallTable(wall))
}

func limitText(limit *float64) string {
	if limit == nil {
		return "whole card"
	}
	return doc.Size(*limit) + " GiB"
}

// way names a backend by what it varies.
func way(limit *float64, asked string) string {
	switch asked {
	case "":
		return limitText(limit)
	case "all", "fit":
		return limitText(limit) + ", " + asked
	}
	return limitText(limit) + ", " + asked + " layers"
}

func typeName(weights string) string {
	if weights == "" {
		return "weights of unknown type"
	}
	return doc.Text(weights)
}

// wallEdges has for each weight type and way the last size that is whole, and the
// first that is not.
func wallEdges(wall *analysis.MemoryWall) doc.Table {
	sized := func(name string, m *float64) string {
		switch {
		case name == "":
			return "none"
		case m == nil:
			return doc.Text(name)
		}
		return fmt.Sprintf("%s (%s)", doc.Text(name), strings.TrimSuffix(doc.Params(m), " parameters"))
	}
	t := doc.Table{Head: []string{"<weights", "<memory, layers", "<largest whole on the GPU", "<smallest with layers on the CPU", "<smallest that did not fit"}}
	for _, e := range wall.Edges {
		at := doc.Text(way(e.LimitGiB, e.Asked))
		if e.BatchSize > 1 {
			at += fmt.Sprintf(", batch %d", e.BatchSize)
		}
		t.Rows = append(t.Rows, []string{doc.OrPlain(doc.Text(e.WeightType)), at, sized(e.LastWhole, e.LastWholeM), sized(e.FirstPartial, e.FirstPartialM), sized(e.FirstTooBig, e.FirstTooBigM)})
	}
	return t
}

// wallMatrices have a row for each model and a column for each way, a table for
// each weight type.
func (w *writer) wallMatrices(wall *analysis.MemoryWall) {
	type kind struct {
		weights string
		batch   int
	}
	var order []kind
	cells := map[kind][]*analysis.WallCell{}
	for i := range wall.Cells {
		c := &wall.Cells[i]
		k := kind{c.WeightType, c.BatchSize}
		if cells[k] == nil {
			order = append(order, k)
		}
		cells[k] = append(cells[k], c)
	}
	for _, k := range order {
		t := doc.Table{Head: []string{"<model", "parameters (millions)"}}
		var backends, models []string
		for _, c := range cells[k] {
			if !slices.Contains(backends, c.Backend) {
				backends = append(backends, c.Backend)
				head := way(c.LimitGiB, c.Asked)
				if again := slices.ContainsFunc(cells[k], func(o *analysis.WallCell) bool {
					return o.Backend != c.Backend && way(o.LimitGiB, o.Asked) == head
				}); again {
					head += " (" + c.Backend + ")"
				}
				t.Head = append(t.Head, doc.Text(head))
			}
			if !slices.Contains(models, c.Model) {
				models = append(models, c.Model)
			}
		}
		bySize := slices.Clone(cells[k])
		slices.SortStableFunc(bySize, func(x, y *analysis.WallCell) int { return compareSize(x.ParamsM, y.ParamsM) })
		models = models[:0]
		for _, c := range bySize {
			if !slices.Contains(models, c.Model) {
				models = append(models, c.Model)
			}
		}
		for _, m := range models {
			row := []string{doc.Text(m), doc.Unknown}
			for _, b := range backends {
				at := doc.Unknown
				for _, c := range cells[k] {
					if c.Model == m && c.Backend == b {
						at, row[1] = wallText(c), doc.SizeOf(c.ParamsM)
					}
				}
				row = append(row, at)
			}
			t.Rows = append(t.Rows, row)
		}
		name := typeName(k.weights)
		if k.batch > 1 {
			name += fmt.Sprintf(" at batch %d", k.batch)
		}
		w.doc.Say("**%s**: decode in ms per token; where not all layers are on the GPU, how many of them are.", name)
		w.doc.Add(t)
	}
}

func compareSize(x, y *float64) int {
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return 1
	case y == nil, *x < *y:
		return -1
	case *x > *y:
		return 1
	}
	return 0
}

// wallText is one cell of the matrix.
func wallText(c *analysis.WallCell) string {
	switch c.State {
	case analysis.WallTooBig:
		return "did not fit"
	case analysis.WallFailed:
		return doc.Text(c.Status)
	case analysis.WallInvalid:
		return "no call counts"
	case analysis.WallWhole:
		return doc.NumberOf(c.DecodeMS)
	}
	return fmt.Sprintf("%s (%s)", doc.NumberOf(c.DecodeMS), onGPU(c))
}

func onGPU(c *analysis.WallCell) string {
	switch {
	case c.GPULayers == nil:
		return doc.Unknown
	case c.Layers == 0:
		return layersText(*c.GPULayers)
	case *c.GPULayers < 0:
		return fmt.Sprintf("%d of %d", c.Layers, c.Layers)
	}
	return fmt.Sprintf("%d of %d", *c.GPULayers, c.Layers)
}

// wallSlowdowns has the models that are there in part.
func (w *writer) wallSlowdowns(wall *analysis.MemoryWall) []doc.Block {
	t := doc.Table{Head: []string{"<weights", "<memory, layers", "<model", "parameters (millions)", "layers on the GPU", "decode (ms/token)", "times the same model whole", "<whole on", "times the trend", "trend followed to (times)"}}
	for i := range wall.Cells {
		c := &wall.Cells[i]
		if c.OverWhole == nil && c.OverTrend == nil {
			continue
		}
		t.Rows = append(t.Rows, []string{doc.OrPlain(doc.Text(c.WeightType)), doc.Text(way(c.LimitGiB, c.Asked)), doc.Text(c.Model), doc.SizeOf(c.ParamsM), onGPU(c), doc.NumberOf(c.DecodeMS),
			doc.NumberOf(c.OverWhole), doc.OrNone(c.WholeIn), doc.NumberOf(c.OverTrend), doc.Fixed(c.TrendReach, 1)})
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return []doc.Block{t}
}

// stateWords say what a state is, in the table of all cells.
var stateWords = map[string]string{
	analysis.WallWhole: "whole on the GPU", analysis.WallPartial: "partial", analysis.WallNone: "all layers on the CPU",
	analysis.WallTooBig: "did not fit", analysis.WallFailed: "failed", analysis.WallInvalid: "no call counts",
}

func wallTable(wall *analysis.MemoryWall) doc.Table {
	t := doc.Table{Wrap: true, Head: []string{"<backend", "<memory, layers", "<weights", "<model", "parameters (millions)", "<state", "layers on the GPU", "decode (ms/token)", "on the device (ms/token)", "peak in use (MiB)", "the model's own (MiB)", "<status", "<reason"}}
	for i := range wall.Cells {
		c := &wall.Cells[i]
		t.Rows = append(t.Rows, []string{series(c.Backend, c.BatchSize), doc.Text(way(c.LimitGiB, c.Asked)), doc.OrPlain(doc.Text(c.WeightType)), doc.Text(c.Model), doc.SizeOf(c.ParamsM), stateWords[c.State], onGPU(c),
			doc.NumberOf(c.DecodeMS), doc.NumberOf(c.DeviceMS), wholeNumber(c.PeakMiB), wholeNumber(c.OwnMiB), doc.Text(c.Status), doc.OrNone(c.Reason)})
	}
	return t
}
