// Package prose has what the sentences of several questions share: sentences that know
// where their numbers stand, which series leads and how it is named, and the warnings
// that concern a section. Sentences are plain text, all else is Markdown.
package prose

import (
	"fmt"
	"slices"
	"strconv"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Series is a series with the name that a reader sees.
type Series struct{ cells.Series }

// Of is the series of a backend at a batch size.
func Of(backend string, batch int) Series {
	return Series{cells.Series{Backend: backend, BatchSize: batch}}
}

// String names the backend, and the batch size where it is not 1.
func (s Series) String() string {
	if s.BatchSize > 1 {
		return fmt.Sprintf("%s at batch %d", doc.Text(s.Backend), s.BatchSize)
	}
	return doc.Text(s.Backend)
}

// On is " on cpu", the series that a sentence is of, where a run has several.
func On(c *cells.Set, s cells.Series) string {
	if len(c.Series) < 2 {
		return ""
	}
	return " on " + Name(s.Title())
}

// Measured lists the series that gave a measurement, in the order of the set.
func Measured(c *cells.Set) []Series {
	var out []Series
	for _, s := range c.Series {
		if len(c.CellsOf(s)) > 0 {
			out = append(out, Series{s})
		}
	}
	return out
}

// MixedLengths says which lengths the answers have that means over scenarios join; ""
// where they have one.
func MixedLengths(c *cells.Set) string {
	lengths := c.AnswerLengths()
	if len(lengths) < 2 {
		return ""
	}
	return doc.Join(stats.Map(lengths, strconv.Itoa)) + " tokens"
}

// Backends is the one name, or how many there are.
func Backends(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return doc.Count(len(names), "backend", "backends")
}

// Look is the series' look in all figures of a run.
func Look(c *cells.Set, s cells.Series) figure.Look {
	return figure.Series(slices.Index(Measured(c), Series{s}))
}

// Mode is what a reader calls a mode.
func Mode(mode string) string {
	switch mode {
	case record.ModePrefill:
		return "prefill"
	case record.ModeDecode:
		return "decode"
	case record.ModeE2E:
		return "end-to-end"
	}
	return doc.Text(mode)
}

// Scenario is a scenario's name, or that all are joined.
func Scenario(s string) string {
	if s == cells.AllScenarios {
		return "all"
	}
	return doc.Text(s)
}

// InScenario says of a figure what it is of, as plain text.
func InScenario(s string) string {
	if s == cells.AllScenarios {
		return "all scenarios"
	}
	return "scenario " + s
}

// Within warns of an interval that comes from the calls of one process on either side:
// it says nothing of what another process would take.
func Within(basis string) string {
	switch basis {
	case cells.BasisOne, "":
		return " within one process"
	case cells.BasisProcesses, cells.BasisNodes:
		return ""
	}
	return " of " + basis // on one node or two
}
