package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/axes"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// mostTrends bounds the sentences on settings: the answer is to be read in one go.
const mostTrends = 12

// axisSentences say of each value of a setting where it is faster than the first, and
// of threads which number is best.
func (w *writer) axisSentences() doc.List {
	out := w.threadSentences()
	type group struct{ axis, base, value, at string }
	var order []group
	by := map[group][]axes.Trend{}
	for _, t := range w.r.AxisTrends {
		// The section on weight types has those of one size.
		if t.Axis == cells.SettingThreads || t.Axis == cells.SettingThreadsBatch || t.Axis == cells.SettingDType && w.oneSize() {
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
			out = append(out, fmt.Sprintf("%s more of settings: see “Settings compared” and axes.csv.", doc.Count(len(order)-i, "comparison", "comparisons")))
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
func trendPhrases(trends []axes.Trend) (out []string) {
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		var alike []axes.Trend // scenarios that say the same, joined
		var scenarios [][]string
		total := 0
		for _, t := range trends {
			if t.Mode != mode {
				continue
			}
			total++
			i := slices.IndexFunc(alike, func(o axes.Trend) bool { return sameSpans(o, t) })
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

func sameSpans(x, y axes.Trend) bool {
	return slices.EqualFunc(x.Spans, y.Spans, func(a, b axes.Span) bool { return a.Verdict == b.Verdict && a.From == b.From && a.To == b.To })
}

// mostSpans is how many turns along the sizes a sentence follows.
const mostSpans = 3

// spansText says from which size to which a value is faster.
func spansText(t axes.Trend) string {
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
		n := map[string]int{}
		lo, hi := math.Inf(1), 0.0
		for _, s := range t.Spans {
			n[s.Verdict] += s.Models
			lo, hi = min(lo, s.LeastFast), max(hi, s.MostFast)
		}
		return fmt.Sprintf("mixed over the sizes: %s on %d of %d models, %s on %d (%s times %s)", faster, n[axes.Faster], models, slower, n[axes.Slower], times(lo, hi), as)
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
		case axes.Faster, axes.Slower:
			word := faster
			if s.Verdict == axes.Slower {
				word = slower
			}
			shown = append(shown, fmt.Sprintf("**%s**%s (%s times %s)", word, where, times(s.LeastFast, s.MostFast), as))
		case axes.NotShown:
			open = append(open, "no difference shown"+where)
		default:
			open = append(open, "**unknown**"+where+" (fewer than 3 calls)")
		}
	}
	return strings.Join(append(shown, open...), ", ")
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
func (w *writer) threadSentences() doc.List {
	type group struct{ mode, at string }
	var order []group
	by := map[group][]axes.BestThreads{}
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, b := range w.r.Threads {
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
	var out doc.List
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
func bestPhrases(all []axes.BestThreads) []string {
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
		case k.more != axes.NotShown:
			s += ", which is not shown of all others"
		}
		switch k.more {
		case "":
			s += fmt.Sprintf(" (what more than %d would give is not measured)", k.best)
		case axes.Slower:
			s += fmt.Sprintf(" (each thread more costs %s %% of the speed)", costs[k].Text(func(v float64) string { return doc.Fixed(&v, 1) }))
		default:
			s += " (that one more differs is not shown)"
		}
		out = append(out, s)
	}
	return out
}

func measured(all []axes.BestThreads) string {
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

// saidOfAxis reports whether a sentence on settings has decode of two backends.
func (w *writer) saidOfAxis(base, backend string) bool {
	return slices.ContainsFunc(w.r.Axes, func(c axes.Comparison) bool {
		pair := c.BaseBackend == base && c.Backend == backend || c.BaseBackend == backend && c.Backend == base
		return pair && c.Mode == record.ModeDecode && !(c.Axis == cells.SettingDType && w.oneSize())
	})
}
