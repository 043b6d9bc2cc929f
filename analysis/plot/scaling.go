package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/runner/record"
)

// scaling draws latency against size for each backend and mode: over all
// scenarios, or for each of them.
func (b *book) scaling(kind string) []*sheet {
	var out []*sheet
	for i := range b.r.Fits {
		f := &b.r.Fits[i]
		all := f.Scenario == cells.AllScenarios
		if f.Filter == "" && len(f.Points) > 0 && all == (kind == KindScaling) {
			out = append(out, b.scalingSheet(kind, f))
		}
	}
	return out
}

func (b *book) scalingSheet(kind string, f *analysis.Fit) *sheet {
	s := series{f.Backend, f.BatchSize}
	look := b.look(s)
	m := marks{points: b.fitMarks(f), look: look}
	names := &labels{points: m.points}
	p := newPlot()
	sh := &sheet{
		kind:     kind,
		name:     "scaling_" + f.Backend + "_" + f.Mode + "_" + f.Scenario + s.suffix(),
		title:    fmt.Sprintf("%s latency against model size: %s, %s", modeTitle(f.Mode), s, scenarioTitle(f.Scenario)),
		subtitle: fmt.Sprintf("mode %s · %s · %s · %s", f.Mode, count(len(f.Points), "model", "models"), b.callsText(f), fitText(f, " · ")),
		xLabel:   b.axisLabel(),
		yLabel:   b.latencyLabel(f.Mode, f.Scenario),
		plot:     p,
	}
	var x, y span
	whiskers, cut := false, false
	for _, pt := range m.points {
		x.add(pt.x)
		y.add(pt.y, pt.lo, pt.hi)
		whiskers = whiskers || pt.hi > pt.lo
	}
	sh.legend = append(sh.legend, legendEntry{"median", m.sample(false)})
	if whiskers {
		sh.legend[0] = legendEntry{"median, fastest and slowest call", m.sample(true)}
	}
	if line, ok := fitCurve(f, look); ok {
		if bd, ok := fitBand(f, look); ok {
			p.Add(bd)
			// Three points can give a band of many decades, in which they would be a dot.
			lowest, highest := y.lo/bandRoom, y.hi*bandRoom
			cut = slices.Min(bd.lo) < lowest || slices.Max(bd.hi) > highest
			y.add(max(slices.Min(bd.lo), lowest), min(slices.Max(bd.hi), highest))
			sh.legend = append(sh.legend, legendEntry{"95 % confidence band of the mean", bd.sample})
		}
		p.Add(line)
		names.lines = []curve{line}
		sh.legend = append(sh.legend, legendEntry{"least squares in log-log", line.sample})
	}
	p.Add(m, names)
	logAxis(&p.X, x)
	logAxis(&p.Y, y)
	sh.caption = func() string {
		text := scalingCaption(f, s, whiskers)
		if cut {
			text += " The band reaches beyond the frame."
		}
		return text + droppedText(names.dropped)
	}
	return sh
}

// fitMarks are the points of a fit with the range of the calls behind them.
func (b *book) fitMarks(f *analysis.Fit) []mark {
	var out []mark
	for _, pt := range f.Points {
		m := mark{name: pt.Model, x: pt.X, y: pt.Y, lo: pt.Y, hi: pt.Y, annotated: true}
		for _, c := range b.r.CellsOf(f.Scenario) {
			if c.Backend == f.Backend && c.BatchSize == f.BatchSize && c.Mode == f.Mode && c.Model == pt.Model && c.N > 0 && c.MinMS > 0 {
				m.lo, m.hi = min(m.lo, c.MinMS), max(m.hi, c.MaxMS)
			}
		}
		if m.x > 0 && m.y > 0 {
			out = append(out, m)
		}
	}
	return out
}

// callsText says how many calls each point of f stands on.
func (b *book) callsText(f *analysis.Fit) string {
	var n span
	for _, c := range b.r.CellsOf(f.Scenario) {
		if c.Backend == f.Backend && c.BatchSize == f.BatchSize && c.Mode == f.Mode {
			n.add(float64(c.N))
		}
	}
	text := fmt.Sprintf("%.0f", n.lo)
	switch {
	case n.hi == 0:
		return "number of calls unknown"
	case n.hi > n.lo:
		text += fmt.Sprintf(" to %.0f", n.hi)
	case n.hi == 1:
		text += " call"
	}
	if n.hi > 1 {
		text += " calls"
	}
	if f.Scenario == cells.AllScenarios {
		return text + " per model and scenario"
	}
	return text + " per model"
}

func fitText(f *analysis.Fit, sep string) string {
	if !f.OK || f.Slope == nil {
		reason := clean(f.Reason)
		if reason == "" {
			reason = "unknown reason"
		}
		return "no fit: " + reason
	}
	s := fmt.Sprintf("slope %.3f", *f.Slope)
	switch {
	case f.Law == analysis.LawBent:
		s = fmt.Sprintf("no one power law (this line's slope is %.3f)", *f.Slope)
	case f.Law == analysis.LawOnePoint && f.Misfit != nil:
		s = fmt.Sprintf("slope %.3f, moved by %s alone", *f.Slope, clean(f.Misfit.Model))
	case f.SlopeT != nil:
		s += fmt.Sprintf(" (95 %% %.3f to %.3f)", f.SlopeT.Low, f.SlopeT.High)
	}
	if f.R2 != nil {
		s += fmt.Sprintf("%sR² %.3f", sep, *f.R2)
	}
	return s
}

func scalingCaption(f *analysis.Fit, s series, whiskers bool) string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "%s latency of %s against model size, %s, on log-log axes. ", modeTitle(f.Mode), s, scenarioTitle(f.Scenario))
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
		fmt.Fprintf(&sb, "The fit carries %s. ", count(n, "warning", "warnings"))
	}
	return strings.TrimSpace(sb.String())
}

func droppedText(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " Not named for want of room: " + strings.Join(names, ", ") + "."
}

const (
	curveSteps = 48
	bandRoom   = 30 // how far beyond the points a band may stretch the axis, as a factor
)

// fitGrid has x values between the outermost points of f, evenly in logs.
func fitGrid(f *analysis.Fit) []float64 {
	var x span
	for _, pt := range f.Points {
		x.add(pt.X)
	}
	out := make([]float64, curveSteps+1)
	for i := range out {
		out[i] = x.lo * math.Pow(x.hi/x.lo, float64(i)/curveSteps)
	}
	return out
}

// fitCurve is the fitted line between the outermost points of f.
func fitCurve(f *analysis.Fit, look look) (curve, bool) {
	c := curve{style: draw.LineStyle{Color: look.color, Width: vg.Points(1.4)}}
	for _, x := range fitGrid(f) {
		ms, ok := f.Line(x)
		if !ok {
			return curve{}, false
		}
		c.xs, c.ys = append(c.xs, x), append(c.ys, ms)
	}
	return c, true
}

// fitBand is the confidence band of the line, where the points give one.
func fitBand(f *analysis.Fit, look look) (band, bool) {
	bd := band{color: faint(look.color, 0x2c)}
	for _, x := range fitGrid(f) {
		lo, hi, ok := f.Band(x)
		if !ok || !(lo > 0) || math.IsInf(hi, 0) {
			return band{}, false
		}
		bd.xs, bd.lo, bd.hi = append(bd.xs, x), append(bd.lo, lo), append(bd.hi, hi)
	}
	return bd, true
}

// overviews lay all backends over each other, for decode and for prefill.
func (b *book) overviews() []*sheet {
	var out []*sheet
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		if sh := b.overview(mode); sh != nil {
			out = append(out, sh)
		}
	}
	return out
}

func (b *book) overview(mode string) *sheet {
	p := newPlot()
	sh := &sheet{
		kind:   KindOverview,
		name:   "overview_" + mode,
		xLabel: b.axisLabel(),
		yLabel: b.latencyLabel(mode, cells.AllScenarios),
		plot:   p,
	}
	names := &labels{}
	var x, y span
	var plain []string
	var points []marks
	models := map[string]bool{}
	for i := range b.r.Fits {
		f := &b.r.Fits[i]
		if f.Filter != "" || f.Mode != mode || f.Scenario != cells.AllScenarios || len(f.Points) == 0 {
			continue
		}
		s := series{f.Backend, f.BatchSize}
		look := b.look(s)
		m := marks{points: b.fitMarks(f), look: look}
		for k := range m.points {
			pt := &m.points[k]
			pt.lo, pt.hi = pt.y, pt.y
			pt.annotated = !models[pt.name]
			models[pt.name] = true
			x.add(pt.x)
			y.add(pt.y)
		}
		sample := m.sample(false)
		if line, ok := fitCurve(f, look); ok {
			p.Add(line)
			y.add(line.ys...)
			names.lines = append(names.lines, line)
			sample = line.sampleWith(m)
		}
		plain = append(plain, s.String())
		points = append(points, m)
		names.points = append(names.points, m.points...)
		sh.legend = append(sh.legend, legendEntry{fmt.Sprintf("%s: %s, %s", s, count(len(f.Points), "model", "models"), fitText(f, ", ")), sample})
	}
	if len(points) == 0 || len(names.points) == 0 {
		return nil
	}
	for _, m := range points {
		p.Add(m)
	}
	p.Add(names)
	logAxis(&p.X, x)
	logAxis(&p.Y, y)
	sh.title = fmt.Sprintf("%s latency against model size: %s, all scenarios", modeTitle(mode), backendsTitle(plain))
	sh.subtitle = fmt.Sprintf("mode %s · geometric mean over scenarios of the median latency", mode)
	sh.caption = func() string {
		return fmt.Sprintf("%s latency against model size on log-log axes, for %s. Each point is one model: the geometric mean of its scenarios' medians. "+
			"Lines are least-squares fits in log-log space between the outermost models of a backend.", modeTitle(mode), strings.Join(plain, ", ")) + droppedText(names.dropped)
	}
	return sh
}

func backendsTitle(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return count(len(names), "backend", "backends")
}
