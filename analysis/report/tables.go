package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/ceilings"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/summary"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
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
				row.rate = a.TokensPerS
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
	slices.SortStableFunc(out, func(a, b modelRow) int {
		x, y := math.Inf(1), math.Inf(1)
		if a.model.ParamsMillions != nil {
			x = *a.model.ParamsMillions
		}
		if b.model.ParamsMillions != nil {
			y = *b.model.ParamsMillions
		}
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return out
}

// fromCells adds what aggregates do not carry.
func (row *modelRow) fromCells(of []*cells.Cell) {
	logs, n := 0.0, 0
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
		if c.Mode == record.ModeDecode && c.MSPerToken != nil && *c.MSPerToken > 0 {
			logs += math.Log(*c.MSPerToken)
			n++
		}
	}
	if n > 0 {
		ms := math.Exp(logs / float64(n))
		row.perToken = &ms
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

// scaling has the fits and their figures.
func (w *writer) scaling() {
	var all, per []scaling.Fit
	for _, f := range analysis.Get[scaling.Answer](w.r).Fits {
		if f.Scenario == cells.AllScenarios {
			all = append(all, f)
		} else {
			per = append(per, f)
		}
	}
	if len(all)+len(per) == 0 {
		return
	}
	w.doc.Section("Scaling fits")
	w.doc.Say("log₁₀(latency in ms) = a + b · log₁₀(%s), least squares over models, on this machine. b is the exponent where “one power law” says yes, else the slope of a line that does not describe all sizes. “Leaving one out” is the range of b over all fits that lack one model.", w.axisWithUnit())
	if len(all) > 0 {
		w.doc.Add(fitTable(all))
	}
	w.figures(scaling.KindScaling)
	if len(per) > 0 {
		w.doc.Fold("Fits per scenario", fitTable(per))
	}
	var figs []doc.Block
	for _, f := range w.figs {
		if f.Kind == scaling.KindScenario {
			figs = append(figs, doc.Picture{Drawn: f})
		}
	}
	w.doc.Fold(fmt.Sprintf("Figures per scenario (%d)", len(figs)), figs...)
	w.doc.Fold("Leave-one-out", leaveOneOut(all)...)
	w.predictors()
}

func (w *writer) axisWithUnit() string {
	if w.r.Axis.Label == "" {
		return cells.ParamsLabel
	}
	return doc.Text(w.r.Axis.Label)
}

// fitTable leaves the scenario out where it is the same everywhere.
func fitTable(fits []scaling.Fit) doc.Table {
	t := doc.Table{Head: []string{"<mode", "<backend", "<scenario", "models", "exponent b", "<one power law", "standard error", "95 % t-interval", "R²", "95 % bootstrap", "Theil–Sen (95 %)", "Spearman ρ", "p", "leaving one out", "<moved most by"}}
	several := false
	for _, f := range fits {
		several = several || f.Scenario != fits[0].Scenario
		p := f.SpearmanP
		if f.SpearmanPExact != nil {
			p = f.SpearmanPExact
		}
		row := []string{prose.Mode(f.Mode), series(f.Backend, f.BatchSize), prose.Scenario(f.Scenario), fmt.Sprint(f.NModels)}
		if !f.OK {
			row = append(row, "unknown")
			row = append(row, slices.Repeat([]string{doc.Unknown}, len(t.Head)-len(row)-1)...)
			t.Rows = append(t.Rows, append(row, doc.Text(f.Reason)))
			continue
		}
		most, span := doc.Unknown, doc.Unknown
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, l := range f.LeaveOneOut {
			if l.Slope == nil {
				continue
			}
			lo, hi = min(lo, *l.Slope), max(hi, *l.Slope)
			if l.Dropped == f.MostInfluential {
				most = fmt.Sprintf("%s (%s without)", doc.Text(l.Dropped), doc.Fixed(l.Slope, 3))
			}
		}
		if lo <= hi {
			span = doc.Interval(&stats.Interval{Low: lo, High: hi}, 3)
		}
		robust := doc.Fixed(f.TheilSenSlope, 3)
		if f.TheilSen != nil {
			robust += " (" + doc.Interval(f.TheilSen, 3) + ")"
		}
		t.Rows = append(t.Rows, append(row, doc.Fixed(f.Slope, 3), lawShort(f), doc.Fixed(f.SlopeSE, 3), doc.Interval(f.SlopeT, 3), doc.Fixed(f.R2, 3), doc.Interval(f.SlopeBoot, 3),
			robust, doc.Fixed(f.SpearmanRho, 2), doc.PValue(p), span, most))
	}
	if !several {
		t.Head = slices.Delete(t.Head, 2, 3)
		for i := range t.Rows {
			t.Rows[i] = slices.Delete(t.Rows[i], 2, 3)
		}
	}
	return t
}

// lawShort is whether a fit's exponent holds for all of its sizes.
func lawShort(f scaling.Fit) string {
	switch {
	case f.Law == scaling.LawPower:
		return "yes"
	case f.Law == scaling.LawFlat:
		return "does not grow"
	case f.Law == scaling.LawBent && f.Curvature != nil && f.Curvature.Local != nil:
		return "no: " + hingeShort(f.Curvature.Local)
	case f.Law == scaling.LawOnePoint && f.Misfit != nil:
		return fmt.Sprintf("no: %s moves it", doc.Text(f.Misfit.Model))
	case f.Law == "":
		return doc.Unknown
	}
	return "unknown"
}

func leaveOneOut(fits []scaling.Fit) []doc.Block {
	t := doc.Table{Head: []string{"<mode", "<backend", "<left out", "models left", "exponent", "change", "95 % t-interval", "R²"}}
	for _, f := range fits {
		for _, l := range f.LeaveOneOut {
			t.Rows = append(t.Rows, []string{prose.Mode(f.Mode), series(f.Backend, f.BatchSize), doc.Text(l.Dropped), fmt.Sprint(l.N),
				doc.Fixed(l.Slope, 3), doc.Fixed(l.SlopeChange, 3), doc.Interval(l.SlopeT, 3), doc.Fixed(l.R2, 3)})
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return []doc.Block{t}
}

// predictors has what the models' shape says beside their size.
func (w *writer) predictors() {
	c := doc.Table{Head: []string{"<mode", "<backend", "<scenario", "models", "ρ parameters", "p", "ρ layers", "p", "ρ width", "p"}}
	for _, x := range analysis.Get[scaling.Answer](w.r).Correlations {
		c.Rows = append(c.Rows, []string{prose.Mode(x.Mode), series(x.Backend, x.BatchSize), prose.Scenario(x.Scenario), fmt.Sprint(x.NModels),
			doc.Fixed(x.RhoParams, 2), doc.PValue(x.PParams), doc.Fixed(x.RhoLayers, 2), doc.PValue(x.PLayers), doc.Fixed(x.RhoWidth, 2), doc.PValue(x.PWidth)})
	}
	if len(c.Rows) > 0 {
		w.doc.Fold("Rank correlations with size, depth and width", c)
	}
	t := doc.Table{Head: []string{"<mode", "<backend", "<scenario", "models", "size exponent", "95 % bootstrap", "depth exponent", "95 % bootstrap", "R²"}}
	for _, x := range analysis.Get[scaling.Answer](w.r).TwoPredictors {
		row := []string{prose.Mode(x.Mode), series(x.Backend, x.BatchSize), prose.Scenario(x.Scenario), fmt.Sprint(x.NModels)}
		if !x.OK {
			t.Rows = append(t.Rows, append(row, "unknown: "+doc.Text(x.Reason), doc.Unknown, doc.Unknown, doc.Unknown, doc.Unknown))
			continue
		}
		t.Rows = append(t.Rows, append(row, doc.Fixed(x.Beta, 3), doc.Interval(x.BetaBoot, 3), doc.Fixed(x.Gamma, 3), doc.Interval(x.GammaBoot, 3), doc.Fixed(x.R2, 3)))
	}
	if len(t.Rows) > 0 {
		w.doc.Fold("Size and depth together", doc.Paragraph("ln(latency) = α + β · ln("+w.axis()+") + γ · ln(layers)."), t)
	}
}

// overhead has the fits of a fixed cost and one that grows.
func (w *writer) overhead() {
	t := doc.Table{Wrap: true, Head: []string{"<mode", "<backend", "<form", "models", "fixed a (ms)", "95 %", "b", "s", "R² (relative)", "a / smallest (%)", "a / largest (%)", "<a is a fixed cost"}}
	per := doc.Table{Wrap: true, Head: slices.Insert(slices.Clone(t.Head), 2, "<scenario")}
	for _, o := range analysis.Get[scaling.Answer](w.r).OffsetFits {
		row := []string{prose.Mode(o.Mode), series(o.Backend, o.BatchSize), doc.Text(strings.ReplaceAll(o.Form, "*", "·")), fmt.Sprint(o.NModels)}
		if o.OK {
			row = append(row, doc.NumberOf(o.A), doc.Numbers(o.ACI), doc.NumberOf(o.B), doc.Fixed(o.S, 3), doc.Fixed(o.R2, 3), doc.Percent(o.OverheadAtMin), doc.Percent(o.OverheadAtMax), offsetShort(o))
		} else {
			row = append(row, "unknown: "+doc.Text(o.Reason), doc.Unknown, doc.Unknown, doc.Unknown, doc.Unknown, doc.Unknown, doc.Unknown, doc.Unknown)
		}
		if o.Scenario == cells.AllScenarios {
			t.Rows = append(t.Rows, row)
		} else {
			per.Rows = append(per.Rows, slices.Insert(row, 2, doc.Text(o.Scenario)))
		}
	}
	if len(t.Rows)+len(per.Rows) == 0 {
		return
	}
	w.doc.Section("Fixed cost and growth")
	w.doc.Say("Latency as a part that every call pays and one that grows with %s (P), by least relative errors. b is in ms per unit of P, to the power s where there is one. Shares are of measured times.", w.axisWithUnit())
	if len(t.Rows) > 0 {
		w.doc.Add(t)
	}
	if len(per.Rows) > 0 {
		w.doc.Fold("Per scenario", per)
	}
}

func offsetShort(o scaling.OffsetFit) string {
	switch o.Verdict {
	case "":
		return doc.Unknown
	case scaling.OffsetFixed:
		return "yes"
	case scaling.OffsetNone, scaling.OffsetNoLine:
		return "no: " + doc.Text(o.Reason)
	}
	return "unknown: " + doc.Text(o.Reason)
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
