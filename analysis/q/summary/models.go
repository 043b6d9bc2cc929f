package summary

import (
	"fmt"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// modelRow is one model as one series ran it, over all scenarios. Modes that were not
// measured are empty.
type modelRow struct {
	*cells.Model
	prefill, decode, e2e cells.Aggregate
	share                *float64 // of decode in end-to-end
}

// all are the row's modes that were measured.
func (r *modelRow) all() []*cells.Aggregate {
	return slices.DeleteFunc([]*cells.Aggregate{&r.prefill, &r.decode, &r.e2e}, func(g *cells.Aggregate) bool { return g.Calls == 0 })
}

// modelRows lists the models of a series that gave a measurement, by size.
func (a *Answer) modelRows(s cells.Series) (out []modelRow) {
	shares := map[string]*float64{}
	for i := range a.DecodeFractions {
		if d := &a.DecodeFractions[i]; d.Series() == s && d.Scenario == cells.AllScenarios {
			shares[d.Model] = &d.Fraction
		}
	}
	for _, m := range a.set.ModelsOf(s.Backend) {
		row := modelRow{Model: m, share: shares[m.Name]}
		for mode, to := range map[string]*cells.Aggregate{record.ModePrefill: &row.prefill, record.ModeDecode: &row.decode, record.ModeE2E: &row.e2e} {
			if g := a.set.Aggregate(s, m.Name, mode); g != nil {
				*to = *g
			}
		}
		if len(row.all()) > 0 {
			out = append(out, row)
		}
	}
	return out
}

func ms(g *cells.Aggregate) string {
	if g.Calls == 0 {
		return doc.Unknown
	}
	return doc.Number(g.GeomeanMS)
}

// largest is the largest of what the modes know.
func (r *modelRow) largest(of func(*cells.Aggregate) *float64) string {
	var most *float64
	for _, g := range r.all() {
		if v := of(g); v != nil && (most == nil || *v > *most) {
			most = v
		}
	}
	return doc.NumberOf(most)
}

func bytesMB(n int64) string {
	if n <= 0 {
		return doc.Unknown
	}
	return doc.Number(float64(n) / 1e6)
}

var modelColumns = []doc.Column[modelRow]{
	{Head: "<model", Cell: func(r modelRow) string { return doc.Text(r.Name) }},
	{Head: "parameters (millions)", Cell: func(r modelRow) string { return doc.SizeOf(r.ParamsMillions) }},
	{Head: "prefill (ms)", Cell: func(r modelRow) string { return ms(&r.prefill) }},
	{Head: "spread (%)", Cell: func(r modelRow) string { return doc.Percent(r.prefill.Spread) }},
	{Head: "cold prefill (ms)", Cell: func(r modelRow) string { return doc.NumberOf(r.prefill.PrefillColdMS) }},
	{Head: "first token (ms)", Cell: func(r modelRow) string { return doc.NumberOf(r.prefill.TTFTMS) }},
	{Head: "decode (ms/token)", Cell: func(r modelRow) string { return doc.NumberOf(r.decode.MSPerToken) }},
	{Head: "spread (%)", Cell: func(r modelRow) string { return doc.Percent(r.decode.Spread) }},
	{Head: "decode (tokens/s)", Cell: func(r modelRow) string { return doc.NumberOf(r.decode.TokensPerS) }},
	{Head: "end to end (ms)", Cell: func(r modelRow) string { return ms(&r.e2e) }},
	{Head: "decode share (%)", Cell: func(r modelRow) string { return doc.Percent(r.share) }},
	{Head: "calls per scenario", Cell: func(r modelRow) string {
		return fmt.Sprint(slices.MinFunc(r.all(), func(x, y *cells.Aggregate) int { return x.Calls - y.Calls }).Calls)
	}},
	{Head: "read per token (MB)", Cell: func(r modelRow) string { return bytesMB(r.BytesPerToken) }},
	{Head: "weights read (GB/s)", Cell: func(r modelRow) string { return doc.NumberOf(r.decode.WeightGBPerS) }},
	{Head: "<weights", Cell: func(r modelRow) string { return doc.OrNone(r.WeightType) }},
	{Head: "layers × width", Cell: func(r modelRow) string {
		if r.NLayer == 0 || r.NEmbd == 0 {
			return doc.Unknown
		}
		return fmt.Sprintf("%d × %d", r.NLayer, r.NEmbd)
	}},
	{Head: "peak RSS (MiB)", Cell: func(r modelRow) string { return r.largest(func(g *cells.Aggregate) *float64 { return g.RSSPeakMiB }) }},
	{Head: "peak GPU (MiB)", Cell: func(r modelRow) string { return r.largest(func(g *cells.Aggregate) *float64 { return g.GPUPeakMB }) }},
}

// models has a table for each series: the run at a glance.
func (a *Answer) models() doc.Section {
	sec := doc.Section{Title: "Models"}
	if len(a.set.Cells) == 0 {
		return sec
	}
	sec.Say("Times are geometric means over the scenarios of the medians over the calls. Spread is (slowest − fastest call) / median, of the scenario where it is widest. The first token takes prefill and the first choice of a token. A dash is “not known”.")
	if mixed := prose.MixedLengths(a.set); mixed != "" {
		sec.Say("The scenarios' answers have %s: times, rates and decode shares here are means over these lengths, and those of none of them.", mixed)
	}
	for _, s := range []string{a.depthNote(), a.paceNote(), a.servedNote()} {
		if s != "" {
			sec.Add(doc.Paragraph(s))
		}
	}
	for _, s := range prose.Measured(a.set) {
		if rows := a.modelRows(s.Series); len(rows) > 0 {
			sec.Say("**%s**", s)
			sec.Add(doc.TableOf(rows, modelColumns))
		}
	}
	sec.Add(doc.Pictures(regimes.BytesKind), doc.Pictures(KindShare))
	return sec
}

// servedNote says what the times of a backend are that asks a server.
func (a *Answer) servedNote() string {
	var served []string
	for _, m := range a.set.Models {
		if b := doc.Text(m.Backend); m.BackendKind == cells.KindOllama && a.set.Run.Harness == runs.HarnessLLMScale && !slices.Contains(served, b) {
			served = append(served, b)
		}
	}
	if len(served) == 0 {
		return ""
	}
	s := fmt.Sprintf("On %s prefill and decode are the server's own counters, without sampling; the first token and end to end are the client's clock, with HTTP, scheduling and sampling, from before the request.", doc.Join(served))
	var uneven []string
	scenarios := map[cells.Series]map[string]int{}
	for i := range a.set.Aggregates {
		g := &a.set.Aggregates[i]
		s := prose.Series{Series: g.Series()}
		if scenarios[s.Series] == nil {
			scenarios[s.Series] = map[string]int{}
		}
		if n, seen := scenarios[s.Series][g.Model]; seen && n != g.NScenarios && !slices.Contains(uneven, s.String()) {
			uneven = append(uneven, s.String())
		}
		scenarios[s.Series][g.Model] = g.NScenarios
	}
	if len(uneven) > 0 {
		s += fmt.Sprintf(" On %s prefill and end to end are means over fewer scenarios than decode, since those of the others are INVALID; the share of decode is over the scenarios that have both.", doc.Join(uneven))
	}
	return s
}

// depthNote says which scenarios the means over scenarios leave out.
func (a *Answer) depthNote() string {
	deep := slices.DeleteFunc(slices.Clone(a.set.Scenarios), a.set.Joins)
	if len(deep) == 0 {
		return ""
	}
	for i := range deep {
		deep[i] = doc.Text(deep[i])
	}
	return fmt.Sprintf("What joins scenarios, here and below, is of those at depth %d: %s stand alone (“Decode by depth”).", a.set.LeastDepth(), doc.Join(deep))
}

// paceNote says what came before each timed call.
func (a *Answer) paceNote() string {
	var names []string
	backends := map[string][]string{}
	cold := false
	for _, c := range a.set.Cells {
		cold = cold || c.PrefillColdMS != nil
		if c.Pace == "" {
			continue
		}
		if backends[c.Pace] == nil {
			names = append(names, c.Pace)
		}
		if b := doc.Text(c.Backend); !slices.Contains(backends[c.Pace], b) {
			backends[c.Pace] = append(backends[c.Pace], b)
		}
	}
	if len(names) == 0 {
		return ""
	}
	says := func(p string) string {
		if p == record.PaceHot {
			return "**hot**: untimed work of the same kind comes right before"
		}
		return fmt.Sprintf("**%s**: after a pause", doc.Text(p))
	}
	s := "Timed calls are "
	for i, p := range names {
		if i > 0 {
			s += "; "
		}
		s += says(p)
		if len(names) > 1 {
			s += fmt.Sprintf(" (%s)", doc.Join(backends[p]))
		}
	}
	s += "."
	if cold {
		s += " “Cold prefill” is the first after the pause between calls: what a request meets that comes after a pause, where hot is what requests back to back meet."
	}
	return s
}

// allCells has every cell, at the end.
func (a *Answer) allCells() doc.Section {
	sec := doc.Section{Title: "All cells"}
	if len(a.set.Cells) == 0 {
		return sec
	}
	t := doc.Table{Head: []string{"<model", "<backend", "<scenario", "<mode", "calls", "prompt (tokens)", "median (ms)", "mean (ms)", "standard deviation (ms)", "fastest (ms)", "slowest (ms)", "tokens/s"}}
	for _, c := range a.set.Cells {
		t.Rows = append(t.Rows, []string{doc.Text(c.Model), prose.Of(c.Backend, c.BatchSize).String(), doc.Text(c.Scenario), prose.Mode(c.Mode), fmt.Sprint(c.N), doc.Plain(c.PromptEach()),
			doc.Number(c.MedianMS), doc.Number(c.MeanMS), doc.NumberOf(c.StdDevMS), doc.Number(c.MinMS), doc.Number(c.MaxMS), doc.NumberOf(c.TokensPerS)})
	}
	if prose.MixedLengths(a.set) != "" {
		const at = 6 // after the prompt
		t.Head = slices.Insert(t.Head, at, "answer (tokens)")
		for i := range t.Rows {
			t.Rows[i] = slices.Insert(t.Rows[i], at, doc.Plain(a.set.Cells[i].AnswerTokens()))
		}
	}
	sec.Fold(fmt.Sprintf("Each model, backend, scenario and mode (%d)", len(t.Rows)), t)
	return sec
}
