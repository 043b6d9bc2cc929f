package plot

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/stats"
)

// tailFigure shows how much slower than the middle token the slow ones are,
// against size, for all backends. A quantile with too few tokens is not drawn.
func (b *book) tailFigure() []figure.Figure {
	bySeries := map[cells.Series][]*tails.Tail{}
	for i := range analysis.Get[tails.Answer](b.r).Tails {
		if t := &analysis.Get[tails.Answer](b.r).Tails[i]; t.Scenario == cells.AllScenarios && t.ParamsM != nil && *t.ParamsM > 0 {
			s := cells.Series{Backend: t.Backend, BatchSize: t.BatchSize}
			bySeries[s] = append(bySeries[s], t)
		}
	}
	shown := slices.DeleteFunc(slices.Clone(b.series), func(s cells.Series) bool { return bySeries[s] == nil })
	shown, left := figure.First(shown, "backends")
	f := figure.Figure{Kind: KindTails, Name: "tails"}
	var x, y, tokens figure.Span
	var plain, missing []string
	var layers []figure.Layer
	named := map[string]bool{}
	for _, s := range shown {
		for _, q := range []struct {
			name   string
			ratio  func(t *tails.Tail) stats.Percentile
			hollow bool
			look   figure.Look
		}{
			{"p99", func(t *tails.Tail) stats.Percentile { return t.P99Ratio }, true, b.look(s).Stroke(1.1, 3, 2)},
			{"p95", func(t *tails.Tail) stats.Percentile { return t.P95Ratio }, false, b.look(s)},
		} {
			l := figure.Layer{Look: q.look}
			short, need, had := 0, 0, 0
			for _, t := range bySeries[s] {
				r := q.ratio(t)
				if r.Value == nil {
					short++
					need, had = r.Need, max(had, r.N)
					continue
				}
				tokens.Add(float64(t.N))
				l.Points = append(l.Points, figure.Point{Name: t.Model, X: *t.ParamsM, Y: *r.Value, Hollow: q.hollow})
			}
			if short > 0 {
				missing = append(missing, fmt.Sprintf("%s of %s for %s (at most %d tokens, %d needed)", q.name, s.Title(), count(short, "model", "models"), had, need))
			}
			if len(l.Points) == 0 {
				continue
			}
			l.Join()
			for k := range l.Points {
				pt := &l.Points[k]
				pt.Named = !named[pt.Name]
				named[pt.Name] = true
				x.Add(pt.X)
				y.Add(pt.Y)
			}
			layers, f.Legend = append(layers, l), append(f.Legend, l.Key(fmt.Sprintf("%s / p50, %s", q.name, s.Title())))
			if !slices.Contains(plain, s.Title()) {
				plain = append(plain, s.Title())
			}
		}
	}
	if len(layers) == 0 {
		return nil
	}
	f.X = figure.LogAxis(cells.ParamsLabel, x)
	f.Panels = []figure.Panel{{Y: figure.RatioAxis("token time relative to the median token", y, 0.05, 1), Layers: layers}}
	f.Title = "Tail of the decode time per token against model size: " + prose.Backends(plain) + ", all scenarios"
	f.Subtitle = fmt.Sprintf("mode kv_decode · quantiles over %s tokens for each model, each taken relative to its scenario's median · 1 = no tail%s", tokens, left)
	f.Caption = "How much slower than the median token the slow ones are, against model size, for " + strings.Join(plain, ", ") + ". 1 is no tail at all. " +
		"p95 takes 130 tokens, p99 takes 662."
	if len(missing) > 0 {
		f.Caption += " Not drawn: " + strings.Join(missing, "; ") + "."
	}
	return []figure.Figure{f}
}
