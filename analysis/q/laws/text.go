package laws

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/law"
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

// known is a parameter with its interval; decimals below 0 take what the number needs.
func known(p *law.Param, decimals int, unit string) string {
	show := func(v float64) string {
		if decimals < 0 {
			return doc.Number(v)
		}
		return doc.Fixed(&v, decimals)
	}
	i := p.Sizes
	if i == nil {
		i = p.Blocks
	}
	if i == nil {
		return show(p.Value) + unit
	}
	return fmt.Sprintf("%s%s (%s to %s)", show(p.Value), unit, show(i.Low), show(i.High))
}

// does is what a time does by a law, for a sentence.
func (f *Finding) does(l *law.Law) string {
	axis := short(f.over())
	exponent := func(name string, decimals int) string { return known(l.Param(name), decimals, "") }
	ms := func(name string) string { return known(l.Param(name), -1, " ms") }
	switch l.Form {
	case law.Constant:
		return "stays at " + ms("a")
	case law.Straight:
		s := "grows in proportion to " + axis + f.rate(l)
		if f.Exponent != nil && f.Exponent.Sizes != nil {
			s += "; the exponent of a power law is " + known(f.Exponent, 3, "")
		}
		return s
	case law.Power:
		verb := "grows"
		if l.Param("exponent").Value < 0 {
			verb = "shrinks"
		}
		return fmt.Sprintf("%s with %s to the power %s", verb, axis, exponent("exponent", 3))
	case law.Line:
		return fmt.Sprintf("takes a fixed %s and %s%s", ms("t0_ms"), known(l.Param("b"), -1, " ms per "+strings.TrimPrefix(f.over().Unit, "1 ")), f.rate(l))
	case law.Offset:
		return fmt.Sprintf("takes a fixed %s and a part that grows with %s to the power %s", ms("t0_ms"), axis, exponent("exponent", 3))
	case law.Reading:
		return fmt.Sprintf("takes a fixed %s and its bytes over the measured bandwidth", ms("t0_ms"))
	case law.Roof:
		return fmt.Sprintf("takes a fixed %s and what reading and computing take at the measured ceilings", ms("t0_ms"))
	}
	parts := []string{fmt.Sprintf("grows with %s to the power %s", axis, exponent("exponent_1", 2))}
	for i := 1; l.Param(fmt.Sprintf("break_%d", i)) != nil; i++ {
		at := doc.Number(l.Param(fmt.Sprintf("break_%d", i)).Value)
		if b := f.Breaks; b != nil && len(b.At) == breaksOf(l.Form) && b.CI[i-1] != nil {
			at += " (" + doc.Numbers(b.CI[i-1]) + ")"
		}
		parts = append(parts, fmt.Sprintf("from %s %s on %s", at, f.over().Unit, exponent(fmt.Sprintf("exponent_%d", i+1), 2)))
	}
	return strings.Join(parts, ", ")
}

// breaksOf is how many breaks a law has.
func breaksOf(form law.Form) int { return map[law.Form]int{law.OneBreak: 1, law.TwoBreak: 2}[form] }

// rate says at which rate bytes are read by a law of decode that is straight in them.
func (f *Finding) rate(l *law.Law) string {
	b := l.Param("b")
	if f.Axis != "bytes_per_token" || f.Mode != record.ModeDecode || b == nil || f.steps == 0 || !(b.Value > 0) {
		return ""
	}
	return fmt.Sprintf(", %s GB/s", doc.Number(f.steps/b.Value)) // MB per ms are GB/s
}

// name is a law in a few words.
func name(form law.Form) string {
	return map[law.Form]string{law.Constant: "no growth", law.Straight: "proportional", law.Power: "power law", law.Line: "fixed cost and straight line",
		law.Offset: "fixed cost and power law", law.Reading: "fixed cost and bytes over the measured bandwidth", law.Roof: "fixed cost and the measured ceilings",
		law.OneBreak: "power law with a break", law.TwoBreak: "power law with two breaks"}[form]
}

func percent(loo float64) string {
	v := math.Expm1(loo)
	return doc.Percent(&v) + " %"
}

// Says is the finding in one line of plain text; of is what it is about, as "Decode on
// cpu". Intervals are of 95 %, over the sizes.
func (f *Finding) Says(of string) string {
	axis := short(f.over())
	switch f.Verdict {
	case Withheld:
		return fmt.Sprintf("No exponent of %s: %s alone makes it, with %s times the time that the others predict", lower(of), f.Stray.Model, doc.Number(f.Stray.Times))
	case Flat:
		if f.Exponent.Sizes.High-f.Exponent.Sizes.Low < 1e-6 {
			return fmt.Sprintf("%s does not grow with %s: all models take the same time", of, axis)
		}
		return fmt.Sprintf("%s does not grow with %s: the exponent is %s", of, axis, doc.Interval(f.Exponent.Sizes, 3))
	case Unclear:
		return fmt.Sprintf("Whether %s grows with %s cannot be told: the exponent is %s", lower(of), axis, doc.Interval(f.Exponent.Sizes, 3))
	case law.Leads:
		return of + f.tokens() + " " + f.does(f.Law)
	case law.Unsure:
		s := fmt.Sprintf("Which law %s follows cannot be told", lower(of))
		if f.Exponent != nil && f.Exponent.Sizes != nil {
			s += fmt.Sprintf("; the exponent of a power law is %s", known(f.Exponent, 3, ""))
		}
		return s
	}
	if f.Law == nil {
		return fmt.Sprintf("How %s grows with %s cannot be told: %s", lower(of), axis, f.Why)
	}
	return fmt.Sprintf("Which law %s follows cannot be told: %s are too few", lower(of), doc.Count(f.Law.N, "size", "sizes"))
}

// tokens says of which answers a law in milliseconds is.
func (f *Finding) tokens() string {
	if f.Mode != record.ModeDecode || f.steps == 0 || f.Law.Param("t0_ms") == nil && f.Law.Form != law.Constant {
		return ""
	}
	return fmt.Sprintf(" of %.0f tokens", f.steps)
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// lawText is the law as a table's cell says it.
func (f *Finding) lawText() string {
	switch f.Verdict {
	case Flat:
		return "does not grow"
	case Unclear:
		return "cannot tell whether it grows"
	case law.TooFew:
		return "too few sizes"
	case Withheld:
		if f.Law == nil {
			return "none: " + doc.Text(f.Stray.Model) + " alone makes an exponent"
		}
		if f.axes[f.at].whole {
			return name(f.Law.Form)
		}
		return name(f.Law.Form) + ", without " + doc.Text(f.Stray.Model)
	case law.Unsure:
		return "cannot tell: " + text.List(append([]string{name(f.Law.Form)}, stats.Map(f.Rivals, name)...), "or")
	}
	return name(f.Law.Form)
}
