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

// Title says how many cells may be used.
func (s *Sum) Title() string {
	codes := strings.ReplaceAll(strings.Join(stats.Map(s.Doubts, func(d Doubt) string { return d.Reason }), ", "), "_", " ")
	switch {
	case s.Cells == 0:
		return "No call gave a figure"
	case 2*s.Invalid > s.Cells:
		return fmt.Sprintf("Do not use these numbers: %d of %d cells are INVALID (%s)", s.Invalid, s.Cells, codes)
	case s.Ambiguous+s.Invalid == 0:
		return fmt.Sprintf("All %s VALID", doc.Count(s.Cells, "cell is", "cells are"))
	}
	var doubts []string
	if s.Ambiguous > 0 {
		doubts = append(doubts, fmt.Sprintf("%d AMBIGUOUS", s.Ambiguous))
	}
	if s.Invalid > 0 {
		doubts = append(doubts, fmt.Sprintf("%d INVALID", s.Invalid))
	}
	return fmt.Sprintf("%d of %d cells are VALID, %s (%s)", s.Cells-s.Ambiguous-s.Invalid, s.Cells, doc.Join(doubts), codes)
}

// Widths says how wide intervals are; "" where there are none.
func (s *Sum) Widths() string {
	if s.widest == nil {
		return ""
	}
	c := s.widest
	return fmt.Sprintf("95 %% intervals%s reach ±%s %% at the median, ±%s %% at the widest (%s of %s, %s, %s).", prose.Within(c.Basis),
		doc.Percent(s.Half), doc.Percent(s.Widest), prose.Mode(c.Mode), doc.Text(c.Model), doc.Text(c.Scenario), prose.Of(c.Backend, c.BatchSize))
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
