package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// mostTrends bounds the sentences on settings: the answer is to be read in one go.
const mostTrends = 12

// Sentences say of each value of a setting where it is faster than the first, and
// of threads which number is best.
func (a *Answer) Sentences() []string {
	out := a.threadSentences()
	type group struct{ axis, base, value, at string }
	var order []group
	by := map[group][]Trend{}
	for _, t := range a.AxisTrends {
		// The section on weight types has those of one size.
		if t.Axis == cells.SettingThreads || t.Axis == cells.SettingThreadsBatch || t.Axis == cells.SettingDType && cells.OneSize(a.set.Aggregates) {
			continue
		}
		g := group{t.Axis, t.Base, t.Value, t.At}
		if by[g] == nil {
			order = append(order, g)
		}
		by[g] = append(by[g], t)
	}
	for i, g := range order {
		if i == mostTrends {
			out = append(out, fmt.Sprintf("%s more of settings: see “Settings compared” and csv.", doc.Count(len(order)-i, "comparison", "comparisons")))
			break
		}
		s := fmt.Sprintf("**%s %s** against %s", doc.Text(g.axis), doc.Text(g.value), doc.Text(g.base))
		if g.at != "" {
			s += " at " + doc.Text(g.at)
		}
		out = append(out, s+": "+strings.Join(trendPhrases(by[g]), "; ")+".")
	}
	return out
}

// trendPhrases has one for each phase, decode first, and where scenarios disagree
// one for each of them.
func trendPhrases(trends []Trend) (out []string) {
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		var alike []Trend // scenarios that say the same, joined
		var scenarios [][]string
		total := 0
		for _, t := range trends {
			if t.Mode != mode {
				continue
			}
			total++
			i := slices.IndexFunc(alike, func(o Trend) bool { return sameSpans(o, t) })
			if i < 0 {
				t.Spans = slices.Clone(t.Spans)
				alike, scenarios = append(alike, t), append(scenarios, []string{doc.Text(t.Scenario)})
				continue
			}
			scenarios[i] = append(scenarios[i], doc.Text(t.Scenario))
			for j := range t.Spans {
				s := &alike[i].Spans[j]
				s.LeastFast, s.MostFast = min(s.LeastFast, t.Spans[j].LeastFast), max(s.MostFast, t.Spans[j].MostFast)
			}
		}
		for i, t := range alike {
			s := prose.Mode(mode)
			if len(scenarios[i]) < total {
				s += " of " + doc.Join(scenarios[i])
			}
			out = append(out, s+" "+spansText(t))
		}
	}
	return out
}

func sameSpans(x, y Trend) bool {
	return slices.EqualFunc(x.Spans, y.Spans, func(a, b Span) bool { return a.Verdict == b.Verdict && a.From == b.From && a.To == b.To })
}

// mostSpans is how many turns along the sizes a sentence follows.
const mostSpans = 3

// spansText says from which size to which a value is faster.
func spansText(t Trend) string {
	faster, slower, as := "faster", "slower", "as fast"
	if t.Axis == cells.SettingBatchSize {
		faster, slower, as = "gives more tokens per second", "gives fewer tokens per second", "as many"
	}
	var shown, open []string
	models, last := 0, len(t.Spans)-1
	for _, s := range t.Spans {
		models += s.Models
	}
	if last >= mostSpans {
		return manySpans(t.Spans, models, faster, slower, as)
	}
	for i, s := range t.Spans {
		where := ""
		switch {
		case last == 0 && models == 1:
		case last == 0:
			where = fmt.Sprintf(" on all %d sizes, %s to %s", models, shortParams(s.FromM), shortParams(s.ToM))
		case s.From == s.To:
			where = " at " + shortParams(s.FromM)
		case i == last:
			where = " from " + shortParams(s.FromM) + " on"
		case i == 0:
			where = " up to " + shortParams(s.ToM)
		default:
			where = fmt.Sprintf(" from %s to %s", shortParams(s.FromM), shortParams(s.ToM))
		}
		switch s.Verdict {
		case Faster, Slower:
			word := faster
			if s.Verdict == Slower {
				word = slower
			}
			shown = append(shown, fmt.Sprintf("**%s**%s (%s times %s)", word, where, times(s.LeastFast, s.MostFast), as))
		case NotShown:
			open = append(open, "no difference shown"+where)
		default:
			open = append(open, "**unknown**"+where+" (fewer than 3 calls)")
		}
	}
	return strings.Join(append(shown, open...), ", ")
}

// manySpans counts the models of each verdict, where they take turns.
func manySpans(spans []Span, models int, faster, slower, as string) string {
	n, speed := map[string]int{}, map[string]*doc.Span{Faster: {}, Slower: {}, NotShown: {}, Unknown: {}}
	for _, s := range spans {
		n[s.Verdict] += s.Models
		speed[s.Verdict].Add(&s.LeastFast)
		speed[s.Verdict].Add(&s.MostFast)
	}
	var out []string
	left, of := models, fmt.Sprintf(" of %d models", models)
	on := func(verdict, text string) {
		if n[verdict] == 0 {
			return
		}
		where := fmt.Sprintf(" on %d%s", n[verdict], of)
		if left == n[verdict] {
			where = " on the others"
		}
		left, of = left-n[verdict], ""
		out = append(out, fmt.Sprintf(text, where))
	}
	reach := func(verdict string) string {
		return fmt.Sprintf("%%s (%s times %s)", times(speed[verdict].Lo, speed[verdict].Hi), as)
	}
	on(Faster, "**"+faster+"**"+reach(Faster))
	on(Slower, "**"+slower+"**"+reach(Slower))
	on(NotShown, "no difference shown%s")
	on(Unknown, "**unknown**%s (fewer than 3 calls)")
	s := strings.Join(out, ", ")
	if n[Faster] > 0 && n[Slower] > 0 {
		s = "mixed over the sizes: " + s
	}
	return s
}

// times is a range of ratios.
func times(lo, hi float64) string {
	if a, b := doc.Fixed(&lo, 2), doc.Fixed(&hi, 2); a != b {
		return a + " to " + b
	}
	return doc.Fixed(&lo, 2)
}

// shortParams is a size in a list of sizes.
func shortParams(m *float64) string {
	switch {
	case m == nil:
		return "unknown size"
	case *m >= 1000:
		return strconv.FormatFloat(*m/1000, 'g', 3, 64) + "B"
	}
	return strconv.FormatFloat(*m, 'g', 3, 64) + "M"
}

// threadSentences name the best number of threads of each phase, over the models and
// scenarios, and what one thread more gives.
func (a *Answer) threadSentences() []string {
	type group struct{ mode, at string }
	var order []group
	by := map[group][]BestThreads{}
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, b := range a.Threads {
			g := group{mode, b.At}
			if b.Mode != mode {
				continue
			}
			if by[g] == nil {
				order = append(order, g)
			}
			by[g] = append(by[g], b)
		}
	}
	var out []string
	for i, g := range order {
		if i == mostTrends/2 {
			out = append(out, "Threads under further settings: see the table of “Settings compared”.")
			break
		}
		s := fmt.Sprintf("**Threads for %s**", prose.Mode(g.mode))
		if g.at != "" {
			s += " at " + doc.Text(g.at)
		}
		out = append(out, s+": "+strings.Join(bestPhrases(by[g]), "; ")+".")
	}
	return out
}

// bestPhrases say which number of threads is best on which models, and what one more
// gives there: one phrase for all that have the same answer.
func bestPhrases(all []BestThreads) []string {
	type answer struct {
		best, fewest int
		told         bool
		more         string // verdict on one more; "": not measured
	}
	var order []answer
	models := map[answer][]string{}
	on := map[answer]map[string][]string{} // scenarios of each model
	scenarios := map[string]int{}          // there are of it
	costs := map[answer]*doc.Span{}
	for _, b := range all {
		k := answer{best: b.Best, fewest: b.Fewest, told: b.Told}
		more := b.OneMore()
		if more != nil {
			k.more = more.GainVerdict
		}
		if costs[k] == nil {
			order = append(order, k)
			costs[k] = &doc.Span{}
		}
		if on[k] == nil {
			on[k] = map[string][]string{}
		}
		name := doc.Text(b.Model)
		if len(on[k][name]) == 0 {
			models[k] = append(models[k], name)
		}
		on[k][name] = append(on[k][name], doc.Text(b.Scenario))
		scenarios[name]++
		if more != nil {
			loss := -100 * *more.Gain
			costs[k].Add(&loss)
		}
	}
	var out []string
	for _, k := range order {
		s := fmt.Sprintf("**%d** of %s is best", k.best, measured(all))
		if len(order)+len(models[k]) > 2 {
			var names []string
			for _, m := range models[k] {
				if in := on[k][m]; len(in) < scenarios[m] {
					m += " (" + doc.Join(in) + ")"
				}
				names = append(names, m)
			}
			if len(names) > mostTrends/2 {
				names = []string{doc.Count(len(names), "model", "models")}
			}
			s += " on " + doc.Join(names)
		}
		switch {
		case k.told:
		case k.fewest < k.best:
			s += fmt.Sprintf(", and %d is not shown to be slower", k.fewest)
		case k.more != NotShown:
			s += ", which is not shown of all others"
		}
		switch k.more {
		case "":
			s += fmt.Sprintf(" (what more than %d would give is not measured)", k.best)
		case Slower:
			s += fmt.Sprintf(" (each thread more costs %s %% of the speed)", costs[k].Text(func(v float64) string { return doc.Fixed(&v, 1) }))
		default:
			s += " (that one more differs is not shown)"
		}
		out = append(out, s)
	}
	return out
}

func measured(all []BestThreads) string {
	var ns []int
	for _, b := range all {
		for _, c := range b.Counts {
			if !slices.Contains(ns, c.Threads) {
				ns = append(ns, c.Threads)
			}
		}
	}
	slices.Sort(ns)
	var out []string
	for _, n := range ns {
		out = append(out, strconv.Itoa(n))
	}
	return doc.Join(out)
}

// Varied reports whether a comparison of settings is what the run is for.
func (a *Answer) Varied() bool { return len(a.Threads) > 0 || len(a.compared()) > 0 }

// SaysOf reports whether a sentence on settings has decode of two backends.
func (a *Answer) SaysOf(x, y string) bool {
	return slices.ContainsFunc(a.Axes, func(c Comparison) bool {
		pair := c.BaseBackend == x && c.Backend == y || c.BaseBackend == y && c.Backend == x
		return pair && c.Mode == record.ModeDecode && !(c.Axis == cells.SettingDType && cells.OneSize(a.set.Aggregates))
	})
}
