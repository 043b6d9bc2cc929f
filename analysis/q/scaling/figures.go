package scaling

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/prose"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// Kinds of the figures.
const (
	KindOverview = "overview" // all backends of one mode, over all scenarios
	KindScaling  = "scaling"  // one backend and mode over all scenarios
	KindScenario = "scenario" // one backend, mode and scenario
)

// Figures show latency against size: all backends of decode and of prefill, then each
// backend and mode over all scenarios, then for each of them.
func (a *Answer) Figures() []figure.Figure {
	out := append(a.overview(record.ModeDecode), a.overview(record.ModePrefill)...)
	for _, kind := range []string{KindScaling, KindScenario} {
		for i := range a.Fits {
			f := &a.Fits[i]
			all := f.Scenario == cells.AllScenarios
			if f.Filter == "" && len(f.Points) > 0 && all == (kind == KindScaling) {
				out = append(out, a.figure(kind, f))
			}
		}
	}
	return out
}

func (a *Answer) figure(kind string, f *Fit) figure.Figure {
	s := f.Series
	look := prose.Look(a.set, s).Stroke(1.4)
	points := figure.Layer{Look: look, Points: a.fitPoints(f)}
	layers := []figure.Layer{points}
	key := points.Key("median")
	if key.Whisker {
		key.Text = "median, fastest and slowest call"
	}
	legend := []figure.Key{key}
	var x, y figure.Span
	for _, pt := range points.Points {
		x.Add(pt.X)
		y.Add(pt.Y, pt.Low, pt.High)
	}
	caption := scalingCaption(f, s, key.Whisker)
	if line := fitLine(f); line != nil {
		if band := fitBand(f); band != nil {
			// Three points can give a band of many decades, in which they would be a dot.
			lowest, highest := y.Low/bandRoom, y.High*bandRoom
			var reach figure.Span
			for _, r := range band {
				reach.Add(r.Low, r.High)
			}
			y.Add(max(reach.Low, lowest), min(reach.High, highest))
			if reach.Low < lowest || reach.High > highest {
				caption += " The band reaches beyond the frame."
			}
			l := figure.Layer{Look: look, Band: band}
			layers, legend = append(layers, l), append(legend, l.Key("95 % confidence band of the mean"))
		}
		l := figure.Layer{Look: look, Line: line}
		layers, legend = append(layers, l), append(legend, l.Key("least squares in log-log"))
	}
	return figure.Figure{
		Kind:     kind,
		Name:     "scaling_" + f.Backend + "_" + f.Mode + "_" + f.Scenario + s.FileSuffix(),
		Title:    fmt.Sprintf("%s latency against model size: %s, %s", doc.Upper(prose.Mode(f.Mode)), s.Title(), prose.InScenario(f.Scenario)),
		Subtitle: fmt.Sprintf("mode %s · %s · %s · %s", f.Mode, text.Counted(len(f.Points), "model", "models"), a.callsText(f), fitText(f, " · ")),
		Caption:  caption,
		X:        figure.LogAxis(a.set.Axis.Label, x),
		Panels:   []figure.Panel{{Y: figure.LogAxis(a.latencyLabel(f.Mode, f.Scenario), y), Layers: layers}},
		Legend:   legend,
	}
}

// fitPoints are the points of a fit with the range of the calls behind them.
func (a *Answer) fitPoints(f *Fit) []figure.Point {
	var out []figure.Point
	for _, pt := range f.Points {
		if pt.X > 0 && pt.Y > 0 {
			var ms figure.Span
			for _, c := range a.cellsOf(f, pt.Model) {
				ms.Add(c.MinMS, c.MaxMS)
			}
			ms.Add(pt.Y)
			out = append(out, figure.Point{Name: pt.Model, X: pt.X, Y: pt.Y, Low: ms.Low, High: ms.High, Named: true})
		}
	}
	return out
}

// cellsOf are the cells behind a model's point.
func (a *Answer) cellsOf(f *Fit, model string) []*cells.Cell {
	scenarios := []string{f.Scenario}
	if f.Scenario == cells.AllScenarios {
		scenarios = a.set.Joined()
	}
	var out []*cells.Cell
	for _, sc := range scenarios {
		if c := a.set.Cell(f.Series, model, sc, f.Mode); c != nil {
			out = append(out, c)
		}
	}
	return out
}

// callsText says how many calls each point of f stands on.
func (a *Answer) callsText(f *Fit) string {
	var n figure.Span
	for _, m := range a.set.ModelsOf(f.Backend) {
		for _, c := range a.cellsOf(f, m.Name) {
			n.Add(float64(c.N))
		}
	}
	calls := n.String()
	switch n.High {
	case 0:
		return "number of calls unknown"
	case 1:
		calls += " call"
	default:
		calls += " calls"
	}
	if f.Scenario == cells.AllScenarios {
		return calls + " per model and scenario"
	}
	return calls + " per model"
}

func fitText(f *Fit, sep string) string {
	if !f.OK || f.Slope == nil {
		return "no fit: " + cmp.Or(f.Reason, "unknown reason")
	}
	s := fmt.Sprintf("slope %.3f", *f.Slope)
	switch {
	case f.Law == LawBent:
		s = fmt.Sprintf("no one power law (this line's slope is %.3f)", *f.Slope)
	case f.Law == LawOnePoint && f.Misfit != nil:
		s = fmt.Sprintf("slope %.3f, moved by %s alone", *f.Slope, f.Misfit.Model)
	case f.SlopeT != nil:
		s += fmt.Sprintf(" (95 %% %.3f to %.3f)", f.SlopeT.Low, f.SlopeT.High)
	}
	if f.R2 != nil {
		s += fmt.Sprintf("%sR² %.3f", sep, *f.R2)
	}
	return s
}

func scalingCaption(f *Fit, s cells.Series, whiskers bool) string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "%s latency of %s against model size, %s, on log-log axes. ", doc.Upper(prose.Mode(f.Mode)), s.Title(), prose.InScenario(f.Scenario))
	if f.Scenario == cells.AllScenarios {
		sb.WriteString("Each point is one model: the geometric mean of its scenarios' medians")
		if whiskers {
			sb.WriteString("; its whiskers reach from the fastest to the slowest single call of any scenario")
		}
	} else {
		sb.WriteString("Each point is one model: the median of its calls")
		if whiskers {
			sb.WriteString("; its whiskers reach from the fastest to the slowest call")
		}
	}
	sb.WriteString(". ")
	if !f.OK || f.Slope == nil {
		sb.WriteString("There is no line, because the points do not carry a fit. ")
	} else if f.NModels < 3 || f.ResidualSD == nil {
		sb.WriteString("The line is the least-squares fit in log-log space; so few points give it no confidence band. ")
	} else {
		sb.WriteString("The line is the least-squares fit in log-log space, with the 95 % confidence band of the mean (Student t); it says nothing beyond the outermost models. ")
	}
	if n := len(f.Warnings); n > 0 {
		fmt.Fprintf(&sb, "The fit carries %s. ", text.Counted(n, "warning", "warnings"))
	}
	return strings.TrimSpace(sb.String())
}

const (
	curveSteps = 48
	bandRoom   = 30 // how far beyond the points a band may stretch the axis, as a factor
)

// fitGrid has x values between the outermost points of f, evenly in logs.
func fitGrid(f *Fit) []float64 {
	var x figure.Span
	for _, pt := range f.Points {
		x.Add(pt.X)
	}
	out := make([]float64, curveSteps+1)
	for i := range out {
		out[i] = x.Low * math.Pow(x.High/x.Low, float64(i)/curveSteps)
	}
	return out
}

// fitLine is the fitted line between the outermost points of f; nil where there is
// none.
func fitLine(f *Fit) []figure.XY {
	var out []figure.XY
	for _, x := range fitGrid(f) {
		ms, ok := f.Line(x)
		if !ok {
			return nil
		}
		out = append(out, figure.XY{X: x, Y: ms})
	}
	return out
}

// fitBand is the confidence band of the line, where the points give one; else nil.
func fitBand(f *Fit) []figure.Range {
	var out []figure.Range
	for _, x := range fitGrid(f) {
		lo, hi, ok := f.Band(x)
		if !ok || !(lo > 0) || math.IsInf(hi, 0) {
			return nil
		}
		out = append(out, figure.Range{X: x, Low: lo, High: hi})
	}
	return out
}

// overview lays all backends of a mode over each other.
func (a *Answer) overview(mode string) []figure.Figure {
	var fits []*Fit
	for i := range a.Fits {
		if f := &a.Fits[i]; f.Filter == "" && f.Mode == mode && f.Scenario == cells.AllScenarios && len(a.fitPoints(f)) > 0 {
			fits = append(fits, f)
		}
	}
	if len(fits) == 0 {
		return nil
	}
	fits, left := figure.First(fits, "backends")
	f := figure.Figure{
		Kind:     KindOverview,
		Name:     "overview_" + mode,
		Subtitle: fmt.Sprintf("mode %s · geometric mean over scenarios of the median latency%s", mode, left),
	}
	var x, y figure.Span
	var plain []string
	var layers []figure.Layer
	named := map[string]bool{}
	for _, fit := range fits {
		s := fit.Series
		l := figure.Layer{Look: prose.Look(a.set, s).Stroke(1.4), Line: fitLine(fit)}
		for _, pt := range a.fitPoints(fit) {
			l.Points = append(l.Points, figure.Point{Name: pt.Name, X: pt.X, Y: pt.Y, Named: !named[pt.Name]})
			named[pt.Name] = true
			x.Add(pt.X)
			y.Add(pt.Y)
		}
		for _, at := range l.Line {
			y.Add(at.Y)
		}
		layers, plain = append(layers, l), append(plain, s.Title())
		f.Legend = append(f.Legend, l.Key(fmt.Sprintf("%s: %s, %s", s.Title(), text.Counted(len(fit.Points), "model", "models"), fitText(fit, ", "))))
	}
	f.Title = fmt.Sprintf("%s latency against model size: %s, all scenarios", doc.Upper(prose.Mode(mode)), prose.Backends(plain))
	f.Caption = fmt.Sprintf("%s latency against model size on log-log axes, for %s. Each point is one model: the geometric mean of its scenarios' medians. "+
		"Lines are least-squares fits in log-log space between the outermost models of a backend.", doc.Upper(prose.Mode(mode)), strings.Join(plain, ", "))
	f.X = figure.LogAxis(a.set.Axis.Label, x)
	f.Panels = []figure.Panel{{Y: figure.LogAxis(a.latencyLabel(mode, cells.AllScenarios), y), Layers: layers}}
	return []figure.Figure{f}
}

// latencyLabel is the y axis of a mode.
func (a *Answer) latencyLabel(mode, scenario string) string {
	n := a.set.AnswerLength(scenario, mode)
	switch {
	case mode == record.ModeDecode && n > 0:
		return fmt.Sprintf("decode of %d tokens (ms)", n)
	case mode == record.ModeE2E && n > 0:
		return fmt.Sprintf("prefill and decode of %d tokens (ms)", n)
	}
	return prose.Mode(mode) + " latency (ms)"
}
