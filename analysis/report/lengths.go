package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/plot"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// lengths has how decode grows with the number of tokens decoded, where a model
// has answers of several lengths.
func (w *writer) lengths() {
	if len(analysis.Get[lengths.Answer](w.r).DecodeLengths) == 0 {
		return
	}
	w.doc.Section("Decode by length of the answer")
	w.doc.Say("Decode time over the tokens decoded, by their number, at equal prompts. The ratio is to the shortest answers' time per token; where its 95 %% interval lies within %s %% of 1 it counts as the same. All intervals of this section come from the calls of one process.", doc.Size(100*lengths.LengthTolerance))
	for _, s := range append(w.lengthSentences(), w.positionSentences()...) {
		w.doc.Add(doc.Paragraph(s))
	}
	w.figures(plot.KindLengths)

	t := doc.Table{Head: []string{"<model", "<backend", "parameters (millions)", "prompt (tokens)", "answer (tokens)", "calls", "decode (ms)", "decode (ms/token)", "ratio to the shortest", "decode share (%)"}}
	for _, d := range analysis.Get[lengths.Answer](w.r).DecodeLengths {
		t.Rows = append(t.Rows, []string{doc.Text(d.Model), series(d.Backend, d.BatchSize), doc.SizeOf(d.ParamsM), promptAt(d.PromptTokens, d.Depth), strconv.Itoa(d.GenTokens),
			strconv.Itoa(d.N), doc.Number(d.DecodeMS), doc.Number(d.MSPerToken), doc.Fixed(&d.Ratio, 3), doc.Percent(d.Fraction)})
	}
	w.doc.Add(t)

	w.doc.Say("Decode time in ms = fixed + per token · tokens, over the calls, each weighted with 1/tokens². “Later positions” is by how much one step takes longer 100 positions later, from the steps of the longest answers.")
	f := doc.Table{Head: []string{"<model", "<backend", "prompt (tokens)", "lengths", "calls", "fixed (ms)", "95 % t-interval", "per token (ms)", "95 % t-interval", "R²",
		"later positions (µs per 100)", "95 % t-interval", "of a step (%)", "<unknown or in doubt, and why"}}
	doubts := false
	for _, x := range analysis.Get[lengths.Answer](w.r).DecodeLengthFits {
		var why []string
		row := []string{doc.Text(x.Model), series(x.Backend, x.BatchSize), promptAt(x.PromptTokens, x.Depth), strconv.Itoa(x.NLengths), strconv.Itoa(x.N)}
		if x.OK {
			row = append(row, doc.NumberOf(x.FixedMS), numbers(x.FixedT), doc.NumberOf(x.PerTokenMS), numbers(x.PerTokenT), doc.Fixed(x.R2, 4))
		} else {
			row = append(row, "unknown", doc.Unknown, "unknown", doc.Unknown, doc.Unknown)
			why = append(why, "line: "+doc.Text(x.Reason))
		}
		p := x.Position
		if p.NSPer100 != nil {
			row = append(row, doc.Number(*p.NSPer100/1e3), numbers(scaled(p.CI, 1e-3)), doc.Fixed(hundredfold(p.Relative), 2))
		} else {
			row = append(row, "unknown", doc.Unknown, doc.Unknown)
			why = append(why, "later positions: "+doc.Text(p.Reason))
		}
		for _, warning := range x.Warnings {
			why = append(why, "warning "+doc.Text(warning.Code))
		}
		doubts = doubts || len(why) > 0
		f.Rows = append(f.Rows, append(row, orPlain(strings.Join(why, "; "))))
	}
	if !doubts {
		last := len(f.Head) - 1
		f.Head = f.Head[:last]
		for i := range f.Rows {
			f.Rows[i] = f.Rows[i][:last]
		}
	}
	w.doc.Add(f)
}

// numbers prints an interval with the digits of number.
func numbers(i *stats.Interval) string {
	if i == nil {
		return doc.Unknown
	}
	return doc.Number(i.Low) + " to " + doc.Number(i.High)
}

func scaled(i *stats.Interval, by float64) *stats.Interval {
	if i == nil {
		return nil
	}
	return &stats.Interval{Low: i.Low * by, High: i.High * by}
}

func hundredfold(v *float64) *float64 {
	if v == nil {
		return nil
	}
	x := 100 * *v
	return &x
}

// orPlain is text that is escaped already, or a dash.
func orPlain(s string) string {
	if s == "" {
		return doc.Unknown
	}
	return s
}

// lengthSentences say for each backend, and where there are several for each
// prompt length and span of lengths, whether the time per token depends on the
// length of the answer.
func (w *writer) lengthSentences() []string {
	type group struct {
		key
		prompt, depth, shortest, longest int
	}
	var groups []group
	byGroup := map[group][]lengths.Verdict{}
	for _, a := range analysis.Get[lengths.Answer](w.r).Answers.DecodeLengths {
		g := group{key{a.Backend, a.BatchSize}, a.PromptTokens, a.Depth, a.Shortest, a.Longest}
		if byGroup[g] == nil {
			groups = append(groups, g)
		}
		byGroup[g] = append(byGroup[g], a)
	}
	var out []string
	for _, g := range groups {
		parts := map[string][]string{}
		for _, a := range byGroup[g] {
			name, change := doc.Text(a.Model), 100*(a.Ratio-1)
			verdict := a.Verdict
			switch verdict {
			case "same":
			case "grows", "falls":
				if change < 0 {
					change = -change
				}
				name = fmt.Sprintf("by **%s %%** on %s", doc.Fixed(&change, 1), name)
				if a.CI != nil {
					lo, hi := 100*(a.CI.Low-1), 100*(a.CI.High-1)
					if a.Verdict == "falls" {
						lo, hi = -hi, -lo
					}
					name += fmt.Sprintf(" (95 %% %s to %s within one process)", doc.Fixed(&lo, 1), doc.Fixed(&hi, 1))
				}
			default:
				verdict = "unknown"
				name += " (" + doc.Text(a.Why) + ")"
			}
			parts[verdict] = append(parts[verdict], name)
		}
		var said []string
		if p := parts["same"]; p != nil {
			said = append(said, fmt.Sprintf("**does not depend** on the length within %s %% on %s", doc.Size(100*lengths.LengthTolerance), doc.Join(p)))
		}
		for _, verdict := range []string{"grows", "falls"} {
			if p := parts[verdict]; p != nil {
				said = append(said, verdict+" "+doc.Join(p))
			}
		}
		s := fmt.Sprintf("From answers of %d to %d tokens at prompts of %s, decode time per token on %s", g.shortest, g.longest, doc.Count(g.prompt, "token", "tokens")+atDepth(g.depth), g.key)
		if len(said) > 0 {
			s += " " + strings.Join(said, "; it ") + ", on this machine, within one process."
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
func (w *writer) positionSentences() []string {
	var out []string
	for _, k := range w.keys() {
		var moved, still []string
		for _, f := range analysis.Get[lengths.Answer](w.r).DecodeLengthFits {
			p := f.Position
			if f.Backend != k.backend || f.BatchSize != k.batch || p.CI == nil || p.Relative == nil {
				continue
			}
			if p.CI.Low <= 0 && p.CI.High >= 0 {
				still = append(still, doc.Text(f.Model)+atDepth(f.Depth))
				continue
			}
			moved = append(moved, fmt.Sprintf("%s %% on %s", signed(100**p.Relative), doc.Text(f.Model)+atDepth(f.Depth)))
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

func signed(v float64) string {
	s := doc.Fixed(&v, 2)
	if v > 0 {
		return "+" + s
	}
	return s
}

// answerLengths lists the lengths of the answers that were decoded, in tokens.
func (w *writer) answerLengths() []int {
	var out []int
	for _, c := range w.r.CellsOf(cells.AllScenarios) {
		if n := c.AnswerTokens(); n != nil && c.Mode == record.ModeDecode && !slices.Contains(out, int(*n)) {
			out = append(out, int(*n))
		}
	}
	slices.Sort(out)
	return out
}

// lengthsText is answerLengths in words; "" where all answers have one length.
func (w *writer) lengthsText() string {
	lengths := w.answerLengths()
	if len(lengths) < 2 {
		return ""
	}
	var parts []string
	for _, n := range lengths {
		parts = append(parts, strconv.Itoa(n))
	}
	return doc.Join(parts) + " tokens"
}
