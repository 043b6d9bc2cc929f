package tails

import (
	"cmp"
	"fmt"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// Kinds of the figures.
const (
	KindTokens = "tokens" // decode time by position in the answer
	KindTails  = "tails"  // tail ratios against size
)

// Figures show decode time along the answer, and the slow tokens against size.
func (a *Answer) Figures(known *intervals.Answer) []figure.Figure {
	return append(a.tokenFigures(), a.tailFigure(known)...)
}

// tokenFigures show decode time by position in the answer, one figure for each
// backend, for the scenario that most models have; among equals the one with
// the longest prompt, then with the longest answers.
func (a *Answer) tokenFigures() []figure.Figure {
	_, lines := stats.GroupBy(slices.DeleteFunc(slices.Clone(a.Tokens), func(t TokenSeries) bool { return len(t.MedianMS) < 2 }),
		func(t TokenSeries) cells.Series { return t.Series() })
	var out []figure.Figure
	for _, s := range a.set.Series {
		scenarios, of := stats.GroupBy(lines[s], func(t TokenSeries) string { return t.Scenario })
		if len(scenarios) == 0 {
			continue
		}
		prompt, answer := map[string]float64{}, map[string]float64{}
		for _, c := range a.set.CellsOf(s) {
			if c.Mode == record.ModeDecode && c.PromptTokens != nil {
				prompt[c.Scenario] = max(prompt[c.Scenario], *c.PromptEach())
				answer[c.Scenario] = max(answer[c.Scenario], value(c.AnswerTokens()))
			}
		}
		scenario := slices.MaxFunc(scenarios, func(x, y string) int {
			return cmp.Or(cmp.Compare(len(of[x]), len(of[y])), cmp.Compare(prompt[x], prompt[y]), cmp.Compare(answer[x], answer[y]), cmp.Compare(x, y))
		})
		out = append(out, tokenFigure(s, scenario, of[scenario]))
	}
	return out
}

func tokenFigure(s cells.Series, scenario string, lines []TokenSeries) figure.Figure {
	slices.SortStableFunc(lines, func(a, c TokenSeries) int { return cmp.Compare(value(a.ParamsM), value(c.ParamsM)) })
	models := " · " + text.Counted(len(lines), "model", "models")
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
		Title: fmt.Sprintf("Decode time token by token: %s, %s", s.Title(), prose.InScenario(scenario)),
		Subtitle: fmt.Sprintf("mode kv_decode%s · lines: median over %s calls at each position · bands: fastest to slowest call",
			cmp.Or(left, models), calls),
		Caption: fmt.Sprintf("Decode time by position in the answer, for %s in %s: median, fastest and slowest call.", s.Title(), prose.InScenario(scenario)),
		X:       figure.LinearAxis("position in the answer (tokens decoded)", x, 2, 0, x.High),
		Panels:  []figure.Panel{{Y: figure.LogAxis("decode time of one token (ms)", y), Layers: layers}},
	}
}

func value(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}

// tailFigure shows how much slower than the middle token the slow ones are,
// against size, for all backends. A quantile with too few tokens is not drawn.
func (a *Answer) tailFigure(known *intervals.Answer) []figure.Figure {
	bySeries := map[cells.Series][]*Tail{}
	var shown []cells.Series
	for _, s := range a.set.Series {
		for _, m := range a.set.ModelsOf(s.Backend) {
			if t := a.Overall(s, m.Name); t != nil && t.ParamsM != nil && *t.ParamsM > 0 {
				bySeries[s] = append(bySeries[s], t)
			}
		}
		if bySeries[s] != nil {
			shown = append(shown, s)
		}
	}
	shown, left := figure.First(shown, "backends")
	f := figure.Figure{Kind: KindTails, Name: "tails"}
	var tokens figure.Span
	var plain []string
	var missing []string // quantiles for which some model has too few tokens
	var layers []figure.Layer
	for _, s := range shown {
		for _, q := range []struct {
			name   string
			ratio  func(t *Tail) stats.Percentile
			hollow bool
			look   figure.Look
		}{
			{"p99", func(t *Tail) stats.Percentile { return t.P99Ratio }, true, prose.Look(a.set, s).Stroke(1.1, 3, 2)},
			{"p95", func(t *Tail) stats.Percentile { return t.P95Ratio }, false, prose.Look(a.set, s)},
		} {
			l := figure.Layer{Look: q.look}
			for _, t := range bySeries[s] {
				r := q.ratio(t)
				if r.Value == nil {
					if s := fmt.Sprintf("%s below %d tokens", q.name, r.Need); !slices.Contains(missing, s) {
						missing = append(missing, s)
					}
					continue
				}
				tokens.Add(float64(t.N))
				pt := figure.Point{Name: t.Model, X: *t.ParamsM, Y: *r.Value, Hollow: q.hollow}
				known.Mark(&pt, s.Key(t.Model, cells.AllScenarios, record.ModeDecode))
				pt.N, pt.Of = t.N, "tokens"
				if q.hollow && t.P99CI != nil {
					pt.Note = "95 % interval, approximate: " + doc.Interval(t.P99CI, 3)
				}
				l.Points = append(l.Points, pt)
			}
			if len(l.Points) == 0 {
				continue
			}
			l.Join()
			f.Legend = append(f.Legend, l.Key(fmt.Sprintf("%s / p50, %s", q.name, s.Title())))
			layers = append(layers, l)
			if !slices.Contains(plain, s.Title()) {
				plain = append(plain, s.Title())
			}
		}
	}
	x, y := figure.Spans(layers...)
	if !(x.High > x.Low) { // nothing, or one size
		return nil
	}
	figure.NameOnce(layers)
	f.X = figure.LogAxis(cells.ParamsLabel, x)
	f.Panels = []figure.Panel{{Y: figure.RatioAxis("token time relative to the median token", y, 0.05, 1), Layers: layers}}
	f.Title = "Tail of the decode time per token against model size: " + prose.Backends(plain) + ", all scenarios"
	f.Subtitle = fmt.Sprintf("mode kv_decode · quantiles over %s tokens for each model, each taken relative to its scenario's median · 1 = no tail%s", tokens, left)
	f.Caption = "How much slower than the median token the slow ones are, against model size. 1 is no tail."
	if len(missing) > 0 {
		f.Subtitle += " · not drawn: " + text.List(missing, "and")
	}
	return []figure.Figure{f}
}
