package regimes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// MapKind is the kind of the figures of regimes.
const MapKind = "regimes"

// maxMaps is how many of them there are: the table has the other backends.
const maxMaps = 8

// colours of the regimes, the same in each figure.
var colours = []string{Overhead, Cache, Memory, Compute, Weights, Wall, Unknown}

func look(regime string) figure.Look {
	if regime == Unknown {
		return figure.Muted()
	}
	return figure.Series(slices.Index(colours, regime))
}

// maps are the regimes over size and the tokens that are computed together, where these
// vary; else the parts of the time over size.
func (a *Answer) maps(known *intervals.Answer) (out []figure.Figure) {
	type key struct{ settings, mode string }
	all := a.those(func(b *Budget) bool { return b.ParamsM != nil && b.Tokens > 0 && b.Depth == a.set.LeastDepth() })
	keys, of := stats.GroupBy(all, func(b *Budget) key { return key{b.settings, b.Mode} })
	lead, _ := prose.Lead(a.set)
	behind := func(k key) int {
		if slices.ContainsFunc(of[k], func(b *Budget) bool { return b.Series() == lead.Series }) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(keys, func(x, y key) int { return cmp.Or(strings.Compare(x.mode, y.mode), behind(x)-behind(y)) }) // decode first, of the series that leads
	for _, k := range keys {
		mine := of[k]
		if len(out) == maxMaps {
			break
		}
		if sizes, _ := stats.GroupBy(mine, func(b *Budget) float64 { return *b.ParamsM }); len(sizes) < 2 {
			continue
		}
		tokens, _ := stats.GroupBy(mine, func(b *Budget) int { return b.Tokens })
		f := figure.Figure{Kind: MapKind, Name: "regimes_" + k.mode + "_" + mine[0].Backend}
		if len(tokens) > 1 {
			regimeMap(&f, mine, known)
		} else {
			shareLines(&f, mine, known)
		}
		out = append(out, f)
	}
	return out
}

func names(mine []*Budget) string {
	backends, _ := stats.GroupBy(mine, func(b *Budget) string { return b.Backend })
	return prose.Backends(backends)
}

func regimeMap(f *figure.Figure, mine []*Budget, known *intervals.Answer) {
	axis := "length of the prompt (tokens)"
	if mine[0].Mode == record.ModeDecode {
		axis = "sequences decoded together"
	} else if slices.ContainsFunc(mine, func(b *Budget) bool { return b.BatchSize > 1 }) {
		axis = "tokens of all prompts"
	}
	// One mark for each place: of several cells that differ, none is right.
	type place struct {
		params float64
		tokens int
	}
	places, at := stats.GroupBy(mine, func(b *Budget) place { return place{*b.ParamsM, b.Tokens} })
	layers := map[string]*figure.Layer{}
	for _, p := range places {
		pt := figure.Point{Name: at[p][0].Model, X: p.params, Y: float64(p.tokens)}
		known.Mark(&pt, stats.Map(at[p], (*Budget).key)...)
		regime, between := at[p][0].Regime, at[p][0].Between
		if all, _ := stats.GroupBy(at[p], func(b *Budget) string { return b.Regime }); len(all) > 1 {
			regime, between = Unknown, all
		}
		if pt.Hollow = regime == Unknown; len(between) > 0 {
			pt.Note = "between: " + strings.Join(between, ", ")
		}
		l := layers[regime]
		if l == nil {
			l = &figure.Layer{Look: look(regime)}
			layers[regime] = l
		}
		l.Points = append(l.Points, pt)
	}
	var drawn []figure.Layer
	for _, regime := range colours {
		if l := layers[regime]; l != nil {
			f.Legend = append(f.Legend, l.Key(fmt.Sprintf("%s (%d)", label(regime), len(l.Points))))
			drawn = append(drawn, *l)
		}
	}
	x, y := figure.Spans(drawn...)
	f.X, f.Panels = figure.LogAxis(cells.ParamsLabel, x), []figure.Panel{{Y: figure.LogAxis(axis, y), Layers: drawn}}
	f.Title = fmt.Sprintf("What bounds %s: %s", prose.Mode(mine[0].Mode), names(mine))
	f.Subtitle = fmt.Sprintf("mode %s · the largest part of the time at each size and number of tokens", mine[0].Mode)
	f.Caption = fmt.Sprintf("The largest part of the time of %s on %s, by size and %s. Hollow: cannot tell, or scenarios differ.", prose.Mode(mine[0].Mode), names(mine), axis)
}

func label(regime string) string {
	switch regime {
	case Cache, Memory:
		return regime + " (reading)"
	}
	return regime
}

// shareLines are the parts of the time over size.
func shareLines(f *figure.Figure, mine []*Budget, known *intervals.Answer) {
	parts := []struct {
		name string
		look figure.Look
		of   func(*Budget) *float64
	}{
		{"fixed and host", look(Overhead), func(b *Budget) *float64 { return sum(b.part(b.FixedMS), b.part(b.HostMS)) }},
		{"reading", look(Memory), func(b *Budget) *float64 { return b.part(b.ReadMS) }},
		{"computing", look(Compute), func(b *Budget) *float64 { return b.part(b.ComputeMS) }},
		{"residual", figure.Muted().Stroke(0.9, 4, 3), func(b *Budget) *float64 { return b.part(b.ResidualMS) }},
	}
	models, of := stats.GroupBy(mine, func(b *Budget) string { return b.Model })
	var layers []figure.Layer
	for _, p := range parts {
		l := figure.Layer{Look: p.look, Reach: "over all scenarios"}
		for _, m := range models {
			var shares []float64
			for _, b := range of[m] {
				if v := p.of(b); v != nil {
					shares = append(shares, 100**v)
				}
			}
			if len(shares) == 0 {
				continue
			}
			pt := figure.Point{Name: m, X: *of[m][0].ParamsM, Y: stats.Median(shares), Low: slices.Min(shares), High: slices.Max(shares)}
			if known.Mark(&pt, stats.Map(of[m], (*Budget).key)...); len(shares) > 1 {
				pt.N, pt.Of = len(shares), "scenarios"
			}
			l.Points = append(l.Points, pt)
		}
		if len(l.Points) == 0 {
			continue
		}
		l.Join()
		f.Legend = append(f.Legend, l.Key(p.name))
		layers = append(layers, l)
	}
	x, y := figure.Spans(layers...)
	y.Add(0)
	f.X = figure.LogAxis(cells.ParamsLabel, x)
	f.Panels = []figure.Panel{{Y: figure.LinearAxis("share of the time (%)", y, 0, -100, 200), Layers: layers}}
	scenarios, _ := stats.GroupBy(mine, func(b *Budget) string { return b.Scenario })
	f.Title = fmt.Sprintf("Where the time of %s goes: %s", prose.Mode(mine[0].Mode), names(mine))
	if f.Subtitle = "mode " + mine[0].Mode + " · " + prose.InScenario(scenarios[0]); len(scenarios) > 1 {
		f.Subtitle = fmt.Sprintf("mode %s · median over %d scenarios, whisker over all", mine[0].Mode, len(scenarios))
	}
	f.Caption = fmt.Sprintf("Parts of the time of %s on %s. Reading and computing run side by side: together they may exceed 100 %%.", prose.Mode(mine[0].Mode), names(mine))
}

func sum(x, y *float64) *float64 {
	switch {
	case x == nil:
		return y
	case y == nil:
		return x
	}
	return new(*x + *y)
}
