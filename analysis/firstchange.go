package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/runner/record"
)

// The rule of FirstChange. The factors are a choice, not a law: small enough to
// matter to a user, and what noise can do to them is looked at for each model.
//
// Decode times are compared with the smallest model, because growth adds up over
// the sizes. Tails are not: what the system does to a process lasts as long for a
// small model as for a large one, so the smallest model's p95/p50 is often the
// worst of all, and nothing would ever rise above it. The least ratio among the
// smaller models is what the machine has shown that it can do.
const (
	latencyFactor = 2.0
	tailFactor    = 1.25
	// unsteady is a p95/p50 from which on a model is no measure for others: a rise
	// would not show beside what the machine does to it.
	unsteady = 1.5
	// All of n calls are slower than all of n others by chance in 1 of C(2n, n)
	// cases: in 1 of 6 for two, and in 5 % for three.
	changeReps = 3
	// coarseStep is a step in size within which a change is no surprise.
	coarseStep = 4.0
)

var firstChangeRule = fmt.Sprintf("Models of one backend by rising size. "+
	"Latency has changed at the first model whose decode time (geometric mean of the scenario medians) is at least %g times the smallest model's, provided that in every scenario its fastest call is slower than the smallest model's slowest. "+
	"Tails have changed at the first model whose p95/p50 of the token times is at least %g times the least among all smaller models, whichever one repetition is left out of either; where even that least is %g or more, a model of %g or more is not judged. "+
	"Feasibility has changed at the first model with a cell that ran out of memory, crashed or timed out, unless a larger model ran that scenario (then it is not the size), or calls of the cell went well before a crash or a timeout. "+
	"The first model at which one of these holds decides. "+
	"A model with fewer than %d repetitions of a scenario, or whose decode times scatter in one by more than %.0f %% of their mean, is not judged. "+
	"Where it stays open whether another aspect had changed by then, the answer is unknown.", latencyFactor, tailFactor, unsteady, tailFactor, changeReps, 100*noisySpread)

// The aspects of FirstChange, in the order in which they are named.
var aspects = []string{"latency", "tails", "feasibility"}

// sized is what firstChange knows of one model.
type sized struct {
	model  *Model
	decode *float64         // geomean ms
	cells  map[string]*Cell // decode, by scenario
	tail   *Tail            // over all scenarios; nil: no token times
	p95    *float64         // p95/p50
	doubt  string           // why its times cannot be judged
	failed int              // cells of which the size is at fault
	status string
	empty  bool // no cell was measured
}

func (z *sized) String() string {
	if m := *z.model.ParamsMillions; m >= 1000 {
		return fmt.Sprintf("%s (%.4g billion parameters)", z.model.Name, m/1000)
	}
	return fmt.Sprintf("%s (%.4g million parameters)", z.model.Name, *z.model.ParamsMillions)
}

// sizes lists the models of known size that were measured or that failed for
// their size; notes has the other failures.
func (a *analyzer) sizes(s series) (out []*sized, notes []string) {
	whole := a.wholeSet(s, record.ModeDecode) // the mean of a model that ran in others is of other work
	for _, m := range a.modelsOf(s.backend) {
		if m.ParamsMillions == nil {
			continue
		}
		z := &sized{model: m, empty: !a.measured(s, m.Name), cells: map[string]*Cell{}, tail: a.overall(s, m.Name)}
		for _, g := range a.res.Aggregates {
			if g.Backend == s.backend && g.BatchSize == s.batch && g.Model == m.Name && g.Mode == record.ModeDecode && slices.Equal(g.Scenarios, whole) {
				z.decode = ptr(g.GeomeanMS)
			}
		}
		if z.tail != nil {
			z.p95 = z.tail.P95Ratio.Value
		}
		for i := range a.res.Cells {
			if c := &a.res.Cells[i]; c.Backend == s.backend && c.BatchSize == s.batch && c.Model == m.Name && c.Mode == record.ModeDecode {
				z.cells[c.Scenario] = c
				if z.doubt == "" {
					z.doubt = doubtOf(c)
				}
			}
		}
		var reasons []string
		where := map[string][]string{} // scenarios by reason
		for _, f := range a.failedCells(s, m.Name) {
			if !infeasible(f.Status) {
				continue
			}
			if why := a.notOfSize(s, m, f); why != "" {
				if where[why] == nil {
					reasons = append(reasons, why)
				}
				where[why] = append(where[why], f.Scenario)
				continue
			}
			z.failed++
			z.status = f.Status
		}
		for _, why := range reasons {
			notes = append(notes, fmt.Sprintf("%s %s (%s), which is not a matter of size", m.Name, why, strings.Join(where[why], ", ")))
		}
		if z.empty && z.failed == 0 {
			continue // waived, an error, or a failure that says nothing about size
		}
		out = append(out, z)
	}
	return out, notes
}

// doubtOf says why a cell's times are too uncertain to be judged; "" if they are
// not.
func doubtOf(c *Cell) string {
	switch {
	case c.N < changeReps:
		return fmt.Sprintf("%s has %s of %s, and it takes %d", c.Model, countOf(c.N, "repetition", "repetitions"), c.Scenario, changeReps)
	case c.spread() > noisySpread:
		return fmt.Sprintf("decode times of %s in %s scatter by %.0f %% of their mean", c.Model, c.Scenario, 100*c.spread())
	}
	return ""
}

// notOfSize says why a failed cell is no matter of size: a limit or a path in the
// config, a damaged file, a killed process. "" if it may be one.
func (a *analyzer) notOfSize(s series, m *Model, f FailedCell) string {
	if f.OKCalls > 0 && f.Status != record.StatusOOM {
		return statusWord(f.Status) + " after calls that went well"
	}
	for _, l := range a.modelsOf(s.backend) {
		if l.ParamsMillions == nil || *l.ParamsMillions <= *m.ParamsMillions || a.cells[cellKey{s, l.Name, f.Scenario, record.ModeDecode}] == nil {
			continue
		}
		whole := !slices.ContainsFunc(a.failedCells(s, l.Name), func(x FailedCell) bool { return x.Scenario == f.Scenario })
		if whole {
			return fmt.Sprintf("%s where the larger %s ran", statusWord(f.Status), l.Name)
		}
	}
	return ""
}

func statusWord(status string) string {
	switch status {
	case record.StatusOOM:
		return "ran out of memory"
	case record.StatusTimeout:
		return "timed out"
	}
	return status
}

// separate reports whether in every scenario z's fastest decode is slower than
// base's slowest; if not, where they overlap.
func separate(z, base *sized) (ok bool, scenario string) {
	for sc, c := range base.cells {
		if d := z.cells[sc]; d != nil && d.MinMS <= c.MaxMS && (scenario == "" || sc < scenario) {
			scenario = sc
		}
	}
	return scenario == "", scenario
}

// judgement of one aspect at one model.
type judgement struct {
	changed bool
	open    string // why it could not be judged; "" if it could
	why     string // what was seen, where changed
}

func judgeLatency(step *ChangeStep, z, base *sized) judgement {
	if step.LatencyTotal == nil || step.SizeTotal == nil {
		if z.empty {
			return judgement{}
		}
		return judgement{open: fmt.Sprintf("%s or %s has no decode time over all scenarios", z.model.Name, base.model.Name)}
	}
	x := *step.LatencyTotal
	seen := fmt.Sprintf("decode on %s takes %.2f times as long as on %s, the smallest measured, at %.3g times its size", z, x, base, *step.SizeTotal)
	for _, d := range []string{base.doubt, z.doubt} {
		if d != "" {
			return judgement{open: seen + ", but " + d}
		}
	}
	if x < latencyFactor {
		return judgement{}
	}
	if ok, scenario := separate(z, base); !ok {
		return judgement{open: fmt.Sprintf("%s, but the slowest and fastest calls of the two overlap in %s", seen, scenario)}
	}
	if step.LatencyDoubling != nil {
		seen += fmt.Sprintf(" (%.2f times for each doubling of size)", *step.LatencyDoubling)
	}
	return judgement{changed: true, why: seen}
}

// judgeTails fills in the step's rise over the least ratio of the smaller models.
func judgeTails(step *ChangeStep, z *sized, smaller []*sized) judgement {
	var least *sized
	why := ""
	for _, y := range smaller {
		switch {
		case y.p95 == nil || y.tail.P95RatioHigh == nil:
			if why == "" {
				why = tooFewTokens(y)
			}
		case y.doubt != "":
			if why == "" {
				why = y.doubt
			}
		case least == nil || *y.p95 < *least.p95:
			least = y
		}
	}
	switch {
	case z.empty:
		return judgement{}
	case z.p95 == nil || z.tail.P95RatioLow == nil:
		return judgement{open: tooFewTokens(z)}
	case least == nil:
		return judgement{open: why}
	}
	step.TailRise, step.TailFrom = ratio(z.p95, least.p95), least.model.Name
	step.TailRiseMin = ratio(z.tail.P95RatioLow, least.tail.P95RatioHigh)
	if step.TailRise == nil || step.TailRiseMin == nil {
		return judgement{open: tooFewTokens(z)}
	}
	seen := fmt.Sprintf("p95/p50 of the token times on %s is %.2f, %.2f times that of %s (%.2f), the least of the smaller models", z, *z.p95, *step.TailRise, least, *least.p95)
	switch {
	case z.doubt != "":
		return judgement{open: seen + ", but " + z.doubt}
	case *step.TailRise < tailFactor && *least.p95 >= unsteady && *z.p95 >= tailFactor:
		return judgement{open: seen + ", but that is itself too unsteady for a rise to show"}
	case *step.TailRise < tailFactor:
		return judgement{}
	case *step.TailRiseMin < tailFactor:
		return judgement{open: fmt.Sprintf("%s, but with one repetition left out it can be %.2f times", seen, *step.TailRiseMin)}
	}
	return judgement{changed: true, why: seen}
}

func tooFewTokens(z *sized) string {
	switch {
	case z.tail == nil && z.empty:
		return z.model.Name + " was not measured"
	case z.tail == nil:
		return "no token times were recorded on " + z.model.Name
	}
	return fmt.Sprintf("%s has too few token times (%d): a p95 takes %d, also without one repetition", z.model.Name, z.tail.N, needP95)
}

func judgeFeasibility(z *sized) judgement {
	if z.failed == 0 {
		return judgement{}
	}
	cells := "cells"
	if z.failed == 1 {
		cells = "cell"
	}
	return judgement{changed: true, why: fmt.Sprintf("%d %s of %s %s, and no larger model ran there", z.failed, cells, z, statusWord(z.status))}
}

// firstChange walks up the sizes of a series, by firstChangeRule.
func (a *analyzer) firstChange(s series) FirstChange {
	out := FirstChange{Backend: s.backend, BatchSize: s.batch, Rule: firstChangeRule, Verdict: "unknown", AmongSeen: "unknown"}
	all, notes := a.sizes(s)
	if len(all) > 0 && all[0].failed > 0 {
		return a.smallestFailed(out, all, notes)
	}
	if len(all) < 2 {
		out.Unknown = slices.Clone(aspects)
		out.Why = strings.Join(append([]string{fmt.Sprintf("%s measured; a change takes 2", countOf(len(all), "model of known size was", "models of known size were"))}, notes...), "; ")
		return out
	}
	base := all[0]
	out.Base, out.BaseM = base.model.Name, base.model.ParamsMillions

	first := map[string]*AspectChange{}
	open := map[string]string{} // aspects that could not be judged since they were last seen unchanged
	earlier := map[string]string{}
	for i := 1; i < len(all); i++ {
		prev, z := all[i-1], all[i]
		step := ChangeStep{From: prev.model.Name, To: z.model.Name, ParamsM: z.model.ParamsMillions,
			SizeGrowth: ratio(z.model.ParamsMillions, prev.model.ParamsMillions), SizeTotal: ratio(z.model.ParamsMillions, base.model.ParamsMillions),
			LatencyGrowth: ratio(z.decode, prev.decode), LatencyTotal: ratio(z.decode, base.decode),
			TailGrowth: ratio(z.p95, prev.p95), TailTotal: ratio(z.p95, base.p95),
			Failed: z.failed, FailedStatus: z.status}
		if step.LatencyTotal != nil && step.SizeTotal != nil && *step.SizeTotal > 1 {
			step.LatencyDoubling = finite(math.Pow(*step.LatencyTotal, math.Ln2/math.Log(*step.SizeTotal)))
		}
		judged := map[string]judgement{"latency": judgeLatency(&step, z, base), "tails": judgeTails(&step, z, all[:i]), "feasibility": judgeFeasibility(z)}
		for _, aspect := range aspects {
			switch j := judged[aspect]; {
			case j.open != "":
				step.Open = append(step.Open, aspect+": "+j.open)
				if first[aspect] == nil && open[aspect] == "" {
					open[aspect] = j.open
				}
			case j.changed && first[aspect] == nil:
				first[aspect] = &AspectChange{Aspect: aspect, Verdict: "changed", Model: z.model.Name, ParamsM: z.model.ParamsMillions, Why: j.why}
				earlier[aspect] = open[aspect]
				step.Changed = append(step.Changed, aspect)
			case !j.changed && !z.empty:
				delete(open, aspect)
			}
		}
		out.Steps = append(out.Steps, step)
		if len(step.Changed) == 0 || out.Model != "" {
			continue
		}
		out.AmongSeen, out.Model, out.ParamsM, out.Before, out.StepRatio = strings.Join(step.Changed, "+"), step.To, step.ParamsM, step.From, step.SizeGrowth
		out.Why = decisive(step, prev, base.model.Name, first, earlier)
		for _, aspect := range aspects {
			if first[aspect] == nil && open[aspect] != "" {
				out.Unknown = append(out.Unknown, aspect)
				out.Why += fmt.Sprintf("; whether %s had changed by then is not known: %s", aspect, open[aspect])
			}
		}
	}
	if out.Model == "" {
		out.AmongSeen, out.Why = "none", fmt.Sprintf("no aspect reached its threshold from %s to %s", base, all[len(all)-1])
		for _, aspect := range aspects {
			if open[aspect] != "" {
				out.Unknown = append(out.Unknown, aspect)
				out.Why += fmt.Sprintf("; %s could not be judged: %s", aspect, open[aspect])
			}
		}
	}
	if len(out.Unknown) == 0 {
		out.Verdict = out.AmongSeen
	}
	if len(notes) > 0 {
		out.Why += "; " + strings.Join(notes, "; ")
	}
	out.Aspects = aspectChanges(first, open, out.Steps, all)
	if r := out.StepRatio; r != nil && *r > coarseStep && out.Verdict != "unknown" {
		a.warn("coarse_step", s.backend, fmt.Sprintf("%s changes between %s and %s, %.3g times the size: where in that step is not known, and a step of that size could hardly be without a change",
			strings.ReplaceAll(out.Verdict, "+", " and "), out.Before, out.Model, *r), "measure sizes between the two; a synthesised model takes a line in the config")
	}
	return out
}

// decisive says what was seen at the first step with a change.
func decisive(step ChangeStep, prev *sized, base string, first map[string]*AspectChange, earlier map[string]string) string {
	var parts []string
	for _, aspect := range step.Changed {
		why := first[aspect].Why
		if e := earlier[aspect]; e != "" {
			why += "; perhaps before, for " + e
		}
		parts = append(parts, why)
	}
	why := strings.Join(parts, "; ")
	if prev.model.Name == base {
		why += "; no size between the two was measured, so that it may have happened anywhere between them"
	} else if earlier[step.Changed[0]] == "" {
		why += fmt.Sprintf("; not yet on %s, the size before", prev)
	}
	if len(step.Changed) > 1 {
		why += " (which of them came first is not known)"
	}
	return why
}

// smallestFailed is the answer where even the smallest model failed: no memory is
// an answer; a crash or a timeout of everything is more likely a fault of build
// or configuration.
func (a *analyzer) smallestFailed(out FirstChange, all []*sized, notes []string) FirstChange {
	z := all[0]
	out.Base, out.BaseM = z.model.Name, z.model.ParamsMillions
	if z.status == record.StatusOOM {
		out.Verdict, out.AmongSeen, out.Model, out.ParamsM = "feasibility", "feasibility", z.model.Name, z.model.ParamsMillions
		out.Why = fmt.Sprintf("the smallest model, %s, already ran out of memory", z)
	} else {
		out.Unknown = slices.Clone(aspects)
		out.Why = fmt.Sprintf("the smallest model, %s, already %s, and no larger one ran there: suspect the build or the configuration before the size", z, statusWord(z.status))
	}
	out.Why = strings.Join(append([]string{out.Why}, notes...), "; ")
	return out
}

// aspectChanges says of each aspect what became of it over all sizes.
func aspectChanges(first map[string]*AspectChange, open map[string]string, steps []ChangeStep, all []*sized) []AspectChange {
	var out []AspectChange
	last := all[len(all)-1]
	for _, aspect := range aspects {
		c := AspectChange{Aspect: aspect, Verdict: "unchanged"}
		switch {
		case first[aspect] != nil:
			c = *first[aspect]
		case open[aspect] != "":
			c.Verdict, c.Why = "unknown", open[aspect]
		case aspect == "latency":
			c.Why = fmt.Sprintf("decode stays below %g times the smallest model's up to %s", latencyFactor, last)
			if x := largest(steps, func(s *ChangeStep) *float64 { return s.LatencyTotal }); x != nil {
				c.Why += fmt.Sprintf("; most is %.2f times, on %s", *x.LatencyTotal, x.To)
			}
		case aspect == "tails":
			c.Why = fmt.Sprintf("p95/p50 of the token times stays below %g times the least of the smaller models up to %s", tailFactor, last)
			if x := largest(steps, func(s *ChangeStep) *float64 { return s.TailRise }); x != nil {
				c.Why += fmt.Sprintf("; most is %.2f times, on %s", *x.TailRise, x.To)
			}
		default:
			c.Why = fmt.Sprintf("no model up to %s failed for its size", last)
		}
		out = append(out, c)
	}
	return out
}

// largest is the step with the largest value; nil where none has one.
func largest(steps []ChangeStep, of func(*ChangeStep) *float64) (most *ChangeStep) {
	for i := range steps {
		if v := of(&steps[i]); v != nil && (most == nil || *v > *of(most)) {
			most = &steps[i]
		}
	}
	return most
}
