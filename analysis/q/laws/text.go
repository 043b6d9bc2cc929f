package laws

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/law"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// short is an axis without its unit.
func short(axis cells.Axis) string {
	name, _, _ := strings.Cut(doc.Text(axis.Label), " (")
	return name
}

// over is the axis that a finding is told on.
func (f *Finding) over() cells.Axis {
	if f.at < len(f.axes) {
		return f.axes[f.at].axis
	}
	return cells.Axes()[0]
}

// of is what a sentence is about: a mode's time on a backend, for prose.Folder.
func (f *Finding) of() string {
	s := fmt.Sprintf("%s time on %s", doc.Upper(prose.Mode(f.Mode)), prose.Some)
	if f.Of != "" {
		s += fmt.Sprintf(" (%s)", doc.Text(f.Of))
	}
	return s
}

// known is a parameter in bold, with its unit, and its intervals in brackets; decimals
// below 0 take what the number needs.
func known(p *law.Param, decimals int, unit string) string {
	show := func(v float64) string {
		if decimals < 0 {
			return doc.Number(v)
		}
		return doc.Fixed(&v, decimals)
	}
	interval := func(i *stats.Interval) string { return show(i.Low) + " to " + show(i.High) }
	s := "**" + show(p.Value) + unit + "**"
	switch {
	case p.Blocks != nil && p.Sizes != nil:
		s += fmt.Sprintf(" (95 %% %s by blocks, %s over sizes)", interval(p.Blocks), interval(p.Sizes))
	case p.Sizes != nil:
		s += fmt.Sprintf(" (95 %% %s over sizes)", interval(p.Sizes))
	}
	return s
}

// does is what a time does by a law, for a sentence.
func (f *Finding) does(l *law.Law) string {
	axis := short(f.over())
	param := func(name string, decimals int) string { return known(l.Param(name), decimals, "") }
	ms := func(name string) string { return known(l.Param(name), -1, " ms") }
	each := func() string {
		return known(l.Param("b"), -1, " ms per "+strings.TrimPrefix(f.over().Unit, "1 "))
	}
	switch l.Form {
	case law.Constant:
		return fmt.Sprintf("stays at %s", ms("a"))
	case law.Straight:
		return fmt.Sprintf("is **proportional** to %s, %s%s", axis, each(), f.rate(l))
	case law.Power:
		e := l.Param("exponent")
		verb := "grows"
		if e.Value < 0 {
			verb = "shrinks"
		}
		twice := math.Pow(2, e.Value)
		return fmt.Sprintf("%s as %s to the power %s: a doubling multiplies it by %s", verb, axis, param("exponent", 3), doc.Fixed(&twice, 2))
	case law.Line:
		return fmt.Sprintf("is a **fixed cost** of %s and %s%s", ms("t0_ms"), each(), f.rate(l))
	case law.Offset:
		return fmt.Sprintf("is a **fixed cost** of %s and a part that grows as %s to the power %s", ms("t0_ms"), axis, param("exponent", 3))
	case law.Reading:
		return fmt.Sprintf("is a **fixed cost** of %s and its bytes over the measured bandwidth", ms("t0_ms"))
	case law.Roof:
		return fmt.Sprintf("is a **fixed cost** of %s and what reading and computing take at the measured ceilings", ms("t0_ms"))
	}
	parts := []string{fmt.Sprintf("grows as %s to the power %s", axis, param("exponent_1", 2))}
	for i := 1; l.Param(fmt.Sprintf("break_%d", i)) != nil; i++ {
		at := l.Param(fmt.Sprintf("break_%d", i))
		where := doc.Number(at.Value)
		if b := f.Breaks; b != nil && l.Form == form(b) && b.CI[i-1] != nil {
			where += fmt.Sprintf(" (95 %% %s to %s)", doc.Number(b.CI[i-1].Low), doc.Number(b.CI[i-1].High))
		}
		parts = append(parts, fmt.Sprintf("from %s %s on %s", where, f.over().Unit, param(fmt.Sprintf("exponent_%d", i+1), 2)))
	}
	return strings.Join(parts, ", ")
}

// form is the law of as many breaks.
func form(b *law.Break) law.Form {
	if len(b.At) > 1 {
		return law.TwoBreak
	}
	return law.OneBreak
}

// rate says at which rate bytes are read by a law of decode that is straight in them.
func (f *Finding) rate(l *law.Law) string {
	b := l.Param("b")
	if f.Axis != "bytes_per_token" || f.Mode != record.ModeDecode || b == nil || f.steps == 0 || !(b.Value > 0) {
		return ""
	}
	v := f.steps / b.Value // MB per ms are GB/s
	return fmt.Sprintf(", %s GB/s", doc.Number(v))
}

// name is a law in a few words.
func name(form law.Form) string {
	return map[law.Form]string{law.Constant: "no growth", law.Straight: "proportional", law.Power: "a power law", law.Line: "a fixed cost and a straight line",
		law.Offset: "a fixed cost and a power law", law.Reading: "a fixed cost and bytes over the measured bandwidth", law.Roof: "a fixed cost and the measured ceilings",
		law.OneBreak: "a power law with a break", law.TwoBreak: "a power law with two breaks"}[form]
}

func percent(loo float64) string {
	v := math.Expm1(loo)
	return doc.Percent(&v) + " %"
}

// evidence stands in brackets behind a law.
func (f *Finding) evidence(l *law.Law) string {
	s := "n = " + doc.Count(l.N, "model", "models") + " on this machine"
	if !math.IsNaN(l.LOO) {
		s = fmt.Sprintf("leave-one-out error %s, %s", percent(l.LOO), s)
	}
	if len(f.Mixed) > 0 {
		s += ", of " + doc.Join(f.Mixed)
	}
	return s
}

// sentence is the finding for a reader.
func (f *Finding) sentence() string {
	axis := short(f.over())
	switch f.Verdict {
	case Withheld:
		return f.withheld()
	case Flat:
		if f.Exponent.Sizes.High-f.Exponent.Sizes.Low < 1e-6 {
			return fmt.Sprintf("%s **does not grow** with %s: all models take the same time on this machine.", f.of(), axis)
		}
		return fmt.Sprintf("%s **does not grow** with %s: the exponent is %s to %s (%s).", f.of(), axis, doc.Fixed(&f.Exponent.Sizes.Low, 3), doc.Fixed(&f.Exponent.Sizes.High, 3), f.evidence(f.Law))
	case Unclear:
		return fmt.Sprintf("Whether %s grows with %s is **unknown**: the exponent is %s to %s (%s).", lower(f.of()), axis, doc.Fixed(&f.Exponent.Sizes.Low, 3), doc.Fixed(&f.Exponent.Sizes.High, 3), f.evidence(f.Law))
	case law.Leads:
		out := fmt.Sprintf("%s %s (%s).", f.of(), f.does(f.Law), f.evidence(f.Law))
		if f.Law.Form == law.Straight {
			out += f.exponentText()
		}
		return out + f.outlier() + f.axisText()
	case law.Unsure:
		var rivals []string
		for _, r := range f.Rivals {
			rivals = append(rivals, name(r))
		}
		return fmt.Sprintf("Which law %s follows is **unknown**: %s explains it best (%s), and these models cannot tell that from %s.%s%s", lower(f.of()), name(f.Law.Form), f.evidence(f.Law), words(rivals), f.exponentText(), f.axisText())
	}
	if f.Law == nil {
		return fmt.Sprintf("How %s grows with %s is **unknown** on this machine: %s.", lower(f.of()), axis, doc.Text(f.Why))
	}
	return fmt.Sprintf("Which law %s follows on this machine is **unknown**: %s are too few to tell.%s", lower(f.of()), doc.Count(f.Law.N, "size", "sizes"), f.exponentText())
}

// words joins alternatives.
func words(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " or " + parts[len(parts)-1]
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// exponentText gives the exponent of a power law that does not lead, not in bold.
func (f *Finding) exponentText() string {
	if f.Exponent == nil || f.Exponent.Sizes == nil {
		return ""
	}
	return fmt.Sprintf(" The exponent of a power law over %s would be %s.", short(f.over()), strings.ReplaceAll(known(f.Exponent, 3, ""), "**", ""))
}

// withheld names the model that makes the exponent, and gives the law of the others.
func (f *Finding) withheld() string {
	s := f.Stray
	out := fmt.Sprintf("**No exponent** of %s: %s takes %s times what the line through the others says (p %s).", lower(f.of()), doc.Text(s.Model), doc.Number(s.Times), doc.PValue(&s.P))
	if len(s.Reasons) > 0 {
		out += fmt.Sprintf(" What sets it apart: %s.", doc.Text(strings.Join(s.Reasons, "; ")))
	} else {
		out += " No recorded fact sets it apart; sizes near it would tell."
	}
	switch o := &f.axes[f.at]; {
	case f.Law == nil:
	case o.whole:
		out += fmt.Sprintf(" With it the time %s (%s).", strings.ReplaceAll(f.does(f.Law), "**", ""), f.evidence(f.Law))
	case o.rest.Verdict == law.Leads:
		out += fmt.Sprintf(" Without it the time %s (%s).", strings.ReplaceAll(f.does(f.Law), "**", ""), f.evidence(f.Law))
	}
	if f.Exponent != nil {
		out += fmt.Sprintf(" Without it a power law over %s has the exponent %s, with it %s.", short(f.over()), strings.ReplaceAll(known(f.Exponent, 3, ""), "**", ""), doc.Fixed(s.With, 3))
	}
	return out
}

// outlier names a model that does not fit and does not matter.
func (f *Finding) outlier() string {
	if f.Stray == nil || f.Law.Form != law.Power {
		return ""
	}
	return fmt.Sprintf(" %s takes %s times what the line through the others says, which hardly moves the exponent.", doc.Text(f.Stray.Model), doc.Number(f.Stray.Times))
}

// axisText says that another axis than the run's leads, or explains as well.
func (f *Finding) axisText() string {
	if f.AxisVerdict == law.Leads {
		return " No other measure of size explains it as well."
	}
	return ""
}

// Sentences are those of decode and of prefill, over all scenarios.
func (a *Answer) Sentences() []string {
	said := prose.Folder{Total: len(prose.Measured(a.set))}
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, f := range a.Of(mode) {
			said.Add(prose.Series{Series: f.Series}, f.sentence())
		}
	}
	return said.List()
}

// Short is the law as a table's cell says it.
func (f *Finding) Short() string {
	exponent := func(p *law.Param) string {
		if p == nil {
			return "unknown"
		}
		if p.Sizes == nil {
			return doc.Fixed(&p.Value, 3)
		}
		return fmt.Sprintf("%s (%s)", doc.Fixed(&p.Value, 3), doc.Interval(p.Sizes, 3))
	}
	switch f.Verdict {
	case Flat:
		return "does not grow"
	case Unclear, law.TooFew:
		return "unknown: " + exponent(f.Exponent)
	case Withheld:
		return fmt.Sprintf("%s without %s", exponent(f.Exponent), doc.Text(f.Stray.Model))
	case law.Unsure:
		return "unknown law: " + exponent(f.Exponent)
	}
	switch l := f.Law; l.Form {
	case law.Power:
		return exponent(l.Param("exponent"))
	case law.OneBreak, law.TwoBreak:
		e1, e2 := l.Param("exponent_1").Value, l.Params[l.K/2].Value
		return fmt.Sprintf("%s, later %s", doc.Fixed(&e1, 2), doc.Fixed(&e2, 2))
	case law.Straight, law.Constant:
		return name(l.Form)
	}
	return strings.TrimPrefix(name(f.Law.Form), "a ")
}
