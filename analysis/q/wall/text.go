package wall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
)

func (w *Wall) section() doc.Section {
	sec := doc.Section{Title: "Memory wall"}
	sec.Say("What changes as models outgrow memory. Decode is the geometric mean over the scenarios of the medians, by the host's clock.")
	if slices.ContainsFunc(w.Cells, func(c Cell) bool { return !c.host() }) {
		sec.Say("On a GPU a limit (vram_limit_gib) reserves the rest of the card before the model is loaded. With all layers asked for, a model is whole on the GPU or does not fit; with “fit”, layers that have no room stay with the CPU, from the first one up.")
	}
	w.limits(&sec)
	sec.Say("On this machine, the sizes at which each thing changes first:")
	sec.Add(w.edgeTable())
	w.matrices(&sec)
	sec.Add(doc.Pictures(figureKind))
	slow := slices.DeleteFunc(slices.Clone(w.Cells), func(c Cell) bool { return c.OverWhole == nil && c.OverTrend == nil })
	slow = slices.DeleteFunc(slow, func(c Cell) bool { return c.host() })
	if len(slow) > 0 {
		sec.Say("How much slower decode is where layers stay with the CPU, as measured: over the same model whole on the GPU where that ran, and over the trend of whole ones, which is the power law through the three largest smaller models that are whole and is followed to 8 times the last of them at most.")
		sec.Add(doc.TableOf(slow, slowdownColumns))
	}
	all := doc.TableOf(w.Cells, cellColumns)
	all.Wrap = true
	sec.Fold(fmt.Sprintf("Each model under each limit (%d)", len(w.Cells)), all)
	return sec
}

func (w Way) limitText() string {
	switch {
	case w.MemoryMiB != nil:
		return doc.Size(*w.MemoryMiB) + " MiB"
	case w.Device != ceilings.CUDA:
		return "no limit"
	case w.LimitGiB == nil:
		return "whole card"
	}
	return doc.Size(*w.LimitGiB) + " GiB"
}

// text names a backend by what it varies.
func (w Way) text() string {
	switch {
	case w.Asked == "" || w.Device != ceilings.CUDA:
		return w.limitText()
	case w.Asked == "all" || w.Asked == "fit":
		return w.limitText() + ", " + w.Asked
	}
	return w.limitText() + ", " + w.Asked + " layers"
}

// edgeTable has for each weight type and way the last size that is whole, and the
// first that is not.
func (w *Wall) edgeTable() doc.Table {
	sized := func(name string, m *float64) string {
		switch {
		case name == "":
			return "none"
		case m == nil:
			return doc.Text(name)
		}
		return fmt.Sprintf("%s (%s)", doc.Text(name), strings.TrimSuffix(doc.Params(m), " parameters"))
	}
	t := doc.Table{Head: []string{"<weights", "<memory, layers", "<largest whole in memory", "<smallest in part", "<smallest that did not fit"}}
	for _, e := range w.Edges {
		at := doc.Text(e.text())
		if e.BatchSize > 1 {
			at += fmt.Sprintf(", batch %d", e.BatchSize)
		}
		t.Rows = append(t.Rows, []string{doc.OrPlain(doc.Text(e.WeightType)), at, sized(e.LastWhole, e.LastWholeM), sized(e.FirstPartial, e.FirstPartialM), sized(e.FirstTooBig, e.FirstTooBigM)})
	}
	return t
}

// work is what one table or figure of the wall compares.
type work struct {
	weights string
	batch   int
	host    bool
}

func workOf(c Cell) work { return work{c.WeightType, c.BatchSize, c.host()} }

// matrices have a row for each model and a column for each way, a table for each
// weight type.
func (w *Wall) matrices(sec *doc.Section) {
	order, cellsOf := stats.GroupBy(w.Cells, workOf)
	for _, k := range order {
		t := doc.Table{Head: []string{"<model", "parameters (millions)"}}
		backends, byBackend := stats.GroupBy(cellsOf[k], func(c Cell) string { return c.Backend })
		for _, b := range backends {
			head := byBackend[b][0].text()
			if again := slices.ContainsFunc(cellsOf[k], func(o Cell) bool { return o.Backend != b && o.text() == head }); again {
				head += " (" + b + ")"
			}
			t.Head = append(t.Head, doc.Text(head))
		}
		bySize := slices.Clone(cellsOf[k])
		slices.SortStableFunc(bySize, func(x, y Cell) int { return cmp.Compare(cells.OrInf(x.ParamsM), cells.OrInf(y.ParamsM)) })
		models, byModel := stats.GroupBy(bySize, func(c Cell) string { return c.Model })
		for _, m := range models {
			row := []string{doc.Text(m), doc.SizeOf(byModel[m][0].ParamsM)}
			for _, b := range backends {
				at := doc.Unknown
				if i := slices.IndexFunc(byModel[m], func(c Cell) bool { return c.Backend == b }); i >= 0 {
					at = byModel[m][i].decodeText()
				}
				row = append(row, at)
			}
			t.Rows = append(t.Rows, row)
		}
		name := "weights of unknown type"
		if k.weights != "" {
			name = doc.Text(k.weights)
		}
		if k.batch > 1 {
			name += fmt.Sprintf(" at batch %d", k.batch)
		}
		sec.Say("**%s**: decode in ms per token; where a model is not whole in memory, how many of its layers are, or what is read from the disk in each pass.", name)
		sec.Add(t)
	}
}

// decodeText is one cell of a matrix.
func (c Cell) decodeText() string {
	switch c.State {
	case TooBig:
		return "did not fit"
	case Failed:
		return doc.Text(c.Status)
	case Invalid:
		return "no call counts"
	case Whole:
		return doc.NumberOf(c.DecodeMS)
	}
	if c.host() {
		return fmt.Sprintf("%s (%s MiB)", doc.NumberOf(c.DecodeMS), doc.Whole(c.ReadMiB))
	}
	return fmt.Sprintf("%s (%s)", doc.NumberOf(c.DecodeMS), c.onGPU())
}

func (c Cell) onGPU() string {
	switch {
	case c.GPULayers == nil || c.host():
		return doc.Unknown
	case c.Layers == 0:
		return prose.Layers(*c.GPULayers)
	case *c.GPULayers < 0:
		return fmt.Sprintf("%d of %d", c.Layers, c.Layers)
	}
	return fmt.Sprintf("%d of %d", *c.GPULayers, c.Layers)
}

var slowdownColumns = []doc.Column[Cell]{
	{Head: "<weights", Cell: func(c Cell) string { return doc.OrPlain(doc.Text(c.WeightType)) }},
	{Head: "<memory, layers", Cell: func(c Cell) string { return doc.Text(c.text()) }},
	{Head: "<model", Cell: func(c Cell) string { return doc.Text(c.Model) }},
	{Head: "parameters (millions)", Cell: func(c Cell) string { return doc.SizeOf(c.ParamsM) }},
	{Head: "layers on the GPU", Cell: Cell.onGPU},
	{Head: "decode (ms/token)", Cell: func(c Cell) string { return doc.NumberOf(c.DecodeMS) }},
	{Head: "times the same model whole", Cell: func(c Cell) string { return doc.NumberOf(c.OverWhole) }},
	{Head: "<whole on", Cell: func(c Cell) string { return doc.OrNone(c.WholeIn) }},
	{Head: "times the trend", Cell: func(c Cell) string { return doc.NumberOf(c.OverTrend) }},
	{Head: "trend followed to (times)", Cell: func(c Cell) string { return doc.Fixed(c.TrendReach, 1) }},
}

// stateWords say what a state is, in the table of all cells.
var stateWords = map[string]string{
	Whole: "whole on the GPU", Partial: "partial", None: "all layers on the CPU",
	TooBig: "did not fit", Failed: "failed", Invalid: "no call counts",
}

func (c Cell) stateText() string {
	switch {
	case c.host() && c.State == Whole:
		return "whole in memory"
	case c.host() && c.State == Partial:
		return "read again from the disk"
	}
	return stateWords[c.State]
}

var cellColumns = []doc.Column[Cell]{
	{Head: "<backend", Cell: func(c Cell) string { return prose.Series{Series: c.Series}.String() }},
	{Head: "<memory, layers", Cell: func(c Cell) string { return doc.Text(c.text()) }},
	{Head: "<weights", Cell: func(c Cell) string { return doc.OrPlain(doc.Text(c.WeightType)) }},
	{Head: "<model", Cell: func(c Cell) string { return doc.Text(c.Model) }},
	{Head: "parameters (millions)", Cell: func(c Cell) string { return doc.SizeOf(c.ParamsM) }},
	{Head: "<state", Cell: Cell.stateText},
	{Head: "layers on the GPU", Cell: Cell.onGPU},
	{Head: "decode (ms/token)", Cell: func(c Cell) string { return doc.NumberOf(c.DecodeMS) }},
	{Head: "on the device (ms/token)", Cell: func(c Cell) string { return doc.NumberOf(c.DeviceMS) }},
	{Head: "peak in use (MiB)", Cell: func(c Cell) string { return doc.Whole(c.PeakMiB) }},
	{Head: "the model's own (MiB)", Cell: func(c Cell) string { return doc.Whole(c.OwnMiB) }},
	{Head: "<status", Cell: func(c Cell) string { return doc.Text(c.Status) }},
	{Head: "<reason", Cell: func(c Cell) string { return doc.OrNone(c.Reason) }},
}
