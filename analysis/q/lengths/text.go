package lengths

import (
	"fmt"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Place is the name under which a report finds the section, whose title is the finding.
const Place = "Lengths"

// unit is what a length of a mode counts.
func unit(mode string) string {
	if mode == record.ModeDecode {
		return "positions"
	}
	return "tokens"
}

// Sections say how time grows with the length, and where attention takes over.
func (a *Answer) Sections() []doc.Section {
	if len(a.Laws) == 0 {
		return nil
	}
	sec := doc.Section{Place: Place, Title: a.title()}
	sec.Say("Prefill is taken apart into a fixed cost, a cost of each token (the weights) and one of each token squared (attention), a decode step into a fixed cost (the weights) and one of each position in the KV cache (attention); attention has taken over where it is half of the time.")
	for _, s := range a.growth() {
		sec.Add(doc.Paragraph(s))
	}
	sec.Add(doc.FoldedPictures{Summary: "Time against the length", Kind: figureKind})
	sec.FoldAbove(20, "Growth with the length", doc.TableOf(a.Laws, columns))
	sec.FoldAbove(20, "Each length", doc.TableOf(a.Lengths, lengthColumns))
	return []doc.Section{sec}
}

// title is the finding over all models.
func (a *Answer) title() string {
	_, of := stats.GroupBy(a.Laws, func(l Law) string { return l.Verdict })
	switch n := len(of[Within]); {
	case len(of[Unknown]) == len(a.Laws):
		return "Where attention takes over from the weights is not told"
	case n == len(a.Laws):
		return "Attention takes over from the weights within the measured lengths"
	case n > 0:
		return fmt.Sprintf("Attention takes over from the weights within the measured lengths in %d of %d cases", n, len(a.Laws))
	case len(of[Beyond]) == len(a.Laws):
		return "Attention does not take over from the weights within the measured lengths"
	}
	return "No case shows that attention takes over from the weights within the measured lengths"
}

// Sentences say where attention takes over first, where it does.
func (a *Answer) Sentences() []string {
	var first *Law
	n := 0
	for i := range a.Laws {
		if l := &a.Laws[i]; l.Verdict == Within {
			n++
			if first == nil || *l.TakesOver < *first.TakesOver {
				first = l
			}
		}
	}
	if first == nil {
		return nil
	}
	return []string{fmt.Sprintf("**Attention** takes half of the time within the measured lengths in %d of %s; first in %s on %s, from %s.",
		n, doc.Count(len(a.Laws), "case", "cases"), modeName(first.Mode), prose.Series{Series: first.Series()}, first.told())}
}

// growth says for each series and mode how time grows, and where attention takes over.
func (a *Answer) growth() (out []string) {
	type key struct {
		cells.Series
		mode string
	}
	keys, of := stats.GroupBy(a.Laws, func(l Law) key { return key{l.Series(), l.Mode} })
	for _, k := range keys {
		var exponents doc.Span
		said := map[string][]string{}
		least, most := of[k][0].Shortest, 0.0
		for _, l := range of[k] {
			exponents.Add(l.Exponent)
			least, most = min(least, l.Shortest), max(most, l.Longest)
			said[l.Verdict] = append(said[l.Verdict], l.told())
		}
		s := fmt.Sprintf("From %s to %s %s, the time of %s on %s grows to the power %s.", doc.Size(least), doc.Size(most), unit(k.mode), modeName(k.mode), prose.Series{Series: k.Series}, exponents.Three())
		for _, v := range []struct{ verdict, before, after string }{
			{Within, "Attention takes half of it from ", ""},
			{Beyond, "It does not within the measured lengths of ", ""},
			{Open, "Whether it does within the measured lengths is open for ", ""},
			{Unknown, "Where it does is not told for ", ""},
		} {
			if models := said[v.verdict]; models != nil {
				before := v.before
				if v.verdict != Within && said[Within] == nil {
					before = strings.Replace(before, "It does not within", "Attention does not take half of it within", 1)
					before = strings.Replace(before, "Whether it does", "Whether attention takes half of it", 1)
					before = strings.Replace(before, "Where it does", "Where attention takes half of it", 1)
				}
				s += " " + before + doc.Join(models) + v.after + "."
			}
		}
		out = append(out, s)
	}
	return out
}

func modeName(mode string) string {
	if mode == record.ModeDecode {
		return "a decode step"
	}
	return "prefill"
}

// told is the law's model, with what its verdict rests on.
func (l *Law) told() string {
	name := doc.Text(l.Model)
	switch l.Verdict {
	case Within:
		return fmt.Sprintf("**%s %s** on %s (95 %%%s %s)", doc.Number(*l.TakesOver), unit(l.Mode), name, prose.Within(l.Basis), l.interval())
	case Beyond:
		return fmt.Sprintf("%s (%s %% at %s)", name, doc.Percent(l.Share), doc.Size(l.Longest))
	case Open:
		return fmt.Sprintf("%s (%s)", name, l.interval())
	}
	return fmt.Sprintf("%s (%s)", name, doc.Text(l.Reason))
}

// interval is that of where attention takes over.
func (l *Law) interval() string {
	if l.TakesOverHigh == nil {
		return doc.NumberOf(l.TakesOverLow) + " or more"
	}
	return doc.NumberOf(l.TakesOverLow) + " to " + doc.NumberOf(l.TakesOverHigh)
}

var columns = []doc.Column[Law]{
	{Head: "<backend", Cell: func(l Law) string { return prose.Of(l.Backend, l.BatchSize).String() }},
	{Head: "<model", Cell: func(l Law) string { return doc.Text(l.Model) }},
	{Head: "<mode", Cell: func(l Law) string { return prose.Mode(l.Mode) }},
	{Head: "lengths", Cell: func(l Law) string { return fmt.Sprint(l.NLengths) }},
	{Head: "from", Cell: func(l Law) string { return doc.Size(l.Shortest) }},
	{Head: "to", Cell: func(l Law) string { return doc.Size(l.Longest) }},
	{Head: "exponent", Cell: func(l Law) string { return doc.Fixed(l.Exponent, 3) }},
	{Head: "95 %", Cell: func(l Law) string { return doc.Interval(l.ExponentCI, 3) }},
	{Head: "fixed (ms)", Cell: func(l Law) string { return doc.NumberOf(l.FixedMS) }},
	{Head: "each token (ms)", Cell: func(l Law) string { return doc.NumberOf(l.TokenMS) }},
	{Head: "attention (ns)", Cell: func(l Law) string { return doc.NumberOf(l.AttentionNS) }},
	{Head: "off the law (%)", Cell: func(l Law) string { return doc.Percent(l.Deviation) }},
	{Head: "attention at the longest (%)", Cell: func(l Law) string { return doc.Percent(l.Share) }},
	{Head: "<takes over", Cell: func(l Law) string {
		switch l.Verdict {
		case Within:
			return fmt.Sprintf("**%s** (%s)", doc.NumberOf(l.TakesOver), l.interval())
		case Beyond:
			return "beyond, " + l.interval()
		case Open:
			return "open, " + l.interval()
		}
		return "unknown: " + doc.Text(l.Reason)
	}},
}

var lengthColumns = []doc.Column[Length]{
	{Head: "<backend", Cell: func(l Length) string { return prose.Of(l.Backend, l.BatchSize).String() }},
	{Head: "<model", Cell: func(l Length) string { return doc.Text(l.Model) }},
	{Head: "<mode", Cell: func(l Length) string { return prose.Mode(l.Mode) }},
	{Head: "length (tokens)", Cell: func(l Length) string { return doc.Size(l.Length) }},
	{Head: "calls", Cell: func(l Length) string { return fmt.Sprint(l.N) }},
	{Head: "time (ms)", Cell: func(l Length) string { return doc.Number(l.MS) }},
}
