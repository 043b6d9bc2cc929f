package report

import (
	"fmt"
	"slices"
	"strconv"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/runner/record"
)

// depth has how decode slows down as the KV cache fills.
func (w *writer) depth() {
	if len(w.r.DecodeDepths) == 0 {
		return
	}
	w.doc.section("Decode by depth")
	w.doc.say("Decode time per token with that many tokens in the KV cache before the prompt. The ratio is to the least depth; its 95 %% interval, and that of the cost of a token of depth (a straight line over the calls), come from the calls of one process.")
	for _, s := range w.depthSentences() {
		w.doc.add(paragraph(s))
	}
	w.foldAbove(mostShown, "Each depth", tableOf(w.r.DecodeDepths, []column[analysis.DecodeDepth]{
		{"<model", func(d analysis.DecodeDepth) string { return text(d.Model) }},
		{"<backend", func(d analysis.DecodeDepth) string { return series(d.Backend, d.BatchSize) }},
		{"prompt (tokens)", func(d analysis.DecodeDepth) string { return strconv.Itoa(d.PromptTokens) }},
		{"answer (tokens)", func(d analysis.DecodeDepth) string { return strconv.Itoa(d.GenTokens) }},
		{"depth (tokens)", func(d analysis.DecodeDepth) string { return strconv.Itoa(d.Depth) }},
		{"calls", func(d analysis.DecodeDepth) string { return strconv.Itoa(d.N) }},
		{"decode (ms/token)", func(d analysis.DecodeDepth) string { return number(d.MSPerToken) }},
		{"ratio", func(d analysis.DecodeDepth) string { return fixed(&d.Ratio, 3) }},
		{"95 % within one process", func(d analysis.DecodeDepth) string { return interval(d.RatioCI, 3) }},
		{"prefill there (ms)", func(d analysis.DecodeDepth) string { return numberOf(d.PrefillMS) }},
	}))
}

// depthSentences say for each backend what a token of depth costs.
func (w *writer) depthSentences() (out []string) {
	for _, k := range w.keys() {
		var cost, open []string
		for _, f := range w.r.DecodeDepthFits {
			if f.Backend != k.backend || f.BatchSize != k.batch {
				continue
			}
			name := text(f.Model)
			switch {
			case f.NSPerToken == nil:
				open = append(open, fmt.Sprintf("%s (%s)", name, text(f.Reason)))
			case f.CI != nil && f.CI.Low <= 0 && f.CI.High >= 0:
				open = append(open, name+" (the interval holds 0)")
			default:
				s := fmt.Sprintf("**%s ns** on %s", number(*f.NSPerToken), name)
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
			out = append(out, fmt.Sprintf("On %s each token in the KV cache adds to a decode step %s.", k, join(cost)))
		}
		if len(open) > 0 {
			out = append(out, fmt.Sprintf("What depth costs on %s is **unknown** for %s.", k, join(open)))
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
		if name := text(c.Scenario); c.Depth > whole[0].Depth && !slices.Contains(deep, name) {
			deep = append(deep, name)
		}
	}
	return fmt.Sprintf("What joins scenarios, here and below, is of those at depth %d: %s stand alone (“Decode by depth”).", whole[0].Depth, join(deep))
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
		if b := text(c.Backend); !slices.Contains(backends[c.Pace], b) {
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
		return fmt.Sprintf("**%s**: after a pause", text(p))
	}
	s := "Timed calls are "
	for i, p := range names {
		if i > 0 {
			s += "; "
		}
		s += says(p)
		if len(names) > 1 {
			s += fmt.Sprintf(" (%s)", join(backends[p]))
		}
	}
	s += "."
	if cold {
		s += " “Cold prefill” is the first after the pause between calls: what a request meets that comes after a pause, where hot is what requests back to back meet."
	}
	return s
}
