// Package firstchange asks what changes first as models grow: latency, tails or
// feasibility.
package firstchange

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/stats"
)

// Answer has one entry for each backend x batch.
type Answer struct {
	finding.Notes
	set *cells.Set

	Answers struct {
		Feasibility []Feasibility `json:"feasibility"`
		FirstChange []Change      `json:"first_change"`
	} `json:"answers"`
}

// modelOf names a model of a series.
type modelOf struct {
	cells.Series
	model string
}

// asker puts the answer together.
type asker struct {
	*cells.Set
	tails  *tails.Answer
	failed map[modelOf][]failures.Cell
	out    *Answer
}

// Ask asks the cells of a run, their tails and what failed.
func Ask(c *cells.Set, t *tails.Answer, f *failures.Answer) *Answer {
	a := &asker{Set: c, tails: t, out: &Answer{set: c}}
	_, a.failed = stats.GroupBy(f.Failed, func(f failures.Cell) modelOf { return modelOf{f.Series(), f.Model} })
	for _, s := range a.Series {
		a.out.Answers.Feasibility = append(a.out.Answers.Feasibility, a.feasibility(s))
		a.out.Answers.FirstChange = append(a.out.Answers.FirstChange, a.change(s))
	}
	return a.out
}

// Tables are none: the report has the steps, and analysis.json.
func (a *Answer) Tables() []finding.Table { return nil }
