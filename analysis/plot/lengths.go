package plot

import (
	"cmp"
	"fmt"
	"slices"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/lengths"
)

// lengthFigures show decode time per token against the length of the answer, one
// figure for each backend and prompt length that has several.
func (b *book) lengthFigures() []figure.Figure {
	var out []figure.Figure
	least := 0
	for i, d := range analysis.Get[lengths.Answer](b.r).DecodeLengths {
		if i == 0 || d.Depth < least {
			least = d.Depth
		}
	}
	for _, s := range b.series {
		byPrompt := map[int][]lengths.DecodeLength{}
		var prompts []int
		for _, d := range analysis.Get[lengths.Answer](b.r).DecodeLengths {
			if d.Depth > least {
				continue // one figure is of one depth, and the table has the others
			}
			if d.Backend == s.Backend && d.BatchSize == s.BatchSize && d.GenTokens > 0 && d.MSPerTokenMin > 0 {
				if byPrompt[d.PromptTokens] == nil {
					prompts = append(prompts, d.PromptTokens)
				}
				byPrompt[d.PromptTokens] = append(byPrompt[d.PromptTokens], d)
			}
		}
		slices.Sort(prompts)
		for _, prompt := range prompts {
			f := lengthFigure(s, prompt, byPrompt[prompt])
			f.Name = "decode_length_" + s.Backend + s.FileSuffix()
			if len(prompts) > 1 {
				f.Name += fmt.Sprintf("_p%d", prompt)
			}
			out = append(out, f)
		}
	}
	return out
}

func lengthFigure(s cells.Series, prompt int, rows []lengths.DecodeLength) figure.Figure {
	slices.SortStableFunc(rows, func(a, c lengths.DecodeLength) int { return cmp.Compare(value(a.ParamsM), value(c.ParamsM)) })
	var names []string
	for _, d := range rows {
		if !slices.Contains(names, d.Model) {
			names = append(names, d.Model)
		}
	}
	models := count(len(names), "model", "models")
	names, left := figure.First(names, "models")
	var layers []figure.Layer
	var x, y, calls figure.Span
	for i, name := range names {
		l := figure.Layer{Look: figure.Ramp(i, len(names)).Stroke(1.2), End: name}
		for _, d := range rows {
			if d.Model != name {
				continue
			}
			gen := float64(d.GenTokens)
			l.Points = append(l.Points, figure.Point{Name: name, X: gen, Y: d.MSPerToken, Low: d.MSPerTokenMin, High: d.MSPerTokenMax})
			l.Line = append(l.Line, figure.XY{X: gen, Y: d.MSPerToken})
			x.Add(gen)
			y.Add(d.MSPerTokenMin, d.MSPerTokenMax)
			calls.Add(float64(d.N))
		}
		layers = append(layers, l)
	}
	prompts := count(prompt, "token", "tokens")
	return figure.Figure{
		Kind:  KindLengths,
		Title: fmt.Sprintf("Decode time per token against the length of the answer: %s", s.Title()),
		Subtitle: fmt.Sprintf("mode kv_decode · %s%s · prompts of %s · median of %s calls, with the fastest and the slowest",
			models, left, prompts, calls),
		X:      figure.LogAxis("length of the answer (tokens decoded)", x),
		Panels: []figure.Panel{{Y: figure.LogAxis("decode time per token (ms)", y), Layers: layers}},
		Caption: fmt.Sprintf("Decode time of a call over the tokens that it decoded, against their number, for %s and prompts of %s, on log-log axes. Points are medians over the calls (%s for each), whiskers reach from the fastest to the slowest call; the colour runs from the smallest model (dark) to the largest. "+
			"A level line is decode in proportion to its length; one that falls shows a fixed cost of each call, one that rises what a longer KV cache costs.", s.Title(), prompts, calls),
	}
}
