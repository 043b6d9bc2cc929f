package laws

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/law"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
)

// asker puts the answer together.
type asker struct {
	*cells.Set
	judged *intervals.Answer
	limits limits
	out    *Answer
}

// kindSizes is how many models of one kind have a law of their own.
const kindSizes = 5

// kindOf is what a law may not join silently. Parts that are not known are empty.
func kindOf(m *cells.Model) []string {
	whole := ""
	if m.GPULayers != nil && m.NLayer > 0 && !m.WholeOnGPU(*m.GPULayers) {
		whole = "partly on the CPU"
	}
	return []string{m.WeightType, m.Architecture, m.BackendKind, m.Device, m.LlamaCommit, whole}
}

// kindNames are the parts of kindOf, as more than one is told.
var kindNames = []string{"weight types", "architectures", "engines", "devices", "builds", "models in and out of GPU memory"}

// differing says which parts of their kinds models differ in.
func differing(models []*cells.Model) (out []string) {
	for i, name := range kindNames {
		var values []string
		for _, m := range models {
			if v := kindOf(m)[i]; !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		if len(values) > 1 {
			out = append(out, fmt.Sprintf("%d %s", len(values), name))
		}
	}
	return out
}

// series asks for the laws of a series: of each kind of its models that are enough, or
// of all together where no kind has enough, saying what they differ in.
func (a *asker) series(s cells.Series, mode, scenario string) {
	var picked []scaling.Selection
	var axes []cells.Axis
	for _, axis := range cells.Axes() {
		if in := scaling.Select(a.Set, a.judged, axis, s, mode, scenario); len(in.Points) > 0 {
			picked, axes = append(picked, in), append(axes, axis)
		}
	}
	if len(picked) == 0 {
		return
	}
	of := scaling.Subject{Series: s, BackendKind: picked[0].Models[0].BackendKind, Mode: mode, Scenario: scenario}
	order, kinds := stats.GroupBy(picked[0].Models, func(m *cells.Model) string { return strings.Join(kindOf(m), "\x00") })
	order = slices.DeleteFunc(order, func(k string) bool { return len(kinds[k]) < kindSizes })
	if len(order) == 0 || len(kinds) == 1 {
		a.add(Finding{Subject: of, Mixed: differing(picked[0].Models)}, axes, picked, func(*cells.Model) bool { return true })
		return
	}
	var apart []string
	for _, m := range picked[0].Models {
		if !slices.Contains(order, strings.Join(kindOf(m), "\x00")) {
			apart = append(apart, m.Name)
		}
	}
	for _, k := range order {
		f := Finding{Subject: of, Apart: apart, Of: label(kindOf(kinds[k][0]), picked[0].Models)}
		a.add(f, axes, picked, func(m *cells.Model) bool { return strings.Join(kindOf(m), "\x00") == k })
	}
}

// label names a kind by the parts that differ in the series.
func label(kind []string, all []*cells.Model) string {
	var parts []string
	for i, v := range kind {
		if v != "" && slices.ContainsFunc(all, func(m *cells.Model) bool { return kindOf(m)[i] != v }) {
			parts = append(parts, v)
		}
	}
	return strings.Join(parts, " ")
}

// add fits the models that are meant over each axis.
func (a *asker) add(f Finding, axes []cells.Axis, picked []scaling.Selection, meant func(*cells.Model) bool) {
	for i, in := range picked {
		o := onAxis{axis: axes[i]}
		blocks := map[int][]law.Point{}
		for j, p := range in.Points {
			if !meant(in.Models[j]) {
				continue
			}
			pt := law.Point{X: p.X, T: p.Y, Scatter: p.Scatter}
			if p.Blocks == nil {
				pt.Scatter.Floor = stats.ProcessSD * stats.ProcessSD
			}
			if o.axis.Name == "bytes_per_token" {
				pt.Reads, pt.Computes = a.limits.of(f.Subject, p.Model)
			}
			o.points, o.models = append(o.points, pt), append(o.models, in.Models[j])
			for b, v := range p.Blocks {
				at := pt
				at.T = math.Pow(10, v)
				blocks[b] = append(blocks[b], at)
			}
		}
		for _, b := range slices.Sorted(maps.Keys(blocks)) { // in order, so that sums end in the same digit each time
			if len(blocks[b]) == len(o.points) {
				o.blocks = append(o.blocks, blocks[b])
			}
		}
		if len(o.points) > 0 && !slices.ContainsFunc(f.axes, func(x onAxis) bool { return proportional(x.points, o.points) }) {
			f.axes = append(f.axes, o)
		}
	}
	if len(f.axes) == 0 {
		return
	}
	f.steps = float64(a.AnswerLength(f.Scenario, f.Mode))
	f.Models = stats.Map(f.axes[0].models, func(m *cells.Model) string { return m.Name })
	if n := cells.MachineSets(f.axes[0].models); n > 1 {
		f.Mixed = append(f.Mixed, fmt.Sprintf("%d sets of machines", n))
	}
	if f.Scenario != cells.AllScenarios { // of single scenarios one axis is enough
		f.axes = f.axes[:1]
	}
	for i := range f.axes {
		f.axes[i].compete()
	}
	f.chooseAxis(a.Axis.Name)
	f.judge()
	if f.Scenario == cells.AllScenarios {
		f.findBreaks(a.Opt.Seed)
		a.warn(&f)
	}
	a.out.Answers.Laws = append(a.out.Answers.Laws, &f)
}

// proportional is whether two axes say the same of the same models.
func proportional(x, y []law.Point) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if math.Abs(x[i].X/y[i].X/(x[0].X/y[0].X)-1) > 1e-6 || x[i].Reads != y[i].Reads {
			return false
		}
	}
	return true
}

// compete has the laws over one axis. A model that alone makes the exponent is left out.
func (o *onAxis) compete() {
	o.all = law.Compete(o.points)
	o.rest = o.all
	if s, ok := law.FindStray(o.points); ok && s.Shown() {
		o.stray = &s
		if o.withheld = s.Withholds(); o.withheld {
			o.whole = foretells(o.all, s.Index)
			o.rest = law.Compete(law.Without(o.points, s.Index))
		}
	}
	for _, l := range o.all.Laws {
		l.ByBlocks(o.blocks)
	}
	if o.withheld {
		rest := stats.Map(o.blocks, func(points []law.Point) []law.Point { return law.Without(points, o.stray.Index) })
		for _, l := range o.rest.Laws {
			l.ByBlocks(rest)
		}
	}
}

// foretold is how far off a law of all models may be about the one that makes the
// exponent, fitted without it: a factor.
const foretold = 1.5

// foretells is whether a law that is more than a power leads over all models, and says
// without a point what that takes: a fixed cost that the smallest model shows, for one.
func foretells(t *law.Tournament, i int) bool {
	l := t.Leader()
	if t.Verdict != law.Leads || l.Form == law.Power || l.Form == law.Straight || l.Form == law.Constant {
		return false
	}
	off, ok := l.Left(i)
	return ok && math.Abs(off) < math.Log(foretold)
}

// chooseAxis takes the axis whose leader predicts models that are left out with the
// least error; the run's own where that is not shown to be worse.
func (f *Finding) chooseAxis(own string) {
	f.at = max(0, slices.IndexFunc(f.axes, func(o onAxis) bool { return o.axis.Name == own }))
	f.AxisVerdict = "only"
	if len(f.axes) > 1 {
		f.AxisVerdict = law.TooFew
		best := f.at
		for i := range f.axes {
			if o := &f.axes[i]; len(o.points) == len(f.axes[best].points) && o.loo() < f.axes[best].loo() {
				best = i
			}
		}
		if closer(&f.axes[best], &f.axes[f.at]) {
			f.at = best
		}
		told := &f.axes[f.at]
		for i := range f.axes {
			o := &f.axes[i]
			if o == told || math.IsNaN(o.loo()) || math.IsNaN(told.loo()) || len(o.points) != len(told.points) {
				continue
			}
			if f.AxisVerdict == law.TooFew {
				f.AxisVerdict = law.Leads
			}
			if !closer(told, o) {
				f.AxisRivals, f.AxisVerdict = append(f.AxisRivals, o.axis.Name), law.Unsure
			}
		}
	}
	f.Axis = f.axes[f.at].axis.Name
}

// loo is the leave-one-out error of the axis's leader; NaN without one.
func (o *onAxis) loo() float64 {
	if l := o.all.Leader(); l != nil {
		return l.LOO
	}
	return math.NaN()
}

// closer is whether x is shown to predict better than y.
func closer(x, y *onAxis) bool {
	if x == y || x.all.Leader() == nil || y.all.Leader() == nil {
		return false
	}
	e, ok := law.Closer(x.all.Leader(), y.all.Leader())
	return ok && e.Value > e.Half(1-stats.Confidence)
}

// judge says what the axis that leads shows.
func (f *Finding) judge() {
	o := &f.axes[f.at]
	t := o.best()
	f.Verdict, f.Law, f.Rivals = t.Verdict, t.Leader(), t.Rivals
	power := o.rest.Law(law.Power)
	if power != nil {
		f.Exponent = power.Param("exponent")
		f.Doubling = stats.Finite(math.Pow(2, f.Exponent.Value))
	}
	if o.stray != nil {
		f.Stray = &Stray{Model: o.models[o.stray.Index].Name, Times: o.stray.Times, P: o.stray.P, Moves: o.stray.Moves}
		if l := o.all.Law(law.Power); l != nil {
			f.Stray.With = stats.Finite(l.Param("exponent").Value)
		}
	}
	straight := f.Law != nil && (f.Law.Form == law.Constant || f.Law.Form == law.Power)
	switch {
	case f.Law == nil || power == nil && f.Verdict == law.TooFew:
		f.Verdict, f.Law = law.TooFew, nil
		f.Why = fmt.Sprintf("too few for a law: %s", text.Counted(stats.Distinct(stats.Map(o.told(), func(p law.Point) float64 { return p.X })), "size", "sizes"))
	case o.withheld:
		f.Verdict = Withheld
	case power != nil && f.Exponent.Sizes != nil && f.Exponent.Sizes.Low >= -flatExponent && f.Exponent.Sizes.High <= flatExponent:
		f.Verdict = Flat
	case straight && power != nil && stats.CrossesZero(f.Exponent.Sizes), f.Verdict == law.TooFew && stats.CrossesZero(f.Exponent.Sizes):
		f.Verdict = Unclear
	}
	if t.Verdict == law.TooFew && power != nil {
		f.Law = power // the usual one, where nothing tells it from others
	}
	if f.Law != nil {
		f.Told = f.row(o, t, f.Law)
	}
}

// findBreaks tests for breaks over the axis that leads.
func (f *Finding) findBreaks(seed uint64) {
	f.Break = "unknown"
	o := &f.axes[f.at]
	b, ok := law.FindBreaks(o.told(), stats.Resampler(seed, "breaks", f.Backend, fmt.Sprint(f.BatchSize), f.Mode, f.Of))
	if !ok {
		return
	}
	f.Breaks = &b
	switch {
	case b.Breaks == 0:
		f.Break = "none"
	case f.Law != nil && (f.Law.Form == law.OneBreak || f.Law.Form == law.TwoBreak) && f.Verdict == law.Leads:
		f.Break = "shown"
	default:
		f.Break = "bends"
	}
}

func (a *asker) warn(f *Finding) {
	where := strings.Join([]string{f.Backend, f.Mode, f.Scenario}, " ")
	switch s := f.Stray; {
	case f.Verdict == Withheld:
		a.out.Add(finding.Doubt("one_point_moves", where, fmt.Sprintf("%s takes %.3g times what the power law of the others says, and moves the exponent from %.3f to %.3f", s.Model, s.Times, f.Exponent.Value, *s.With),
			"quote no exponent over all sizes; find out what is different about this model, or measure sizes near it"))
	case s != nil:
		a.out.Add(finding.Doubt("outlier", where, fmt.Sprintf("%s takes %.3g times what the power law of the others says", s.Model, s.Times),
			"find out what is different about this model"))
	}
}
