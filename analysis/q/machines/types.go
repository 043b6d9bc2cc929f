package machines

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// sizes sets types of machine side by side.
func (a *Answer) sizes() {
	types := stats.Map(a.set.Machines, func(m cells.Machine) string { return m.Type })
	if types = slices.Compact(types); len(types) < 2 { // the set has them in order
		return
	}
	type place struct {
		series cells.Series // of the config
		model  string
	}
	var order []place
	for _, s := range a.set.Series {
		at := cells.Series{Backend: a.set.Configured(s.Backend), BatchSize: s.BatchSize}
		for _, m := range a.set.ModelsOf(s.Backend) {
			if k := (place{at, m.Name}); !slices.Contains(order, k) {
				order = append(order, k)
			}
		}
	}
	scenarios := a.set.Joined()
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, k := range order {
			var first []cells.Times
			var base string
			for _, kind := range types {
				s := cells.Series{Backend: k.series.Backend + "@" + kind, BatchSize: k.series.BatchSize}
				times := a.set.TimesIn(s, k.model, mode, scenarios)
				if times == nil {
					continue
				}
				e, basis := cells.Level(times...)
				x := Size{Backend: k.series.Backend, BatchSize: k.series.BatchSize, Model: k.model, ParamsM: a.set.Model(s.Backend, k.model).ParamsMillions,
					Mode: mode, Type: kind, MS: stats.Geomean(stats.Map(times, cells.Times.Typical)), Basis: basis}
				if basis != "" {
					x.CI = e.ExpInterval()
				}
				if first == nil {
					first, base = times, kind
				} else if e, basis := cells.ProcessContrast(first, times); basis != "" {
					x.Ratio, x.RatioCI, x.Basis = stats.Finite(math.Exp(e.Value)), e.ExpInterval(), basis
				}
				x.First = base
				a.Sizes = append(a.Sizes, x)
			}
		}
	}
}

// kind of the figures.
const kind = "machines"

// Figures have the types side by side over size, decode and prefill of each backend.
func (a *Answer) Figures(known *intervals.Answer) (out []figure.Figure) {
	type event struct {
		cells.Series
		mode string
	}
	events, of := stats.GroupBy(a.Sizes, func(x Size) event { return event{cells.Series{Backend: x.Backend, BatchSize: x.BatchSize}, x.Mode} })
	for _, e := range events {
		f := figure.Figure{Kind: kind, Name: fmt.Sprintf("machines_%s_%s%s", e.Backend, e.mode, e.FileSuffix()),
			Title: fmt.Sprintf("Types of machine: %s, %s", prose.Mode(e.mode), e.Title())}
		types, ofType := stats.GroupBy(of[e], func(x Size) string { return x.Type })
		shown, left := figure.First(types, "types")
		var layers []figure.Layer
		var y figure.Span
		for i, t := range shown {
			l := figure.Layer{Look: figure.Series(i).Stroke(1.4), End: t}
			for _, s := range ofType[t] {
				if s.ParamsM == nil || !(*s.ParamsM > 0) {
					continue
				}
				pt := figure.Point{Name: s.Model, X: *s.ParamsM, Y: s.MS}
				known.Mark(&pt, cells.Series{Backend: s.Backend + "@" + t, BatchSize: s.BatchSize}.Key(s.Model, cells.AllScenarios, e.mode))
				if s.CI != nil {
					pt.Low, pt.High = s.CI.Low, s.CI.High
				}
				l.Points = append(l.Points, pt)
				if y.Add(pt.Y); pt.Whisker() {
					y.Add(max(pt.Low, pt.Y/10), min(pt.High, 10*pt.Y)) // what two machines tell may reach very far
				}
			}
			l.Join()
			if len(l.Points) > 0 {
				layers = append(layers, l)
			}
		}
		if len(layers) == 0 {
			continue
		}
		what := "time of a prefill (ms)"
		if e.mode == record.ModeDecode {
			what = "time of a decode step (ms)"
		}
		x, _ := figure.Spans(layers...)
		f.X = figure.LogAxis(cells.ParamsLabel, x)
		f.Panels = []figure.Panel{{Y: figure.LogAxis(what, y), Layers: layers}}
		f.Subtitle = fmt.Sprintf("%d types of machine%s", len(types), left)
		f.Caption = fmt.Sprintf("%s of each model on each type of machine, with 95 %% intervals.", doc.Upper(prose.Mode(e.mode)))
		out = append(out, f)
	}
	return out
}
