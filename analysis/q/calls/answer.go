// Package calls asks what became of the calls of a run: which were spoilt or
// disturbed, and what was answered.
package calls

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
)

// Answer says which calls of a run do not count or are in doubt.
type Answer struct {
	finding.Notes

	Said     []Said        `json:"said"`               // an answer of each model whose weights were not made up here
	Invalid  []InvalidCell `json:"invalid,omitempty"`  // cells with calls that something spoilt, whole or in part; nil where there are none
	Outliers []Outlier     `json:"outliers,omitempty"` // calls far from their process's median, which stay in every figure
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &Answer{}
	a.said(c)
	a.verdicts(c)
	a.disturbed(c)
	a.outliers(c)
	a.runWarnings(c)
	return a
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("verdicts.csv", "Cells with calls that something spoilt (verdict INVALID), in all modes or in some: these modes of theirs are in no summary, fit, percentile or plot.", a.Invalid,
			`backend backend_kind batch_size model params_millions_effective scenario modes invalid_repetitions invalid_warmups
			partly_valid_repetitions valid_repetitions modes_without_figure reasons`),
		finding.TableOf("outliers.csv", "Calls far from the median of their process, and whether the machine was off as well right before them. None is left out of anything.", a.Outliers,
			`backend backend_kind batch_size model params_millions_effective scenario mode replicate rep latency_ms times_median canary_times_median cause`),
	}
}
