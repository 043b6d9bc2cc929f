package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/plot"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// gapLines is how many models with gaps are described before the rest is folded.
const gapLines = 8

// crosscheck sets Ollama beside the native backend, where one file was measured by
// both.
func (w *writer) crosscheck() {
	if len(w.r.Crosscheck) == 0 {
		return
	}
	w.doc.Section("Cross-check with Ollama")
	w.doc.Say("The same files, by name and SHA-256, on the same device: measured natively, and through Ollama's HTTP API. Ratios are Ollama's time over native's. Ollama's own counters and the native times beside them hold no sampling of tokens; the client's clock and the native times beside it do. 95 %% intervals come from the calls, which are of one process on either side: they hold within one process, and another one may differ by some percent.")
	w.doc.Add(w.crosscheckSentences())
	w.figures(plot.KindCrosscheck)
	w.gapsThatStand()
	if items := w.settingsThatDiffer(); len(items) > 0 {
		w.doc.Say("Settings that are not, or not known to be, the same:")
		w.doc.Add(items)
	}
	for _, phase := range []string{record.ModeDecode, record.ModePrefill} {
		if t := w.crosscheckTable(phase); len(t.Rows) > 0 {
			w.doc.Say("**%s**, medians", doc.Upper(phaseUnit(phase)))
			w.doc.Add(t)
		}
	}
	w.gapLawTable()
	w.gapTable()
	w.greedyTable()
}

// phaseUnit is what a phase's gap is counted in.
func phaseUnit(phase string) string { return prose.Mode(phase) + ", " + per(phase) }

func per(phase string) string {
	if phase == record.ModeDecode {
		return "ms per token"
	}
	return "ms per call"
}

// pairKey is a native and an Ollama backend.
type pairKey struct {
	native, ollama string
	batch          int
}

func (p pairKey) String() string {
	return series(p.native, p.batch) + " and " + series(p.ollama, p.batch)
}

func pairOf(c *analysis.Crosscheck) pairKey { return pairKey{c.Native, c.Ollama, c.BatchSize} }

// pairs lists the pairs in the order of the comparisons.
func (w *writer) pairs() (out []pairKey) {
	for i := range w.r.Crosscheck {
		if p := pairOf(&w.r.Crosscheck[i]); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func (w *writer) comparisons(p pairKey, phase string) (out []*analysis.Crosscheck) {
	for i := range w.r.Crosscheck {
		if c := &w.r.Crosscheck[i]; pairOf(c) == p && c.Phase == phase {
			out = append(out, c)
		}
	}
	return out
}

// crosscheckShort says in the answer what the cross-check came to.
func (w *writer) crosscheckShort() string {
	var parts []string
	for _, p := range w.pairs() {
		var said []string
		var bench doc.Span
		takes := " takes " // said once
		for _, phase := range []string{record.ModeDecode, record.ModePrefill} {
			all := w.comparisons(p, phase)
			if s := ratios(all, func(c *analysis.Crosscheck) *analysis.Beside { return &c.Counters }); s.Known {
				said = append(said, prose.Mode(phase)+takes+s.Three()+" times native's time")
				takes = " "
			}
			if s := ratios(all, func(c *analysis.Crosscheck) *analysis.Beside { return &c.Bench }); s.Known {
				bench.Add(&s.Lo)
				bench.Add(&s.Hi)
			}
		}
		if len(said) == 0 {
			continue
		}
		s := p.String() + ": " + strings.Join(said, ", ")
		if bench.Known {
			s += "; llama-bench takes " + bench.Three()
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return ""
	}
	return "**Cross-check** with Ollama on the same files, on this machine, by its own counters: " + strings.Join(parts, "; ") + ". See “Cross-check with Ollama”."
}

// ratios is the range of the ratios of one clock, of those with calls enough.
func ratios(all []*analysis.Crosscheck, of func(*analysis.Crosscheck) *analysis.Beside) (s doc.Span) {
	for _, c := range all {
		if b := of(c); !c.Few(b) {
			s.Add(b.Ratio)
		}
	}
	return s
}

func (w *writer) crosscheckSentences() (out doc.List) {
	for _, p := range w.pairs() {
		for _, phase := range []string{record.ModeDecode, record.ModePrefill} {
			all := w.comparisons(p, phase)
			if len(all) == 0 {
				continue
			}
			s := fmt.Sprintf("**%s**, %s: %s", doc.Upper(prose.Mode(phase)), p, ratioText(all, phase, func(c *analysis.Crosscheck) *analysis.Beside { return &c.Counters }, "by Ollama's own counters Ollama takes"))
			if t := ratioText(all, phase, func(c *analysis.Crosscheck) *analysis.Beside { return &c.Client }, "By the client's clock, with scheduling, sampling and HTTP, it takes"); t != "" {
				s += " " + t
			}
			if t := ratioText(all, phase, func(c *analysis.Crosscheck) *analysis.Beside { return &c.Bench }, "llama-bench takes"); t != "" {
				s += " " + t
			}
			out = append(out, s)
		}
		if s := w.wallSentence(p); s != "" {
			out = append(out, s)
		}
		if s := w.greedySentence(p); s != "" {
			out = append(out, s)
		}
		if s := w.sameFileSentence(p); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// ratioText says over what the ratios of one clock run, and where the largest gap is.
func ratioText(all []*analysis.Crosscheck, phase string, of func(*analysis.Crosscheck) *analysis.Beside, takes string) string {
	var far *analysis.Crosscheck
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
		s += "; no interval within one process excludes 1"
	default:
		s += fmt.Sprintf("; the interval within one process excludes 1 in %d of %d", excludes, intervals)
	}
	b := of(far)
	if gap, _, ok := far.Gap(b); ok {
		s += fmt.Sprintf(". Farthest off: %s, %s: %s times%s, %s %s", doc.Text(far.Model), doc.Text(far.Scenario), doc.Fixed(b.Ratio, 3), prose.OfRatio(b.RatioCI, 3), signedNumber(gap), per(phase))
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
func (w *writer) wallSentence(p pairKey) string {
	n := 0
	var http, load, rest, added, compute, around, perToken, share doc.Span
	for i := range w.r.OllamaGaps {
		g := &w.r.OllamaGaps[i]
		if (pairKey{g.Native, g.Ollama, g.BatchSize}) != p || g.WallMS == nil {
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
		series(p.ollama, p.batch), doc.Count(n, "model and scenario", "models and scenarios"), http, load, rest, share.Percent())
	if added.Known {
		s += fmt.Sprintf(" Against native's end-to-end time a call takes %s ms more: %s ms in prefill and decode, %s ms around them (HTTP and what each token costs beside computing: %s ms per token).", added, compute, around, perToken)
	}
	return s
}

func (w *writer) greedySentence(p pairKey) string {
	all, by := 0, map[string]int{}
	var first *analysis.OllamaGreedy
	varied := 0
	for i := range w.r.OllamaGreedy {
		g := &w.r.OllamaGreedy[i]
		if (pairKey{g.Native, g.Ollama, g.BatchSize}) != p {
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
	s := fmt.Sprintf("**Greedy answers** of %s to %s of text: equal in %d", p, doc.Count(all, "prompt", "prompts"), by[analysis.GreedyEqual])
	if n := by[analysis.GreedyDiffers]; n > 0 {
		s += fmt.Sprintf(", different in %d (earliest: %s, %s, from token %d on)", n, doc.Text(first.Model), doc.Text(first.Scenario), *first.FirstDiffering)
	}
	if n := by[analysis.GreedyNotComparable]; n > 0 {
		s += fmt.Sprintf(", not comparable in %d, where Ollama was told to repeat no token", n)
	}
	if n := by[analysis.GreedyUnknown]; n > 0 {
		s += fmt.Sprintf(", unknown in %d", n)
	}
	if varied > 0 {
		s += fmt.Sprintf("; in %d the calls of one side did not all answer the same", varied)
	}
	return s + "."
}

// sameFileSentence says whether the server loads the very file.
func (w *writer) sameFileSentence(p pairKey) string {
	same, other, unsaid := []string{}, []string{}, []string{}
	for i := range w.r.Crosscheck {
		c := &w.r.Crosscheck[i]
		to := &unsaid
		switch {
		case pairOf(c) != p || c.NativeN == 0 && c.Counters.N == 0:
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
	return fmt.Sprintf("**Weights**: the server of %s says that %s.", series(p.ollama, p.batch), doc.Join(parts))
}

// gapsThatStand describes the gaps above the tolerance whose interval excludes 1:
// what the sizes say of each phase's, and then each.
func (w *writer) gapsThatStand() {
	some := false
	for _, p := range w.pairs() {
		for _, phase := range []string{record.ModeDecode, record.ModePrefill} {
			lines := gapLinesOf(w.comparisons(p, phase))
			if len(lines) == 0 {
				continue
			}
			if !some {
				w.doc.Say("These gaps by Ollama's own counters are larger than %s %%, and their intervals within one process exclude 1. The line over the sizes tells what is the same for all of them from what is in proportion to native's time: it says what kind of cost a gap is, not what causes it. Candidates are the settings below that differ.", doc.Size(100*analysis.CrosscheckTolerance))
			}
			some = true
			s := fmt.Sprintf("**%s**, %s", doc.Upper(prose.Mode(phase)), p)
			if l := w.law(p, phase); l != nil {
				s += ": " + lawText(l) + "."
			}
			w.doc.Add(doc.Paragraph(s), lines[:min(gapLines, len(lines))])
			if rest := lines[min(gapLines, len(lines)):]; len(rest) > 0 {
				w.doc.Fold(fmt.Sprintf("Further models with gaps in %s (%d)", prose.Mode(phase), len(rest)), rest)
			}
		}
	}
	if !some {
		w.doc.Say("No gap by Ollama's own counters is larger than %s %% with an interval within one process that excludes 1.", doc.Size(100*analysis.CrosscheckTolerance))
	}
}

// gapLinesOf has a line for each model with such gaps.
func gapLinesOf(all []*analysis.Crosscheck) (out doc.List) {
	var models []string
	by := map[string][]string{}
	for _, c := range all {
		b := &c.Counters
		gap, native, ok := c.Gap(b)
		if !b.Stands() || !ok {
			continue
		}
		if by[c.Model] == nil {
			models = append(models, c.Model)
		}
		by[c.Model] = append(by[c.Model], fmt.Sprintf("%s **%s times**%s, %s on native's %s %s", doc.Text(c.Scenario), doc.Fixed(b.Ratio, 3), prose.OfRatio(b.RatioCI, 3), signedNumber(gap), doc.Number(native), per(c.Phase)))
	}
	for _, m := range models {
		out = append(out, fmt.Sprintf("%s: %s.", doc.Text(m), strings.Join(by[m], "; ")))
	}
	return out
}

// law is what the sizes of a pair say of a phase: over all scenarios where there are
// several.
func (w *writer) law(p pairKey, phase string) (found *analysis.GapLaw) {
	for i := range w.r.GapLaws {
		l := &w.r.GapLaws[i]
		if (pairKey{l.Native, l.Ollama, l.BatchSize}) == p && l.Phase == phase && l.Clock == analysis.ClockCounters && (found == nil || l.Scenario == cells.AllScenarios) {
			found = l
		}
	}
	return found
}

// lawText says what the sizes show about a gap.
func lawText(l *analysis.GapLaw) string {
	fixedPart := fmt.Sprintf("%s %s (95 %% %s)", doc.NumberOf(l.FixedMS), per(l.Phase), doc.Numbers(l.FixedT))
	share := fmt.Sprintf("%s %% of native's time (95 %% %s)", doc.SignedPercent(l.Share), percents(l.ShareT))
	s := fmt.Sprintf("over %s", doc.Count(l.NModels, "size", "sizes"))
	if l.Scenario == cells.AllScenarios {
		s += ", in means over the scenarios,"
	}
	s += " the gap "
	switch l.Verdict {
	case "fixed":
		return s + fmt.Sprintf("is a **fixed cost**, %s; a part in proportion to the work is not seen: %s", fixedPart, share)
	case "proportional":
		return s + fmt.Sprintf("is **in proportion to the work**, %s; a fixed part is not seen: %s", share, fixedPart)
	case "both":
		return s + fmt.Sprintf("is **both** a fixed cost, %s, and a part in proportion to the work, %s", fixedPart, share)
	case "not_identified":
		s += fmt.Sprintf("shows neither a fixed cost (%s) nor a part in proportion to the work (%s)", fixedPart, share)
	default:
		s += "has **no known** law: " + doc.Text(l.Why)
	}
	if l.Rho != nil {
		s += fmt.Sprintf("; rank correlation of gap and native's time %s, p %s", doc.Fixed(l.Rho, 2), doc.PValue(l.P))
	}
	return s
}

func percents(i *stats.Interval) string {
	if i == nil {
		return doc.Unknown
	}
	return doc.SignedPercent(&i.Low) + " to " + doc.SignedPercent(&i.High)
}
