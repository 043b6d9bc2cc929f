package summary

import (
	"fmt"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// WarmupRatio joins the warm-ups of a series in one mode.
type WarmupRatio struct {
	cells.Series
	Mode    string  `json:"mode"`
	N       int     `json:"n_cells"`
	Median  float64 `json:"median_ratio"`  // of the cells' warmup_to_measured_ratio
	Largest Warmup  `json:"largest_ratio"` // the cell that has it
}

// warmupRatios joins the cells' ratios: by mode, then series.
func (a *asker) warmupRatios() {
	type key struct {
		cells.Series
		mode string
	}
	ratios := map[key][]float64{}
	worst := map[key]Warmup{}
	for _, u := range a.out.Warmups {
		if u.Ratio == nil {
			continue
		}
		k := key{cells.Series{Backend: u.Backend, BatchSize: u.BatchSize}, u.Mode}
		ratios[k] = append(ratios[k], *u.Ratio)
		if was := worst[k].Ratio; was == nil || *u.Ratio > *was {
			worst[k] = u
		}
	}
	for _, mode := range a.Modes {
		for _, s := range a.Series {
			if v := ratios[key{s, mode}]; len(v) > 0 {
				a.out.WarmupRatios = append(a.out.WarmupRatios, WarmupRatio{s, mode, len(v), stats.Median(v), worst[key{s, mode}]})
			}
		}
	}
}

// Sentences has none: the summary is what the others speak of.
func (a *Answer) Sentences() []string { return nil }

// Sections are the models at a glance, the first calls against the steady state, and
// every cell.
func (a *Answer) Sections() []doc.Section {
	return []doc.Section{a.models(), a.warmup(), a.allCells()}
}

func (a *Answer) warmup() doc.Section {
	sec := doc.Section{Title: "Warm-up"}
	if len(a.Warmups) == 0 {
		return sec
	}
	sec.Say("Warm-up calls against the steady state of the same cell, in medians. Warm-ups are recorded and left out of everything else%s.", map[bool]string{true: ", except that this analysis was asked to include them"}[a.includesWarmups])
	t := doc.Table{Head: []string{"<mode", "<backend", "cells", "median ratio", "largest ratio", "<where"}}
	for _, r := range a.WarmupRatios {
		u := r.Largest
		t.Rows = append(t.Rows, []string{prose.Mode(r.Mode), prose.Series{Series: r.Series}.String(), fmt.Sprint(r.N), doc.Fixed(&r.Median, 2), doc.Fixed(u.Ratio, 2),
			fmt.Sprintf("%s, %s: %s ms against %s ms", doc.Text(u.Model), doc.Text(u.Scenario), doc.NumberOf(u.WarmupMS), doc.NumberOf(u.MeasuredMS))})
	}
	if len(t.Rows) > 0 {
		sec.Add(t)
	}
	all := doc.Table{Head: []string{"<model", "<backend", "<scenario", "<mode", "warm-ups", "warm-up (ms)", "steady (ms)", "ratio"}}
	for _, u := range a.Warmups {
		all.Rows = append(all.Rows, []string{doc.Text(u.Model), prose.Of(u.Backend, u.BatchSize).String(), doc.Text(u.Scenario), prose.Mode(u.Mode),
			fmt.Sprint(u.WarmupN), doc.NumberOf(u.WarmupMS), doc.NumberOf(u.MeasuredMS), doc.Fixed(u.Ratio, 2)})
	}
	sec.Fold(fmt.Sprintf("Each cell (%d)", len(all.Rows)), all)
	return sec
}
