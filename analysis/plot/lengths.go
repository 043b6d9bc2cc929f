package plot

import (
	"cmp"
	"fmt"
	"slices"

	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis"
)

// lengthFigures show decode time per token against the length of the answer, one
// figure for each backend and prompt length that has several.
func (b *book) lengthFigures() []*sheet {
	var out []*sheet
	least := 0
	for i, d := range b.r.DecodeLengths {
		if i == 0 || d.Depth < least {
			least = d.Depth
		}
	}
	for _, s := range b.series {
		byPrompt := map[int][]analysis.DecodeLength{}
		var prompts []int
		for _, d := range b.r.DecodeLengths {
			if d.Depth > least {
				continue // one figure is of one depth, and the table has the others
			}
			if d.Backend == s.backend && d.BatchSize == s.batch && d.GenTokens > 0 && d.MSPerTokenMin > 0 {
				if byPrompt[d.PromptTokens] == nil {
					prompts = append(prompts, d.PromptTokens)
				}
				byPrompt[d.PromptTokens] = append(byPrompt[d.PromptTokens], d)
			}
		}
		slices.Sort(prompts)
		for _, prompt := range prompts {
			sh := b.lengthSheet(s, prompt, byPrompt[prompt])
			sh.name = "decode_length_" + s.backend + s.suffix()
			if len(prompts) > 1 {
				sh.name += fmt.Sprintf("_p%d", prompt)
			}
			out = append(out, sh)
		}
	}
	return out
}

func (b *book) lengthSheet(s series, prompt int, rows []analysis.DecodeLength) *sheet {
	slices.SortStableFunc(rows, func(a, c analysis.DecodeLength) int { return cmp.Compare(value(a.ParamsM), value(c.ParamsM)) })
	var names []string
	for _, d := range rows {
		if !slices.Contains(names, d.Model) {
			names = append(names, d.Model)
		}
	}
	p := newPlot()
	sh := &sheet{
		kind:   KindLengths,
		title:  fmt.Sprintf("Decode time per token against the length of the answer: %s", s),
		xLabel: "length of the answer (tokens decoded)",
		yLabel: "decode time per token (ms)",
		plot:   p,
	}
	var x, y, calls span
	ends := &endLabels{}
	for i, name := range names {
		// One glyph for all: colour and the name at the end tell models apart.
		m := marks{look: look{rampColor(i, len(names)), glyphs[0]}}
		line := curve{style: draw.LineStyle{Color: m.look.color, Width: 1.2}}
		for _, d := range rows {
			if d.Model != name {
				continue
			}
			gen := float64(d.GenTokens)
			m.points = append(m.points, mark{name: name, x: gen, y: d.MSPerToken, lo: d.MSPerTokenMin, hi: d.MSPerTokenMax})
			line.xs, line.ys = append(line.xs, gen), append(line.ys, d.MSPerToken)
			x.add(gen)
			y.add(d.MSPerTokenMin, d.MSPerTokenMax)
			calls.add(float64(d.N))
		}
		p.Add(line, m)
		ends.add(clean(name), line.ys[len(line.ys)-1], m.look.color)
	}
	p.Add(ends)
	logAxis(&p.X, x)
	logAxis(&p.Y, y)
	sh.right = ends.width()
	n := fmt.Sprintf("%.0f", calls.lo)
	if calls.hi > calls.lo {
		n = fmt.Sprintf("%.0f to %.0f", calls.lo, calls.hi)
	}
	sh.subtitle = fmt.Sprintf("mode kv_decode · %s · prompts of %s · median of %s calls, with the fastest and the slowest",
		count(len(names), "model", "models"), count(prompt, "token", "tokens"), n)
	sh.caption = func() string {
		return fmt.Sprintf("Decode time of a call over the tokens that it decoded, against their number, for %s and prompts of %s, on log-log axes. Points are medians over the calls (%s for each), whiskers reach from the fastest to the slowest call; the colour runs from the smallest model (dark) to the largest. "+
			"A level line is decode in proportion to its length; one that falls shows a fixed cost of each call, one that rises what a longer KV cache costs.", s, count(prompt, "token", "tokens"), n)
	}
	return sh
}
