package crosscheck

import (
	"fmt"
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
	sec := doc.Section{Title: a.title(), Place: "Cross-check with Ollama"}
	said := []string{fmt.Sprintf("The same files through both, 95 %% intervals%s.", prose.Within(a.Comparisons[0].Counters.Basis)), a.greedyText(), a.otherFiles()}
	sec.Add(doc.Paragraph(strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), " ")), doc.Pictures(figureKind))
	sec.Show(a.ratioTable(), "ollama_crosscheck.csv")
	var walls doc.List
	for _, p := range a.pairs() {
		if s := a.wallText(p); s != "" {
			walls = append(walls, s)
		}
	}
	if len(walls) > 0 {
		sec.Fold("Where the time of a call goes: ollama_gap.csv", walls)
	}
	if items := a.settingsThatDiffer(); len(items) > 0 {
		sec.Fold("Settings that are not, or not known to be, the same", items)
	}
	return []doc.Section{sec}
}

// title says what Ollama's own counters came to.
func (a *Answer) title() string {
	var said []string
	for _, phase := range textPhases {
		if s := a.Ratios(phase, "", func(c *Comparison) *Beside { return &c.Counters }); s.Known {
			times := ""
			if len(said) == 0 {
				times = " times as long as native"
			}
			said = append(said, s.Text(func(v float64) string { return doc.Fixed(&v, 2) })+times+" in "+prose.Mode(phase))
		}
	}
	if len(said) == 0 {
		return "Ollama cannot be compared with native"
	}
	return "Ollama takes " + strings.Join(said, ", ")
}

// textPhases are the phases in the order in which they are spoken of.
var textPhases = []string{record.ModeDecode, record.ModePrefill}

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

// ratios is the range of the ratios of one clock, of those with calls enough.
func ratios(all []*Comparison, of func(*Comparison) *Beside) (s doc.Span) {
	for _, c := range all {
		if b := of(c); !c.Few(b) {
			s.Add(b.Ratio)
		}
	}
	return s
}

// Ratios is the range of the ratios of one clock in a phase, of a model or of all ("").
func (a *Answer) Ratios(phase, model string, of func(*Comparison) *Beside) doc.Span {
	var all []*Comparison
	for i := range a.Comparisons {
		if c := &a.Comparisons[i]; c.Phase == phase && (model == "" || c.Model == model) {
			all = append(all, c)
		}
	}
	return ratios(all, of)
}

// ofPhase is what a pair's comparisons of one phase came to.
type ofPhase struct {
	Pair
	phase string
	all   []*Comparison
	law   *GapLaw
}

// ratioTable has a row for each pair and phase.
func (a *Answer) ratioTable() doc.Table {
	var rows []ofPhase
	for _, p := range a.pairs() {
		for _, phase := range textPhases {
			if all := a.comparisons(p, phase); len(all) > 0 {
				rows = append(rows, ofPhase{p, phase, all, a.law(p, phase)})
			}
		}
	}
	column := func(head string, of func(*Comparison) *Beside) doc.Column[ofPhase] {
		return doc.Column[ofPhase]{Head: head, Cell: func(r ofPhase) string {
			if s := ratios(r.all, of); s.Known {
				return s.Three()
			}
			return doc.Unknown
		}}
	}
	t := doc.TableOf(rows, []doc.Column[ofPhase]{
		{Head: "<backends", Cell: func(r ofPhase) string { return r.Names() }},
		{Head: "<phase", Cell: func(r ofPhase) string { return prose.Mode(r.phase) }},
		column("Ollama's counters, times native", func(c *Comparison) *Beside { return &c.Counters }),
		{Head: fmt.Sprintf("off by more than %.0f %%", 100*Tolerance), Cell: func(r ofPhase) string {
			n := 0
			for _, c := range r.all {
				if c.Counters.Stands() {
					n++
				}
			}
			return fmt.Sprintf("%d of %d", n, len(r.all))
		}},
		column("client's clock", func(c *Comparison) *Beside { return &c.Client }),
		column("llama-bench", func(c *Comparison) *Beside { return &c.Bench }),
		{Head: "<the gap is", Cell: func(r ofPhase) string { return r.law.text() }},
	})
	t.Wrap = true
	return t
}

// law is what the sizes of a pair say of a phase.
func (a *Answer) law(p Pair, phase string) *GapLaw {
	for i := range a.GapLaws {
		if l := &a.GapLaws[i]; l.Pair == p && l.Phase == phase && l.Clock == ClockCounters {
			return l
		}
	}
	return nil
}

// text says what the sizes show about a gap.
func (l *GapLaw) text() string {
	if l == nil {
		return doc.Unknown
	}
	per := map[string]string{record.ModeDecode: "ms per token", record.ModePrefill: "ms per call"}[l.Phase]
	fixed := func() string { return fmt.Sprintf("%s %s [%s]", doc.NumberOf(l.FixedMS), per, doc.Numbers(l.FixedT)) }
	share := func() string {
		return fmt.Sprintf("%s %% of native's time [%s to %s]", doc.SignedPercent(l.Share), doc.SignedPercent(&l.ShareT.Low), doc.SignedPercent(&l.ShareT.High))
	}
	switch l.Verdict {
	case "fixed":
		return "a fixed cost: " + fixed()
	case "proportional":
		return "in proportion to the work: " + share()
	case "both":
		return "both: " + fixed() + ", and " + share()
	case "not_identified":
		return "not told from none"
	}
	return "unknown: " + doc.Text(l.Why)
}

// wallText says what of a call's wall time is not computing.
func (a *Answer) wallText(p Pair) string {
	var http, load, rest, added, compute, around doc.Span
	for i := range a.Parts {
		if g := &a.Parts[i]; g.Pair == p && g.WallMS != nil {
			http.Add(g.HTTPMS)
			load.Add(g.LoadMS)
			rest.Add(g.RestMS)
			added.Add(g.AddedMS)
			compute.Add(g.ComputeAddedMS)
			around.Add(g.AroundAddedMS)
		}
	}
	if !http.Known {
		return ""
	}
	s := fmt.Sprintf("%s: HTTP and the client take %s ms, scheduling %s ms, sampling and text %s ms.", p.server(), http, load, rest)
	if added.Known {
		s += fmt.Sprintf(" Against native's end-to-end time a call takes %s ms more: %s ms in prefill and decode, %s ms around them.", added, compute, around)
	}
	return s
}

// greedyText counts the answers by greedy decoding that are the same.
func (a *Answer) greedyText() string {
	by := map[string]int{}
	for _, g := range a.Greedy {
		by[g.Verdict]++
	}
	var said []string
	if n := by[GreedyEqual] + by[GreedyDiffers]; n > 0 {
		said = append(said, fmt.Sprintf("equal in %d of %s", by[GreedyEqual], doc.Count(n, "prompt", "prompts")))
	}
	if n := by[GreedyNotComparable]; n > 0 {
		said = append(said, fmt.Sprintf("not comparable in %d, where Ollama was told to repeat no token", n))
	}
	if len(said) == 0 {
		return ""
	}
	return "Greedy answers are " + doc.Join(said) + "."
}

// otherFiles names the models of which the server loads another file; "" where it loads the same.
func (a *Answer) otherFiles() string {
	var other []string
	for _, c := range a.Comparisons {
		if name := doc.Text(c.Model); c.SameWeights != nil && !*c.SameWeights && !slices.Contains(other, name) {
			other = append(other, name)
		}
	}
	if len(other) == 0 {
		return ""
	}
	return "The server loads **another file** for " + doc.Join(other) + "."
}

// settingsThatDiffer lists each once.
func (a *Answer) settingsThatDiffer() (out doc.List) {
	add := func(differ ...string) {
		for _, d := range differ {
			if s := doc.Text(d); !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	for _, c := range a.Comparisons {
		add(c.Differ...)
		add(c.RecordsDiffer...)
		if c.BenchRun == nil {
			continue
		}
		add(c.BenchRun.Differ...)
		if c.Phase == record.ModeDecode && c.BenchRun.Depth == 0 && c.PromptTokens != nil && *c.PromptTokens > 0 {
			add("llama-bench: decode from an empty cache, natively behind the prompt")
		}
	}
	return out
}
