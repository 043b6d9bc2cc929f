package compare

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"llmscale/analysis/doc"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

const (
	maxLines    = 40 // of Print without all cells
	maxSetting  = 60 // characters of a setting
	fewestSizes = 3  // of the table by size, whatever else is said
)

func (a Absent) String() string {
	return fmt.Sprintf("%s of %s, %s: %s", PhaseName(a.Mode), a.Model, a.Scenario, a.Why)
}

// PhaseName is a mode as a reader says it.
func PhaseName(mode string) string {
	if mode == record.ModeDecode {
		return "decode"
	}
	return mode
}

// Print writes the comparison for a terminal: 40 lines at most, or with each cell.
func (c *Comparison) Print(w io.Writer, allCells bool) error {
	head := c.head()
	tail := c.tail(allCells)
	room := maxLines - strings.Count(head, "\n") - strings.Count(tail, "\n") - 2
	sizes := c.bySize(max(room, fewestSizes), allCells)
	_, err := io.WriteString(w, head+"\n"+sizes+"\n"+tail)
	return err
}

// table lays out lines of cells.
func table(rows [][]string) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(stats.Map(row, text.Safe), "\t"))
	}
	_ = w.Flush() // into memory
	return b.String()
}

func (c *Comparison) head() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s against %s: %s\n", text.Safe(c.Other.name(c)), text.Safe(c.Base.name(c)), c.basis())
	rows := [][]string{}
	for i, d := range c.Differs {
		if i == maxNamed {
			rows = append(rows, []string{"", fmt.Sprintf("and %d more (--json)", len(c.Differs)-maxNamed)})
			break
		}
		label := ""
		if i == 0 {
			label = "compared:"
		}
		rows = append(rows, []string{label, d.Name, text.Elide(d.Base, maxSetting), text.Elide(d.Other, maxSetting)})
	}
	if len(c.Differs) == 0 {
		rows = append(rows, []string{"compared: nothing that the records tell; both did the same under the same settings"})
	}
	b.WriteString(table(rows) + "\n")

	b.WriteString(table(slices.Concat([][]string{phaseHead}, c.phaseRows())))
	c.explain(&b)
	return b.String()
}

// name is the backend's, and where that is no name, the run's too.
func (s *Subject) name(c *Comparison) string {
	if c.Base.Backend != c.Other.Backend {
		return s.Backend
	}
	if len(s.Runs) > 1 {
		return fmt.Sprintf("%s and %d more", s.Runs[0].Dir, len(s.Runs)-1)
	}
	return s.Runs[0].Dir
}

// basis says what the figures rest on.
func (c *Comparison) basis() string {
	models, size := 0, doc.Span{}
	for i := range c.Phases {
		models = max(models, c.Phases[i].Models)
	}
	for i := range c.Sizes {
		size.Add(c.Sizes[i].ParamsM)
	}
	of := fmt.Sprintf("%s (%s million parameters), %s", doc.Count(models, "size", "sizes"), size.Text(doc.Size), doc.Count(c.Scenarios, "scenario", "scenarios"))
	switch c.Design {
	case DesignBlocks:
		return fmt.Sprintf("%s of %s", doc.Count(c.Blocks, "block", "blocks"), of)
	case DesignRuns:
		return fmt.Sprintf("%d runs against %d of %s", len(c.Other.Runs), len(c.Base.Runs), of)
	case DesignRun:
		return fmt.Sprintf("%d against %s of %s;\nruns are taken to differ by %s, so that effects below %s are AMBIGUOUS",
			len(c.Other.Runs), doc.Count(len(c.Base.Runs), "run", "runs"), of, percent(RunSD), percent(c.AmbiguousBelow))
	}
	return fmt.Sprintf("%s;\none process of each model on each side: intervals take processes to differ by %s, and verdicts are AMBIGUOUS", of, percent(stats.ProcessSD))
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func ratio(r float64, ci *stats.Interval) string {
	if ci == nil {
		return doc.Fixed(&r, 3)
	}
	return fmt.Sprintf("%s (%s)", doc.Fixed(&r, 3), doc.Interval(ci, 3))
}

// explain says why verdicts are AMBIGUOUS, and how the effects change with size.
func (c *Comparison) explain(w io.Writer) {
	codes, of := stats.GroupBy(c.Phases, func(p Phase) string { return p.Reason })
	for _, code := range codes {
		if code == "" {
			continue
		}
		r, needed := ReasonOf(code), 0
		for i := range of[code] {
			if n := of[code][i].Needed; n != nil {
				needed = max(needed, *n)
			}
		}
		names := stats.Map(of[code], func(p Phase) string { return PhaseName(p.Mode) })
		fmt.Fprintf(w, "%s AMBIGUOUS: %s. What helps: %s", text.List(names, "and"), r.Text, r.Advice)
		if needed > c.Blocks && (r == NotShown || r == TooSmall) {
			fmt.Fprintf(w, " (%d blocks find %s)", needed, percent(c.Threshold))
		}
		fmt.Fprintln(w)
	}
	for i := range c.Phases {
		if p := &c.Phases[i]; p.Trend != nil {
			fmt.Fprintf(w, "%s: %s\n", PhaseName(p.Mode), p.Trend.words())
		}
	}
}

// words say whether a change helps all sizes.
func (t *Trend) words() string {
	line := fmt.Sprintf("%s at the smallest size, %s at the largest", doc.Fixed(&t.Smallest, 3), doc.Fixed(&t.Largest, 3))
	switch {
	case t.P == nil:
		return fmt.Sprintf("on a line over the sizes %s", line)
	case *t.P < alpha:
		return fmt.Sprintf("the effect changes with size (p %s): %s", doc.PValue(t.P), line)
	}
	return fmt.Sprintf("no change of the effect with size is shown (p %s)", doc.PValue(t.P))
}

// sizeRows are the effects on each model: its name, parameters, and ratio in each phase.
func (c *Comparison) sizeRows() (rows [][]string) {
	for i := range c.Sizes {
		s := &c.Sizes[i]
		at := slices.IndexFunc(rows, func(r []string) bool { return r[0] == s.Model })
		if at < 0 {
			at = len(rows)
			rows = append(rows, []string{s.Model, doc.SizeOf(s.ParamsM), doc.Unknown, doc.Unknown})
		}
		rows[at][2+slices.Index(Phases, s.Mode)] = ratio(s.Ratio, s.RatioCI)
	}
	return rows
}

// bySize is the effect on each model, of at most room lines.
func (c *Comparison) bySize(room int, all bool) string {
	rows := [][]string{{"by size", "million parameters", PhaseName(Phases[0]), PhaseName(Phases[1])}}
	models := c.sizeRows()
	shown := models
	if n := room - 2; !all && len(models) > room-1 {
		shown = nil
		for i := range n {
			shown = append(shown, models[i*(len(models)-1)/max(n-1, 1)])
		}
	}
	rows = append(rows, shown...)
	if n := len(models); len(shown) < n {
		rows = append(rows, []string{fmt.Sprintf("(%d of %d; --cells lists all)", len(shown), n)})
	}
	return table(rows)
}

// phaseHead and phaseRows are a table of the phases, cellHead and cellRows of all cells.
var (
	effectHead = []string{"ratio of times (95 %)", "p", "verdict", "finds", "SAME from"}
	phaseHead  = slices.Concat([]string{"all sizes"}, effectHead)
	cellHead   = slices.Concat([]string{"phase", "model", "scenario"}, effectHead)
)

func (e *Effect) row(verdict string, of ...string) []string {
	return append(of, ratio(e.Ratio, e.RatioCI), doc.PValue(e.PHolm), verdict, percent(e.Findable), percent(e.SameWithin))
}

func (c *Comparison) phaseRows() [][]string {
	return stats.Map(c.Phases, func(p Phase) []string { return p.row(p.Verdict, PhaseName(p.Mode)) })
}

func (c *Comparison) cellRows() [][]string {
	return stats.Map(c.Cells, func(x Cell) []string {
		return x.row(strings.TrimSpace(x.Verdict+" "+x.Reason), PhaseName(x.Mode), x.Model, CellID{Scenario: x.Scenario, Batch: x.BatchSize}.scenario())
	})
}

// verdicts counts those of the cells.
func (c *Comparison) verdicts() string {
	times := map[string]int{}
	for i := range c.Cells {
		times[c.Cells[i].Verdict]++
	}
	return fmt.Sprintf("each of %s by itself: %d FASTER, %d SLOWER, %d SAME, %d AMBIGUOUS", doc.Count(len(c.Cells), "cell", "cells"), times[Faster], times[Slower], times[Same], times[Ambiguous])
}

// tail counts, or lists, the cells, and says what is missing.
func (c *Comparison) tail(all bool) string {
	var b strings.Builder
	b.WriteString(c.verdicts())
	if !all {
		b.WriteString("; --cells lists them\n")
	} else {
		b.WriteString("\n" + table(slices.Concat([][]string{cellHead}, c.cellRows())))
	}
	lines := func(what string, of []string) {
		for i, l := range of {
			if i == 3 && !all && len(of) > 4 {
				fmt.Fprintf(&b, "%s: and %d more (--cells, --json)\n", what, len(of)-i)
				return
			}
			fmt.Fprintf(&b, "%s: %s\n", what, text.Safe(l))
		}
	}
	lines("not in the means over sizes", stats.Map(c.LeftOut, Absent.String))
	lines("note", c.Notes)
	return b.String()
}
