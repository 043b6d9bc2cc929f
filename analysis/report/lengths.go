package report

import (
	"slices"
	"strconv"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/runner/record"
)

// answerLengths lists the lengths of the answers that were decoded, in tokens.
func (w *writer) answerLengths() []int {
	var out []int
	for _, c := range w.r.CellsOf(cells.AllScenarios) {
		if n := c.AnswerTokens(); n != nil && c.Mode == record.ModeDecode && !slices.Contains(out, int(*n)) {
			out = append(out, int(*n))
		}
	}
	slices.Sort(out)
	return out
}

// lengthsText is answerLengths in words; "" where all answers have one length.
func (w *writer) lengthsText() string {
	lengths := w.answerLengths()
	if len(lengths) < 2 {
		return ""
	}
	var parts []string
	for _, n := range lengths {
		parts = append(parts, strconv.Itoa(n))
	}
	return doc.Join(parts) + " tokens"
}
