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
	"llmscale/analysis/stats"
)

const mostShown = 30 // rows of a table that is not folded

// Sections have which settings matter, and from which size on.
func (a *Answer) Sections() []doc.Section {
	if len(a.Policies) == 0 && len(a.Batches) == 0 && len(a.Builds) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: "Settings"}
	if len(a.Policies) > 0 {
		sec.Say("A choice is mandatory where more than 10 %% of a time are shown to hang on it, and optional elsewhere: sizes and ratios have 95 %% intervals%s.", prose.Within(a.Policies[0].Basis))
		sec.FoldAbove(mostShown, "Each choice", policyTable(a.said()))
	}
	if len(a.Batches) > 0 {
		sec.FoldAbove(mostShown, "Sequences decoded together", a.batchTable())
	}
	if len(a.Builds) > 0 {
		sec.Add(a.buildTable())
	}
	return []doc.Section{sec}
}

// title says which settings matter.
func (a *Answer) title() string {
	settings, by := stats.GroupBy(a.said(), func(p Policy) string { return p.Choice })
	if len(settings) == 0 {
		return "Settings"
	}
	sorts := map[string][]string{}
	for _, s := range settings {
		n := map[string]int{}
		for _, p := range by[s] {
			n[p.Verdict]++
		}
		sort := "at some sizes"
		switch len(by[s]) {
		case n[Always]:
			sort = "at every size"
		case n[Never]:
			sort = "at none"
		case n[Never] + n[Unknown]:
			sort = "cannot be told"
		}
		sorts[sort] = append(sorts[sort], s)
	}
	var parts []string
	for _, sort := range []string{"at every size", "at some sizes", "at none", "cannot be told"} {
		if len(sorts[sort]) > 0 {
			parts = append(parts, doc.Join(sorts[sort])+" "+sort)
		}
	}
	return "Settings that matter: " + strings.Join(parts, "; ")
}

func policyTable(rows []Policy) doc.Table {
	return doc.TableOf(rows, []doc.Column[Policy]{
		{Head: "<choice", Cell: func(p Policy) string { return doc.Text(p.Choice + " " + p.Value) }},
		{Head: "<against", Cell: func(p Policy) string { return doc.Text(p.Base) }},
		{Head: "<at", Cell: func(p Policy) string { return doc.OrNone(p.At) }},
		{Head: "<phase", Cell: func(p Policy) string { return prose.Mode(p.Mode) }},
		{Head: "<scenario", Cell: func(p Policy) string { return prose.Scenario(p.Scenario) }},
		{Head: "<more than 10 %", Cell: func(p Policy) string { return p.shown() }},
		{Head: "times as fast at the smallest", Cell: func(p Policy) string { return speed(p.Small, p.SmallCI) }},
		{Head: "at the largest", Cell: func(p Policy) string { return speed(p.Large, p.LargeCI) }},
		{Head: "<ratio of times with size", Cell: func(p Policy) string { return p.Trend }},
	})
}

func speed(ratio *float64, ci *Interval) string {
	if ratio == nil || ci == nil {
		return doc.Unknown
	}
	return AsFast(ratio, ci)
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
