package weights

import (
	"fmt"
	"slices"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// Sections have which types take longer than their bytes.
func (a *Answer) Sections() []doc.Section {
	if len(a.WeightTypes) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: "Weight types", Warned: []string{"unequal_scenarios"}}
	within := prose.Within(a.WeightTypes[len(a.WeightTypes)-1].Basis)
	sec.Say("“Over its bytes” is decode against what the type's bytes take at the rate of the heaviest type. Above +%s %% computing binds, which is dequantising. 95 %% intervals%s.", doc.Size(100*Tolerance), within)
	sec.Show(doc.TableOf(a.largestFirst(), []doc.Column[Type]{
		{Head: "<model", Cell: func(t Type) string { return doc.Text(t.Model) }},
		{Head: "<at", Cell: func(t Type) string { return doc.OrNone(t.At) }},
		{Head: "<weights", Cell: func(t Type) string { return doc.Text(t.WeightType) }},
		{Head: "read per token (MB)", Cell: func(t Type) string { return doc.Number(float64(t.BytesPerToken) / 1e6) }},
		{Head: "decode (ms/token)", Cell: func(t Type) string { return doc.Number(t.MS) }},
		{Head: "times as fast", Cell: func(t Type) string {
			if t.RatioCI == nil {
				return doc.Unknown
			}
			return policy.AsFast(&t.Ratio, t.RatioCI)
		}},
		{Head: "over its bytes (%)", Cell: func(t Type) string {
			if t.OverCI == nil {
				return doc.Unknown
			}
			return fmt.Sprintf("%s [%s to %s]", doc.SignedPercent(over(t.OverBytes)), doc.SignedPercent(over(&t.OverCI.Low)), doc.SignedPercent(over(&t.OverCI.High)))
		}},
		{Head: "<verdict", Cell: func(t Type) string { return t.Verdict }},
	}), "weight_types.csv")
	return []doc.Section{sec}
}

// largestFirst are the types by falling size of their models.
func (a *Answer) largestFirst() (out []Type) {
	models, of := stats.GroupBy(a.WeightTypes, func(t Type) [2]string { return [2]string{t.Model, t.At} })
	for _, m := range slices.Backward(models) {
		out = append(out, of[m]...)
	}
	return out
}

// over is by how much a ratio exceeds 1.
func over(ratio *float64) *float64 {
	if ratio == nil {
		return nil
	}
	return new(*ratio - 1)
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
