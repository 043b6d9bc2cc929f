package laws

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/law"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// Kinds of the figures.
const (
	KindOverview = "overview" // all backends of one mode
	KindLaw      = "law"      // one backend and mode
)

// Figures show time against size over all scenarios: all backends of decode and of
// prefill, then each backend of either.
func (a *Answer) Figures(known *intervals.Answer) (out []figure.Figure) {
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		out = append(out, a.overview(mode, known)...)
	}
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, f := range a.Of(mode) {
			if f.Exponent != nil {
				out = append(out, a.figure(f, known))
			}
		}
	}
	return out
}

const (
	curveSteps = 72
	bandRoom   = 30 // how far beyond the points a band may stretch the axis, as a factor
)

// points are those of a finding on an axis, with the intervals of their medians.
func (f *Finding) points(o *onAxis, known *intervals.Answer) (out []figure.Point) {
	for i, p := range o.points {
		pt := figure.Point{Name: o.models[i].Name, X: p.X, Y: p.T, Named: true}
		known.Mark(&pt, f.Key(pt.Name, f.Scenario, f.Mode))
		e := stats.Estimate{Value: math.Log(p.T), Variance: p.Scatter.Var + p.Scatter.Floor, DF: p.Scatter.DF}
		if half := e.Half(1 - stats.Confidence); half < math.Log(bandRoom) {
			pt.Within(half)
		}
		out = append(out, pt)
	}
	return out
}

// strays parts the points of a finding from the one that its law leaves out.
func (f *Finding) strays(known *intervals.Answer) (fits, strays []figure.Point) {
	o := &f.axes[f.at]
	for i, pt := range f.points(o, known) {
		if o.withheld && !o.whole && i == o.stray.Index {
			pt.Hollow = true
			strays = append(strays, pt)
			continue
		}
		fits = append(fits, pt)
	}
	return fits, strays
}

// kind puts the kind of the models behind a title, where the series has several.
func (f *Finding) kind(title string) string {
	if f.Of == "" {
		return title
	}
	return title + ", " + f.Of
}

// curve is a law between the outermost points that it is fitted to, with its band. A
// law of more than size has a value at the points alone.
func (f *Finding) curve() (line []figure.XY, band []figure.Range) {
	l := f.Law
	if l == nil {
		return nil, nil
	}
	points := f.axes[f.at].told()
	at := points
	if l.Form != law.Reading && l.Form != law.Roof {
		var x figure.Span
		for _, p := range points {
			x.Add(p.X)
		}
		at = nil
		for i := range curveSteps + 1 {
			at = append(at, law.Point{X: x.Low * math.Pow(x.High/x.Low, float64(i)/curveSteps)})
		}
	}
	for _, p := range at {
		e := l.At(p)
		line = append(line, figure.XY{X: p.X, Y: math.Exp(e.Value)})
		if half := e.Half(1 - stats.Confidence); !math.IsNaN(e.Variance) && half > 0 {
			band = append(band, figure.Range{X: p.X, Low: math.Exp(e.Value - half), High: math.Exp(e.Value + half)})
		}
	}
	if len(band) < len(line) {
		band = nil
	}
	return line, band
}

func (a *Answer) figure(f *Finding, known *intervals.Answer) figure.Figure {
	look := prose.Look(a.set, f.Series).Stroke(1.4)
	fits, strays := f.strays(known)
	x, y := figure.Spans(figure.Layer{Points: fits}, figure.Layer{Points: strays})
	says := "median"
	if slices.ContainsFunc(fits, figure.Point.Whisker) {
		says = "median, 95 % interval"
	}
	var layers []figure.Layer
	var legend []figure.Key
	add := func(says string, l figure.Layer) { legend, layers = append(legend, l.Key(says)), append(layers, l) }
	add(says, figure.Layer{Look: look, Points: fits})
	if len(strays) > 0 {
		add("not in the law", figure.Layer{Look: look, Points: strays})
	}
	caption := fmt.Sprintf("%s time of %s against %s, over all scenarios.", doc.Upper(prose.Mode(f.Mode)), f.Title(), short(f.over()))
	told := "no law"
	if line, band := f.curve(); line != nil {
		told = name(f.Law.Form)
		switch f.axes[f.at].best().Verdict {
		case law.Unsure:
			told += ", not told from others"
		case law.TooFew:
			told += ", too few sizes to tell laws apart"
		}
		if band != nil {
			lowest, highest := y.Low/bandRoom, y.High*bandRoom // three points can give a band of many decades
			for _, r := range band {
				y.Add(max(r.Low, lowest), min(r.High, highest))
			}
			add("95 % band of the law", figure.Layer{Look: look, Band: band})
		}
		add(told, figure.Layer{Look: look, Line: line})
		caption += fmt.Sprintf(" The line: %s.", told)
	}
	if len(strays) > 0 {
		caption += fmt.Sprintf(" %s is not in the law.", f.Stray.Model)
	}
	subtitle := fmt.Sprintf("mode %s · %s · all scenarios · %s", f.Mode, text.Counted(len(f.Models), "model", "models"), told)
	if f.Law != nil && !math.IsNaN(f.Law.LOO) {
		subtitle += " · leave-one-out error " + percent(f.Law.LOO)
	}
	return figure.Figure{
		Kind:     KindLaw,
		Name:     strings.Join(strings.Fields("law_"+f.Backend+"_"+f.Mode+f.FileSuffix()+" "+f.Of), "_"),
		Title:    fmt.Sprintf("%s time against model size: %s", doc.Upper(prose.Mode(f.Mode)), f.kind(f.Title())),
		Subtitle: subtitle,
		Caption:  caption,
		X:        figure.LogAxis(f.over().Label, x),
		Panels:   []figure.Panel{{Y: figure.LogAxis(a.label(f.Scenario, f.Mode), y), Layers: layers}},
		Legend:   legend,
	}
}

// overview lays all backends of a mode over each other, on the run's axis.
func (a *Answer) overview(mode string, known *intervals.Answer) []figure.Figure {
	all, left := figure.First(a.Of(mode), "backends")
	if len(all) == 0 {
		return nil
	}
	f := figure.Figure{Kind: KindOverview, Name: "overview_" + mode, Subtitle: fmt.Sprintf("mode %s · geometric mean over scenarios of the median latency%s", mode, left)}
	var names []string
	var layers []figure.Layer
	for _, found := range all {
		o := &found.axes[max(0, slices.IndexFunc(found.axes, func(o onAxis) bool { return o.axis.Name == a.set.Axis.Name }))]
		l := figure.Layer{Look: prose.Look(a.set, found.Series).Stroke(1.4), Points: found.points(o, known)}
		l.Join()
		title := found.kind(found.Title())
		f.Legend = append(f.Legend, l.Key(fmt.Sprintf("%s: %s", title, text.Counted(len(o.points), "model", "models"))))
		layers, names = append(layers, l), append(names, title)
	}
	figure.NameOnce(layers)
	x, y := figure.Spans(layers...)
	if !(x.High > x.Low) { // one size shows nothing of growth
		return nil
	}
	f.Title = fmt.Sprintf("%s time against model size: %s, all scenarios", doc.Upper(prose.Mode(mode)), prose.Backends(names))
	f.Caption = fmt.Sprintf("%s time against model size, over all scenarios.", doc.Upper(prose.Mode(mode)))
	f.X = figure.LogAxis(a.set.Axis.Label, x)
	f.Panels = []figure.Panel{{Y: figure.LogAxis(a.label(cells.AllScenarios, mode), y), Layers: layers}}
	return []figure.Figure{f}
}

// label is the y axis of a mode.
func (a *Answer) label(scenario, mode string) string {
	n := a.set.AnswerLength(scenario, mode)
	switch {
	case mode == record.ModeDecode && n > 0:
		return fmt.Sprintf("decode of %d tokens (ms)", n)
	case mode == record.ModeE2E && n > 0:
		return fmt.Sprintf("prefill and decode of %d tokens (ms)", n)
	}
	return prose.Mode(mode) + " latency (ms)"
}
