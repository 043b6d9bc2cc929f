package firstchange

import (
	"fmt"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
)

// Sections have the steps from size to size.
func (a *Answer) Sections() []doc.Section {
	t := doc.Table{Head: []string{"<backend", "<from", "<to", "parameters (millions)", "size, times the one before", "decode, times the one before", "decode, times the smallest", "at least", "for each doubling", "p95/p50 within calls, times the least before", "at least", "failed cells", "<changed here"}}
	var open doc.List
	for _, c := range a.Answers.FirstChange {
		for _, s := range c.Steps {
			failed := fmt.Sprint(s.Failed)
			if s.Failed > 0 {
				failed += " " + doc.Text(s.FailedStatus)
			}
			changed := doc.Unknown
			if len(s.Changed) > 0 {
				changed = doc.Text(doc.Join(s.Changed))
			}
			t.Rows = append(t.Rows, []string{prose.Series{Series: c.Series}.String(), doc.Text(s.From), doc.Text(s.To), doc.SizeOf(s.ParamsM), doc.NumberOf(s.SizeGrowth),
				doc.NumberOf(s.LatencyGrowth), doc.NumberOf(s.LatencyTotal), doc.NumberOf(s.LatencyLow), doc.Fixed(s.LatencyDoubling, 2), doc.NumberOf(s.TailRise), doc.NumberOf(s.TailRiseLow), failed, changed})
			for _, why := range s.Open {
				open = append(open, fmt.Sprintf("%s, %s: %s.", prose.Series{Series: c.Series}.String(), doc.Text(s.To), doc.Text(why)))
			}
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	sec := doc.Section{Title: "From size to size"}
	sec.Say("“For each doubling” is the factor of decode time from the smallest model on: 2 would be in proportion to size. “The least before” is the least p95/p50 among the smaller models, each token taken relative to the median of its call. “At least” is a lower bound, corrected for all comparisons of the walk: it decides what counts as a change.")
	sec.Add(t)
	if len(open) > 0 {
		sec.Fold(fmt.Sprintf("What could not be judged or is not shown, and why (%d)", len(open)), open)
	}
	return []doc.Section{sec}
}
