package answer

import (
	"fmt"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/law"
	"llmscale/analysis/q/laws"
	"llmscale/runner/record"
)

const lawsFile = "laws.csv"

// law tells the law of decode, of a run without decode that of prefill.
func (a *asker) law() {
	var f *laws.Finding
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		if f = a.laws.Main(a.lead, mode); f != nil {
			break
		}
	}
	if f == nil || len(f.Models) < 2 || a.out.Kind == OneModel {
		return
	}
	s := a.lawOf(f)
	a.out.Law = &s
}

// param is a law's parameter with its interval, as laws.csv has both.
func param(p *law.Param, column, ends string, decimals int) Sentence {
	show := func(v float64, from string) Number {
		if decimals < 0 {
			return digits(v, from)
		}
		return fixed(v, decimals, from)
	}
	s := say("%s", show(p.Value, lawsFile+" "+column))
	if finite(p.Sizes) {
		s = say("%s [%s to %s]", s, show(p.Sizes.Low, lawsFile+" "+strings.Replace(ends, "*", "low", 1)), show(p.Sizes.High, lawsFile+" "+strings.Replace(ends, "*", "high", 1)))
	}
	return s
}

func exponent(p *law.Param, column string) Sentence { return param(p, column, column+"_*", 3) }

func (a *asker) lawOf(f *laws.Finding) Sentence {
	time := doc.Upper(phase(f.Mode)) + " time" + a.about(a.lead)
	axis := cells.Axes()[0]
	for _, x := range cells.Axes() {
		if x.Name == f.Axis {
			axis = x
		}
	}
	over, _, _ := strings.Cut(axis.Label, " (")
	power := say("")
	if f.Exponent != nil && finite(f.Exponent.Sizes) {
		power = say("; a power law over %s would have the exponent %s", over, exponent(f.Exponent, "exponent"))
	}
	if f.Law == nil {
		return say("No law of %s: %s.", lower(time), quote(f.Why, "analysis.json answers.laws[].why"))
	}
	n := say(" (%s)", counted(float64(f.Law.N), lawsFile+" n_models", "model", "models"))
	switch f.Verdict {
	case laws.Withheld:
		without := say("")
		if f.Exponent != nil {
			without = say("; without it a power law has the exponent %s", exponent(f.Exponent, "exponent"))
		}
		return say("No exponent of %s: %s alone makes it, at %s times what the line through the others says%s.", lower(time), name(f.Stray.Model),
			digits(f.Stray.Times, "analysis.json answers.laws[].stray.times_the_line"), without)
	case laws.Flat:
		return say("%s does not grow with %s: the exponent is %s%s.", time, over, exponent(f.Exponent, "exponent"), n)
	case laws.Unclear:
		return say("Whether %s grows with %s cannot be told: the exponent is %s%s.", lower(time), over, exponent(f.Exponent, "exponent"), n)
	case law.TooFew:
		return say("Which law %s follows cannot be told: too few sizes%s%s.", lower(time), power, n)
	case law.Unsure:
		return say("Which law %s follows cannot be told: several fit alike%s%s.", lower(time), power, n)
	}
	does := a.does(f, over, axis)
	if f.Law.Form == law.Straight && f.Exponent != nil {
		does = say("%s; a power law has the exponent %s", does, exponent(f.Exponent, "exponent"))
	}
	return say("%s %s%s.", time, does, n)
}

// does is what time does by the law that leads.
func (a *asker) does(f *laws.Finding, over string, axis cells.Axis) Sentence {
	l := f.Law
	t0 := func() Sentence { return param(l.Param("t0_ms"), "t0_ms", "t0_*_ms", -1) }
	each := func() Sentence {
		s := say("%s ms per %s", param(l.Param("b"), "b", "b_*", -1), strings.TrimPrefix(axis.Unit, "1 "))
		if tokens := a.set.AnswerLength(f.Scenario, f.Mode); tokens > 0 && f.Mode == record.ModeDecode {
			s = say("%s for %s", s, counted(float64(tokens), "analysis.json cells[].gen_tokens_median", "token", "tokens"))
		}
		return s
	}
	switch l.Form {
	case law.Constant:
		return say("stays at %s ms", digits(l.Param("a").Value, lawsFile+" a"))
	case law.Straight:
		return say("is proportional to %s, %s", over, each())
	case law.Power:
		verb := "grows"
		if l.Param("exponent").Value < 0 {
			verb = "shrinks"
		}
		return say("%s as %s to the power %s", verb, over, exponent(l.Param("exponent"), "exponent"))
	case law.Line:
		return say("is a fixed %s ms and %s", t0(), each())
	case law.Offset:
		return say("is a fixed %s ms and a part that grows as %s to the power %s", t0(), over, exponent(l.Param("exponent"), "exponent"))
	case law.Reading:
		return say("is a fixed %s ms and its bytes over the measured bandwidth", t0())
	case law.Roof:
		return say("is a fixed %s ms and what the measured ceilings give", t0())
	}
	s := say("grows as %s to the power %s", over, exponent(l.Param("exponent_1"), "exponent"))
	for i := 1; l.Param(fmt.Sprintf("break_%d", i)) != nil; i++ {
		where := l.Param(fmt.Sprintf("break_%d", i)).Value
		s = say("%s, from %s %s on %s", s, digits(where, fmt.Sprintf("%s break_%d", lawsFile, i)), axis.Unit, exponent(l.Param(fmt.Sprintf("exponent_%d", i+1)), fmt.Sprintf("exponent_%d", i+1)))
	}
	return s
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }
