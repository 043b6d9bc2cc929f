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

// asker puts the answer together.
type asker struct {
	*cells.Set
	out *Answer
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &asker{c, &Answer{set: c, overall: map[cells.Key]int{}}}
	a.tokens()
	for i := range a.out.Tails {
		if t := &a.out.Tails[i]; t.Scenario == cells.AllScenarios {
			a.out.overall[overallKey(t.Series(), t.Model)] = i
		}
	}
	return a.out
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
	steps := 0
	for _, t := range a.Tokens {
		steps += len(t.MedianMS)
	}
	return []finding.Table{
		finding.TableFrom("token_latency.csv", "Decode time by position in the answer, over the repetitions of a cell.", steps, a.positions,
			`backend batch_size model params_millions_effective scenario position n median_ms min_ms max_ms`).Always(),
		finding.TableOf("token_tails.csv", "Slow decode steps against the middle one. For `__all__` each token is taken relative to its scenario's median, so there are ratios only.", a.Tails,
			`backend batch_size model params_millions_effective scenario n_tokens p50_ms p90_ms p95_ms p99_ms
			max_ms p90_over_p50 p95_over_p50 p99_over_p50 p95_over_p50_in_calls p95_over_p50_in_calls_log_se
			basis processes disturbed_calls p99_over_p50_approx_ci_low p99_over_p50_approx_ci_high p99_over_p50_in_processes slowest_process_over_median`).Always(),
	}
}

// position is a decode step of a cell.
type position struct {
	cells.Subject
	Scenario string  `json:"scenario" doc:"name of the scenario"`
	Position int     `json:"position" doc:"decode step, from 0"`
	N        int     `json:"n" unit:"calls" doc:"calls that reached it"`
	MedianMS float64 `json:"median_ms" unit:"ms" doc:"median over the calls"`
	MinMS    float64 `json:"min_ms" unit:"ms" doc:"fastest"`
	MaxMS    float64 `json:"max_ms" unit:"ms" doc:"slowest"`
}

// positions has more rows than all else of a run.
func (a *Answer) positions(yield func(position) bool) {
	for _, t := range a.Tokens {
		for i := range t.MedianMS {
			if !yield(position{t.Subject, t.Scenario, i, t.CountAt[i], t.MedianMS[i], t.MinMS[i], t.MaxMS[i]}) {
				return
			}
		}
	}
}
