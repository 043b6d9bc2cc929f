package report

import (
	"fmt"
	"slices"
	"strconv"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/lengths"
	"llmscale/runner/record"
)

// depth has how decode slows down as the KV cache fills.
func (w *writer) depth() {
	if len(analysis.Get[lengths.Answer](w.r).DecodeDepths) == 0 {
		return
	}
	w.doc.Section("Decode by depth")
	w.doc.Say("Decode time per token with that many tokens in the KV cache before the prompt. The ratio is to the least depth; its 95 %% interval, and that of the cost of a token of depth (a straight line over the calls), come from the calls of one process.")
	for _, s := range w.depthSentences() {
		w.doc.Add(doc.Paragraph(s))
	}
	w.foldAbove(mostShown, "Each depth", doc.TableOf(analysis.Get[lengths.Answer](w.r).DecodeDepths, []doc.Column[lengths.DecodeDepth]{
		{Head: "<model", Cell: func(d lengths.DecodeDepth) string { return doc.Text(d.Model) }},
		{Head: "<backend", Cell: func(d lengths.DecodeDepth) string { return series(d.Backend, d.BatchSize) }},
		{Head: "prompt (tokens)", Cell: func(d lengths.DecodeDepth) string { return strconv.Itoa(d.PromptTokens) }},
		{Head: "answer (tokens)", Cell: func(d lengths.DecodeDepth) string { return strconv.Itoa(d.GenTokens) }},
		{Head: "depth (tokens)", Cell: func(d lengths.DecodeDepth) string { return strconv.Itoa(d.Depth) }},
		{Head: "calls", Cell: func(d lengths.DecodeDepth) string { return strconv.Itoa(d.N) }},
		{Head: "decode (ms/token)", Cell: func(d lengths.DecodeDepth) string { return doc.Number(d.MSPerToken) }},
		{Head: "ratio", Cell: func(d lengths.DecodeDepth) string { return doc.Fixed(&d.Ratio, 3) }},
		{Head: "95 % within one process", Cell: func(d lengths.DecodeDepth) string { return doc.Interval(d.RatioCI, 3) }},
		{Head: "prefill there (ms)", Cell: func(d lengths.DecodeDepth) string { return doc.NumberOf(d.PrefillMS) }},
	}))
}

// depthSentences say for each backend what a token of depth costs.
func (w *writer) depthSentences() (out []string) {
	for _, k := range w.keys() {
		var cost, open []string
		for _, f := range analysis.Get[lengths.Answer](w.r).DecodeDepthFits {
			if f.Backend != k.backend || f.BatchSize != k.batch {
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
					s += fmt.Sprintf(" (95 %% %s", numbers(f.CI))
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

// atDepth stands behind a prompt's length, where there is a depth.
func atDepth(depth int) string {
	if depth == 0 {
		return ""
	}
	return fmt.Sprintf(" at depth %d", depth)
}

func promptAt(prompt, depth int) string { return strconv.Itoa(prompt) + atDepth(depth) }

// depthNote says which scenarios the means over scenarios leave out.
func (w *writer) depthNote() string {
	whole := w.r.CellsOf(cells.AllScenarios)
	if len(whole) == 0 || len(whole) == len(w.r.Cells) {
		return ""
	}
	var deep []string
	for _, c := range w.r.Cells {
		if name := doc.Text(c.Scenario); c.Depth > whole[0].Depth && !slices.Contains(deep, name) {
			deep = append(deep, name)
		}
	}
	return fmt.Sprintf("What joins scenarios, here and below, is of those at depth %d: %s stand alone (“Decode by depth”).", whole[0].Depth, doc.Join(deep))
}

// paceNote says what came before each timed call.
func (w *writer) paceNote() string {
	var names []string
	backends := map[string][]string{}
	cold := false
	for _, c := range w.r.Cells {
		cold = cold || c.PrefillColdMS != nil
		if c.Pace == "" {
			continue
		}
		if backends[c.Pace] == nil {
			names = append(names, c.Pace)
		}
		if b := doc.Text(c.Backend); !slices.Contains(backends[c.Pace], b) {
			backends[c.Pace] = append(backends[c.Pace], b)
		}
	}
	if len(names) == 0 {
		return ""
	}
	says := func(p string) string {
		if p == record.PaceHot {
			return "**hot**: untimed work of the same kind comes right before"
		}
		return fmt.Sprintf("**%s**: after a pause", doc.Text(p))
	}
	s := "Timed calls are "
	for i, p := range names {
		if i > 0 {
			s += "; "
		}
		s += says(p)
		if len(names) > 1 {
			s += fmt.Sprintf(" (%s)", doc.Join(backends[p]))
		}
	}
	s += "."
	if cold {
		s += " “Cold prefill” is the first after the pause between calls: what a request meets that comes after a pause, where hot is what requests back to back meet."
	}
	return s
}
