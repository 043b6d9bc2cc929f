package crosscheck

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Sections are the report's.
func (a *Answer) Sections() []doc.Section {
	if len(a.Comparisons) == 0 {
		return nil
	}
	sec := doc.Section{Title: "Cross-check with Ollama"}
	sec.Say("The same files, by name and SHA-256, on the same device: measured natively, and through Ollama's HTTP API. Ratios are Ollama's time over native's. Ollama's own counters and the native times beside them hold no sampling of tokens; the client's clock and the native times beside it do. 95 %% intervals are by paired t over the blocks that measured both; where one process of each was measured, they come from its calls and hold within one process: another one may differ by some percent.")
	sec.Add(a.sentences(), doc.Pictures(figureKind))
	a.gapsThatStand(&sec)
	if items := a.settingsThatDiffer(); len(items) > 0 {
		sec.Say("Settings that are not, or not known to be, the same:")
		sec.Add(items)
	}
	for _, phase := range textPhases {
		if t := a.comparisonTable(phase); len(t.Rows) > 0 {
			sec.Say("**%s**, medians", doc.Upper(phaseUnit(phase)))
			sec.Add(t)
		}
	}
	a.lawTable(&sec)
	a.partsTable(&sec)
	a.greedyTable(&sec)
	return []doc.Section{sec}
}

// textPhases are the phases in the order in which they are spoken of.
var textPhases = []string{record.ModeDecode, record.ModePrefill}

// phaseUnit is what a phase's gap is counted in.
func phaseUnit(phase string) string { return prose.Mode(phase) + ", " + per(phase) }

func per(phase string) string {
	if phase == record.ModeDecode {
		return "ms per token"
	}
	return "ms per call"
}

// pairs lists the pairs in the order of the comparisons.
func (a *Answer) pairs() []Pair {
	pairs, _ := stats.GroupBy(a.Comparisons, func(c Comparison) Pair { return c.Pair })
	return pairs
}

func (a *Answer) comparisons(p Pair, phase string) (out []*Comparison) {
	for i := range a.Comparisons {
		if c := &a.Comparisons[i]; c.Pair == p && c.Phase == phase {
			out = append(out, c)
		}
	}
	return out
}

// Sentences say for the opening of the report what the cross-check came to.
func (a *Answer) Sentences() []string {
	var parts []string
	for _, p := range a.pairs() {
		var said []string
		var bench doc.Span
		takes := " takes " // said once
		for _, phase := range textPhases {
			all := a.comparisons(p, phase)
			if s := ratios(all, func(c *Comparison) *Beside { return &c.Counters }); s.Known {
				said = append(said, prose.Mode(phase)+takes+s.Three()+" times native's time")
				takes = " "
			}
			if s := ratios(all, func(c *Comparison) *Beside { return &c.Bench }); s.Known {
				bench.Add(&s.Lo)
				bench.Add(&s.Hi)
			}
		}
		if len(said) == 0 {
			continue
		}
		s := p.Names() + ": " + strings.Join(said, ", ")
		if bench.Known {
			s += "; llama-bench takes " + bench.Three()
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{"**Cross-check** with Ollama on the same files, on this machine, by its own counters: " + strings.Join(parts, "; ") + ". See “Cross-check with Ollama”."}
}

// ratios is the range of the ratios of one clock, of those with calls enough.
func ratios(all []*Comparison, of func(*Comparison) *Beside) (s doc.Span) {
	for _, c := range all {
		if b := of(c); !c.Few(b) {
			s.Add(b.Ratio)
		}
	}
	return s
}

func (a *Answer) sentences() (out doc.List) {
	for _, p := range a.pairs() {
		for _, phase := range textPhases {
			all := a.comparisons(p, phase)
			if len(all) == 0 {
				continue
			}
			s := fmt.Sprintf("**%s**, %s: %s", doc.Upper(prose.Mode(phase)), p.Names(), ratioText(all, phase, func(c *Comparison) *Beside { return &c.Counters }, "by Ollama's own counters Ollama takes"))
			if t := ratioText(all, phase, func(c *Comparison) *Beside { return &c.Client }, "By the client's clock, with scheduling, sampling and HTTP, it takes"); t != "" {
				s += " " + t
			}
			if t := ratioText(all, phase, func(c *Comparison) *Beside { return &c.Bench }, "llama-bench takes"); t != "" {
				s += " " + t
			}
			out = append(out, s)
		}
		if s := a.wallSentence(p); s != "" {
			out = append(out, s)
		}
		if s := a.greedySentence(p); s != "" {
			out = append(out, s)
		}
		if s := a.sameFileSentence(p); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// ratioText says over what the ratios of one clock run, and where the largest gap is.
func ratioText(all []*Comparison, phase string, of func(*Comparison) *Beside, takes string) string {
	var far *Comparison
	sizes, scenarios := map[string]bool{}, map[string]bool{}
	n, intervals, excludes, invalid, left, few := 0, 0, 0, 0, 0, 0
	for _, c := range all {
		b := of(c)
		invalid += c.InvalidOllama
		if b.Ratio == nil {
			left++
			continue
		}
		if c.Few(b) {
			few++
			continue
		}
		n++
		sizes[c.Model], scenarios[c.Scenario] = true, true
		if b.RatioCI != nil {
			intervals++
		}
		if b.Excludes() {
			excludes++
		}
		if far == nil || math.Abs(math.Log(*b.Ratio)) > math.Abs(math.Log(*of(far).Ratio)) {
			far = c
		}
	}
	counters := of(all[0]) == &all[0].Counters
	if n == 0 {
		switch {
		case few > 0:
			return fmt.Sprintf("%s an unknown multiple of native's time: no comparison has %d calls or more on both sides.", takes, stats.MinRatioCalls)
		case !counters:
			return ""
		}
		return fmt.Sprintf("no comparison is possible: %s (%s INVALID).", doc.Text(of(all[0]).Reason), doc.Count(invalid, "repetition", "repetitions"))
	}
	s := fmt.Sprintf("%s %s times native's time over %s and %s (%s)", takes, ratios(all, of).Three(), doc.Count(len(sizes), "model", "models"), doc.Count(len(scenarios), "scenario", "scenarios"), doc.Count(n, "comparison", "comparisons"))
	switch {
	case intervals == 0:
		s += ", without intervals"
	case excludes == 0:
		s += "; no interval excludes 1"
	default:
		s += fmt.Sprintf("; the interval excludes 1 in %d of %d", excludes, intervals)
	}
	b := of(far)
	if gap, _, ok := far.Gap(b); ok {
		s += fmt.Sprintf(". Farthest off: %s, %s: %s times%s, %s %s", doc.Text(far.Model), doc.Text(far.Scenario), doc.Fixed(b.Ratio, 3), prose.OfRatio(b.RatioCI, b.Basis, 3), signedNumber(gap), per(phase))
	}
	if few > 0 {
		s += fmt.Sprintf(". Left out of this for fewer than %d calls: %d", stats.MinRatioCalls, few)
	}
	if counters && left > 0 {
		s += fmt.Sprintf(". Not comparable: %d", left)
		if invalid > 0 {
			s += fmt.Sprintf(" (%s INVALID)", doc.Count(invalid, "repetition is", "repetitions are"))
		}
	}
	return s + "."
}

// signedNumber is a number that shows a plus.
func signedNumber(v float64) string {
	if v > 0 {
		return "+" + doc.Number(v)
	}
	return doc.Number(v)
}

// wallSentence says what of a call's wall time is not computing.
func (a *Answer) wallSentence(p Pair) string {
	n := 0
	var http, load, rest, added, compute, around, perToken, share doc.Span
	for i := range a.Parts {
		g := &a.Parts[i]
		if g.Pair != p || g.WallMS == nil {
			continue
		}
		n++
		http.Add(g.HTTPMS)
		load.Add(g.LoadMS)
		rest.Add(g.RestMS)
		added.Add(g.AddedMS)
		compute.Add(g.ComputeAddedMS)
		around.Add(g.AroundAddedMS)
		perToken.Add(g.RestPerToken)
		beside := (*g.WallMS - *g.PromptEvalMS - *g.EvalMS) / *g.WallMS
		share.Add(&beside)
	}
	if n == 0 {
		return ""
	}
	s := fmt.Sprintf("**Wall time** of a call through %s, at the client, over %s: HTTP and the client take %s ms, scheduling and reading the metadata of the file again %s ms, and sampling, making text and the way between the server's processes %s ms; together with tokenising that is %s %% of the wall time, the rest is prefill and decode.",
		p.server(), doc.Count(n, "model and scenario", "models and scenarios"), http, load, rest, share.Percent())
	if added.Known {
		s += fmt.Sprintf(" Against native's end-to-end time a call takes %s ms more: %s ms in prefill and decode, %s ms around them (HTTP and what each token costs beside computing: %s ms per token).", added, compute, around, perToken)
	}
	return s
}

func (a *Answer) greedySentence(p Pair) string {
	all, by := 0, map[string]int{}
	var first *Greedy
	varied := 0
	for i := range a.Greedy {
		g := &a.Greedy[i]
		if g.Pair != p {
			continue
		}
		all++
		by[g.Verdict]++
		if g.FirstDiffering != nil && (first == nil || *g.FirstDiffering < *first.FirstDiffering) {
			first = g
		}
		if g.NativeAnswers > 1 || g.OllamaAnswers > 1 {
			varied++
		}
	}
	if all == 0 {
		return ""
	}
	s := fmt.Sprintf("**Greedy answers** of %s to %s of text: equal in %d", p.Names(), doc.Count(all, "prompt", "prompts"), by[GreedyEqual])
	if n := by[GreedyDiffers]; n > 0 {
		s += fmt.Sprintf(", different in %d (earliest: %s, %s, from token %d on)", n, doc.Text(first.Model), doc.Text(first.Scenario), *first.FirstDiffering)
	}
	if n := by[GreedyNotComparable]; n > 0 {
		s += fmt.Sprintf(", not comparable in %d, where Ollama was told to repeat no token", n)
	}
	if n := by[GreedyUnknown]; n > 0 {
		s += fmt.Sprintf(", unknown in %d", n)
	}
	if varied > 0 {
		s += fmt.Sprintf("; in %d the calls of one side did not all answer the same", varied)
	}
	return s + "."
}

// sameFileSentence says whether the server loads the very file.
func (a *Answer) sameFileSentence(p Pair) string {
	same, other, unsaid := []string{}, []string{}, []string{}
	for i := range a.Comparisons {
		c := &a.Comparisons[i]
		to := &unsaid
		switch {
		case c.Pair != p || c.NativeN == 0 && c.Counters.N == 0:
			continue
		case c.SameWeights != nil && *c.SameWeights:
			to = &same
		case c.SameWeights != nil:
			to = &other
		case c.Counters.N == 0: // what counts for nothing tells nothing
			continue
		}
		if name := doc.Text(c.Model); !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
	var parts []string
	if len(same) > 0 {
		parts = append(parts, fmt.Sprintf("it loads the very file that native measured for %s", doc.Count(len(same), "model", "models")))
	}
	if len(other) > 0 {
		parts = append(parts, "it loads **another file** for "+doc.Join(other))
	}
	if len(unsaid) > 0 {
		parts = append(parts, "it does not say which file it loads for "+doc.Join(unsaid))
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("**Weights**: the server of %s says that %s.", p.server(), doc.Join(parts))
}
