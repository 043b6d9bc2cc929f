package laws

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/law"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// short is an axis without its unit, as plain text.
func short(axis cells.Axis) string {
	name, _, _ := strings.Cut(axis.Label, " (")
	return name
}

// over is the axis that a finding is told on.
func (f *Finding) over() cells.Axis {
	if f.at < len(f.axes) {
		return f.axes[f.at].axis
	}
	return cells.Axes()[0]
}

const file = "laws.csv"

// param is a law's parameter with its interval over the sizes, as laws.csv has both.
func param(p *law.Param, column, ends string, number func(v float64, from string) prose.Number) prose.Sentence {
	from := func(part string) string { return file + " " + strings.Replace(ends, "*", part, 1) }
	return prose.Say("%s%s", number(p.Value, file+" "+column), prose.Between(p.Sizes, number, from("low"), from("high")))
}

func exponent(p *law.Param, column string) prose.Sentence {
	return param(p, column, column+"_*", prose.Decimals(3))
}

// does is what a time does by the law that is told.
func (f *Finding) does() prose.Sentence {
	l := f.Law
	axis := short(f.over())
	t0 := func() prose.Sentence { return param(l.Param("t0_ms"), "t0_ms", "t0_*_ms", prose.Digits) }
	each := func() prose.Sentence {
		return prose.Say("%s ms per %s", param(l.Param("b"), "b", "b_*", prose.Digits), strings.TrimPrefix(f.over().Unit, "1 "))
	}
	switch l.Form {
	case law.Constant:
		return prose.Say("stays at %s ms", prose.Digits(l.Param("a").Value, file+" a"))
	case law.Straight:
		return prose.Say("grows in proportion to %s, %s%s", axis, each(), f.power("; a power law has the exponent "))
	case law.Power:
		verb := "grows"
		if l.Param("exponent").Value < 0 {
			verb = "shrinks"
		}
		return prose.Say("%s with %s to the power %s", verb, axis, exponent(l.Param("exponent"), "exponent"))
	case law.Line:
		return prose.Say("takes a fixed %s ms and %s", t0(), each())
	case law.Offset:
		return prose.Say("takes a fixed %s ms and a part that grows with %s to the power %s", t0(), axis, exponent(l.Param("exponent"), "exponent"))
	case law.Reading:
		return prose.Say("takes a fixed %s ms and its bytes over the measured bandwidth", t0())
	case law.Roof:
		return prose.Say("takes a fixed %s ms and what reading and computing take at the measured ceilings", t0())
	}
	s := prose.Say("grows with %s to the power %s", axis, exponent(l.Param("exponent_1"), "exponent"))
	for i := 1; l.Param(fmt.Sprintf("break_%d", i)) != nil; i++ {
		column, next := fmt.Sprintf("break_%d", i), fmt.Sprintf("exponent_%d", i+1)
		at := prose.Say("%s", prose.Digits(l.Param(column).Value, file+" "+column))
		if b := f.Breaks; b != nil && len(b.At) == breaksOf(l.Form) {
			at = prose.Say("%s%s", at, prose.Between(b.CI[i-1], prose.Digits, "breaks.csv "+column+"_low", "breaks.csv "+column+"_high"))
		}
		s = prose.Say("%s, from %s %s on %s", s, at, f.over().Unit, exponent(l.Param(next), next))
	}
	return s
}

// power is the exponent of a power law behind a text; nothing where it has no interval.
func (f *Finding) power(before string) prose.Sentence {
	if f.Exponent == nil || f.Exponent.Sizes == nil {
		return prose.Say("")
	}
	return prose.Say("%s%s", before, exponent(f.Exponent, "exponent"))
}

// breaksOf is how many breaks a law has.
func breaksOf(form law.Form) int { return map[law.Form]int{law.OneBreak: 1, law.TwoBreak: 2}[form] }

// name is a law in a few words.
func name(form law.Form) string {
	return map[law.Form]string{law.Constant: "no growth", law.Straight: "proportional", law.Power: "power law", law.Line: "fixed cost and straight line",
		law.Offset: "fixed cost and power law", law.Reading: "fixed cost and bytes over the measured bandwidth", law.Roof: "fixed cost and the measured ceilings",
		law.OneBreak: "power law with a break", law.TwoBreak: "power law with two breaks"}[form]
}

// mostLOO is the largest error that is told: of a handful of sizes a law may miss the one left out by any factor.
const mostLOO = 10.

// percent is a leave-one-out error.
func percent(loo float64) string {
	v := math.Expm1(loo)
	if v > mostLOO {
		return fmt.Sprintf("above %g %%", 100*mostLOO)
	}
	return doc.Percent(&v) + " %"
}

// Says is the finding in one line; of is what it is about, as "Decode on cpu".
func (f *Finding) Says(of string) prose.Sentence {
	axis := short(f.over())
	if f.Law == nil {
		return prose.Say("How %s grows with %s cannot be told: %s", prose.Lower(of), axis, prose.Quoted(f.Why, "analysis.json answers.laws[].why"))
	}
	switch f.Verdict {
	case Withheld:
		s := prose.Say("No exponent of %s: %s alone makes it, with %s times the time that the others predict", prose.Lower(of), prose.Name(f.Stray.Model), prose.Digits(f.Stray.Times, "analysis.json answers.laws[].stray.times_the_line"))
		if f.axes[f.at].rest.Verdict == law.TooFew {
			return s
		}
		return prose.Say("%s%s", s, f.power("; without it a power law has the exponent "))
	case law.TooFew:
		return prose.Say("Which law %s follows cannot be told: %s are too few", prose.Lower(of), prose.Counted(float64(f.Law.N), file+" n_models", "size", "sizes"))
	}
	n := prose.Say(" (%s)", prose.Counted(float64(f.Law.N), file+" n_models", "model", "models"))
	switch f.Verdict {
	case Flat:
		if f.Exponent.Sizes.High-f.Exponent.Sizes.Low < 1e-6 {
			return prose.Say("%s does not grow with %s: all models take the same time", of, axis)
		}
		return prose.Say("%s does not grow with %s: the exponent is %s%s", of, axis, exponent(f.Exponent, "exponent"), n)
	case Unclear:
		return prose.Say("Whether %s grows with %s cannot be told: the exponent is %s%s", prose.Lower(of), axis, exponent(f.Exponent, "exponent"), n)
	case law.Unsure:
		laws := append([]law.Form{f.Law.Form}, f.Rivals...)
		fit, power := "several fit alike", prose.Say("")
		if len(laws) < 4 {
			fit = text.List(stats.Map(laws, name), "or")
		}
		if slices.Contains(laws, law.Power) {
			power = f.power(fmt.Sprintf("; a power law over %s has the exponent ", axis))
		}
		return prose.Say("Which law %s follows cannot be told: %s%s%s", prose.Lower(of), fit, power, n)
	}
	return prose.Say("%s%s %s%s", of, f.tokens(), f.does(), n)
}

// tokens says of which answers a law in milliseconds is.
func (f *Finding) tokens() prose.Sentence {
	if f.Mode != record.ModeDecode || f.steps == 0 || f.Law.Param("t0_ms") == nil && f.Law.Param("b") == nil && f.Law.Form != law.Constant {
		return prose.Say("")
	}
	return prose.Say(" of %s", prose.Counted(f.steps, "analysis.json cells[].gen_tokens_median", "token", "tokens"))
}

// lawText is the law as a table's cell says it: no more than laws.csv has it.
func (f *Finding) lawText() string {
	switch {
	case f.Verdict == Flat:
		return "does not grow"
	case f.Verdict == Unclear:
		return "cannot tell whether it grows"
	case f.Law == nil:
		return "too few sizes"
	}
	s := name(f.Law.Form)
	switch f.axes[f.at].best().Verdict {
	case law.TooFew:
		s = "too few sizes"
	case law.Unsure:
		s = "cannot tell: " + text.List(append([]string{s}, stats.Map(f.Rivals, name)...), "or")
	}
	if f.Verdict == Withheld && !f.axes[f.at].whole {
		s += ", without " + doc.Text(f.Stray.Model)
	}
	return s
}
