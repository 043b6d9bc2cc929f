package report

import (
	"fmt"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/scaling"
	"llmscale/runner/record"
)

// fixedCostSentence says which part of decode does not depend on size, and at
// which rate the weights are read.
func (w *writer) fixedCostSentence(k prose.Series, x string) string {
	var parts []string
	for i := range analysis.Get[scaling.Answer](w.r).OffsetFits {
		o := &analysis.Get[scaling.Answer](w.r).OffsetFits[i]
		if o.Backend == k.Backend && o.BatchSize == k.BatchSize && o.Mode == record.ModeDecode && o.Scenario == cells.AllScenarios && o.Form == scaling.FormLinear {
			parts = append(parts, w.fixedCost(o, x))
		}
	}
	var first, last, best *modelRow
	rows := w.modelRows(k)
	for i := range rows {
		if r := &rows[i]; r.gbPerS != nil {
			if first == nil {
				first = r
			}
			last = r
			if best == nil || *r.gbPerS > *best.gbPerS {
				best = r
			}
		}
	}
	if first != nil && first != last {
		parts = append(parts, fmt.Sprintf("Decode reads weights at %s GB/s on %s and at %s GB/s on %s; the highest rate is %s GB/s, on %s.",
			doc.NumberOf(first.gbPerS), doc.Text(first.model.Name), doc.NumberOf(last.gbPerS), doc.Text(last.model.Name), doc.NumberOf(best.gbPerS), doc.Text(best.model.Name)))
	}
	if mixed := w.lengthsText(); mixed != "" && len(parts) > 0 {
		parts = append(parts, "Times here are geometric means over answers of "+mixed+", the time of none of them.")
	}
	return strings.Join(parts, " ")
}

func (w *writer) fixedCost(o *scaling.OffsetFit, x string) string {
	models := doc.Count(o.NModels, "model", "models")
	switch o.Verdict {
	case scaling.OffsetFixed:
		return fmt.Sprintf("Decode time on %s is a straight line over %s with a **fixed cost** of %s ms on this machine (95 %% t-interval %s, n = %s): %s %% of what the smallest model takes and %s %% of what the largest does.",
			x, w.axis(), doc.NumberOf(o.A), doc.Numbers(o.ACI), models, doc.Percent(o.OverheadAtMin), doc.Percent(o.OverheadAtMax))
	case scaling.OffsetNone:
		return fmt.Sprintf("A straight line of decode time on %s over %s shows **no fixed cost that differs from 0** on this machine (%s ms, 95 %% t-interval %s, n = %s).",
			x, w.axis(), doc.NumberOf(o.A), doc.Numbers(o.ACI), models)
	}
	return fmt.Sprintf("Which share of decode time on %s is a fixed cost is **unknown** on this machine: %s.", x, doc.Text(o.Reason))
}
