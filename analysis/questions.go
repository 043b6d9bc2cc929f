package analysis

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/coldstart"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/device"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/machines"
	"llmscale/analysis/q/ollama"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/ranking"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/summary"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/q/wall"
	"llmscale/analysis/q/weights"
)

// Answer is what a question found in a run. Its exported fields stand in
// analysis.json, at the top level; a field "answers" is joined with that of others. One
// with a method Sections has those in the report. One with Figures has these, whose points
// take verdicts and counts from how well their cells are known.
type Answer interface {
	Tables() []finding.Table
	Warnings() []finding.Warning
}

// ask puts all questions to the cells of a run, in the order in which the report has
// their answers. A question that builds on another's answer is handed it.
func ask(c *cells.Set) []Answer {
	known, slow, failed, starts, types := intervals.Ask(c), tails.Ask(c), failures.Ask(c), coldstart.Ask(c), weights.Ask(c)
	bounds := regimes.Ask(c, known, types)
	return []Answer{
		known,
		machines.Ask(c),
		calls.Ask(c),
		slow,
		failed,
		firstchange.Ask(c, slow, starts, failed),
		policy.Ask(c),
		summary.Ask(c),
		starts,
		types,
		laws.Ask(c, known, bounds),
		scaling.Ask(c, known),
		bounds,
		device.Ask(c),
		wall.Ask(c),
		lengths.Ask(c),
		ranking.Ask(c),
		crosscheck.Ask(c),
		ollama.Ask(c),
	}
}

// Get is the answer of type T; an empty one where its question was not asked.
func Get[T any](r *Result) *T {
	for _, a := range r.Asked {
		if x, ok := a.(any).(*T); ok {
			return x
		}
	}
	return new(T)
}
