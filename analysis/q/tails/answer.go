// Package tails asks how long single tokens take to decode: along the answer, and the
// slow ones against the middle one.
package tails

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/runner/record"
)

// Answer has nothing where no token times were recorded.
type Answer struct {
	finding.Notes
	set     *cells.Set
	overall map[cells.Key]int // index into Tails, of those over all scenarios

	Tokens []TokenSeries `json:"tokens"` // decode time by position
	Tails  []Tail        `json:"tails"`  // decode tail ratios
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &Answer{set: c, overall: map[cells.Key]int{}}
	a.tokens(c)
	for i := range a.Tails {
		if t := &a.Tails[i]; t.Scenario == cells.AllScenarios {
			a.overall[overallKey(t.Series(), t.Model)] = i
		}
	}
	return a
}

func overallKey(s cells.Series, model string) cells.Key {
	return s.Key(model, cells.AllScenarios, record.ModeDecode)
}

// Overall is a model's tail over all scenarios; nil where it has none.
func (a *Answer) Overall(s cells.Series, model string) *Tail {
	if i, ok := a.overall[overallKey(s, model)]; ok {
		return &a.Tails[i]
	}
	return nil
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("token_tails.csv", "Slow decode steps against the middle one. For `__all__` each token is taken relative to its scenario's median, so there are ratios only.", a.Tails,
			`backend batch_size model params_millions_effective scenario n_tokens p50_ms p90_ms p95_ms p99_ms
			max_ms p90_over_p50 p95_over_p50 p99_over_p50 p95_over_p50_in_calls p95_over_p50_in_calls_log_se
			basis processes disturbed_calls p99_over_p50_approx_ci_low p99_over_p50_approx_ci_high p99_over_p50_in_processes slowest_process_over_median`).Always(),
	}
}
