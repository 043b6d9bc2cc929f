package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
)

const (
	mostShown    = 30  // rows of a table that is not folded
	mostCompared = 200 // rows of the folded table; axes.csv has all
)

// Sections have what backends that differ in one setting differ by. What follows from
// that stands in the opening.
func (a *Answer) Sections() []doc.Section {
	if len(a.Threads) == 0 && len(a.Batches) == 0 && len(a.Builds) == 0 && len(a.compared()) == 0 {
		return nil
	}
	sec := doc.Section{Title: "Settings compared"}
	sec.Say("Backends that differ in one setting, all else equal. Each backend is one process for each model: intervals are of 95 %% and allow for what processes differ by. No difference is shown where the interval of the ratio holds 1.")
	if len(a.Builds) > 0 {
		sec.Say("The programs that measured, by what tells them apart:")
		sec.Add(a.buildTable())
	}
	if len(a.Threads) > 0 {
		sec.Say("Times are of one prefill, or of one decode step; the best number of threads has the least median. “Each more” is what each thread more adds to the speed; beyond the most threads it is not measured.")
		sec.FoldAbove(mostShown, "Threads: each phase of each model", a.threadTable())
	}
	if len(a.Batches) > 0 {
		sec.Say("Sequences decoded together: one step of all, and the tokens per second of all and of each.")
		sec.FoldAbove(mostShown, "Each batch", a.batchTable())
	}
	rows := a.compared()
	switch n := len(rows); {
	case n > mostCompared:
		sec.Say("axes.csv has each of the %d comparisons.", n)
	case n > 0:
		sec.Fold(fmt.Sprintf("Each comparison (%d)", n), comparisonTable(rows))
	}
	return []doc.Section{sec}
}

// buildTable has the columns in which the builds differ.
func (a *Answer) buildTable() doc.Table {
	columns := []doc.Column[Build]{
		{Head: "<program", Cell: func(b Build) string { return doc.Text(b.Name) }},
		{Head: "<backends", Cell: func(b Build) string { return doc.Text(strings.Join(b.Backends, ", ")) }},
	}
	common := features(a.Builds[0])
	for _, b := range a.Builds {
		common = slices.DeleteFunc(common, func(f string) bool { return !slices.Contains(features(b), f) })
	}
	for _, c := range []doc.Column[Build]{
		{Head: "<llama.cpp", Cell: func(b Build) string {
			return doc.OrNone(strings.TrimSpace(b.LlamaCommit + " " + b.LlamaSource))
		}},
		{Head: "<compiler", Cell: func(b Build) string { return doc.OrNone(b.Compiler) }},
		{Head: "<flags", Cell: func(b Build) string { return doc.OrNone(b.Flags) }},
		{Head: "<features that not all have", Cell: func(b Build) string {
			return doc.OrNone(strings.Join(slices.DeleteFunc(features(b), func(f string) bool { return slices.Contains(common, f) }), ", "))
		}},
	} {
		if slices.ContainsFunc(a.Builds, func(b Build) bool { return c.Cell(b) != c.Cell(a.Builds[0]) }) {
			columns = append(columns, c)
		}
	}
	t := doc.TableOf(a.Builds, columns)
	t.Wrap = true
	return t
}

// features are those that llama.cpp lists of a build, as in "CPU : AVX = 1 | FMA = 1 | ".
func features(b Build) (out []string) {
	for _, f := range strings.Split(b.CPUFeatures, "|") {
		if f = strings.TrimSuffix(strings.TrimSpace(f), " = 1"); f != "" {
			out = append(out, f)
		}
	}
	return out
}

// compared are those that have no table of their own.
func (a *Answer) compared() (out []Comparison) {
	for _, c := range a.Axes {
		if c.Axis != cells.SettingDType && c.Axis != cells.SettingThreads && c.Axis != cells.SettingThreadsBatch {
			out = append(out, c)
		}
	}
	return out
}

func comparisonTable(rows []Comparison) doc.Table {
	return doc.TableOf(rows, []doc.Column[Comparison]{
		{Head: "<setting", Cell: func(c Comparison) string { return doc.Text(c.Axis) }},
		{Head: "<value", Cell: func(c Comparison) string { return doc.Text(c.Value) }},
		{Head: "<against", Cell: func(c Comparison) string { return doc.Text(c.Base) }},
		{Head: "<at", Cell: func(c Comparison) string { return doc.OrNone(c.At) }},
		{Head: "<phase", Cell: func(c Comparison) string { return prose.Mode(c.Mode) }},
		{Head: "<scenario", Cell: func(c Comparison) string { return doc.Text(c.Scenario) }},
		{Head: "<model", Cell: func(c Comparison) string { return doc.Text(c.Model) }},
		{Head: "parameters (millions)", Cell: func(c Comparison) string { return doc.SizeOf(c.ParamsM) }},
		{Head: "first (ms)", Cell: func(c Comparison) string { return doc.Number(c.BaseMS) }},
		{Head: "this (ms)", Cell: func(c Comparison) string { return doc.Number(c.MS) }},
		{Head: "ratio of times", Cell: func(c Comparison) string { return doc.Fixed(&c.Ratio, 3) }},
		{Head: "95 %", Cell: func(c Comparison) string { return doc.Interval(c.RatioCI, 3) }},
		{Head: "<verdict", Cell: func(c Comparison) string {
			if c.Verdict == Faster || c.Verdict == Slower {
				return "**" + c.Verdict + "**"
			}
			return c.Verdict
		}},
	})
}

// threadTable has a row for each phase of each model, a column for each number of
// threads.
func (a *Answer) threadTable() doc.Table {
	var counts []int
	for _, b := range a.Threads {
		for _, c := range b.Counts {
			if !slices.Contains(counts, c.Threads) {
				counts = append(counts, c.Threads)
			}
		}
	}
	slices.Sort(counts)
	columns := []doc.Column[BestThreads]{
		{Head: "<model", Cell: func(b BestThreads) string { return doc.Text(b.Model) }},
		{Head: "<at", Cell: func(b BestThreads) string { return doc.OrNone(b.At) }},
		{Head: "<phase", Cell: func(b BestThreads) string { return prose.Mode(b.Mode) }},
		{Head: "<scenario", Cell: func(b BestThreads) string { return doc.Text(b.Scenario) }},
		{Head: "best threads", Cell: func(b BestThreads) string { return fmt.Sprintf("**%d**", b.Best) }},
		{Head: "fewest not shown slower", Cell: func(b BestThreads) string { return strconv.Itoa(b.Fewest) }},
	}
	for _, n := range counts {
		columns = append(columns, doc.Column[BestThreads]{Head: doc.Count(n, "thread", "threads") + " (ms)", Cell: func(b BestThreads) string {
			for _, c := range b.Counts {
				if c.Threads == n {
					return doc.Number(c.MS)
				}
			}
			return doc.Unknown
		}})
	}
	for _, n := range counts[1:] {
		columns = append(columns, doc.Column[BestThreads]{Head: fmt.Sprintf("each more up to %d (%%)", n), Cell: func(b BestThreads) string { return gainTo(&b, n) }})
	}
	return doc.TableOf(a.Threads, columns)
}

// gainTo says what each thread more gives, in percent of the speed, on the way to n
// from the number measured before it.
func gainTo(b *BestThreads, n int) string {
	for i, c := range b.Counts {
		if c.Gain == nil || b.Counts[i+1].Threads != n {
			continue
		}
		s := doc.SignedTenth(100 * *c.Gain)
		if c.GainVerdict == NotShown {
			s += " (not shown)"
		}
		return s
	}
	return doc.Unknown
}

func (a *Answer) batchTable() doc.Table {
	times := func(v *float64, ci *Interval) string {
		if v == nil {
			return doc.Unknown
		}
		if ci == nil {
			return doc.Fixed(v, 2)
		}
		return doc.Fixed(v, 2) + " (" + doc.Interval(ci, 2) + ")"
	}
	rows := slices.Clone(a.Batches)
	slices.SortStableFunc(rows, func(x, y Batch) int {
		return cmp.Or(cmp.Compare(cells.OrInf(x.ParamsM), cells.OrInf(y.ParamsM)), strings.Compare(x.Model, y.Model), strings.Compare(x.Scenario, y.Scenario))
	})
	return doc.TableOf(rows, []doc.Column[Batch]{
		{Head: "<model", Cell: func(b Batch) string { return doc.Text(b.Model) }},
		{Head: "<backend", Cell: func(b Batch) string { return doc.Text(b.Backend) }},
		{Head: "<scenario", Cell: func(b Batch) string { return doc.Text(b.Scenario) }},
		{Head: "sequences", Cell: func(b Batch) string { return strconv.Itoa(b.BatchSize) }},
		{Head: "step (ms)", Cell: func(b Batch) string { return doc.Number(b.StepMS) }},
		{Head: "times the first's (95 %)", Cell: func(b Batch) string { return times(b.StepRatio, b.StepCI) }},
		{Head: "tokens/s of all", Cell: func(b Batch) string { return doc.Number(b.TokensPerS) }},
		{Head: "times the first's (95 %)", Cell: func(b Batch) string { return times(b.AllRatio, b.AllCI) }},
		{Head: "tokens/s of each", Cell: func(b Batch) string { return doc.Number(b.EachPerS) }},
		{Head: "prefill of all prompts (ms)", Cell: func(b Batch) string { return doc.NumberOf(b.PrefillMS) }},
		{Head: "answers as the first's", Cell: func(b Batch) string {
			switch {
			case b.Compared == 0:
				return doc.Unknown
			case b.FirstDifference != nil:
				return fmt.Sprintf("%d of %d, from token %d on", b.Same, b.Compared, *b.FirstDifference)
			}
			return fmt.Sprintf("%d of %d", b.Same, b.Compared)
		}},
	})
}
