// Package scaling asks how latency grows with the size of the model: by one power law,
// by a fixed cost and one that grows, with depth beside size.
package scaling

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
)

// Answer has each fit of a run.
type Answer struct {
	finding.Notes
	set *cells.Set

	Fits          []Fit             `json:"fits"`           // log-log, per scenario and over all
	OffsetFits    []OffsetFit       `json:"offset_fits"`    // a + b*P and a + b*P^s
	Correlations  []Correlation     `json:"correlations"`   // Spearman of parameters, layers, width against latency
	TwoPredictors []TwoPredictorFit `json:"two_predictors"` // ln latency on ln parameters and ln layers
	Answers       struct {
		Slopes []SlopeAnswer `json:"slopes"` // one for each backend x batch x mode, over all scenarios
	} `json:"answers"`
}

// asker puts the answer together.
type asker struct {
	*cells.Set
	out *Answer
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &asker{c, &Answer{set: c}}
	a.fits()
	return a.out
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table { return nil }

// Sentences are for the opening of the report.
func (a *Answer) Sentences() []string { return nil }

// Sections are those of the report.
func (a *Answer) Sections() []doc.Section { return nil }
