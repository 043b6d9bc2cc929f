package laws

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/law"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// Place is by which the report knows the section.
const Place = "Laws"

// Sections have the laws of decode and of prefill.
func (a *Answer) Sections() []doc.Section {
	found := append(a.Of(record.ModeDecode), a.Of(record.ModePrefill)...)
	if len(found) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(found), Place: Place, Warned: []string{"one_point_moves", "mixed_lengths", "outlier", "one_point_decides", "cells_left_out", "ambiguous_cells", "ci_crosses_zero", "low_r2",
		"narrow_range", "few_sizes", "too_few_points", "axis_missing", "unequal_scenarios", "mixed_machines", "mixed_offload", "mixed_weight_types", "mixed_architectures", "mixed_runtimes", "mixed_threads",
		"uneven_shapes", "embedding_share", "bootstrap_degenerate", "many_models"}}
	sec.Add(doc.Pictures(KindLaw))
	told := slices.DeleteFunc(slices.Clone(found), func(f *Finding) bool { return f.Exponent == nil }) // of fewer sizes there is nothing to tell
	t := doc.TableOf(told, columns)
	t.Wrap = true
	sec.Show(t, "")
	for _, f := range found {
		if len(f.Apart) > 0 && f.Mode == record.ModeDecode {
			sec.Say("Of %s no law holds %s: too few of their kind.", prose.Of(f.Backend, f.BatchSize), doc.Text(strings.Join(f.Apart, ", ")))
		}
	}
	if x := axesTable(found); len(x.Rows) > 0 {
		sec.Fold(fmt.Sprintf("Which measure of size (%d)", len(x.Rows)), doc.Paragraph("The least leave-one-out error leads where it is shown to be less than the error over the run's own axis. laws.csv has every law, breaks.csv the breaks; docs/statistics.md says how they compete."), x)
	}
	sec.Add(doc.Pictures(KindOverview))
	return []doc.Section{sec}
}

// title is what was found of the backend that leads.
func (a *Answer) title(found []*Finding) string {
	f := found[0]
	if lead, ok := prose.Lead(a.set); ok {
		if m := a.Main(lead.Series, f.Mode); m != nil {
			f = m
		}
	}
	return f.Says(doc.Upper(prose.Mode(f.Mode)) + prose.On(a.set, f.Series)).Text
}

var columns = []doc.Column[*Finding]{
	{Head: "<mode", Cell: func(f *Finding) string { return prose.Mode(f.Mode) }},
	{Head: "<backend", Cell: func(f *Finding) string {
		if f.Of != "" {
			return fmt.Sprintf("%s (%s)", prose.Of(f.Backend, f.BatchSize), doc.Text(f.Of))
		}
		return prose.Of(f.Backend, f.BatchSize).String()
	}},
	{Head: "models", Cell: func(f *Finding) string {
		if len(f.Mixed) > 0 {
			return fmt.Sprintf("%d, of %s", len(f.Models), doc.Join(f.Mixed))
		}
		return fmt.Sprint(len(f.Models))
	}},
	{Head: "<law", Cell: (*Finding).lawText},
	{Head: "exponent of a power law (95 %)", Cell: func(f *Finding) string {
		if f.Exponent == nil {
			return doc.Unknown
		}
		if f.Verdict == Withheld {
			return exponent(f.Exponent, "exponent").Text + ", without " + doc.Text(f.Stray.Model)
		}
		return exponent(f.Exponent, "exponent").Text
	}},
	{Head: "leave-one-out error", Cell: func(f *Finding) string {
		if f.Law == nil || math.IsNaN(f.Law.LOO) {
			return doc.Unknown
		}
		return percent(f.Law.LOO)
	}},
}

// axesTable has the best law over each axis.
func axesTable(found []*Finding) doc.Table {
	t := doc.Table{Wrap: true, Head: []string{"<mode", "<backend", "<x", "<best law", "leave-one-out error", "<told over it"}}
	for _, f := range found {
		for i := range f.axes {
			o := &f.axes[i]
			l := o.all.Leader()
			if len(f.axes) < 2 || l == nil || math.IsNaN(l.LOO) || o.all.Verdict == law.TooFew {
				continue
			}
			told := "no"
			if i == f.at {
				told = map[string]string{law.Leads: "yes: the least error", law.Unsure: "yes; others are not shown to be worse"}[f.AxisVerdict]
			}
			t.Rows = append(t.Rows, []string{prose.Mode(f.Mode), prose.Of(f.Backend, f.BatchSize).String(), doc.Text(short(o.axis)), name(l.Form), percent(l.LOO), told})
		}
	}
	return t
}
