package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/axes"
	"llmscale/analysis/cells"
)

const (
	mostShown    = 30  // rows of a table that is not folded
	mostCompared = 200 // rows of the folded table; axes.csv has all
)

// axes has what backends that differ in one setting differ by. What follows from
// that stands in the answer.
func (w *writer) axes() {
	if len(w.r.Threads) == 0 && len(w.r.Batches) == 0 && len(w.r.Builds) == 0 && len(w.compared()) == 0 {
		return
	}
	w.doc.section("Settings compared")
	w.doc.say("Backends that differ in one setting, all else equal. Each backend is one process for each model: intervals are of 95 %% and allow for what processes differ by. No difference is shown where the interval of the ratio holds 1.")
	if len(w.r.Builds) > 0 {
		w.doc.say("The programs that measured, by what tells them apart:")
		w.doc.add(w.buildTable())
	}
	if len(w.r.Threads) > 0 {
		w.doc.say("Times are of one prefill, or of one decode step; the best number of threads has the least median. “Each more” is what each thread more adds to the speed; beyond the most threads it is not measured.")
		w.foldAbove(mostShown, "Threads: each phase of each model", w.threadTable())
	}
	if len(w.r.Batches) > 0 {
		w.doc.say("Sequences decoded together: one step of all, and the tokens per second of all and of each.")
		w.foldAbove(mostShown, "Each batch", w.batchTable())
	}
	rows := w.compared()
	switch n := len(rows); {
	case n > mostCompared:
		w.doc.say("axes.csv has each of the %d comparisons.", n)
	case n > 0:
		w.doc.fold(fmt.Sprintf("Each comparison (%d)", n), comparisonTable(rows))
	}
}

// buildTable has the columns in which the builds differ.
func (w *writer) buildTable() table {
	columns := []column[analysis.Build]{
		{"<program", func(b analysis.Build) string { return text(b.Name) }},
		{"<backends", func(b analysis.Build) string { return text(strings.Join(b.Backends, ", ")) }},
	}
	common := features(w.r.Builds[0])
	for _, b := range w.r.Builds {
		common = slices.DeleteFunc(common, func(f string) bool { return !slices.Contains(features(b), f) })
	}
	for _, c := range []column[analysis.Build]{
		{"<llama.cpp", func(b analysis.Build) string { return orNone(strings.TrimSpace(b.LlamaCommit + " " + b.LlamaSource)) }},
		{"<compiler", func(b analysis.Build) string { return orNone(b.Compiler) }},
		{"<flags", func(b analysis.Build) string { return orNone(b.Flags) }},
		{"<features that not all have", func(b analysis.Build) string {
			return orNone(strings.Join(slices.DeleteFunc(features(b), func(f string) bool { return slices.Contains(common, f) }), ", "))
		}},
	} {
		if slices.ContainsFunc(w.r.Builds, func(b analysis.Build) bool { return c.cell(b) != c.cell(w.r.Builds[0]) }) {
			columns = append(columns, c)
		}
	}
	t := tableOf(w.r.Builds, columns)
	t.wrap = true
	return t
}

// features are those that llama.cpp lists of a build, as in "CPU : AVX = 1 | FMA = 1 | ".
func features(b analysis.Build) (out []string) {
	for _, f := range strings.Split(b.CPUFeatures, "|") {
		if f = strings.TrimSuffix(strings.TrimSpace(f), " = 1"); f != "" {
			out = append(out, f)
		}
	}
	return out
}

// compared are those that have no table of their own.
func (w *writer) compared() (out []axes.Comparison) {
	for _, c := range w.r.Axes {
		if c.Axis != cells.SettingDType && c.Axis != cells.SettingThreads && c.Axis != cells.SettingThreadsBatch {
			out = append(out, c)
		}
	}
	return out
}

func comparisonTable(rows []axes.Comparison) table {
	return tableOf(rows, []column[axes.Comparison]{
		{"<setting", func(c axes.Comparison) string { return text(c.Axis) }},
		{"<value", func(c axes.Comparison) string { return text(c.Value) }},
		{"<against", func(c axes.Comparison) string { return text(c.Base) }},
		{"<at", func(c axes.Comparison) string { return orNone(c.At) }},
		{"<phase", func(c axes.Comparison) string { return modeWord(c.Mode) }},
		{"<scenario", func(c axes.Comparison) string { return text(c.Scenario) }},
		{"<model", func(c axes.Comparison) string { return text(c.Model) }},
		{"parameters (millions)", func(c axes.Comparison) string { return sizeOf(c.ParamsM) }},
		{"first (ms)", func(c axes.Comparison) string { return number(c.BaseMS) }},
		{"this (ms)", func(c axes.Comparison) string { return number(c.MS) }},
		{"ratio of times", func(c axes.Comparison) string { return fixed(&c.Ratio, 3) }},
		{"95 %", func(c axes.Comparison) string { return interval(c.RatioCI, 3) }},
		{"<verdict", func(c axes.Comparison) string {
			if c.Verdict == axes.Faster || c.Verdict == axes.Slower {
				return "**" + c.Verdict + "**"
			}
			return c.Verdict
		}},
	})
}

// threadTable has a row for each phase of each model, a column for each number of
// threads.
func (w *writer) threadTable() table {
	var counts []int
	for _, b := range w.r.Threads {
		for _, c := range b.Counts {
			if !slices.Contains(counts, c.Threads) {
				counts = append(counts, c.Threads)
			}
		}
	}
	slices.Sort(counts)
	columns := []column[axes.BestThreads]{
		{"<model", func(b axes.BestThreads) string { return text(b.Model) }},
		{"<at", func(b axes.BestThreads) string { return orNone(b.At) }},
		{"<phase", func(b axes.BestThreads) string { return modeWord(b.Mode) }},
		{"<scenario", func(b axes.BestThreads) string { return text(b.Scenario) }},
		{"best threads", func(b axes.BestThreads) string { return fmt.Sprintf("**%d**", b.Best) }},
		{"fewest not shown slower", func(b axes.BestThreads) string { return strconv.Itoa(b.Fewest) }},
	}
	for _, n := range counts {
		columns = append(columns, column[axes.BestThreads]{count(n, "thread", "threads") + " (ms)", func(b axes.BestThreads) string {
			for _, c := range b.Counts {
				if c.Threads == n {
					return number(c.MS)
				}
			}
			return none
		}})
	}
	for _, n := range counts[1:] {
		columns = append(columns, column[axes.BestThreads]{fmt.Sprintf("each more up to %d (%%)", n), func(b axes.BestThreads) string { return gainTo(&b, n) }})
	}
	return tableOf(w.r.Threads, columns)
}

// gainTo says what each thread more gives, in percent of the speed, on the way to n
// from the number measured before it.
func gainTo(b *axes.BestThreads, n int) string {
	for i, c := range b.Counts {
		if c.Gain == nil || b.Counts[i+1].Threads != n {
			continue
		}
		s := signedTenth(100 * *c.Gain)
		if c.GainVerdict == axes.NotShown {
			s += " (not shown)"
		}
		return s
	}
	return none
}

func (w *writer) batchTable() table {
	times := func(v *float64, ci *axes.Interval) string {
		if v == nil {
			return none
		}
		if ci == nil {
			return fixed(v, 2)
		}
		return fixed(v, 2) + " (" + interval(ci, 2) + ")"
	}
	rows := slices.Clone(w.r.Batches)
	slices.SortStableFunc(rows, func(x, y analysis.Batch) int {
		return cmp.Or(cmp.Compare(orInf(x.ParamsM), orInf(y.ParamsM)), strings.Compare(x.Model, y.Model), strings.Compare(x.Scenario, y.Scenario))
	})
	return tableOf(rows, []column[analysis.Batch]{
		{"<model", func(b analysis.Batch) string { return text(b.Model) }},
		{"<backend", func(b analysis.Batch) string { return text(b.Backend) }},
		{"<scenario", func(b analysis.Batch) string { return text(b.Scenario) }},
		{"sequences", func(b analysis.Batch) string { return strconv.Itoa(b.BatchSize) }},
		{"step (ms)", func(b analysis.Batch) string { return number(b.StepMS) }},
		{"times the first's (95 %)", func(b analysis.Batch) string { return times(b.StepRatio, b.StepCI) }},
		{"tokens/s of all", func(b analysis.Batch) string { return number(b.TokensPerS) }},
		{"times the first's (95 %)", func(b analysis.Batch) string { return times(b.AllRatio, b.AllCI) }},
		{"tokens/s of each", func(b analysis.Batch) string { return number(b.EachPerS) }},
		{"prefill of all prompts (ms)", func(b analysis.Batch) string { return numberOf(b.PrefillMS) }},
		{"answers as the first's", func(b analysis.Batch) string {
			switch {
			case b.Compared == 0:
				return none
			case b.FirstDifference != nil:
				return fmt.Sprintf("%d of %d, from token %d on", b.Same, b.Compared, *b.FirstDifference)
			}
			return fmt.Sprintf("%d of %d", b.Same, b.Compared)
		}},
	})
}

func orInf(v *float64) float64 {
	if v == nil {
		return math.Inf(1)
	}
	return *v
}
