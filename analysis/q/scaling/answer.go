// Package scaling fits latency against the size of the model as TR121 did: lines in
// log-log, a fixed cost and one that grows, depth beside size. Whether any of them
// describes the times is asked by package laws.
package scaling

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/intervals"
)

// Answer has each fit of a run.
type Answer struct {
	finding.Notes

	Fits          []Fit             `json:"fits"`           // log-log, per scenario and over all
	OffsetFits    []OffsetFit       `json:"offset_fits"`    // a + b*P and a + b*P^s
	Correlations  []Correlation     `json:"correlations"`   // Spearman of parameters, layers, width against latency
	TwoPredictors []TwoPredictorFit `json:"two_predictors"` // ln latency on ln parameters and ln layers
}

// asker puts the answer together.
type asker struct {
	*cells.Set
	known *intervals.Answer
	out   *Answer
}

// Ask asks the cells of a run, of which known says what may be used.
func Ask(c *cells.Set, known *intervals.Answer) *Answer {
	a := &asker{c, known, &Answer{}}
	a.fits()
	return a.out
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	b := func(form string) func(OffsetFit) any {
		return func(f OffsetFit) any {
			if f.Form != form {
				return ""
			}
			return f.B
		}
	}
	return []finding.Table{
		FitTable("scaling_fits.csv", "log10(latency_ms) = log10_intercept + slope * log10(x), for each backend, mode and scenario and over all scenarios (`__all__`).", a.Fits, "").Always(),
		finding.TableOf("overhead_compute_fits.csv", "Latency as a fixed part and one that grows with size.", a.OffsetFits, "",
			finding.Compute("b_ms_per_million_params", "ms per unit of x", "the growing part, of the first form", b(FormLinear)),
			finding.Compute("b", "ms per unit of x^s", "the growing part, of the second form", b(FormPower))).Always(),
		finding.TableOf("hf_architecture_correlations.csv", "Rank correlation of latency over all scenarios with size, depth and width.", a.Correlations, "").Always(),
		finding.TableOf("hf_multivariate_fits.csv", "ln(latency_ms) = alpha + beta ln(x) + gamma ln(n_layer), over all scenarios.", a.TwoPredictors, "").Always(),
	}
}
