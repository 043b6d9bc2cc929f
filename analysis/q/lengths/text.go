package lengths

import (
	"cmp"
	"fmt"
	"slices"

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

func modeName(mode string) string {
	if mode == record.ModeDecode {
		return "a decode step"
	}
	return "prefill"
}

// group are the laws of a series in a mode.
type group struct {
	prose.Series
	mode string
	laws []Law
}

func (a *Answer) groups() (out []group) {
	type key struct {
		cells.Series
		mode string
	}
	keys, of := stats.GroupBy(a.Laws, func(l Law) key { return key{l.Series(), l.Mode} })
	for _, k := range keys {
		out = append(out, group{prose.Series{Series: k.Series}, k.mode, of[k]})
	}
	return out
}

// Sections say how time grows with the length, and where attention takes over.
func (a *Answer) Sections() []doc.Section {
	if len(a.Laws) == 0 {
		return nil
	}
	sec := doc.Section{Place: Place, Title: a.title()}
	sec.Add(doc.Pictures(KindLengths))
	sec.Show(doc.TableOf(a.groups(), groupColumns), "")
	sec.Fold(fmt.Sprintf("The law of each model (%d)", len(a.Laws)),
		doc.Paragraph("Prefill is a fixed cost, one of each token (the weights) and one of each token squared (attention); a decode step is a fixed cost (the weights) and one of each position in the KV cache (attention). lengths.csv has each length."),
		doc.TableOf(a.Laws, columns))
	return []doc.Section{sec}
}

// first is the law whose attention takes over at the shortest length; nil without one.
func first(laws []Law) (out *Law) {
	for i := range laws {
		if l := &laws[i]; l.Verdict == Within && (out == nil || *l.TakesOver < *out.TakesOver) {
			out = l
		}
	}
	return out
}

// Says tells of a backend where attention takes half of prefill, and half of a decode step, of the model where that is
// soonest; "" where no model was measured at several lengths.
func (a *Answer) Says(of cells.Series) prose.Sentence {
	var all []prose.Sentence
	for _, g := range a.groups() {
		if g.Series.Series == of {
			all = append(all, g.says())
		}
	}
	if len(all) == 0 {
		return prose.Say("")
	}
	return prose.Say("Attention takes %s.", prose.Semicolons(all))
}

// beyond is whether attention takes less than half up to the longest length of each model.
func (g group) beyond() bool {
	return !slices.ContainsFunc(g.laws, func(l Law) bool { return l.Verdict != Beyond })
}

func (g group) says() prose.Sentence {
	at := func(v float64, column string) prose.Number { return prose.Digits(v, lawsFile+" "+column) }
	l := first(g.laws)
	switch {
	case l != nil:
		ends := prose.Say("%s or more", at(*l.TakesOverLow, "takes_over_low"))
		if l.TakesOverHigh != nil {
			ends = prose.Say("%s to %s", at(*l.TakesOverLow, "takes_over_low"), at(*l.TakesOverHigh, "takes_over_high"))
		}
		return prose.Say("half of %s from %s %s on [%s], of %s", modeName(g.mode), at(*l.TakesOver, "takes_over_at"), unit(g.mode), ends,
			prose.Sized(l.Model, l.ParamsM, lawsFile+" params_millions_effective"))
	case g.beyond():
		shortest := slices.MinFunc(g.laws, func(x, y Law) int { return cmp.Compare(x.Longest, y.Longest) })
		return prose.Say("less than half of %s up to %s %s", modeName(g.mode), at(shortest.Longest, "longest"), unit(g.mode))
	}
	return prose.Say("a share of %s that cannot be told", modeName(g.mode))
}

// title is the finding over all models.
func (a *Answer) title() string {
	if l := first(a.Laws); l != nil {
		return fmt.Sprintf("Attention takes half of %s from %s %s on (%s), of %s on %s", modeName(l.Mode), doc.Number(*l.TakesOver), unit(l.Mode), l.interval(), l.Model, prose.Series{Series: l.Series()}.Title())
	}
	_, of := stats.GroupBy(a.Laws, func(l Law) string { return l.Verdict })
	longest := slices.MaxFunc(a.Laws, func(x, y Law) int { return cmp.Compare(x.Longest, y.Longest) }).Longest
	if len(of[Beyond]) == len(a.Laws) {
		return fmt.Sprintf("Up to %s tokens attention takes less than half of the time", doc.Size(longest))
	}
	return fmt.Sprintf("Whether attention takes half of the time up to %s tokens cannot be told", doc.Size(longest))
}

// interval is that of where attention takes over.
func (l *Law) interval() string {
	if l.TakesOverHigh == nil {
		return doc.NumberOf(l.TakesOverLow) + " or more"
	}
	return doc.NumberOf(l.TakesOverLow) + " to " + doc.NumberOf(l.TakesOverHigh)
}

func spanOf(laws []Law, of func(*Law) *float64) (s doc.Span) {
	for i := range laws {
		s.Add(of(&laws[i]))
	}
	return s
}

var groupColumns = []doc.Column[group]{
	{Head: "<mode", Cell: func(g group) string { return prose.Mode(g.mode) }},
	{Head: "<backend", Cell: func(g group) string { return g.Series.String() }},
	{Head: "<lengths", Cell: func(g group) string {
		least := spanOf(g.laws, func(l *Law) *float64 { return &l.Shortest })
		most := spanOf(g.laws, func(l *Law) *float64 { return &l.Longest })
		return fmt.Sprintf("%s to %s %s", doc.Size(least.Lo), doc.Size(most.Hi), unit(g.mode))
	}},
	{Head: "exponent", Cell: func(g group) string { return spanOf(g.laws, func(l *Law) *float64 { return l.Exponent }).Three() }},
	{Head: "attention at the longest (%)", Cell: func(g group) string {
		s := spanOf(g.laws, func(l *Law) *float64 { return l.Share })
		if !s.Known {
			return doc.Unknown
		}
		return s.Percent()
	}},
	{Head: "<attention takes half (95 %)", Cell: func(g group) string {
		if l := first(g.laws); l != nil {
			return fmt.Sprintf("from %s on (%s), %s", doc.Number(*l.TakesOver), l.interval(), doc.Text(l.Model))
		}
		if g.beyond() {
			return "not up to the longest"
		}
		return "cannot tell"
	}},
}

var columns = []doc.Column[Law]{
	{Head: "<backend", Cell: func(l Law) string { return prose.Of(l.Backend, l.BatchSize).String() }},
	{Head: "<model", Cell: func(l Law) string { return doc.Text(l.Model) }},
	{Head: "<mode", Cell: func(l Law) string { return prose.Mode(l.Mode) }},
	{Head: "lengths", Cell: func(l Law) string {
		return fmt.Sprintf("%d, %s to %s", l.NLengths, doc.Size(l.Shortest), doc.Size(l.Longest))
	}},
	{Head: "exponent (95 %)", Cell: func(l Law) string {
		if l.ExponentCI == nil {
			return doc.Fixed(l.Exponent, 3)
		}
		return fmt.Sprintf("%s (%s)", doc.Fixed(l.Exponent, 3), doc.Interval(l.ExponentCI, 3))
	}},
	{Head: "fixed (ms)", Cell: func(l Law) string { return doc.NumberOf(l.FixedMS) }},
	{Head: "each token (ms)", Cell: func(l Law) string { return doc.NumberOf(l.TokenMS) }},
	{Head: "attention (ns)", Cell: func(l Law) string { return doc.NumberOf(l.AttentionNS) }},
	{Head: "off the law (%)", Cell: func(l Law) string { return doc.Percent(l.Deviation) }},
	{Head: "attention at the longest (%)", Cell: func(l Law) string { return doc.Percent(l.Share) }},
	{Head: "<takes half", Cell: func(l Law) string {
		switch l.Verdict {
		case Within:
			return fmt.Sprintf("%s (%s)", doc.NumberOf(l.TakesOver), l.interval())
		case Beyond:
			return "beyond, " + l.interval()
		case Open:
			return "open, " + l.interval()
		}
		return "unknown: " + doc.Text(l.Reason)
	}},
}
