package weights

import (
	"fmt"
	"slices"
	"strings"

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
	sec.Say("“Over its bytes” is decode against what the type's bytes take at the rate of the heaviest type. Above +%s %% unpacking costs time. A type that follows its bytes does not tell reading from computing that grows with them. 95 %% intervals%s.", doc.Size(100*Tolerance), within)
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
			return policy.AsFast(t.Ratio, t.RatioCI, file+" decode_ratio").Text
		}},
		{Head: "over its bytes (%)", Cell: func(t Type) string {
			if t.OverCI == nil {
				return doc.Unknown
			}
			return fmt.Sprintf("%s [%s to %s]", doc.SignedPercent(over(t.OverBytes)), doc.SignedPercent(over(&t.OverCI.Low)), doc.SignedPercent(over(&t.OverCI.High)))
		}},
		{Head: "<verdict", Cell: func(t Type) string { return t.Verdict }},
	}), file)
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

// title says of which types, at which sizes, decode follows the bytes.
func (a *Answer) title() string {
	lighter := len(a.WeightTypes) - len(a.of(Base))
	slower, follow := a.of(Slower), a.of(Follows)
	switch {
	case len(slower) > 0:
		return "Decode takes longer than its bytes in " + where(slower)
	case len(follow) == lighter:
		return "Decode follows the bytes of every weight type, at all sizes measured"
	case len(follow) > 0:
		return fmt.Sprintf("Decode follows its bytes in %s; in %d of %d cases that cannot be told", where(follow), lighter-len(follow), lighter)
	}
	return "Whether decode follows the bytes of weight types cannot be told"
}

// where names types with the sizes of their models: "q8_0 (134M, 296M) and q4_0 (296M)".
func where(all []Type) string {
	types, of := stats.GroupBy(all, func(t Type) string { return t.WeightType })
	return doc.Join(stats.Map(types, func(name string) string {
		var sizes []string
		for _, t := range of[name] {
			size := t.Model
			if t.ParamsM != nil {
				size = doc.Millions(*t.ParamsM)
			}
			if !slices.Contains(sizes, size) {
				sizes = append(sizes, size)
			}
		}
		return fmt.Sprintf("%s (%s)", name, strings.Join(sizes, ", "))
	}))
}
