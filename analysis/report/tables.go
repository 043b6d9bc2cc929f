package report

import (
	"fmt"
	"slices"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/ceilings"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/summary"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// modelRow is one model as one backend ran it, over all scenarios.
type modelRow struct {
	model    cells.Model
	prefill  *float64 // ms
	cold     *float64 // ms, prefill after the pause between calls
	ttft     *float64 // ms
	perToken *float64 // decode, ms
	rate     *float64 // decode, tokens/s
	e2e      *float64 // ms
	share    *float64 // of decode in end-to-end
	spread   *float64 // of decode calls: widest (slowest - fastest) / median of a scenario
	pSpread  *float64 // of prefill calls
	gbPerS   *float64 // weight bytes read per second of decode
	rss      *float64 // MiB
	gpu      *float64 // MiB
	calls    int      // fewest in a scenario
}

// modelRows lists the models of a backend that gave a measurement, by size.
func (w *writer) modelRows(k prose.Series) []modelRow {
	var out []modelRow
	aggregates, ofModel, shares := map[string][]*cells.Aggregate{}, map[string][]*cells.Cell{}, map[string]float64{}
	for i := range w.r.Aggregates {
		if a := &w.r.Aggregates[i]; a.Backend == k.Backend && a.BatchSize == k.BatchSize {
			aggregates[a.Model] = append(aggregates[a.Model], a)
		}
	}
	for _, c := range w.r.CellsOf(cells.AllScenarios) {
		if c.Backend == k.Backend && c.BatchSize == k.BatchSize {
			ofModel[c.Model] = append(ofModel[c.Model], c)
		}
	}
	for _, d := range analysis.Get[summary.Answer](w.r).DecodeFractions {
		if d.Backend == k.Backend && d.BatchSize == k.BatchSize && d.Scenario == cells.AllScenarios {
			shares[d.Model] = d.Fraction
		}
	}
	for _, m := range w.r.Models {
		if m.Backend != k.Backend {
			continue
		}
		row := modelRow{model: m}
		any := false
		for _, a := range aggregates[m.Name] {
			any = true
			ms := a.GeomeanMS
			switch a.Mode {
			case record.ModePrefill:
				row.prefill, row.ttft, row.cold = &ms, a.TTFTMS, a.PrefillColdMS
			case record.ModeDecode:
				row.rate, row.perToken = a.TokensPerS, a.MSPerToken
			case record.ModeE2E:
				row.e2e = &ms
			}
			if a.GPUPeakMB != nil {
				row.gpu = a.GPUPeakMB
			}
		}
		if !any {
			continue
		}
		row.fromCells(ofModel[m.Name])
		if share, known := shares[m.Name]; known {
			row.share = &share
		}
		if row.perToken != nil && m.BytesPerToken > 0 {
			gb := float64(m.BytesPerToken) / 1e6 / *row.perToken
			row.gbPerS = &gb
		}
		out = append(out, row)
	}
	return out
}

// fromCells adds what aggregates do not carry.
func (row *modelRow) fromCells(of []*cells.Cell) {
	for _, c := range of {
		if row.calls == 0 || c.N < row.calls {
			row.calls = c.N
		}
		if c.RSSPeakMiB != nil && (row.rss == nil || *c.RSSPeakMiB > *row.rss) {
			row.rss = c.RSSPeakMiB
		}
		if c.N > 1 && c.MedianMS > 0 {
			spread := (c.MaxMS - c.MinMS) / c.MedianMS
			for mode, to := range map[string]**float64{record.ModeDecode: &row.spread, record.ModePrefill: &row.pSpread} {
				if c.Mode == mode && (*to == nil || spread > **to) {
					*to = &spread
				}
			}
		}
	}
}

func bytesMB(n int64) string {
	if n <= 0 {
		return doc.Unknown
	}
	return doc.Number(float64(n) / 1e6)
}

// models has a table for each backend: the run at a glance.
func (w *writer) models() {
	keys := w.keys()
	if len(keys) == 0 {
		return
	}
	w.doc.Section("Models")
	w.doc.Say("Times are geometric means over the scenarios of the medians over the calls. Spread is (slowest − fastest call) / median, of the scenario where it is widest. The first token takes prefill and the first choice of a token. A dash is “not known”.")
	if mixed := w.lengthsText(); mixed != "" {
		w.doc.Say("The scenarios' answers have %s: times, rates and decode shares here are means over these lengths, and those of none of them.", mixed)
	}
	for _, s := range []string{w.depthNote(), w.paceNote(), w.servedNote()} {
		if s != "" {
			w.doc.Add(doc.Paragraph(s))
		}
	}
	columns := []doc.Column[modelRow]{
		{Head: "<model", Cell: func(r modelRow) string { return doc.Text(r.model.Name) }},
		{Head: "parameters (millions)", Cell: func(r modelRow) string { return doc.SizeOf(r.model.ParamsMillions) }},
		{Head: "prefill (ms)", Cell: func(r modelRow) string { return doc.NumberOf(r.prefill) }},
		{Head: "spread (%)", Cell: func(r modelRow) string { return doc.Percent(r.pSpread) }},
		{Head: "cold prefill (ms)", Cell: func(r modelRow) string { return doc.NumberOf(r.cold) }},
		{Head: "first token (ms)", Cell: func(r modelRow) string { return doc.NumberOf(r.ttft) }},
		{Head: "decode (ms/token)", Cell: func(r modelRow) string { return doc.NumberOf(r.perToken) }},
		{Head: "spread (%)", Cell: func(r modelRow) string { return doc.Percent(r.spread) }},
		{Head: "decode (tokens/s)", Cell: func(r modelRow) string { return doc.NumberOf(r.rate) }},
		{Head: "end to end (ms)", Cell: func(r modelRow) string { return doc.NumberOf(r.e2e) }},
		{Head: "decode share (%)", Cell: func(r modelRow) string { return doc.Percent(r.share) }},
		{Head: "calls per scenario", Cell: func(r modelRow) string { return fmt.Sprint(r.calls) }},
		{Head: "read per token (MB)", Cell: func(r modelRow) string { return bytesMB(r.model.BytesPerToken) }},
		{Head: "weights read (GB/s)", Cell: func(r modelRow) string { return doc.NumberOf(r.gbPerS) }},
		{Head: "<weights", Cell: func(r modelRow) string { return doc.OrNone(r.model.WeightType) }},
		{Head: "layers × width", Cell: func(r modelRow) string {
			if r.model.NLayer == 0 || r.model.NEmbd == 0 {
				return doc.Unknown
			}
			return fmt.Sprintf("%d × %d", r.model.NLayer, r.model.NEmbd)
		}},
		{Head: "peak RSS (MiB)", Cell: func(r modelRow) string { return doc.NumberOf(r.rss) }},
		{Head: "peak GPU (MiB)", Cell: func(r modelRow) string { return doc.NumberOf(r.gpu) }},
	}
	for _, k := range keys {
		w.doc.Say("**%s**", k)
		w.doc.Add(doc.TableOf(w.modelRows(k), columns))
	}
	w.figures(ceilings.BytesKind)
	w.figures(summary.KindShare)
}

// servedNote says what the times of a backend are that asks a server.
func (w *writer) servedNote() string {
	var served []string
	for _, m := range w.r.Models {
		if b := doc.Text(m.Backend); m.BackendKind == "ollama" && w.r.Harness == runs.HarnessLLMScale && !slices.Contains(served, b) {
			served = append(served, b)
		}
	}
	if len(served) == 0 {
		return ""
	}
	s := fmt.Sprintf("On %s prefill and decode are the server's own counters, without sampling; the first token and end to end are the client's clock, with HTTP, scheduling and sampling, from before the request.", doc.Join(served))
	var uneven []string
	scenarios := map[string]int{}
	for _, a := range w.r.Aggregates {
		k := prose.Of(a.Backend, a.BatchSize)
		id := k.String() + "\x00" + a.Model
		if n, seen := scenarios[id]; seen && n != a.NScenarios && !slices.Contains(uneven, k.String()) {
			uneven = append(uneven, k.String())
		}
		scenarios[id] = a.NScenarios
	}
	if len(uneven) > 0 {
		s += fmt.Sprintf(" On %s prefill and end to end are means over fewer scenarios than decode, since those of the others are INVALID; the share of decode is over the scenarios that have both.", doc.Join(uneven))
	}
	return s
}

// cells has every cell, at the end.
func (w *writer) cells() {
	if len(w.r.Cells) == 0 {
		return
	}
	t := doc.Table{Head: []string{"<model", "<backend", "<scenario", "<mode", "calls", "prompt (tokens)", "median (ms)", "mean (ms)", "standard deviation (ms)", "fastest (ms)", "slowest (ms)", "tokens/s"}}
	for _, c := range w.r.Cells {
		t.Rows = append(t.Rows, []string{doc.Text(c.Model), series(c.Backend, c.BatchSize), doc.Text(c.Scenario), prose.Mode(c.Mode), fmt.Sprint(c.N), doc.Plain(c.PromptEach()),
			doc.Number(c.MedianMS), doc.Number(c.MeanMS), doc.NumberOf(c.StdDevMS), doc.Number(c.MinMS), doc.Number(c.MaxMS), doc.NumberOf(c.TokensPerS)})
	}
	if w.lengthsText() != "" {
		const at = 6 // after the prompt
		t.Head = slices.Insert(t.Head, at, "answer (tokens)")
		for i := range t.Rows {
			t.Rows[i] = slices.Insert(t.Rows[i], at, doc.Plain(w.r.Cells[i].AnswerTokens()))
		}
	}
	w.doc.Section("All cells")
	w.doc.Fold(fmt.Sprintf("Each model, backend, scenario and mode (%d)", len(t.Rows)), t)
}
