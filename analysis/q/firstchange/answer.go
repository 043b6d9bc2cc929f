// Package firstchange asks what changes first as models grow: latency, tails or
// feasibility; and from which size on each of them, a cold start, memory and energy
// leave the level of the smallest model.
package firstchange

import (
	"cmp"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/coldstart"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/stats"
)

// What is found of an aspect.
const (
	Changes = "changes" // from SizeM on
	Never   = "never"   // within the measured sizes
	Unknown = "unknown" // cannot tell
)

// Change says from which size on one aspect of a series is more than Factor times what
// it is on the smallest model.
type Change struct {
	cells.Series
	Mode     string  `json:"mode" doc:"prefill or kv_decode; empty where the aspect is of no mode"`
	Aspect   string  `json:"aspect" doc:"latency, tails_in_calls, tails_between_processes, feasibility, cold_start, memory, device_memory or energy"`
	Quantity string  `json:"quantity" doc:"what is compared"`
	Unit     string  `json:"unit" doc:"of smallest_level"`
	Factor   float64 `json:"factor" zero:"unknown" doc:"times the smallest model's level that count as a change"`

	Models   int      `json:"models" doc:"models that have a level"`
	Smallest string   `json:"smallest_model" doc:"whose level the others are compared with"`
	SmallM   *float64 `json:"smallest_millions" unit:"1e6" doc:"its parameters"`
	Level    *float64 `json:"smallest_level" doc:"its level"`
	LargestM *float64 `json:"largest_millions" unit:"1e6" doc:"parameters of the largest model that has a level"`
	Times    *float64 `json:"largest_times" doc:"the largest model's level over the smallest one's"`
	// TimesCI is two-sided.
	TimesCI *stats.Interval `json:"largest_times_ci" csv:"largest_times_*" doc:"95 % interval: paired t over the blocks, or from the calls of one process"`

	Verdict string          `json:"verdict" doc:"changes, never (within the measured sizes) or unknown"`
	SizeM   *float64        `json:"size_millions" unit:"1e6" doc:"changes: parameters from which on, by the law; empty where no law crosses the factor there"`
	Between *stats.Interval `json:"between" csv:"*_millions" unit:"1e6" doc:"changes: 95 % interval of that size, over the laws that cannot be told apart"`
	Law     string          `json:"law" doc:"the law of SizeM"`
	Basis   string          `json:"basis" doc:"of intervals: processes, or one process"`
	Reason  string          `json:"reason" doc:"for the verdict"`

	of     *aspect
	levels []level
	failed []float64 // sizes of models that failed, in millions

	without int // models that have no VALID time in some scenario
}

// First is what changes first on a series.
type First struct {
	cells.Series
	Verdict string    `json:"verdict"` // latency, tails or feasibility, joined by "+" where it is not known which; none or unknown
	Unknown []string  `json:"unknown"` // of the three, those of which it cannot be told whether they change before
	Changes []*Change `json:"-"`
}

// Answer has one entry of Changes for each aspect of each series.
type Answer struct {
	finding.Notes
	set *cells.Set

	Changes []*Change `json:"first_change"`
	Answers struct {
		First []*First `json:"first_change"`
	} `json:"answers"`
}

// asker puts the answer together.
type asker struct {
	*cells.Set
	tails  *tails.Answer
	starts map[cells.ModelKey]*coldstart.Start
	failed map[modelOf][]failures.Cell
	out    *Answer
}

// modelOf names a model of a series.
type modelOf struct {
	cells.Series
	model string
}

// Ask asks the cells of a run, their tails, how models start, and what failed.
func Ask(c *cells.Set, t *tails.Answer, s *coldstart.Answer, f *failures.Answer) *Answer {
	a := &asker{Set: c, tails: t, starts: map[cells.ModelKey]*coldstart.Start{}, out: &Answer{set: c}}
	for i := range s.Starts {
		a.starts[cells.ModelKey{Backend: s.Starts[i].Backend, Model: s.Starts[i].Model}] = &s.Starts[i]
	}
	_, a.failed = stats.GroupBy(f.Failed, func(f failures.Cell) modelOf { return modelOf{f.Series(), f.Model} })
	for _, s := range a.Series {
		first := &First{Series: s}
		for i := range aspects {
			if ch := a.change(s, &aspects[i]); ch != nil {
				first.Changes = append(first.Changes, ch)
			}
		}
		first.judge()
		a.out.Changes = append(a.out.Changes, first.Changes...)
		a.out.Answers.First = append(a.out.Answers.First, first)
	}
	return a.out
}

// topics are what the project asks of, in the order in which they are named.
var topics = []string{"latency", "tails", "feasibility"}

// judge says which of the topics changes first: those that may be it.
func (f *First) judge() {
	var shown []*Change
	for _, c := range f.Changes {
		switch {
		case c.of.topic == "":
		case c.Verdict == Changes:
			shown = append(shown, c)
		case c.Verdict == Unknown && !slices.Contains(f.Unknown, c.of.topic):
			f.Unknown = append(f.Unknown, c.of.topic)
		}
	}
	switch {
	case len(shown) == 0 && len(f.Unknown) > 0:
		f.Verdict = Unknown
		return
	case len(shown) == 0:
		f.Verdict = "none"
		return
	}
	earliest := slices.MinFunc(shown, func(x, y *Change) int { return cmp.Compare(x.latest(), y.latest()) })
	for _, t := range topics {
		if slices.ContainsFunc(shown, func(c *Change) bool { return c.of.topic == t && c.soonest() <= earliest.latest() }) {
			if f.Verdict != "" {
				f.Verdict += "+"
			}
			f.Verdict += t
			f.Unknown = slices.DeleteFunc(f.Unknown, func(u string) bool { return u == t })
		}
	}
}

// Of is what an aspect does in a mode of a series; nil where nothing of it was recorded.
func (a *Answer) Of(s cells.Series, mode, aspect string) *Change {
	if i := slices.IndexFunc(a.Changes, func(c *Change) bool { return c.Series == s && c.Mode == mode && c.Aspect == aspect }); i >= 0 {
		return a.Changes[i]
	}
	return nil
}

// Tables are the CSV file.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{finding.TableOf(file, "From which size on each aspect is more than so many times what it is on the smallest model.", a.Changes, "")}
}
