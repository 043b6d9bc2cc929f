package crosscheck

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// settingsThatDiffer lists them once, with the pairs that they are about where these
// are not all.
func (a *Answer) settingsThatDiffer() (out doc.List) {
	var items []string
	about := map[string][]string{}
	add := func(p Pair, differ []string, of string) {
		for _, d := range differ {
			s := of + doc.Text(d)
			if about[s] == nil {
				items = append(items, s)
			}
			if !slices.Contains(about[s], p.Names()) {
				about[s] = append(about[s], p.Names())
			}
		}
	}
	for i := range a.Comparisons {
		c := &a.Comparisons[i]
		p := c.Pair
		add(p, c.Differ, "")
		add(p, c.RecordsDiffer, "")
		if c.BenchRun == nil {
			continue
		}
		add(p, c.BenchRun.Differ, "")
		if c.Phase == record.ModeDecode && c.BenchRun.Depth == 0 && c.PromptTokens != nil && *c.PromptTokens > 0 {
			add(p, []string{"decode from an empty cache, natively behind the prompt"}, "llama-bench: ")
		}
	}
	for _, s := range items {
		if len(about[s]) < len(a.pairs()) {
			s += " (" + strings.Join(about[s], "; ") + ")"
		}
		out = append(out, s)
	}
	return out
}

// comparisonTable has a phase in its own unit.
func (a *Answer) comparisonTable(phase string) doc.Table {
	per := func(c *Comparison, ms *float64) string {
		if ms == nil || phase != record.ModeDecode {
			return doc.NumberOf(ms)
		}
		if c.GenTokens == nil || !(*c.GenTokens > 0) {
			return doc.Unknown
		}
		return doc.Number(*ms / *c.GenTokens)
	}
	type row = *Comparison
	beside := func(name string, of func(row) *Beside) []doc.Column[row] {
		return []doc.Column[row]{
			{Head: name + " (ms)", Cell: func(c row) string { return per(c, of(c).MS) }},
			{Head: "ratio", Cell: func(c row) string { return doc.Fixed(of(c).Ratio, 3) }},
			{Head: "95 %" + prose.Within(a.Comparisons[0].Counters.Basis), Cell: func(c row) string { return doc.Interval(of(c).RatioCI, 3) }},
		}
	}
	several := len(a.pairs()) > 1
	columns := []doc.Column[row]{
		{Head: "<model", Cell: func(c row) string { return doc.Text(c.Model) }},
		{Head: "<backends", Cell: func(c row) string {
			if !several {
				return doc.Unknown
			}
			return c.Names()
		}},
		{Head: "parameters (millions)", Cell: func(c row) string { return doc.SizeOf(c.ParamsM) }},
		{Head: "<scenario", Cell: func(c row) string { return doc.Text(c.Scenario) }},
		{Head: "prompt (tokens)", Cell: func(c row) string { return doc.Plain(c.PromptTokens) }},
		{Head: "native (ms)", Cell: func(c row) string { return per(c, c.NativeMS) }},
	}
	end := []doc.Column[row]{
		{Head: "calls (native, Ollama, client)", Cell: func(c row) string { return fmt.Sprintf("%d, %d, %d", c.NativeN, c.Counters.N, c.Client.N) }},
		{Head: "tests of llama-bench", Cell: func(c row) string {
			if c.Bench.N == 0 {
				return doc.Unknown
			}
			return strconv.Itoa(c.Bench.N)
		}},
		{Head: "INVALID and left out", Cell: func(c row) string {
			if c.InvalidOllama+c.InvalidNative == 0 {
				return doc.Unknown
			}
			return strconv.Itoa(c.InvalidOllama + c.InvalidNative)
		}},
		{Head: "scaled answers (%)", Cell: func(c row) string {
			if c.Projected == nil || *c.Projected == 0 {
				return doc.Unknown
			}
			return doc.Percent(c.Projected)
		}},
		{Head: "<no ratio or interval because", Cell: func(c row) string {
			why := []string{c.Counters.Reason}
			if c.Client.Reason != "" && c.Client.Reason != c.Counters.Reason {
				why = append(why, "client: "+c.Client.Reason)
			}
			if c.Bench.Reason != "" && c.BenchRun != nil { // that there is none, its column says
				why = append(why, "llama-bench: "+c.Bench.Reason)
			}
			return doc.OrNone(strings.Trim(strings.Join(why, "; "), "; "))
		}},
	}
	var rows []row
	for _, p := range a.pairs() {
		rows = append(rows, a.comparisons(p, phase)...)
	}
	return doc.TableOf(rows, columns, beside("Ollama's counters", func(c row) *Beside { return &c.Counters }),
		beside("client's clock", func(c row) *Beside { return &c.Client }),
		beside("llama-bench", func(c row) *Beside { return &c.Bench }), end)
}

func (a *Answer) lawTable(sec *doc.Section) {
	t := doc.Table{Head: []string{"<phase", "<clock", "<scenario", "<backends", "models", "gap (ms)", "fixed (ms)", "95 % t-interval", "of native's time (%)", "95 % t-interval", "ρ", "p", "<verdict"}}
	for _, l := range a.GapLaws {
		verdict := doc.Text(strings.ReplaceAll(l.Verdict, "_", " "))
		if l.Verdict == "unknown" {
			verdict += ": " + doc.Text(l.Why)
		}
		t.Rows = append(t.Rows, []string{phaseUnit(l.Phase), l.Clock, prose.Scenario(l.Scenario), l.Names(), strconv.Itoa(l.NModels),
			doc.Number(l.GapMinMS) + " to " + doc.Number(l.GapMaxMS), doc.NumberOf(l.FixedMS), doc.Numbers(l.FixedT), doc.SignedPercent(l.Share), percents(l.ShareT), doc.Fixed(l.Rho, 2), doc.PValue(l.P), verdict})
	}
	if len(t.Rows) > 0 {
		sec.Fold("How the gaps grow with the work", doc.Paragraph("Ollama less native = fixed + share · native's time, over the sizes of a scenario, each weighted with one over native's time squared. ρ is the rank correlation of gap and native's time."), t)
	}
}

func (a *Answer) partsTable(sec *doc.Section) {
	if len(a.Parts) == 0 {
		return
	}
	type row = *Parts
	var rows []row
	for i := range a.Parts {
		rows = append(rows, &a.Parts[i])
	}
	several := len(a.pairs()) > 1
	ms := func(head string, of func(row) *float64) doc.Column[row] {
		return doc.Column[row]{Head: head, Cell: func(g row) string { return doc.NumberOf(of(g)) }}
	}
	sec.Say("**Where the time of a call goes**, in ms: through Ollama wall = HTTP and client + scheduling + tokenising + prompt + decode + rest; native end to end = prefill + decode + sampling. “Scheduling” is load_duration, in which the server also reads the metadata of the file again. “Rest” is sampling, making text, JSON and the way between Ollama's server and its runner process. Tokenising is that of this program's own tokeniser on the same text, as the server does not tell its own; where it was not timed, the rest holds it. Medians, of answers of full length.")
	sec.Add(doc.TableOf(rows, []doc.Column[row]{
		{Head: "<model", Cell: func(g row) string { return doc.Text(g.Model) }},
		{Head: "<backends", Cell: func(g row) string {
			if !several {
				return doc.Unknown
			}
			return g.Names()
		}},
		{Head: "<scenario", Cell: func(g row) string { return doc.Text(g.Scenario) }},
		{Head: "calls", Cell: func(g row) string { return strconv.Itoa(g.N) }},
		ms("wall", func(g row) *float64 { return g.WallMS }),
		ms("HTTP and client", func(g row) *float64 { return g.HTTPMS }),
		ms("scheduling", func(g row) *float64 { return g.LoadMS }),
		ms("tokenising", func(g row) *float64 { return g.TokenizeMS }),
		ms("prompt", func(g row) *float64 { return g.PromptEvalMS }),
		ms("decode", func(g row) *float64 { return g.EvalMS }),
		ms("rest", func(g row) *float64 { return g.RestMS }),
		{Head: "sum of parts / wall", Cell: func(g row) string { return doc.Fixed(g.PartsOfWall, 3) }},
		ms("native end to end", func(g row) *float64 { return g.NativeE2EMS }),
		ms("prefill", func(g row) *float64 { return g.NativePrefillMS }),
		ms("decode", func(g row) *float64 { return g.NativeDecodeMS }),
		ms("sampling", func(g row) *float64 { return g.NativeSamplingMS }),
		ms("Ollama adds", func(g row) *float64 { return g.AddedMS }),
		ms("of it computing", func(g row) *float64 { return g.ComputeAddedMS }),
		ms("of it around", func(g row) *float64 { return g.AroundAddedMS }),
		ms("adds per token", func(g row) *float64 { return g.AddedPerToken }),
		{Head: "<unknown because", Cell: func(g row) string { return doc.OrNone(g.Reason) }},
	}))
}

func (a *Answer) greedyTable(sec *doc.Section) {
	if len(a.Greedy) == 0 {
		return
	}
	t := doc.Table{Wrap: true, Head: []string{"<model", "<backends", "<scenario", "<verdict", "tokens compared", "of them left out by Ollama", "first different token", "<native's", "<Ollama's", "<why"}}
	for _, g := range a.Greedy {
		at := doc.Unknown
		if g.FirstDiffering != nil {
			at = strconv.Itoa(*g.FirstDiffering)
		}
		quote := func(s string) string {
			if s == "" {
				return doc.Unknown
			}
			return doc.Text(strconv.Quote(s))
		}
		t.Rows = append(t.Rows, []string{doc.Text(g.Model), g.Names(), doc.Text(g.Scenario), doc.Text(strings.ReplaceAll(g.Verdict, "_", " ")),
			fmt.Sprintf("%d of %d", g.Compared, g.NativeTokens), strconv.Itoa(g.Lost), at, quote(g.NativeText), quote(g.OllamaText), doc.OrNone(g.Why)})
	}
	sec.Fold(fmt.Sprintf("Greedy answers (%d)", len(t.Rows)), t)
}
