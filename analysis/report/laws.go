package report

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/runner/record"
)

// exponentShort is an exponent as the summary's table says it: only where one
// power law holds does it stand alone.
func exponentShort(s analysis.SlopeAnswer) string {
	value := fmt.Sprintf("%s (%s)", fixed(s.Slope, 3), interval(s.CI, 3))
	switch {
	case s.Verdict == analysis.LawUnclear:
		return "unknown: " + value
	case s.Verdict == analysis.LawFlat:
		return "does not grow: " + value
	case s.Verdict == analysis.LawBent && s.Curvature != nil && s.Curvature.Local != nil:
		return "not one: " + hingeShort(s.Curvature.Local)
	case s.Verdict == analysis.LawBent:
		return "not one: it changes with size"
	case s.Verdict == analysis.LawOnePoint && s.Misfit != nil:
		return fmt.Sprintf("not one: %s without %s", fixed(s.Misfit.SlopeWithout, 3), text(s.Misfit.Model))
	}
	return value
}

func hingeShort(h *analysis.Hinge) string {
	return fmt.Sprintf("%s up to %s, %s beyond", fixed(&h.Below, 2), text(h.Knot), fixed(&h.Above, 2))
}

// slopeSentence is of a slope that there is; slopeSentences has the others.
func (w *writer) slopeSentence(s analysis.SlopeAnswer) string {
	mode, x, axis := modeWord(s.Mode), series(s.Backend, s.BatchSize), w.axis()
	models := count(s.NModels, "model", "models")
	evidence := fmt.Sprintf("95 %% t-interval %s, R² %s, n = %s", interval(s.CI, 3), fixed(s.R2, 3), models)
	var out string
	switch s.Verdict {
	case analysis.LawBent:
		out = fmt.Sprintf("%s time on %s **does not follow one power law** of %s on this machine", upper(mode), x, axis)
		if c := s.Curvature; c != nil && c.Local != nil {
			verb := "rises"
			if c.Local.Above < c.Local.Below {
				verb = "falls"
			}
			against := map[string]string{"sizes": "the models' scatter about a curve", "calls": "the calls' scatter"}[c.Against]
			out += fmt.Sprintf(": the local exponent %s from %s between %s and %s to %s between %s and %s (test of one exponent against %s: p %s, n = %s)", verb,
				fixed(&c.Local.Below, 2), text(c.Local.From), text(c.Local.Knot), fixed(&c.Local.Above, 2), text(c.Local.Knot), text(c.Local.To), against, pValue(c.P), models)
		}
		return out + "." + w.codes(s.WarningCodes)
	case analysis.LawOnePoint:
		return w.onePoint(s, models) + w.codes(s.WarningCodes)
	case analysis.LawFlat:
		out = fmt.Sprintf("%s time on %s **does not grow** with %s on this machine: %s (exponent %s, %s).", upper(mode), x, axis, text(s.Why), fixed(s.Slope, 3), evidence)
	case analysis.LawUnclear:
		out = fmt.Sprintf("%s time on %s does not grow with %s as far as these models tell, on this machine: the interval of the fitted exponent, %s, holds 0 (%s). Whether it grows is **unknown**.",
			upper(mode), x, axis, fixed(s.Slope, 3), evidence)
	default:
		verb := "grows"
		if s.Verdict == "shrinks" {
			verb = "shrinks"
		}
		out = fmt.Sprintf("%s time on %s %s as %s to the power **%s** on this machine (%s): doubling %s multiplies %s time by 2^%s = **%s**",
			upper(mode), x, verb, axis, fixed(s.Slope, 3), evidence, axis, mode, fixed(s.Slope, 3), fixed(s.Doubling, 2))
		if s.CI != nil {
			lo, hi := math.Pow(2, s.CI.Low), math.Pow(2, s.CI.High)
			out += fmt.Sprintf(" (%s to %s)", fixed(&lo, 2), fixed(&hi, 2))
		}
		out += "."
	}
	return out + w.leverage(s) + w.codes(s.WarningCodes)
}

// onePoint says that one model has no place in the others' power law.
func (w *writer) onePoint(s analysis.SlopeAnswer, models string) string {
	mode, x, axis := modeWord(s.Mode), series(s.Backend, s.BatchSize), w.axis()
	out := fmt.Sprintf("**No one exponent** of %s describes %s time on %s on this machine", axis, mode, x)
	m := s.Misfit
	if m == nil {
		return out + "."
	}
	out += fmt.Sprintf(": %s takes %s times what the line through the others says (p %s, n = %s). Without it the exponent is %s", text(m.Model), number(m.Times), pValue(&m.P), models, fixed(m.SlopeWithout, 3))
	if m.Without != nil {
		out += fmt.Sprintf(" (95 %% t-interval %s)", interval(m.Without, 3))
	}
	out += fmt.Sprintf("; with it %s: this one point makes the difference.", fixed(s.Slope, 3))
	if m.End != "" {
		out += fmt.Sprintf(" It is the %s measured: whether growth changes there or this model is special, only sizes near it would tell.", text(m.End))
	}
	return out
}

// leverage names the model that moves the exponent most, and how much.
func (w *writer) leverage(s analysis.SlopeAnswer) string {
	switch {
	case s.MostInfluential == "" && s.WithoutWhy != "":
		return fmt.Sprintf(" Which model moves it most is unknown: %s.", text(s.WithoutWhy))
	case s.MostInfluential == "" || s.SlopeWithout == nil:
		return " Leaving out any one model does not change it."
	}
	out := fmt.Sprintf(" The model that moves it most is %s: without it the exponent on %s is %s", text(s.MostInfluential), w.axis(), fixed(s.SlopeWithout, 3))
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
		escaped[i] = text(c)
	}
	return fmt.Sprintf(" Warnings on this fit: %s.", strings.Join(escaped, ", "))
}

// fixedCostSentence says which part of decode does not depend on size, and at
// which rate the weights are read.
func (w *writer) fixedCostSentence(k key, x string) string {
	var parts []string
	for i := range w.r.OffsetFits {
		o := &w.r.OffsetFits[i]
		if o.Backend == k.backend && o.BatchSize == k.batch && o.Mode == record.ModeDecode && o.Scenario == cells.AllScenarios && o.Form == analysis.FormLinear {
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
			numberOf(first.gbPerS), text(first.model.Name), numberOf(last.gbPerS), text(last.model.Name), numberOf(best.gbPerS), text(best.model.Name)))
	}
	if mixed := w.lengthsText(); mixed != "" && len(parts) > 0 {
		parts = append(parts, "Times here are geometric means over answers of "+mixed+", the time of none of them.")
	}
	return strings.Join(parts, " ")
}

func (w *writer) fixedCost(o *analysis.OffsetFit, x string) string {
	models := count(o.NModels, "model", "models")
	switch o.Verdict {
	case analysis.OffsetFixed:
		return fmt.Sprintf("Decode time on %s is a straight line over %s with a **fixed cost** of %s ms on this machine (95 %% t-interval %s, n = %s): %s %% of what the smallest model takes and %s %% of what the largest does.",
			x, w.axis(), numberOf(o.A), numbers(o.ACI), models, percent(o.OverheadAtMin), percent(o.OverheadAtMax))
	case analysis.OffsetNone:
		return fmt.Sprintf("A straight line of decode time on %s over %s shows **no fixed cost that differs from 0** on this machine (%s ms, 95 %% t-interval %s, n = %s).",
			x, w.axis(), numberOf(o.A), numbers(o.ACI), models)
	}
	return fmt.Sprintf("Which share of decode time on %s is a fixed cost is **unknown** on this machine: %s.", x, text(o.Reason))
}
