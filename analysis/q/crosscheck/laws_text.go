package crosscheck

import (
	"fmt"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// gapLines is how many models with gaps are described before the rest is folded.
const gapLines = 8

// gapsThatStand describes the gaps above the tolerance whose interval excludes 1:
// what the sizes say of each phase's, and then each.
func (a *Answer) gapsThatStand(sec *doc.Section) {
	some := false
	for _, p := range a.pairs() {
		for _, phase := range textPhases {
			lines := gapLinesOf(a.comparisons(p, phase))
			if len(lines) == 0 {
				continue
			}
			if !some {
				sec.Say("These gaps by Ollama's own counters are larger than %s %%, and their intervals exclude 1. The line over the sizes tells what is the same for all of them from what is in proportion to native's time: it says what kind of cost a gap is, not what causes it. Candidates are the settings below that differ.", doc.Size(100*Tolerance))
			}
			some = true
			s := fmt.Sprintf("**%s**, %s", doc.Upper(prose.Mode(phase)), p.Names())
			if l := a.law(p, phase); l != nil {
				s += ": " + lawText(l) + "."
			}
			sec.Add(doc.Paragraph(s), lines[:min(gapLines, len(lines))])
			if rest := lines[min(gapLines, len(lines)):]; len(rest) > 0 {
				sec.Fold(fmt.Sprintf("Further models with gaps in %s (%d)", prose.Mode(phase), len(rest)), rest)
			}
		}
	}
	if !some {
		sec.Say("No gap by Ollama's own counters is larger than %s %% with an interval that excludes 1.", doc.Size(100*Tolerance))
	}
}

// gapLinesOf has a line for each model with such gaps.
func gapLinesOf(all []*Comparison) (out doc.List) {
	var models []string
	by := map[string][]string{}
	for _, c := range all {
		b := &c.Counters
		gap, native, ok := c.Gap(b)
		if !b.Stands() || !ok {
			continue
		}
		if by[c.Model] == nil {
			models = append(models, c.Model)
		}
		by[c.Model] = append(by[c.Model], fmt.Sprintf("%s **%s times**%s, %s on native's %s %s", doc.Text(c.Scenario), doc.Fixed(b.Ratio, 3), prose.OfRatio(b.RatioCI, b.Basis, 3), signedNumber(gap), doc.Number(native), per(c.Phase)))
	}
	for _, m := range models {
		out = append(out, fmt.Sprintf("%s: %s.", doc.Text(m), strings.Join(by[m], "; ")))
	}
	return out
}

// law is what the sizes of a pair say of a phase: over all scenarios where there are
// several.
func (a *Answer) law(p Pair, phase string) (found *GapLaw) {
	for i := range a.GapLaws {
		l := &a.GapLaws[i]
		if l.Pair == p && l.Phase == phase && l.Clock == ClockCounters && (found == nil || l.Scenario == cells.AllScenarios) {
			found = l
		}
	}
	return found
}

// lawText says what the sizes show about a gap.
func lawText(l *GapLaw) string {
	fixedPart := fmt.Sprintf("%s %s (95 %% %s)", doc.NumberOf(l.FixedMS), per(l.Phase), doc.Numbers(l.FixedT))
	share := fmt.Sprintf("%s %% of native's time (95 %% %s)", doc.SignedPercent(l.Share), percents(l.ShareT))
	s := fmt.Sprintf("over %s", doc.Count(l.NModels, "size", "sizes"))
	if l.Scenario == cells.AllScenarios {
		s += ", in means over the scenarios,"
	}
	s += " the gap "
	switch l.Verdict {
	case "fixed":
		return s + fmt.Sprintf("is a **fixed cost**, %s; a part in proportion to the work is not seen: %s", fixedPart, share)
	case "proportional":
		return s + fmt.Sprintf("is **in proportion to the work**, %s; a fixed part is not seen: %s", share, fixedPart)
	case "both":
		return s + fmt.Sprintf("is **both** a fixed cost, %s, and a part in proportion to the work, %s", fixedPart, share)
	case "not_identified":
		s += fmt.Sprintf("shows neither a fixed cost (%s) nor a part in proportion to the work (%s)", fixedPart, share)
	default:
		s += "has **no known** law: " + doc.Text(l.Why)
	}
	if l.Rho != nil {
		s += fmt.Sprintf("; rank correlation of gap and native's time %s, p %s", doc.Fixed(l.Rho, 2), doc.PValue(l.P))
	}
	return s
}

func percents(i *stats.Interval) string {
	if i == nil {
		return doc.Unknown
	}
	return doc.SignedPercent(&i.Low) + " to " + doc.SignedPercent(&i.High)
}
