package scaling

import (
	"fmt"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// fixedCostSentences say which part of decode does not depend on size, and at which
// rate the weights are read.
func (a *Answer) fixedCostSentences() doc.List {
	f := prose.Folder{Total: len(a.set.Series)}
	mixed := prose.MixedLengths(a.set)
	for _, s := range prose.Measured(a.set) {
		var parts []string
		for i := range a.OffsetFits {
			o := &a.OffsetFits[i]
			if o.Subject.Series == s.Series && o.Mode == record.ModeDecode && o.Scenario == cells.AllScenarios && o.Form == FormLinear {
				parts = append(parts, a.fixedCost(o))
			}
		}
		if rate := a.readingRate(s.Series); rate != "" {
			parts = append(parts, rate)
		}
		if mixed != "" && len(parts) > 0 {
			parts = append(parts, "Times here are geometric means over answers of "+mixed+", the time of none of them.")
		}
		f.Add(s, strings.Join(parts, " "))
	}
	return f.List()
}

func (a *Answer) fixedCost(o *OffsetFit) string {
	models := doc.Count(o.NModels, "model", "models")
	switch o.Verdict {
	case OffsetFixed:
		return fmt.Sprintf("Decode time on %s is a straight line over %s with a **fixed cost** of %s ms on this machine (95 %% t-interval %s, n = %s): %s %% of what the smallest model takes and %s %% of what the largest does.",
			prose.Some, a.axis.Short(), doc.NumberOf(o.A), doc.Numbers(o.ACI), models, doc.Percent(o.OverheadAtMin), doc.Percent(o.OverheadAtMax))
	case OffsetNone:
		return fmt.Sprintf("A straight line of decode time on %s over %s shows **no fixed cost that differs from 0** on this machine (%s ms, 95 %% t-interval %s, n = %s).",
			prose.Some, a.axis.Short(), doc.NumberOf(o.A), doc.Numbers(o.ACI), models)
	}
	return fmt.Sprintf("Which share of decode time on %s is a fixed cost is **unknown** on this machine: %s.", prose.Some, doc.Text(o.Reason))
}

// readingRate says how fast weights are read by the smallest, the largest and the
// fastest model; "" where fewer than two tell.
func (a *Answer) readingRate(s cells.Series) string {
	var known []*cells.Aggregate
	for _, m := range a.set.ModelsOf(s.Backend) {
		if g := a.set.Aggregate(s, m.Name, record.ModeDecode); g != nil && g.WeightGBPerS != nil {
			known = append(known, g)
		}
	}
	if len(known) < 2 {
		return ""
	}
	first, last, best := known[0], known[len(known)-1], known[0]
	for _, g := range known {
		if *g.WeightGBPerS > *best.WeightGBPerS {
			best = g
		}
	}
	return fmt.Sprintf("Decode reads weights at %s GB/s on %s and at %s GB/s on %s; the highest rate is %s GB/s, on %s.",
		doc.NumberOf(first.WeightGBPerS), doc.Text(first.Model), doc.NumberOf(last.WeightGBPerS), doc.Text(last.Model), doc.NumberOf(best.WeightGBPerS), doc.Text(best.Model))
}
