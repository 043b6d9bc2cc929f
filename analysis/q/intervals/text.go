package intervals

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

const sum = "analysis.json cells_judged."

// Says is how many cells may be used, and what speaks against the others.
func (s *Sum) Says() prose.Sentence {
	var codes []prose.Sentence
	for _, d := range s.Doubts {
		codes = append(codes, prose.Say("%s", strings.ReplaceAll(d.Reason, "_", " ")))
	}
	count := func(n int, path string) prose.Number { return prose.Digits(float64(n), sum+path) }
	all := count(s.Cells, "cells")
	switch {
	case s.Cells == 0:
		return prose.Say("No call gave a figure")
	case 2*s.Invalid > s.Cells:
		return prose.Say("Do not use these numbers: %s of %s cells are INVALID (%s)", count(s.Invalid, "invalid"), all, prose.Join(codes, "and"))
	case s.Valid == s.Cells && s.Cells == 1:
		return prose.Say("The one cell is VALID")
	case s.Valid == s.Cells:
		return prose.Say("All %s cells are VALID", all)
	}
	var doubts []prose.Sentence
	if s.Ambiguous > 0 {
		doubts = append(doubts, prose.Say("%s AMBIGUOUS", count(s.Ambiguous, "ambiguous")))
	}
	if s.Invalid > 0 {
		doubts = append(doubts, prose.Say("%s INVALID", count(s.Invalid, "invalid")))
	}
	return prose.Say("%s of %s cells are VALID, %s (%s)", count(s.Valid, "valid"), all, prose.Join(doubts, "and"), prose.Join(codes, "and"))
}

// Reach says how far intervals reach at the median; "" where there are none.
func (s *Sum) Reach() prose.Sentence {
	if s.widest == nil {
		return prose.Say("")
	}
	half := prose.Number{Shown: doc.Percent(s.Half) + " %", Value: *s.Half, From: sum + "half_width_median"}
	return prose.Say("95 %% intervals%s reach ±%s at the median", prose.Within(s.widest.Basis), half)
}

// Widths says how wide intervals are; "" where there are none.
func (s *Sum) Widths() string {
	if s.widest == nil {
		return ""
	}
	c := s.widest
	return fmt.Sprintf("%s, ±%s %% at the widest (%s of %s, %s, %s).", s.Reach(), doc.Percent(s.Widest), prose.Mode(c.Mode), doc.Text(c.Model), doc.Text(c.Scenario), prose.Of(c.Backend, c.BatchSize))
}

// Explained says what explains times though it should not; "" where nothing does.
func (a *Answer) Explained() string {
	said := stats.Map(a.explains(), func(x Audit) string {
		return fmt.Sprintf("%s explains %s (%s %%, %s)", x.Factor, prose.Mode(x.Mode), doc.SignedPercent(x.Effect), x.Per)
	})
	if len(said) == 0 {
		return ""
	}
	return doc.Upper(doc.Join(said)) + ": order_audit.csv."
}

// Doubtful are the cells that are not VALID.
func (a *Answer) Doubtful() doc.Table {
	doubtful := slices.DeleteFunc(slices.Clone(a.Cells), func(c Cell) bool {
		return c.Verdict == record.VerdictValid || c.Scenario == cells.AllScenarios
	})
	return doc.TableOf(doubtful, []doc.Column[Cell]{
		{Head: "<model", Cell: func(c Cell) string { return doc.Text(c.Model) }},
		{Head: "<backend", Cell: func(c Cell) string { return prose.Of(c.Backend, c.BatchSize).String() }},
		{Head: "<scenario", Cell: func(c Cell) string { return doc.Text(c.Scenario) }},
		{Head: "<mode", Cell: func(c Cell) string { return prose.Mode(c.Mode) }},
		{Head: "median (ms)", Cell: func(c Cell) string { return doc.NumberOf(c.MedianMS) }},
		{Head: "95 % (ms)", Cell: func(c Cell) string { return doc.Numbers(c.CI) }},
		{Head: "<verdict", Cell: func(c Cell) string { return c.Verdict }},
		{Head: "<reasons", Cell: func(c Cell) string { return doc.OrNone(strings.Join(c.Reasons, " ")) }},
	})
}
