package lengths

import (
	"fmt"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// longTable is the number of rows above which a table is folded.
const longTable = 30

// Sections are the parts of the report.
func (a *Answer) Sections() []doc.Section {
	return []doc.Section{a.lengthSection(), a.depthSection(), a.prefillSection()}
}

// lengthSection has how decode grows with the number of tokens decoded, where a model
// has answers of several lengths.
func (a *Answer) lengthSection() doc.Section {
	if len(a.DecodeLengths) == 0 {
		return doc.Section{}
	}
	sec := doc.Section{Title: "Decode by length of the answer"}
	sec.Say("Decode time over the tokens decoded, by their number, at equal prompts. The ratio is to the shortest answers' time per token; where its 95 %% interval lies within %s %% of 1 it counts as the same. All intervals of this section come from the calls of one process.", doc.Size(100*LengthTolerance))
	for _, s := range append(a.Sentences(), a.positionSentences()...) {
		sec.Add(doc.Paragraph(s))
	}
	sec.Add(doc.Pictures(figureKind))

	t := doc.Table{Head: []string{"<model", "<backend", "parameters (millions)", "prompt (tokens)", "answer (tokens)", "calls", "decode (ms)", "decode (ms/token)", "ratio to the shortest", "decode share (%)"}}
	for _, d := range a.DecodeLengths {
		t.Rows = append(t.Rows, []string{doc.Text(d.Model), prose.Series{Series: d.Series()}.String(), doc.SizeOf(d.ParamsM), promptText(d.PromptTokens, d.Depth), strconv.Itoa(d.GenTokens),
			strconv.Itoa(d.N), doc.Number(d.DecodeMS), doc.Number(d.MSPerToken), doc.Fixed(&d.Ratio, 3), doc.Percent(d.Fraction)})
	}
	sec.Add(t)

	sec.Say("Decode time in ms = fixed + per token · tokens, over the calls, each weighted with 1/tokens². “Later positions” is by how much one step takes longer 100 positions later, from the steps of the longest answers.")
	f := doc.Table{Head: []string{"<model", "<backend", "prompt (tokens)", "lengths", "calls", "fixed (ms)", "95 % t-interval", "per token (ms)", "95 % t-interval", "R²",
		"later positions (µs per 100)", "95 % t-interval", "of a step (%)", "<unknown or in doubt, and why"}}
	doubts := false
	for _, x := range a.DecodeLengthFits {
		var why []string
		row := []string{doc.Text(x.Model), prose.Series{Series: x.Series()}.String(), promptText(x.PromptTokens, x.Depth), strconv.Itoa(x.NLengths), strconv.Itoa(x.N)}
		if x.OK {
			row = append(row, doc.NumberOf(x.FixedMS), doc.Numbers(x.FixedT), doc.NumberOf(x.PerTokenMS), doc.Numbers(x.PerTokenT), doc.Fixed(x.R2, 4))
		} else {
			row = append(row, "unknown", doc.Unknown, "unknown", doc.Unknown, doc.Unknown)
			why = append(why, "line: "+doc.Text(x.Reason))
		}
		p := x.Position
		if p.NSPer100 != nil {
			row = append(row, doc.Number(*p.NSPer100/1e3), doc.Numbers(stats.Scaled(p.CI, 1e-3)), doc.Fixed(doc.Hundredfold(p.Relative), 2))
		} else {
			row = append(row, "unknown", doc.Unknown, doc.Unknown)
			why = append(why, "later positions: "+doc.Text(p.Reason))
		}
		for _, warning := range x.Warnings {
			why = append(why, "warning "+doc.Text(warning.Code))
		}
		doubts = doubts || len(why) > 0
		f.Rows = append(f.Rows, append(row, doc.OrPlain(strings.Join(why, "; "))))
	}
	if !doubts {
		last := len(f.Head) - 1
		f.Head = f.Head[:last]
		for i := range f.Rows {
			f.Rows[i] = f.Rows[i][:last]
		}
	}
	sec.Add(f)
	return sec
}

// Sentences say for each backend, and where there are several for each
// prompt length and span of lengths, whether the time per token depends on the
// length of the answer.
func (a *Answer) Sentences() []string {
	type group struct {
		prose.Series
		prompt, depth, shortest, longest int
	}
	var groups []group
	byGroup := map[group][]Verdict{}
	for _, v := range a.Answers.DecodeLengths {
		g := group{prose.Series{Series: v.Series()}, v.PromptTokens, v.Depth, v.Shortest, v.Longest}
		if byGroup[g] == nil {
			groups = append(groups, g)
		}
		byGroup[g] = append(byGroup[g], v)
	}
	var out []string
	for _, g := range groups {
		within := ""
		parts := map[string][]string{}
		for _, v := range byGroup[g] {
			name, change := doc.Text(v.Model), 100*(v.Ratio-1)
			verdict := v.Verdict
			if v.Basis == cells.BasisOne {
				within = ", within one process"
			}
			switch verdict {
			case "same":
			case "grows", "falls":
				if change < 0 {
					change = -change
				}
				name = fmt.Sprintf("by **%s %%** on %s", doc.Fixed(&change, 1), name)
				if v.CI != nil {
					lo, hi := 100*(v.CI.Low-1), 100*(v.CI.High-1)
					if v.Verdict == "falls" {
						lo, hi = -hi, -lo
					}
					name += fmt.Sprintf(" (95 %% %s to %s%s)", doc.Fixed(&lo, 1), doc.Fixed(&hi, 1), prose.Within(v.Basis))
				}
			default:
				verdict = "unknown"
				name += " (" + doc.Text(v.Why) + ")"
			}
			parts[verdict] = append(parts[verdict], name)
		}
		var said []string
		if p := parts["same"]; p != nil {
			said = append(said, fmt.Sprintf("**does not depend** on the length within %s %% on %s", doc.Size(100*LengthTolerance), doc.Join(p)))
		}
		for _, verdict := range []string{"grows", "falls"} {
			if p := parts[verdict]; p != nil {
				said = append(said, verdict+" "+doc.Join(p))
			}
		}
		s := fmt.Sprintf("From answers of %d to %d tokens at prompts of %s, decode time per token on %s", g.shortest, g.longest, doc.Count(g.prompt, "token", "tokens")+prose.AtDepth(g.depth), g.Series)
		if len(said) > 0 {
			s += " " + strings.Join(said, "; it ") + ", on this machine" + within + "."
		}
		if p := parts["unknown"]; p != nil {
			if len(said) > 0 {
				s += " Whether it does is **unknown** for " + doc.Join(p) + "."
			} else {
				s = strings.Replace(s, "decode time per token", "whether decode time per token", 1) + " depends on the length is **unknown** on this machine: " + doc.Join(p) + "."
			}
		}
		out = append(out, s)
	}
	return out
}

// positionSentences say for each backend on which models later steps take longer.
func (a *Answer) positionSentences() []string {
	var out []string
	for _, k := range prose.Measured(a.set) {
		var moved, still []string
		for _, f := range a.DecodeLengthFits {
			p := f.Position
			if f.Backend != k.Backend || f.BatchSize != k.BatchSize || p.CI == nil || p.Relative == nil {
				continue
			}
			if p.CI.Low <= 0 && p.CI.High >= 0 {
				still = append(still, doc.Text(f.Model)+prose.AtDepth(f.Depth))
				continue
			}
			moved = append(moved, fmt.Sprintf("%s %% on %s", doc.Signed(100**p.Relative), doc.Text(f.Model)+prose.AtDepth(f.Depth)))
		}
		s := fmt.Sprintf("Within the longest answers on %s, each 100 positions", k)
		switch {
		case len(moved) > 0:
			s += " change the time of one step by " + doc.Join(moved)
			if len(still) > 0 {
				s += "; on " + doc.Join(still) + " no change can be told"
			}
			out = append(out, s+".")
		case len(still) > 0:
			out = append(out, s+" change the time of one step by nothing that can be told, on "+doc.Join(still)+".")
		}
	}
	return out
}
