package lengths

import (
	"cmp"
	"fmt"
	"math"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/stats"
)

// figureKind is the kind of the figures.
const figureKind = "lengths"

// Figures show decode time per token against the length of the answer, one for each
// backend and prompt length that has several. They are of the least depth; the table
// has the others.
func (a *Answer) Figures() []figure.Figure {
	type key struct {
		cells.Series
		prompt int
	}
	least := math.MaxInt
	for _, d := range a.DecodeLengths {
		least = min(least, d.Depth)
	}
	var drawn []DecodeLength
	for _, d := range a.DecodeLengths {
		if d.Depth == least && d.GenTokens > 0 && d.MSPerTokenMin > 0 {
			drawn = append(drawn, d)
		}
	}
	keys, rows := stats.GroupBy(drawn, func(d DecodeLength) key { return key{d.Series(), d.PromptTokens} })
	prompts := map[cells.Series]int{}
	for _, k := range keys {
		prompts[k.Series]++
	}
	var out []figure.Figure
	for _, k := range keys {
		f := lengthFigure(k.Series, k.prompt, rows[k])
		f.Name = "decode_length_" + k.Backend + k.FileSuffix()
		if prompts[k.Series] > 1 {
			f.Name += fmt.Sprintf("_p%d", k.prompt)
		}
		out = append(out, f)
	}
	return out
}

func lengthFigure(s cells.Series, prompt int, rows []DecodeLength) figure.Figure {
	names, byName := stats.GroupBy(rows, func(d DecodeLength) string { return d.Model })
	models := " · " + doc.Count(len(names), "model", "models")
	names, left := figure.Spread(names, "models")
	var layers []figure.Layer
	var x, y, calls figure.Span
	for i, name := range names {
		l := figure.Layer{Look: figure.Ramp(i, len(names)).Stroke(1.2), End: name}
		for _, d := range byName[name] {
			gen := float64(d.GenTokens)
			l.Points = append(l.Points, figure.Point{Name: name, X: gen, Y: d.MSPerToken, Low: d.MSPerTokenMin, High: d.MSPerTokenMax})
			l.Line = append(l.Line, figure.XY{X: gen, Y: d.MSPerToken})
			x.Add(gen)
			y.Add(d.MSPerTokenMin, d.MSPerTokenMax)
			calls.Add(float64(d.N))
		}
		layers = append(layers, l)
	}
	prompts := doc.Count(prompt, "token", "tokens")
	return figure.Figure{
		Kind:  figureKind,
		Title: fmt.Sprintf("Decode time per token against the length of the answer: %s", s.Title()),
		Subtitle: fmt.Sprintf("mode kv_decode%s · prompts of %s · median of %s calls, with the fastest and the slowest",
			cmp.Or(left, models), prompts, calls),
		X:      figure.LogAxis("length of the answer (tokens decoded)", x),
		Panels: []figure.Panel{{Y: figure.LogAxis("decode time per token (ms)", y), Layers: layers}},
		Caption: fmt.Sprintf("Decode time of a call over the tokens that it decoded, against their number, for %s and prompts of %s, on log-log axes. Points are medians over the calls (%s for each), whiskers reach from the fastest to the slowest call; the colour runs from the smallest model (dark) to the largest. "+
			"A level line is decode in proportion to its length; one that falls shows a fixed cost of each call, one that rises what a longer KV cache costs.", s.Title(), prompts, calls),
	}
}
