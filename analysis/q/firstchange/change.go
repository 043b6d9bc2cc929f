package firstchange

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Change says what changed first along the sizes of one backend. Rule
// states the thresholds in words.
type Change struct {
	cells.Series
	Verdict   string         `json:"verdict"`     // latency, tails, feasibility, joined by "+" when at one step; none; unknown
	AmongSeen string         `json:"among_known"` // the same, leaving aside the aspects that are unknown
	Unknown   []string       `json:"unknown"`     // aspects of which it is open whether they had changed by then
	Base      string         `json:"base_model"`  // the smallest model, which decode times are compared with
	BaseM     *float64       `json:"base_params_millions"`
	Model     string         `json:"model"` // the model at which it changed
	ParamsM   *float64       `json:"params_millions"`
	Before    string         `json:"before_model"` // the next smaller one: the change lies between the two
	StepRatio *float64       `json:"step_size_ratio"`
	Rule      string         `json:"rule"`
	Why       string         `json:"why"`
	Aspects   []AspectChange `json:"aspects"` // latency, tails and feasibility, each over all sizes
	Steps     []ChangeStep   `json:"steps"`
}

// AspectChange says where one aspect changed, whether or not it came first.
type AspectChange struct {
	Aspect  string   `json:"aspect"`
	Verdict string   `json:"verdict"` // changed, not_shown or unknown
	Model   string   `json:"model"`   // the first model that changed it
	ParamsM *float64 `json:"params_millions"`
	Why     string   `json:"why"`
}

// ChangeStep goes from one size to the next larger. Growth is relative to the
// model before, Total to the smallest one.
type ChangeStep struct {
	From        string   `json:"from"`
	To          string   `json:"to"`
	ParamsM     *float64 `json:"params_millions"` // of To
	SizeGrowth  *float64 `json:"size_growth"`
	SizeTotal   *float64 `json:"size_total"`
	TailGrowth  *float64 `json:"tail_growth"` // ratio of the p95/p50 within calls
	TailTotal   *float64 `json:"tail_total"`
	TailRise    *float64 `json:"tail_rise"`      // p95/p50 within calls over the least among the smaller models that can be judged
	TailRiseLow *float64 `json:"tail_rise_low"`  // its lower bound, with what processes may differ by, corrected for all comparisons of the walk
	TailFrom    string   `json:"tail_rise_from"` // the model with that least ratio

	LatencyGrowth   *float64 `json:"latency_growth"` // decode, ratio of geomeans
	LatencyTotal    *float64 `json:"latency_total"`
	LatencyLow      *float64 `json:"latency_total_low"`    // its lower bound, with what processes may differ by, corrected for all comparisons of the walk
	LatencyDoubling *float64 `json:"latency_per_doubling"` // factor for each doubling of size, from the smallest model to To

	Failed       int      `json:"failed_cells"` // cells of To that did not fit, crashed or timed out
	FailedStatus string   `json:"failed_status"`
	Changed      []string `json:"changed"` // aspects that crossed their threshold here for the first time
	Open         []string `json:"open"`    // why aspects could not be judged here
}

// The rule of Change. The factors are a choice, not a law: small enough to
// matter to a user.
//
// Decode times are compared with the smallest model, because growth adds up over
// the sizes. Tails are not: what the system does to a process lasts as long for a
// small model as for a large one, so the smallest model's p95/p50 is often the
// worst of all, and nothing would ever rise above it. The least ratio among the
// smaller models is what the machine has shown that it can do.
const (
	latencyFactor = 2.0
	tailFactor    = 1.25
	// walkError is how often a walk over all sizes may find a change of latency that
	// is none, and one of tails: half of 5 % each, so that the answer errs in 5 %.
	walkError = (1 - stats.Confidence) / 2
	// sizeStep is by how much sizes must differ to count as two.
	sizeStep = 1.1
	// unsteady is a p95/p50 from which on a model is no measure for others: a rise
	// would not show beside what the machine does to it.
	unsteady = 1.5
	// changeReps is the fewest calls of which a scatter is known well enough.
	changeReps = 3
	// coarseStep is a step in size within which a change is no surprise.
	coarseStep = 4.0
)

var rule = fmt.Sprintf("Models of one backend by rising size; sizes less than %g times apart count as one. "+
	"Latency has changed at the first model whose decode time (geometric mean of the scenario medians) is shown to be more than %g times the smallest model's. "+
	"Tails have changed at the first model whose p95/p50 of the token times, each relative to the median of its call, is shown to be more than %g times the least among all smaller models; where even that least is %g or more, a model of %g or more is not judged. "+
	"Shown means that the lower bound of the ratio exceeds the factor; in %g %% of runs one such claim may be wrong. The bound has the scatter of the calls, which are of one process for each model, and allows %g %% for what processes differ by. "+
	"Feasibility has changed at the first model with a cell that ran out of memory, crashed or timed out, unless a model of its size or a larger one ran that scenario (then it is not the size), or calls of the cell went well before a crash or a timeout. "+
	"The first model at which one of these holds decides. A model with fewer than %d repetitions of a scenario is not judged. "+
	"Where it stays open whether another aspect had changed by then, the answer is unknown.", sizeStep, latencyFactor, tailFactor, unsteady, tailFactor, math.Round(200*walkError), 100*stats.ProcessSD, changeReps)

// The aspects of Change, in the order in which they are named.
var aspects = []string{"latency", "tails", "feasibility"}

// firstChange walks up the sizes of a series, by rule.
func (a *asker) change(s cells.Series) Change {
	out := Change{Series: s, Rule: rule, Verdict: "unknown", AmongSeen: "unknown"}
	all, notes := a.sizes(s)
	if len(all) > 0 && all[0].failed > 0 {
		return a.smallestFailed(out, all, notes)
	}
	if len(all) < 2 {
		out.Unknown = slices.Clone(aspects)
		out.Why = strings.Join(append([]string{fmt.Sprintf("%s measured; a change takes 2", words.Counted(len(all), "model of known size was", "models of known size were"))}, notes...), "; ")
		return out
	}
	base, last := all[0], all[len(all)-1]
	if !last.larger(base) {
		out.Unknown = slices.Clone(aspects)
		out.Why = strings.Join(append([]string{fmt.Sprintf("the %d models are of one size, from %s to %s; a change takes sizes that are %g times apart", len(all), base, last, sizeStep)}, notes...), "; ")
		return out
	}
	out.Base, out.BaseM = base.model.Name, base.model.ParamsMillions

	decodes, pairs := comparisons(all)
	first := map[string]*AspectChange{}
	open := map[string]string{} // aspects that could not be judged since they were last seen unchanged
	earlier := map[string]string{}
	for i := 1; i < len(all); i++ {
		prev, z := before(all, i), all[i]
		step := ChangeStep{From: prev.model.Name, To: z.model.Name, ParamsM: z.model.ParamsMillions,
			SizeGrowth: stats.Ratio(z.model.ParamsMillions, prev.model.ParamsMillions), SizeTotal: stats.Ratio(z.model.ParamsMillions, base.model.ParamsMillions),
			LatencyGrowth: stats.Ratio(z.decode, prev.decode), LatencyTotal: stats.Ratio(z.decode, base.decode),
			TailGrowth: stats.Ratio(z.p95, prev.p95), TailTotal: stats.Ratio(z.p95, base.p95),
			Failed: z.failed, FailedStatus: z.status}
		if step.LatencyTotal != nil && step.SizeTotal != nil && *step.SizeTotal > 1 {
			step.LatencyDoubling = stats.Finite(math.Pow(*step.LatencyTotal, math.Ln2/math.Log(*step.SizeTotal)))
		}
		judged := map[string]judgement{"latency": judgeLatency(&step, z, base, decodes), "tails": judgeTails(&step, z, all[:i], pairs), "feasibility": judgeFeasibility(z)}
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
			case j.same:
				delete(open, aspect)
			}
		}
		out.Steps = append(out.Steps, step)
		if len(step.Changed) == 0 || out.Model != "" {
			continue
		}
		out.AmongSeen, out.Model, out.ParamsM, out.Before, out.StepRatio = strings.Join(step.Changed, "+"), step.To, step.ParamsM, step.From, step.SizeGrowth
		out.Why = decisive(step, prev, !prev.larger(base), first, earlier)
		for _, aspect := range aspects {
			if first[aspect] == nil && open[aspect] != "" {
				out.Unknown = append(out.Unknown, aspect)
				out.Why += fmt.Sprintf("; whether %s had changed by then is not known: %s", aspect, open[aspect])
			}
		}
	}
	if out.Model == "" {
		out.AmongSeen, out.Why = "none", fmt.Sprintf("no aspect is shown to change from %s to %s", base, last)
		for _, aspect := range aspects {
			if open[aspect] != "" {
				out.Unknown = append(out.Unknown, aspect)
				out.Why += fmt.Sprintf("; whether there is a change of %s is open: %s", aspect, open[aspect])
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
		a.out.Warn("coarse_step", s.Backend, fmt.Sprintf("the change of %s lies between %s and %s, %.3g times the size: where in that step is not known, and a step of that size could hardly be without a change",
			strings.ReplaceAll(out.Verdict, "+", " and "), out.Before, out.Model, *r), "measure sizes between the two; a synthesised model takes a line in the config")
	}
	return out
}

// before is the model before all[i] that is smaller by a step; where there is none,
// the one before.
func before(all []*sized, i int) *sized {
	for j := i - 1; j >= 0; j-- {
		if all[i].larger(all[j]) {
			return all[j]
		}
	}
	return all[i-1]
}

// comparisons counts those of decode times, each with the smallest model's, and the
// pairs of models whose tails may be compared.
func comparisons(all []*sized) (decodes, pairs int) {
	for i, z := range all {
		if z.decode != nil && z.larger(all[0]) {
			decodes++
		}
		for _, y := range all[:i] {
			if z.p95 != nil && y.p95 != nil && z.larger(y) {
				pairs++
			}
		}
	}
	return decodes, pairs
}

// decisive says what was seen at the first step with a change. smallest says that
// prev, the size before, is the smallest.
func decisive(step ChangeStep, prev *sized, smallest bool, first map[string]*AspectChange, earlier map[string]string) string {
	var parts []string
	for _, aspect := range step.Changed {
		why := first[aspect].Why
		if e := earlier[aspect]; e != "" {
			why += "; perhaps before, for " + e
		}
		parts = append(parts, why)
	}
	why := strings.Join(parts, "; ")
	if smallest {
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
func (a *asker) smallestFailed(out Change, all []*sized, notes []string) Change {
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
		c := AspectChange{Aspect: aspect, Verdict: "not_shown", Why: "no larger model was measured"}
		switch {
		case first[aspect] != nil:
			c = *first[aspect]
		case open[aspect] != "":
			c.Verdict, c.Why = "unknown", open[aspect]
		case aspect == "latency":
			if x := largest(steps, func(s *ChangeStep) *float64 { return s.LatencyTotal }); x != nil {
				c.Why = fmt.Sprintf("decode takes at most %.2f times as long as on the smallest model, on %s, and a change is more than %g times", *x.LatencyTotal, x.To, latencyFactor)
			}
		case aspect == "tails":
			if x := largest(steps, func(s *ChangeStep) *float64 { return s.TailRise }); x != nil {
				c.Why = fmt.Sprintf("p95/p50 of the token times within a call is at most %.2f times the least of the smaller models, on %s, and a change is more than %g times", *x.TailRise, x.To, tailFactor)
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
