package plot

import (
	"cmp"
	"fmt"
	"slices"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/tails"
	"llmscale/runner/record"
)

// tokenFigures show decode time by position in the answer, one figure for each
// backend, for the scenario that most models have; among equals the one with
// the longest prompt, then with the longest answers.
func (b *book) tokenFigures() []figure.Figure {
	var out []figure.Figure
	for _, s := range b.series {
		scenario := b.tokenScenario(s)
		var lines []tails.TokenSeries
		for _, t := range analysis.Get[tails.Answer](b.r).Tokens {
			if t.Backend == s.Backend && t.BatchSize == s.BatchSize && t.Scenario == scenario && len(t.MedianMS) > 1 {
				lines = append(lines, t)
			}
		}
		if len(lines) > 0 {
			out = append(out, tokenFigure(s, scenario, lines))
		}
	}
	return out
}

func (b *book) tokenScenario(s cells.Series) string {
	models := map[string]int{}
	var names []string
	for _, t := range analysis.Get[tails.Answer](b.r).Tokens {
		if t.Backend == s.Backend && t.BatchSize == s.BatchSize && len(t.MedianMS) > 1 {
			if models[t.Scenario]++; models[t.Scenario] == 1 {
				names = append(names, t.Scenario)
			}
		}
	}
	prompt, answer := map[string]float64{}, map[string]float64{}
	for _, c := range b.r.Cells {
		if c.Backend == s.Backend && c.Mode == record.ModeDecode && c.PromptTokens != nil {
			prompt[c.Scenario] = max(prompt[c.Scenario], *c.PromptEach())
			answer[c.Scenario] = max(answer[c.Scenario], value(c.AnswerTokens()))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.MaxFunc(names, func(a, c string) int {
		return cmp.Or(cmp.Compare(models[a], models[c]), cmp.Compare(prompt[a], prompt[c]), cmp.Compare(answer[a], answer[c]), cmp.Compare(a, c))
	})
}

func tokenFigure(s cells.Series, scenario string, lines []tails.TokenSeries) figure.Figure {
	slices.SortStableFunc(lines, func(a, c tails.TokenSeries) int { return cmp.Compare(value(a.ParamsM), value(c.ParamsM)) })
	models := " · " + count(len(lines), "model", "models")
	lines, left := figure.Spread(lines, "models")
	var x, y, calls figure.Span
	var layers []figure.Layer
	for i, t := range lines {
		l := figure.Layer{Look: figure.Ramp(i, len(lines)).Stroke(1.3), End: t.Model}
		for k, v := range t.MedianMS {
			if v <= 0 {
				continue
			}
			pos := float64(k + 1)
			l.Line = append(l.Line, figure.XY{X: pos, Y: v})
			x.Add(pos)
			y.Add(v)
			if k < len(t.MinMS) && k < len(t.MaxMS) && t.MinMS[k] > 0 {
				l.Band = append(l.Band, figure.Range{X: pos, Low: t.MinMS[k], High: t.MaxMS[k]})
				y.Add(t.MinMS[k], t.MaxMS[k])
			}
		}
		if len(l.Line) > 0 {
			layers = append(layers, l)
			calls.Add(float64(t.Reps))
		}
	}
	return figure.Figure{
		Kind:  KindTokens,
		Name:  "tokens_" + s.Backend + "_" + scenario + s.FileSuffix(),
		Title: fmt.Sprintf("Decode time token by token: %s, %s", s.Title(), scenarioTitle(scenario)),
		Subtitle: fmt.Sprintf("mode kv_decode%s · lines: median over %s calls at each position · bands: fastest to slowest call",
			cmp.Or(left, models), calls),
		Caption: fmt.Sprintf("Decode time by position in the answer, for %s in %s. Lines are medians over the calls (%s for each model), bands reach from the fastest to the slowest call at that position; the colour runs from the smallest model (dark) to the largest. "+
			"A line that rises shows what a longer KV cache costs; one that falls at the start shows warming up.", s.Title(), scenarioTitle(scenario), calls),
		X:      figure.LinearAxis("position in the answer (tokens decoded)", x, 2, 0, x.High),
		Panels: []figure.Panel{{Y: figure.LogAxis("decode time of one token (ms)", y), Layers: layers}},
	}
}

func value(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}
