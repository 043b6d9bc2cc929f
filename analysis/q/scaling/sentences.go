package scaling

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// Sentences have decode first, then prefill, then what has no slope: both modes together
// where one reason holds for both.
func (a *Answer) Sentences() []string {
	var known []string
	var keys []prose.Series
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, s := range a.Answers.Slopes {
			if s.Mode != mode {
				continue
			}
			if k := (prose.Series{Series: s.Series}); !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
			if !noSlope(s) {
				known = append(known, a.slopeSentence(s))
			}
		}
	}
	f := prose.Folder{Total: len(keys)}
	for _, k := range keys {
		var causes []string
		modes := map[string][]string{}
		for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
			for _, s := range a.Answers.Slopes {
				if s.Series != k.Series || s.Mode != mode || !noSlope(s) {
					continue
				}
				cause := doc.Text(s.Why) + "."
				if !slices.Equal(s.WarningCodes, []string{"too_few_points"}) { // which is the reason itself
					cause += codes(s.WarningCodes)
				}
				if modes[cause] == nil {
					causes = append(causes, cause)
				}
				modes[cause] = append(modes[cause], prose.Mode(mode))
			}
		}
		for _, cause := range causes {
			grows := "time on %s grows"
			if len(modes[cause]) > 1 {
				grows = "times on %s grow"
			}
			f.Add(k, fmt.Sprintf("How %s "+grows+" with %s is **unknown** on this machine: %s", doc.Join(modes[cause]), prose.Some, a.axis.Short(), cause))
		}
	}
	return slices.Concat(known, f.List(), a.fixedCostSentences())
}

func noSlope(s SlopeAnswer) bool {
	return s.Slope == nil || s.Verdict == "unknown" || s.Verdict == ""
}

// slopeSentence is of a slope that there is; Sentences has the others.
func (a *Answer) slopeSentence(s SlopeAnswer) string {
	mode, x, axis := prose.Mode(s.Mode), prose.Of(s.Backend, s.BatchSize).String(), a.axis.Short()
	models := doc.Count(s.NModels, "model", "models")
	evidence := fmt.Sprintf("95 %% t-interval %s, R² %s, n = %s", doc.Interval(s.CI, 3), doc.Fixed(s.R2, 3), models)
	if s.BlocksCI != nil {
		evidence = fmt.Sprintf("95 %% interval %s by %s of these models, %s over the sizes, R² %s, n = %s",
			doc.Interval(s.BlocksCI, 3), doc.Count(s.Blocks, "block", "blocks"), doc.Interval(s.CI, 3), doc.Fixed(s.R2, 3), models)
	}
	var out string
	switch s.Verdict {
	case LawBent:
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
		return out + "." + codes(s.WarningCodes)
	case LawOnePoint:
		return a.onePoint(s, models) + codes(s.WarningCodes)
	case LawFlat:
		out = fmt.Sprintf("%s time on %s **does not grow** with %s on this machine: %s (exponent %s, %s).", doc.Upper(mode), x, axis, doc.Text(s.Why), doc.Fixed(s.Slope, 3), evidence)
	case LawUnclear:
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
	return out + a.leverage(s) + codes(s.WarningCodes)
}

// onePoint says that one model has no place in the others' power law.
func (a *Answer) onePoint(s SlopeAnswer, models string) string {
	mode, x, axis := prose.Mode(s.Mode), prose.Of(s.Backend, s.BatchSize).String(), a.axis.Short()
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
func (a *Answer) leverage(s SlopeAnswer) string {
	switch {
	case s.MostInfluential == "" && s.WithoutWhy != "":
		return fmt.Sprintf(" Which model moves it most is unknown: %s.", doc.Text(s.WithoutWhy))
	case s.MostInfluential == "" || s.SlopeWithout == nil:
		return " Leaving out any one model does not change it."
	}
	out := fmt.Sprintf(" The model that moves it most is %s: without it the exponent on %s is %s", doc.Text(s.MostInfluential), a.axis.Short(), doc.Fixed(s.SlopeWithout, 3))
	if s.CI != nil && (*s.SlopeWithout < s.CI.Low || *s.SlopeWithout > s.CI.High) {
		out += ", outside the interval, but no further than the scatter of the others lets it move"
	}
	return out + "."
}

func codes(codes []string) string {
	if len(codes) == 0 {
		return ""
	}
	escaped := make([]string, len(codes))
	for i, c := range codes {
		escaped[i] = doc.Text(c)
	}
	return fmt.Sprintf(" Warnings on this fit: %s.", strings.Join(escaped, ", "))
}

// Short is the exponent as the summary's table says it: only where one
// power law holds does it stand alone.
func (s *SlopeAnswer) Short() string {
	value := fmt.Sprintf("%s (%s)", doc.Fixed(s.Slope, 3), doc.Interval(s.CI, 3))
	switch {
	case s.Verdict == LawUnclear:
		return "unknown: " + value
	case s.Verdict == LawFlat:
		return "does not grow: " + value
	case s.Verdict == LawBent && s.Curvature != nil && s.Curvature.Local != nil:
		return "not one: " + hingeShort(s.Curvature.Local)
	case s.Verdict == LawBent:
		return "not one: it changes with size"
	case s.Verdict == LawOnePoint && s.Misfit != nil:
		return fmt.Sprintf("not one: %s without %s", doc.Fixed(s.Misfit.SlopeWithout, 3), doc.Text(s.Misfit.Model))
	}
	return value
}

func hingeShort(h *Hinge) string {
	return fmt.Sprintf("%s up to %s, %s beyond", doc.Fixed(&h.Below, 2), doc.Text(h.Knot), doc.Fixed(&h.Above, 2))
}
