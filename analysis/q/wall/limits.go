package wall

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/stats"
)

// Sentences are where the wall of the CPU's memory stands, for each model. Of a GPU's the section tells.
func (a *Answer) Sentences() (out []string) {
	if a.Wall == nil {
		return nil
	}
	for i := range a.Wall.Cliffs {
		out = append(out, a.Wall.Cliffs[i].sentence())
	}
	return out
}

func mib(v *float64) string { return doc.Whole(v) + " MiB" }

func (l *Cliff) name() string {
	out := doc.Text(l.Model)
	if l.WeightType != "" {
		out += " in " + doc.Text(l.WeightType)
	}
	if l.BatchSize > 1 {
		out += fmt.Sprintf(" at batch %d", l.BatchSize)
	}
	return out
}

func (l *Cliff) sentence() string {
	need := fmt.Sprintf("reckoned before, it needs %s", mib(l.NeedMiB))
	if l.PeakMiB != nil {
		need += fmt.Sprintf("; measured where it was whole, it took %s", mib(l.PeakMiB))
	}
	slow := func() string {
		s := fmt.Sprintf("with %s decode takes %s times as long as without a limit (%s to %s)", mib(l.SlowMiB), doc.NumberOf(l.Times), doc.NumberOf(l.Low), doc.NumberOf(l.High))
		if l.Missing != nil && l.Reread != nil {
			s += fmt.Sprintf(": there is no room for %s %% of the weights, and each pass reads %s %% of them from the disk", doc.Percent(l.Missing), doc.Percent(l.Reread))
		}
		return s
	}
	var what string
	switch {
	case l.Verdict == Found:
		what = fmt.Sprintf("The **memory wall** of %s stands between %s and %s of the CPU's memory: with %s decode holds its level (within 1.5 times), %s", l.name(), mib(l.SlowMiB), mib(l.HoldsMiB), mib(l.HoldsMiB), slow())
	case l.Verdict == NotReached:
		what = fmt.Sprintf("%s meets no memory wall: its decode holds its level down to %s of the CPU's memory", l.name(), mib(l.HoldsMiB))
	case l.SlowMiB != nil:
		what = fmt.Sprintf("The **memory wall** of %s stands above %s of the CPU's memory; how far above, this run cannot tell: %s", l.name(), mib(l.SlowMiB), slow())
	default:
		what = fmt.Sprintf("Where the memory wall of %s stands, this run cannot tell: no limit leaves decode surely within 1.5 times of its level and a smaller one surely beyond, with intervals over processes", l.name())
	}
	what += ". " + doc.Upper(need) + "."
	if l.DiesMiB != nil {
		what += fmt.Sprintf(" With %s it does not run: %s was reckoned to be what cannot be dropped and read again", mib(l.DiesMiB), mib(l.LeastMiB))
		if l.UnmappedMiB != nil {
			what += fmt.Sprintf(", measured where it ran: %s", mib(l.UnmappedMiB))
		}
		what += "."
	}
	return what
}

// limits tells of the CPU's memory.
func (w *Wall) limits(sec *doc.Section) {
	if len(w.Cliffs) == 0 {
		return
	}
	sec.Say("On the CPU a limit (memory_limit_mib) holds the worker and the pages of its files to so much memory. Weights are mapped from the file: what does not fit is dropped, and read from the disk again when the next step comes to it. The kernel drops what was read longest ago. A step goes through the weights in order, so that is what it will want first.")
	for i := range w.Cliffs {
		sec.Say("%s", w.Cliffs[i].sentence())
	}
	steep := slices.DeleteFunc(slices.Clone(w.Cells), func(c Cell) bool { return !c.host() || c.MemoryMiB == nil })
	slices.SortStableFunc(steep, func(x, y Cell) int {
		return cmp.Or(cmp.Compare(cells.OrInf(x.ParamsM), cells.OrInf(y.ParamsM)), cmp.Compare(x.Model, y.Model), cmp.Compare(*y.MemoryMiB, *x.MemoryMiB))
	})
	sec.Say("How steep it is. Missing is the share of the mapped weights for which the limit has no room. Read again is what a pass (a step, a micro-batch) read from the disk, over the mapped weights: above 100 %% what was read ahead was dropped before it was used. By the disk is the time in which one reader gets as many bytes, as measured before the load, over the time by which decode is longer.")
	sec.Add(doc.TableOf(steep, steepColumns))
	sec.Add(doc.Pictures(limitsKind))
	if len(w.Feasible) > 0 {
		sec.Say("The largest size, in millions of parameters, that fits into a memory with a context, by what this run's sizes were reckoned to need; between two of them on a line through the logarithms, and never beyond the largest. The program itself and the system come on top.")
		order, by := stats.GroupBy(w.Feasible, func(f Feasible) work { return work{f.WeightType, f.BatchSize, true} })
		for _, k := range order {
			sec.Add(feasibleTable(k, by[k]))
		}
	}
}

var steepColumns = []doc.Column[Cell]{
	{Head: "<model", Cell: func(c Cell) string { return doc.Text(c.Model) }},
	{Head: "limit (MiB)", Cell: func(c Cell) string { return doc.Whole(c.MemoryMiB) }},
	{Head: "of the need (%)", Cell: func(c Cell) string { return doc.Percent(stats.Finite(*c.MemoryMiB / cells.OrInf(c.NeedMiB))) }},
	{Head: "missing (%)", Cell: func(c Cell) string { return doc.Percent(c.Missing) }},
	{Head: "decode (ms/token)", Cell: Cell.decodeOrState},
	{Head: "times whole", Cell: func(c Cell) string { return doc.NumberOf(c.OverWhole) }},
	{Head: "<95 %", Cell: func(c Cell) string {
		if c.OverLow == nil {
			return doc.Unknown
		}
		return doc.NumberOf(c.OverLow) + " to " + doc.NumberOf(c.OverHigh)
	}},
	{Head: "prefill, times whole", Cell: func(c Cell) string { return doc.NumberOf(c.PrefillOver) }},
	{Head: "read again (%)", Cell: func(c Cell) string {
		if c.ReadMiB == nil || c.mappedMiB == 0 {
			return doc.Unknown
		}
		return doc.Percent(stats.Finite(*c.ReadMiB / c.mappedMiB))
	}},
	{Head: "disk (MB/s)", Cell: func(c Cell) string { return doc.Whole(c.DiskMBPerS) }},
	{Head: "by the disk (%)", Cell: func(c Cell) string { return doc.Percent(c.Explained) }},
	{Head: "peak (MiB)", Cell: func(c Cell) string { return doc.Whole(c.HostPeakMiB) }},
}

func (c Cell) decodeOrState() string {
	if c.DecodeMS == nil {
		return c.decodeText()
	}
	return doc.NumberOf(c.DecodeMS)
}

// feasibleTable has a row for each memory and a column for each context.
func feasibleTable(k work, all []Feasible) doc.Table {
	t := doc.Table{Head: []string{"memory (MiB), " + doc.OrPlain(doc.Text(k.weights))}}
	memories, by := stats.GroupBy(all, func(f Feasible) float64 { return f.MemoryMiB })
	for _, m := range memories {
		row := []string{doc.Size(m)}
		for _, f := range by[m] {
			if len(t.Rows) == 0 {
				t.Head = append(t.Head, fmt.Sprintf("context %d", f.Context))
			}
			switch {
			case f.ParamsM == nil:
				row = append(row, "none of these")
			case f.Beyond:
				row = append(row, doc.SizeOf(f.ParamsM)+" and more")
			default:
				row = append(row, doc.Number(*f.ParamsM))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// limitsKind is the kind of the figure of limits.
const limitsKind = "memory_wall_limits"

// limitsFigure shows decode, and what was read from the disk, against the limit over what the model was reckoned to need.
func (w *Wall) limitsFigure() []figure.Figure {
	limited := slices.DeleteFunc(slices.Clone(w.Cells), func(c Cell) bool {
		return !c.host() || c.MemoryMiB == nil || c.NeedMiB == nil || c.OverWhole == nil
	})
	order, by := stats.GroupBy(limited, func(c Cell) string { return c.Model + " " + c.WeightType })
	f := figure.Figure{Kind: limitsKind, Name: limitsKind, Title: "Memory wall: decode against the limit of memory",
		Subtitle: "mode kv_decode · over decode without a limit · 95 % intervals over processes"}
	var x, y, read figure.Span
	var times, reads []figure.Layer
	order, left := figure.First(order, "models")
	for i, k := range order {
		look := figure.Series(i)
		time, took := figure.Layer{Look: look}, figure.Layer{Look: look}
		for _, c := range by[k] {
			p := figure.Point{Name: c.Model, X: 100 * *c.MemoryMiB / *c.NeedMiB, Y: *c.OverWhole, Hollow: c.State != Whole}
			if c.OverLow != nil {
				p.Low, p.High = *c.OverLow, *c.OverHigh
				y.Add(p.Low, p.High)
			}
			x.Add(p.X)
			y.Add(p.Y)
			time.Points = append(time.Points, p)
			if c.ReadMiB != nil && c.mappedMiB > 0 {
				share := 100 * *c.ReadMiB / c.mappedMiB
				read.Add(share)
				took.Points = append(took.Points, figure.Point{Name: c.Model, X: p.X, Y: share, Hollow: p.Hollow})
			}
		}
		time.Join()
		took.Join()
		times, reads = append(times, time), append(reads, took)
		f.Legend = append(f.Legend, figure.Key{Text: k, Look: look, Line: true, Point: true})
	}
	if len(limited) < 2 {
		return nil
	}
	x.Add(100)
	read.Add(0)
	f.X = figure.LogAxis("limit over what the model was reckoned to need (%)", x)
	f.Panels = []figure.Panel{
		{Y: figure.LogAxis("decode, times whole", y), Layers: append(times, wallAt(y))},
		{Y: figure.LinearAxis("read in each pass (%)", read, 100, 0, math.NaN()), Layers: append(reads, wallAt(read))},
	}
	f.Legend = append(f.Legend, figure.Key{Text: "read again from the disk", Look: figure.Muted(), Point: true, Hollow: true})
	f.Caption = "Decode time under a limit of the CPU's memory, over that of the same model without one, against the limit over what the model was reckoned to need" + left +
		". The dashed line is where the wall should stand. Hollow points read weights from the disk in every step. Below, how much of the weights each pass read."
	return []figure.Figure{f}
}

// wallAt is an upright line at 100 %.
func wallAt(y figure.Span) figure.Layer {
	return figure.Layer{Look: figure.Muted().Stroke(0.9, 4, 3), Line: []figure.XY{{X: 100, Y: y.Low}, {X: 100, Y: y.High}}}
}
