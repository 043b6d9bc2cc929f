package wall

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
)

func (w *Wall) section() doc.Section {
	sec := doc.Section{Title: w.title(), Place: "Memory wall"}
	if len(w.Cliffs) > 0 {
		sec.Say("Weights are mapped from the file: those without room are read from the disk again in every step. Decode has left its level where it surely takes 1.5 times as long.")
		sec.Add(doc.Pictures(limitsKind))
		sec.Show(doc.TableOf(w.Cliffs, cliffColumns), "memory_wall_limits.csv")
	}
	if slices.ContainsFunc(w.Cells, func(c Cell) bool { return !c.host() }) {
		sec.Say("With all layers asked for, a model is whole on the GPU or does not fit; with “fit”, layers without room stay with the CPU.")
		sec.Show(w.edgeTable(), "memory_wall_edges.csv")
	}
	sec.Add(doc.Pictures(figureKind))
	if len(w.Feasible) > 0 {
		sec.Fold("Largest size that fits, by memory and context", w.feasibleTables()...)
	}
	return sec
}

// title says where the wall stands.
func (w *Wall) title() string {
	found := slices.DeleteFunc(slices.Clone(w.Cliffs), func(l Cliff) bool { return l.Verdict != Found })
	var times doc.Span
	for _, l := range found {
		times.Add(l.Times)
	}
	longer := func() string {
		return times.Text(func(v float64) string { return fmt.Sprintf("%.1f", v) }) + " times as long"
	}
	switch {
	case len(found) == 1:
		return fmt.Sprintf("The memory wall of %s stands between %s and %s MiB: decode takes %s", found[0].Model, doc.Whole(found[0].SlowMiB), doc.Whole(found[0].HoldsMiB), longer())
	case len(found) > 1:
		return fmt.Sprintf("%d of %d models meet the memory wall: decode takes %s behind it", len(found), len(w.Cliffs), longer())
	case len(w.Cliffs) > 0 && !slices.ContainsFunc(w.Cliffs, func(l Cliff) bool { return l.Verdict != NotReached }):
		return "No model meets a memory wall at these limits"
	case len(w.Cliffs) > 0:
		return "Where the memory wall stands cannot be told"
	}
	if i := slices.IndexFunc(w.Edges, func(e Edge) bool { return e.FirstPartial+e.FirstTooBig != "" && e.LastWhole != "" }); i >= 0 {
		e := w.Edges[i]
		return fmt.Sprintf("With %s of memory %s (%s) is the largest model that is whole in it", e.limitText(), e.LastWhole, shortSize(e.LastWholeM))
	}
	return "No model outgrows the memory"
}

func shortSize(m *float64) string { return strings.TrimSuffix(doc.Params(m), " parameters") }

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
// first that is not, with what it costs that the CPU computes its layers.
func (w *Wall) edgeTable() doc.Table {
	sized := func(name string, m *float64) string {
		switch {
		case name == "":
			return "none"
		case m == nil:
			return doc.Text(name)
		}
		return fmt.Sprintf("%s (%s)", doc.Text(name), shortSize(m))
	}
	return doc.TableOf(w.Edges, []doc.Column[Edge]{
		{Head: "<weights", Cell: func(e Edge) string { return doc.OrNone(e.WeightType) }},
		{Head: "<memory, layers", Cell: func(e Edge) string {
			if e.BatchSize > 1 {
				return fmt.Sprintf("%s, batch %d", doc.Text(e.text()), e.BatchSize)
			}
			return doc.Text(e.text())
		}},
		{Head: "<largest whole in memory", Cell: func(e Edge) string { return sized(e.LastWhole, e.LastWholeM) }},
		{Head: "<smallest in part", Cell: func(e Edge) string { return sized(e.FirstPartial, e.FirstPartialM) }},
		{Head: "its decode, times whole", Cell: func(e Edge) string { return w.slower(e) }},
		{Head: "<smallest that did not fit", Cell: func(e Edge) string { return sized(e.FirstTooBig, e.FirstTooBigM) }},
	})
}

// slower is how many times as long the smallest model in part takes as whole.
func (w *Wall) slower(e Edge) string {
	i := slices.IndexFunc(w.Cells, func(c Cell) bool {
		return c.Series == e.Series && c.WeightType == e.WeightType && c.Model == e.FirstPartial
	})
	if i < 0 {
		return doc.Unknown
	}
	return doc.NumberOf(w.Cells[i].OverWhole)
}

// cliffColumns are what a limit of the CPU's memory does to each model.
var cliffColumns = []doc.Column[Cliff]{
	{Head: "<model", Cell: func(l Cliff) string { return doc.Text(l.name()) }},
	{Head: "needs, estimated (MiB)", Cell: func(l Cliff) string { return doc.Whole(l.NeedMiB) }},
	{Head: "took, whole (MiB)", Cell: func(l Cliff) string { return doc.Whole(l.PeakMiB) }},
	{Head: "holds its level at (MiB)", Cell: func(l Cliff) string { return doc.Whole(l.HoldsMiB) }},
	{Head: "has left it at (MiB)", Cell: func(l Cliff) string { return doc.Whole(l.SlowMiB) }},
	{Head: "decode there, times whole", Cell: func(l Cliff) string {
		if l.Times == nil {
			return doc.Unknown
		}
		return fmt.Sprintf("%s [%s to %s]", doc.NumberOf(l.Times), doc.NumberOf(l.Low), doc.NumberOf(l.High))
	}},
	{Head: "read again in each pass (%)", Cell: func(l Cliff) string { return doc.Percent(l.Reread) }},
	{Head: "does not run at (MiB)", Cell: func(l Cliff) string { return doc.Whole(l.DiesMiB) }},
	{Head: "<verdict", Cell: func(l Cliff) string { return doc.Text(strings.ReplaceAll(l.Verdict, "_", " ")) }},
}

func (l *Cliff) name() string {
	out := l.Model
	if l.WeightType != "" {
		out += " in " + l.WeightType
	}
	if l.BatchSize > 1 {
		out += fmt.Sprintf(" at batch %d", l.BatchSize)
	}
	return out
}

// work is what one figure of the wall compares.
type work struct {
	weights string
	batch   int
	host    bool
}

func workOf(c Cell) work { return work{c.WeightType, c.BatchSize, c.host()} }

// feasibleTables have the largest size, in millions of parameters, that fits: a row for each memory, a column for each context.
func (w *Wall) feasibleTables() (out []doc.Block) {
	out = append(out, doc.Paragraph("Millions of parameters, by what this run's sizes were estimated to need; between two of them on a line through the logarithms. The program and the system come on top."))
	order, by := stats.GroupBy(w.Feasible, func(f Feasible) work { return work{f.WeightType, f.BatchSize, true} })
	for _, k := range order {
		t := doc.Table{Head: []string{"memory (MiB), " + doc.OrNone(k.weights)}}
		memories, at := stats.GroupBy(by[k], func(f Feasible) float64 { return f.MemoryMiB })
		for _, m := range memories {
			row := []string{doc.Size(m)}
			for _, f := range at[m] {
				if len(t.Rows) == 0 {
					t.Head = append(t.Head, fmt.Sprintf("context %d", f.Context))
				}
				row = append(row, f.text())
			}
			t.Rows = append(t.Rows, row)
		}
		out = append(out, t)
	}
	return out
}

func (f *Feasible) text() string {
	switch {
	case f.ParamsM == nil:
		return "none of these"
	case f.Beyond:
		return doc.SizeOf(f.ParamsM) + " and more"
	}
	return doc.Number(*f.ParamsM)
}
