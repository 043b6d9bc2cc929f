package lengths

import (
	"cmp"
	"fmt"
	"strconv"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
)

// depthSection has how decode slows down as the KV cache fills.
func (a *Answer) depthSection() doc.Section {
	if len(a.DecodeDepths) == 0 {
		return doc.Section{}
	}
	sec := doc.Section{Title: "Decode by depth"}
	sec.Say("Decode time per token with that many tokens in the KV cache before the prompt. The ratio is to the least depth; its 95 %% interval is one%s. That of the cost of a token of depth is of a straight line over the calls.", cmp.Or(prose.Within(a.set.Basis()), " by blocks"))
	for _, s := range a.depthSentences() {
		sec.Add(doc.Paragraph(s))
	}
	sec.FoldAbove(longTable, "Each depth", doc.TableOf(a.DecodeDepths, []doc.Column[DecodeDepth]{
		{Head: "<model", Cell: func(d DecodeDepth) string { return doc.Text(d.Model) }},
		{Head: "<backend", Cell: func(d DecodeDepth) string { return prose.Series{Series: d.Series()}.String() }},
		{Head: "prompt (tokens)", Cell: func(d DecodeDepth) string { return strconv.Itoa(d.PromptTokens) }},
		{Head: "answer (tokens)", Cell: func(d DecodeDepth) string { return strconv.Itoa(d.GenTokens) }},
		{Head: "depth (tokens)", Cell: func(d DecodeDepth) string { return strconv.Itoa(d.Depth) }},
		{Head: "calls", Cell: func(d DecodeDepth) string { return strconv.Itoa(d.N) }},
		{Head: "decode (ms/token)", Cell: func(d DecodeDepth) string { return doc.Number(d.MSPerToken) }},
		{Head: "ratio", Cell: func(d DecodeDepth) string { return doc.Fixed(&d.Ratio, 3) }},
		{Head: "95 %" + prose.Within(a.set.Basis()), Cell: func(d DecodeDepth) string { return doc.Interval(d.RatioCI, 3) }},
		{Head: "prefill there (ms)", Cell: func(d DecodeDepth) string { return doc.NumberOf(d.PrefillMS) }},
	}))
	return sec
}

// depthSentences say for each backend what a token of depth costs.
func (a *Answer) depthSentences() (out []string) {
	for _, k := range prose.Measured(a.set) {
		var cost, open []string
		for _, f := range a.DecodeDepthFits {
			if f.Backend != k.Backend || f.BatchSize != k.BatchSize {
				continue
			}
			name := doc.Text(f.Model)
			switch {
			case f.NSPerToken == nil:
				open = append(open, fmt.Sprintf("%s (%s)", name, doc.Text(f.Reason)))
			case f.CI != nil && f.CI.Low <= 0 && f.CI.High >= 0:
				open = append(open, name+" (the interval holds 0)")
			default:
				s := fmt.Sprintf("**%s ns** on %s", doc.Number(*f.NSPerToken), name)
				if f.CI != nil {
					s += fmt.Sprintf(" (95 %% %s", doc.Numbers(f.CI))
					if !f.Straight() {
						s += "; the depths do not lie on a line"
					}
					s += ")"
				}
				cost = append(cost, s)
			}
		}
		if len(cost) > 0 {
			out = append(out, fmt.Sprintf("On %s each token in the KV cache adds to a decode step %s.", k, doc.Join(cost)))
		}
		if len(open) > 0 {
			out = append(out, fmt.Sprintf("What depth costs on %s is **unknown** for %s.", k, doc.Join(open)))
		}
	}
	return out
}

// promptText is a prompt's length, and the depth where there is one.
func promptText(prompt, depth int) string { return strconv.Itoa(prompt) + prose.AtDepth(depth) }
