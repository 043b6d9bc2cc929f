package report

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/scaling"
	"llmscale/runner/record"
)

// exponentShort is an exponent as the summary's table says it: only where one
// power law holds does it stand alone.
func exponentShort(s scaling.SlopeAnswer) string {
	value := fmt.Sprintf("%s (%s)", doc.Fixed(s.Slope, 3), doc.Interval(s.CI, 3))
	switch {
	case s.Verdict == scaling.LawUnclear:
		return "unknown: " + value
	case s.Verdict == scaling.LawFlat:
		return "does not grow: " + value
	case s.Verdict == scaling.LawBent && s.Curvature != nil && s.Curvature.Local != nil:
		return "not one: " + hingeShort(s.Curvature.Local)
	case s.Verdict == scaling.LawBent:
		return "not one: it changes with size"
	case s.Verdict == scaling.LawOnePoint && s.Misfit != nil:
		return fmt.Sprintf("not one: %s without %s", doc.Fixed(s.Misfit.SlopeWithout, 3), doc.Text(s.Misfit.Model))
	}
	return value
}

func hingeShort(h *scaling.Hinge) string {
	return fmt.Sprintf("%s up to %s, %s beyond", doc.Fixed(&h.Below, 2), doc.Text(h.Knot), doc.Fixed(&h.Above, 2))
}

// slopeSentence is of a slope that there is; slopeSentences has the others.
func (w *writer) slopeSentence(s scaling.SlopeAnswer) string {
	mode, x, axis := prose.Mode(s.Mode), series(s.Backend, s.BatchSize), w.axis()
	models := doc.Count(s.NModels, "model", "models")
	evidence := fmt.Sprintf("95 %% t-interval %s, R² %s, n = %s", doc.Interval(s.CI, 3), doc.Fixed(s.R2, 3), models)
	var out string
	switch s.Verdict {
	case scaling.LawBent:
		out = fmt.Sprintf("%s time on %s **does not follow one power law** of %s on this machine", doc.Upper(mode), x, axis)
		if c := s.Curvature; c != nil && c.Local != nil {
			verb := "rises"
			if c.Local.Above < c.Local.Below {
				verb = "falls"
			}
			against := map[string]string{"sizes": "the models' scatter about a curve", "calls": "the calls' scatter"}[c.Against]
			out += fmt.Sprintf(": the local exponent %s from %s between %s and %s to %s between %s and %s (test of one exponent against %s: p %s, n = %s)", verb,
				doc.Fixed(&c.Local.Below, 2), doc.Text(c.Local.From), doc.Text(c.Local.Knot), doc.Fixed(&c.Local.Above, 2), doc.Text(c.Local.Knot), doc.Text(c.Local.To), against, doc.PValue(c.P), models)
		}
		return out + "." + w.codes(s.WarningCodes)
	case scaling.LawOnePoint:
		return w.onePoint(s, models) + w.codes(s.WarningCodes)
	case scaling.LawFlat:
		out = fmt.Sprintf("%s time on %s **does not grow** with %s on this machine: %s (exponent %s, %s).", doc.Upper(mode), x, axis, doc.Text(s.Why), doc.Fixed(s.Slope, 3), evidence)
	case scaling.LawUnclear:
		out = fmt.Sprintf("%s time on %s does not grow with %s as far as these models tell, on this machine: the interval of the fitted exponent, %s, holds 0 (%s). Whether it grows is **unknown**.",
			doc.Upper(mode), x, axis, doc.Fixed(s.Slope, 3), evidence)
	default:
		verb := "grows"
		if s.Verdict == "shrinks" {
			verb = "shrinks"
		}
		out = fmt.Sprintf("%s time on %s %s as %s to the power **%s** on this machine (%s): doubling %s multiplies %s time by 2^%s = **%s**",
			doc.Upper(mode), x, verb, axis, doc.Fixed(s.Slope, 3), evidence, axis, mode, doc.Fixed(s.Slope, 3), doc.Fixed(s.Doubling, 2))
		if s.CI != nil {
			lo, hi := math.Pow(2, s.CI.Low), math.Pow(2, s.CI.High)
			out += fmt.Sprintf(" (%s to %s)", doc.Fixed(&lo, 2), doc.Fixed(&hi, 2))
		}
		out += "."
	}
	return out + w.leverage(s) + w.codes(s.WarningCodes)
}

// onePoint says that one model has no place in the others' power law.
func (w *writer) onePoint(s scaling.SlopeAnswer, models string) string {
	mode, x, axis := prose.Mode(s.Mode), series(s.Backend, s.BatchSize), w.axis()
	out := fmt.Sprintf("**No one exponent** of %s describes %s time on %s on this machine", axis, mode, x)
	m := s.Misfit
	if m == nil {
		return out + "."
	}
	out += fmt.Sprintf(": %s takes %s times what the line through the others says (p %s, n = %s). Without it the exponent is %s", doc.Text(m.Model), doc.Number(m.Times), doc.PValue(&m.P), models, doc.Fixed(m.SlopeWithout, 3))
	if m.Without != nil {
		out += fmt.Sprintf(" (95 %% t-interval %s)", doc.Interval(m.Without, 3))
	}
	out += fmt.Sprintf("; with it %s: this one point makes the difference.", doc.Fixed(s.Slope, 3))
	if m.End != "" {
		out += fmt.Sprintf(" It is the %s measured: whether growth changes there or this model is special, only sizes near it would tell.", doc.Text(m.End))
	}
	return out
}

// leverage names the model that moves the exponent most, and how much.
func (w *writer) leverage(s scaling.SlopeAnswer) string {
	switch {
	case s.MostInfluential == "" && s.WithoutWhy != "":
		return fmt.Sprintf(" Which model moves it most is unknown: %s.", doc.Text(s.WithoutWhy))
	case s.MostInfluential == "" || s.SlopeWithout == nil:
		return " Leaving out any one model does not change it."
	}
	out := fmt.Sprintf(" The model that moves it most is %s: without it the exponent on %s is %s", doc.Text(s.MostInfluential), w.axis(), doc.Fixed(s.SlopeWithout, 3))
	if s.CI != nil && (*s.SlopeWithout < s.CI.Low || *s.SlopeWithout > s.CI.High) {
		out += ", outside the interval, but no further than the scatter of the others lets it move"
	}
	return out + "."
}

func (w *writer) codes(codes []string) string {
	if len(codes) == 0 {
		return ""
	}
	escaped := make([]string, len(codes))
	for i, c := range codes {
		escaped[i] = doc.Text(c)
	}
	return fmt.Sprintf(" Warnings on this fit: %s.", strings.Join(escaped, ", "))
}

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
