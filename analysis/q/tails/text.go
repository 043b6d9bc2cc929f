package tails

import (
	"fmt"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// group are the tails of a series over all scenarios, by size.
type group struct {
	prose.Series
	tails []*Tail
}

func (a *Answer) groups() (out []group) {
	for _, s := range a.set.Series {
		g := group{Series: prose.Series{Series: s}}
		for _, m := range a.set.ModelsOf(s.Backend) {
			if t := a.Overall(s, m.Name); t != nil {
				g.tails = append(g.tails, t)
			}
		}
		if len(g.tails) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// ratio is the range of a ratio over the models of a group.
func (g group) ratio(of func(*Tail) *float64) string {
	var s doc.Span
	for _, t := range g.tails {
		s.Add(of(t))
	}
	if !s.Known {
		return doc.Unknown
	}
	return s.Text(func(v float64) string { return doc.Fixed(&v, 2) })
}

func quantile(of func(*Tail) stats.Percentile) func(*Tail) *float64 {
	return func(t *Tail) *float64 { return of(t).Value }
}

var (
	p90 = quantile(func(t *Tail) stats.Percentile { return t.P90Ratio })
	p95 = quantile(func(t *Tail) stats.Percentile { return t.P95Ratio })
	p99 = quantile(func(t *Tail) stats.Percentile { return t.P99Ratio })
)

// title has the highest quantile that the series which leads has tokens for.
func (a *Answer) title(all []group) string {
	g := all[0]
	if lead, ok := prose.Lead(a.set); ok {
		for _, x := range all {
			if x.Series == lead {
				g = x
			}
		}
	}
	on := ""
	if len(all) > 1 {
		on = " on " + g.Title()
	}
	for _, q := range []struct {
		of  string
		how func(*Tail) *float64
	}{{"100", p99}, {"20", p95}, {"10", p90}} {
		if s := g.ratio(q.how); s != doc.Unknown {
			return fmt.Sprintf("One token in %s takes %s times the median or longer%s%s", q.of, s, on, g.largest())
		}
	}
	return "Tails cannot be told: too few tokens"
}

// largest is the p99 of the largest model with its interval; "" where it has none.
func (g group) largest() string {
	t := g.tails[len(g.tails)-1]
	if t.P99CI == nil || t.P99Ratio.Value == nil {
		return ""
	}
	ci := doc.Interval(t.P99CI, 2)
	if len(g.tails) == 1 || t.ParamsM == nil {
		return fmt.Sprintf(" [%s]", ci)
	}
	return fmt.Sprintf("; at %s %s [%s]", doc.Millions(*t.ParamsM), doc.Fixed(t.P99Ratio.Value, 2), ci)
}

// Sections have how slow tokens are against the median one.
func (a *Answer) Sections() []doc.Section {
	all := a.groups()
	if len(all) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(all), Place: "Tails", Warned: []string{"disturbed_calls", "graph_captured"}}
	sec.Add(doc.Pictures(KindTails))
	sec.Show(doc.TableOf(all, []doc.Column[group]{
		{Head: "<backend", Cell: func(g group) string { return g.Series.String() }},
		{Head: "models", Cell: func(g group) string { return fmt.Sprint(len(g.tails)) }},
		{Head: "p95/p50", Cell: func(g group) string { return g.ratio(p95) }},
		{Head: "p99/p50", Cell: func(g group) string { return g.ratio(p99) }},
		{Head: "p95/p50 within calls", Cell: func(g group) string { return g.ratio(func(t *Tail) *float64 { return t.P95InCalls }) }},
		{Head: "slowest process over the middle one", Cell: func(g group) string { return g.ratio(func(t *Tail) *float64 { return t.SlowProcess }) }},
	}), "")
	var each []*Tail
	for _, g := range all {
		each = append(each, g.tails...)
	}
	sec.Fold(fmt.Sprintf("Each model (%d)", len(each)), doc.Paragraph("Each token is taken relative to its scenario's median, within calls to its call's. A quantile takes enough tokens. token_tails.csv has each scenario."),
		doc.TableOf(each, []doc.Column[*Tail]{
			{Head: "<model", Cell: func(t *Tail) string { return doc.Text(t.Model) }},
			{Head: "<backend", Cell: func(t *Tail) string { return prose.Of(t.Backend, t.BatchSize).String() }},
			{Head: "tokens", Cell: func(t *Tail) string { return fmt.Sprint(t.N) }},
			{Head: "p90/p50", Cell: func(t *Tail) string { return doc.Quantile(t.P90Ratio) }},
			{Head: "p95/p50", Cell: func(t *Tail) string { return doc.Quantile(t.P95Ratio) }},
			{Head: "p99/p50", Cell: func(t *Tail) string { return doc.Quantile(t.P99Ratio) }},
			{Head: "95 %, approximate", Cell: func(t *Tail) string { return doc.Interval(t.P99CI, 3) }},
			{Head: "p95/p50 within calls", Cell: func(t *Tail) string { return doc.NumberOf(t.P95InCalls) }},
			{Head: "p99/p50 inside a process", Cell: func(t *Tail) string { return doc.NumberOf(t.P99Inside) }},
			{Head: "slowest process over the middle one", Cell: func(t *Tail) string { return doc.NumberOf(t.SlowProcess) }},
		}))
	sec.Add(doc.Pictures(KindTokens))
	return []doc.Section{sec}
}
