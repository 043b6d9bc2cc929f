package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis"
	"llmscale/runner/record"
)

// settingsThatDiffer lists them once, with the pairs that they are about where these
// are not all.
func (w *writer) settingsThatDiffer() (out list) {
	var items []string
	about := map[string][]string{}
	add := func(p pairKey, differ []string, of string) {
		for _, d := range differ {
			s := of + text(d)
			if about[s] == nil {
				items = append(items, s)
			}
			if !slices.Contains(about[s], p.String()) {
				about[s] = append(about[s], p.String())
			}
		}
	}
	for i := range w.r.Crosscheck {
		c := &w.r.Crosscheck[i]
		p := pairOf(c)
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
		if len(about[s]) < len(w.pairs()) {
			s += " (" + strings.Join(about[s], "; ") + ")"
		}
		out = append(out, s)
	}
	return out
}

// crosscheckTable has a phase in its own unit.
func (w *writer) crosscheckTable(phase string) table {
	per := func(c *analysis.Crosscheck, ms *float64) string {
		if ms == nil || phase != record.ModeDecode {
			return numberOf(ms)
		}
		if c.GenTokens == nil || !(*c.GenTokens > 0) {
			return none
		}
		return number(*ms / *c.GenTokens)
	}
	type row = *analysis.Crosscheck
	beside := func(name string, of func(row) *analysis.Beside) []column[row] {
		return []column[row]{
			{name + " (ms)", func(c row) string { return per(c, of(c).MS) }},
			{"ratio", func(c row) string { return fixed(of(c).Ratio, 3) }},
			{"95 % within one process", func(c row) string { return interval(of(c).RatioCI, 3) }},
		}
	}
	several := len(w.pairs()) > 1
	columns := []column[row]{
		{"<model", func(c row) string { return text(c.Model) }},
		{"<backends", func(c row) string {
			if !several {
				return none
			}
			return pairOf(c).String()
		}},
		{"parameters (millions)", func(c row) string { return sizeOf(c.ParamsM) }},
		{"<scenario", func(c row) string { return text(c.Scenario) }},
		{"prompt (tokens)", func(c row) string { return numberPlain(c.PromptTokens) }},
		{"native (ms)", func(c row) string { return per(c, c.NativeMS) }},
	}
	end := []column[row]{
		{"calls (native, Ollama, client)", func(c row) string { return fmt.Sprintf("%d, %d, %d", c.NativeN, c.Counters.N, c.Client.N) }},
		{"tests of llama-bench", func(c row) string {
			if c.Bench.N == 0 {
				return none
			}
			return strconv.Itoa(c.Bench.N)
		}},
		{"INVALID and left out", func(c row) string {
			if c.InvalidOllama+c.InvalidNative == 0 {
				return none
			}
			return strconv.Itoa(c.InvalidOllama + c.InvalidNative)
		}},
		{"scaled answers (%)", func(c row) string {
			if c.Projected == nil || *c.Projected == 0 {
				return none
			}
			return percent(c.Projected)
		}},
		{"<no ratio or interval because", func(c row) string {
			why := []string{c.Counters.Reason}
			if c.Client.Reason != "" && c.Client.Reason != c.Counters.Reason {
				why = append(why, "client: "+c.Client.Reason)
			}
			if c.Bench.Reason != "" && c.BenchRun != nil { // that there is none, its column says
				why = append(why, "llama-bench: "+c.Bench.Reason)
			}
			return orNone(strings.Trim(strings.Join(why, "; "), "; "))
		}},
	}
	var rows []row
	for _, p := range w.pairs() {
		rows = append(rows, w.comparisons(p, phase)...)
	}
	return tableOf(rows, columns, beside("Ollama's counters", func(c row) *analysis.Beside { return &c.Counters }),
		beside("client's clock", func(c row) *analysis.Beside { return &c.Client }),
		beside("llama-bench", func(c row) *analysis.Beside { return &c.Bench }), end)
}

func (w *writer) gapLawTable() {
	t := table{head: []string{"<phase", "<clock", "<scenario", "<backends", "models", "gap (ms)", "fixed (ms)", "95 % t-interval", "of native's time (%)", "95 % t-interval", "ρ", "p", "<verdict"}}
	for _, l := range w.r.GapLaws {
		verdict := text(strings.ReplaceAll(l.Verdict, "_", " "))
		if l.Verdict == "unknown" {
			verdict += ": " + text(l.Why)
		}
		t.rows = append(t.rows, []string{phaseUnit(l.Phase), l.Clock, scenarioName(l.Scenario), pairKey{l.Native, l.Ollama, l.BatchSize}.String(), strconv.Itoa(l.NModels),
			number(l.GapMinMS) + " to " + number(l.GapMaxMS), numberOf(l.FixedMS), numbers(l.FixedT), signedPercent(l.Share), percents(l.ShareT), fixed(l.Rho, 2), pValue(l.P), verdict})
	}
	if len(t.rows) > 0 {
		w.doc.fold("How the gaps grow with the work", paragraph("Ollama less native = fixed + share · native's time, over the sizes of a scenario, each weighted with one over native's time squared. ρ is the rank correlation of gap and native's time."), t)
	}
}

func (w *writer) gapTable() {
	if len(w.r.OllamaGaps) == 0 {
		return
	}
	type row = *analysis.OllamaGap
	var rows []row
	for i := range w.r.OllamaGaps {
		rows = append(rows, &w.r.OllamaGaps[i])
	}
	several := len(w.pairs()) > 1
	ms := func(head string, of func(row) *float64) column[row] {
		return column[row]{head, func(g row) string { return numberOf(of(g)) }}
	}
	w.doc.say("**Where the time of a call goes**, in ms: through Ollama wall = HTTP and client + scheduling + tokenising + prompt + decode + rest; native end to end = prefill + decode + sampling. “Scheduling” is load_duration, in which the server also reads the metadata of the file again. “Rest” is sampling, making text, JSON and the way between Ollama's server and its runner process. Tokenising is that of this program's own tokeniser on the same text, as the server does not tell its own; where it was not timed, the rest holds it. Medians, of answers of full length.")
	w.doc.add(tableOf(rows, []column[row]{
		{"<model", func(g row) string { return text(g.Model) }},
		{"<backends", func(g row) string {
			if !several {
				return none
			}
			return pairKey{g.Native, g.Ollama, g.BatchSize}.String()
		}},
		{"<scenario", func(g row) string { return text(g.Scenario) }},
		{"calls", func(g row) string { return strconv.Itoa(g.N) }},
		ms("wall", func(g row) *float64 { return g.WallMS }),
		ms("HTTP and client", func(g row) *float64 { return g.HTTPMS }),
		ms("scheduling", func(g row) *float64 { return g.LoadMS }),
		ms("tokenising", func(g row) *float64 { return g.TokenizeMS }),
		ms("prompt", func(g row) *float64 { return g.PromptEvalMS }),
		ms("decode", func(g row) *float64 { return g.EvalMS }),
		ms("rest", func(g row) *float64 { return g.RestMS }),
		{"sum of parts / wall", func(g row) string { return fixed(g.PartsOfWall, 3) }},
		ms("native end to end", func(g row) *float64 { return g.NativeE2EMS }),
		ms("prefill", func(g row) *float64 { return g.NativePrefillMS }),
		ms("decode", func(g row) *float64 { return g.NativeDecodeMS }),
		ms("sampling", func(g row) *float64 { return g.NativeSamplingMS }),
		ms("Ollama adds", func(g row) *float64 { return g.AddedMS }),
		ms("of it computing", func(g row) *float64 { return g.ComputeAddedMS }),
		ms("of it around", func(g row) *float64 { return g.AroundAddedMS }),
		ms("adds per token", func(g row) *float64 { return g.AddedPerToken }),
		{"<unknown because", func(g row) string { return orNone(g.Reason) }},
	}))
}

func (w *writer) greedyTable() {
	if len(w.r.OllamaGreedy) == 0 {
		return
	}
	t := table{wrap: true, head: []string{"<model", "<backends", "<scenario", "<verdict", "tokens compared", "of them left out by Ollama", "first different token", "<native's", "<Ollama's", "<why"}}
	for _, g := range w.r.OllamaGreedy {
		at := none
		if g.FirstDiffering != nil {
			at = strconv.Itoa(*g.FirstDiffering)
		}
		quote := func(s string) string {
			if s == "" {
				return none
			}
			return text(strconv.Quote(s))
		}
		t.rows = append(t.rows, []string{text(g.Model), pairKey{g.Native, g.Ollama, g.BatchSize}.String(), text(g.Scenario), text(strings.ReplaceAll(g.Verdict, "_", " ")),
			fmt.Sprintf("%d of %d", g.Compared, g.NativeTokens), strconv.Itoa(g.Lost), at, quote(g.NativeText), quote(g.OllamaText), orNone(g.Why)})
	}
	w.doc.fold(fmt.Sprintf("Greedy answers (%d)", len(t.rows)), t)
}
