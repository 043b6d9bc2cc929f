package weights

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// Sections have which types take longer than their bytes.
func (a *Answer) Sections() []doc.Section {
	if len(a.WeightTypes) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: "Weight types"}
	basis := a.WeightTypes[len(a.WeightTypes)-1].Basis
	sec.Say("“Over its bytes” is decode time against what the bytes alone take at the rate of the type that reads most, with as large a cost per token common to all types as their times leave room for; what lies more than %s %% above was bound by computing, which is dequantising, not by memory.", doc.Size(100*Tolerance))
	interval := "95 %" + prose.Within(basis)
	sec.FoldAbove(30, "Each type", doc.TableOf(a.WeightTypes, []doc.Column[Type]{
		{Head: "<model", Cell: func(t Type) string { return doc.Text(t.Model) }},
		{Head: "<at", Cell: func(t Type) string { return doc.OrNone(t.At) }},
		{Head: "<backend", Cell: func(t Type) string { return prose.Of(t.Backend, t.batch).String() }},
		{Head: "<weights", Cell: func(t Type) string { return doc.Text(t.WeightType) }},
		{Head: "read per token (MB)", Cell: func(t Type) string { return doc.Number(float64(t.BytesPerToken) / 1e6) }},
		{Head: "decode (ms/token)", Cell: func(t Type) string { return doc.Number(t.MS) }},
		{Head: "ratio", Cell: func(t Type) string { return doc.Fixed(&t.Ratio, 3) }},
		{Head: interval, Cell: func(t Type) string { return doc.Interval(t.RatioCI, 3) }},
		{Head: "weights read (GB/s)", Cell: func(t Type) string { return doc.Number(t.GBPerS) }},
		{Head: "over its bytes (%)", Cell: func(t Type) string { return excess(t.OverBytes) }},
		{Head: interval, Cell: func(t Type) string {
			if t.OverCI == nil {
				return doc.Unknown
			}
			return excess(&t.OverCI.Low) + " to " + excess(&t.OverCI.High)
		}},
		{Head: "<verdict", Cell: func(t Type) string { return t.Verdict }},
	}))
	return []doc.Section{sec}
}

// excess is a ratio as a signed percentage above 1.
func excess(ratio *float64) string {
	if ratio == nil {
		return doc.Unknown
	}
	return doc.SignedTenth(100 * (*ratio - 1))
}

func (a *Answer) of(verdict string) []Type {
	return slices.DeleteFunc(slices.Clone(a.WeightTypes), func(t Type) bool { return t.Verdict != verdict })
}

// title says whether decode follows the bytes.
func (a *Answer) title() string {
	lighter := len(a.WeightTypes) - len(a.of(Base))
	switch slower, follow := a.of(Slower), len(a.of(Follows)); {
	case len(slower) > 0:
		names, _ := stats.GroupBy(slower, func(t Type) string { return t.WeightType })
		return "Decode takes longer than the bytes of " + doc.Join(names)
	case follow == lighter:
		return "Decode follows the bytes of every weight type"
	case follow > 0:
		return fmt.Sprintf("Decode follows the bytes in %d of %d cases, and in none is it shown to take longer", follow, lighter)
	}
	return "Whether decode follows the bytes of weight types cannot be told"
}

// Sentences say which types computing binds, and on which models.
func (a *Answer) Sentences() []string {
	slower := a.of(Slower)
	if len(slower) == 0 {
		return nil
	}
	names, by := stats.GroupBy(slower, func(t Type) string { return t.WeightType })
	var parts []string
	for _, name := range names {
		var over doc.Span
		for i := range by[name] {
			over.Add(new(100 * (*by[name][i].OverBytes - 1)))
		}
		models, _ := stats.GroupBy(by[name], func(t Type) string { return t.Model })
		on := doc.Join(stats.Map(models, doc.Text))
		if len(models) > 3 {
			on = fmt.Sprintf("%d models", len(models))
		}
		parts = append(parts, fmt.Sprintf("%s on %s (%s %%)", doc.Text(name), on, over.Text(doc.SignedTenth)))
	}
	return []string{fmt.Sprintf("Decode **takes longer than its bytes** in %s%s: dequantising binds it, not memory.", strings.Join(parts, ", "), prose.Within(slower[0].Basis))}
}
