package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/plot"
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
func (w *writer) modelRows(k key) []modelRow {
	var out []modelRow
	for _, m := range w.r.Models {
		if m.Backend != k.backend {
			continue
		}
		row := modelRow{model: m}
		any := false
		for _, a := range w.r.Aggregates {
			if a.Backend != k.backend || a.BatchSize != k.batch || a.Model != m.Name {
				continue
			}
			any = true
			ms := a.GeomeanMS
			switch a.Mode {
			case record.ModePrefill:
				row.prefill, row.ttft = &ms, a.TTFTMS
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
		w.fromCells(k, &row)
		for _, d := range w.r.DecodeFractions {
			if d.Backend == k.backend && d.BatchSize == k.batch && d.Model == m.Name && d.Scenario == cells.AllScenarios {
				share := d.Fraction
				row.share = &share
			}
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
func (w *writer) fromCells(k key, row *modelRow) {
	logs, n, colds, m := 0.0, 0, 0.0, 0
	for _, c := range w.r.CellsOf(cells.AllScenarios) {
		if c.Backend != k.backend || c.BatchSize != k.batch || c.Model != row.model.Name {
			continue
		}
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
		if c.PrefillColdMS != nil && *c.PrefillColdMS > 0 {
			colds += math.Log(*c.PrefillColdMS)
			m++
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
	if m > 0 {
		ms := math.Exp(colds / float64(m))
		row.cold = &ms
	}
}

// column is a table's column that is left out where no row has a value.
type column[T any] struct {
	head string
	cell func(T) string
}

func bytesMB(n int64) string {
	if n <= 0 {
		return none
	}
	return number(float64(n) / 1e6)
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return text(s)
}

// models has a table for each backend: the run at a glance.
func (w *writer) models() {
	keys := w.keys()
	if len(keys) == 0 {
		return
	}
	w.doc.section("Models")
	w.doc.say("Times are geometric means over the scenarios of the medians over the calls. Spread is (slowest − fastest call) / median, of the scenario where it is widest. The first token takes prefill and the first choice of a token. A dash is “not known”.")
	if mixed := w.lengthsText(); mixed != "" {
		w.doc.say("The scenarios' answers have %s: times, rates and decode shares here are means over these lengths, and those of none of them.", mixed)
	}
	for _, s := range []string{w.depthNote(), w.paceNote(), w.servedNote()} {
		if s != "" {
			w.doc.add(paragraph(s))
		}
	}
	columns := []column[modelRow]{
		{"<model", func(r modelRow) string { return text(r.model.Name) }},
		{"parameters (millions)", func(r modelRow) string { return sizeOf(r.model.ParamsMillions) }},
		{"prefill (ms)", func(r modelRow) string { return numberOf(r.prefill) }},
		{"spread (%)", func(r modelRow) string { return percent(r.pSpread) }},
		{"cold prefill (ms)", func(r modelRow) string { return numberOf(r.cold) }},
		{"first token (ms)", func(r modelRow) string { return numberOf(r.ttft) }},
		{"decode (ms/token)", func(r modelRow) string { return numberOf(r.perToken) }},
		{"spread (%)", func(r modelRow) string { return percent(r.spread) }},
		{"decode (tokens/s)", func(r modelRow) string { return numberOf(r.rate) }},
		{"end to end (ms)", func(r modelRow) string { return numberOf(r.e2e) }},
		{"decode share (%)", func(r modelRow) string { return percent(r.share) }},
		{"calls per scenario", func(r modelRow) string { return fmt.Sprint(r.calls) }},
		{"read per token (MB)", func(r modelRow) string { return bytesMB(r.model.BytesPerToken) }},
		{"weights read (GB/s)", func(r modelRow) string { return numberOf(r.gbPerS) }},
		{"<weights", func(r modelRow) string { return orNone(r.model.WeightType) }},
		{"layers × width", func(r modelRow) string {
			if r.model.NLayer == 0 || r.model.NEmbd == 0 {
				return none
			}
			return fmt.Sprintf("%d × %d", r.model.NLayer, r.model.NEmbd)
		}},
		{"peak RSS (MiB)", func(r modelRow) string { return numberOf(r.rss) }},
		{"peak GPU (MiB)", func(r modelRow) string { return numberOf(r.gpu) }},
	}
	for _, k := range keys {
		w.doc.say("**%s**", k)
		w.doc.add(tableOf(w.modelRows(k), columns))
	}
	w.figures(plot.KindBytes)
	w.figures(plot.KindShare)
}

// servedNote says what the times of a backend are that asks a server.
func (w *writer) servedNote() string {
	var served []string
	for _, m := range w.r.Models {
		if b := text(m.Backend); m.BackendKind == "ollama" && w.r.Harness == runs.HarnessLLMScale && !slices.Contains(served, b) {
			served = append(served, b)
		}
	}
	if len(served) == 0 {
		return ""
	}
	s := fmt.Sprintf("On %s prefill and decode are the server's own counters, without sampling; the first token and end to end are the client's clock, with HTTP, scheduling and sampling, from before the request.", join(served))
	var uneven []string
	scenarios := map[string]int{}
	for _, a := range w.r.Aggregates {
		k := key{a.Backend, a.BatchSize}
		id := k.String() + "\x00" + a.Model
		if n, seen := scenarios[id]; seen && n != a.NScenarios && !slices.Contains(uneven, k.String()) {
			uneven = append(uneven, k.String())
		}
		scenarios[id] = a.NScenarios
	}
	if len(uneven) > 0 {
		s += fmt.Sprintf(" On %s prefill and end to end are means over fewer scenarios than decode, since those of the others are INVALID; the share of decode is over the scenarios that have both.", join(uneven))
	}
	return s
}

// tableOf leaves out the columns in which nothing is known.
func tableOf[T any](rows []T, columns ...[]column[T]) table {
	t := table{rows: make([][]string, len(rows))}
	for _, c := range slices.Concat(columns...) {
		known := false
		cells := make([]string, len(rows))
		for i, r := range rows {
			cells[i] = c.cell(r)
			known = known || cells[i] != none
		}
		if !known {
			continue
		}
		t.head = append(t.head, c.head)
		for i := range rows {
			t.rows[i] = append(t.rows[i], cells[i])
		}
	}
	return t
}

// scaling has the fits and their figures.
func (w *writer) scaling() {
	var all, per []analysis.Fit
	for _, f := range w.r.Fits {
		if f.Scenario == cells.AllScenarios {
			all = append(all, f)
		} else {
			per = append(per, f)
		}
	}
	if len(all)+len(per) == 0 {
		return
	}
	w.doc.section("Scaling fits")
	w.doc.say("log₁₀(latency in ms) = a + b · log₁₀(%s), least squares over models, on this machine. b is the exponent where “one power law” says yes, else the slope of a line that does not describe all sizes. “Leaving one out” is the range of b over all fits that lack one model.", w.axisWithUnit())
	if len(all) > 0 {
		w.doc.add(fitTable(all))
	}
	w.figures(plot.KindScaling)
	if len(per) > 0 {
		w.doc.fold("Fits per scenario", fitTable(per))
	}
	var figs []block
	for _, f := range w.figs {
		if f.Kind == plot.KindScenario {
			figs = append(figs, figure{f})
		}
	}
	w.doc.fold(fmt.Sprintf("Figures per scenario (%d)", len(figs)), figs...)
	w.doc.fold("Leave-one-out", leaveOneOut(all)...)
	w.predictors()
}

func (w *writer) axisWithUnit() string {
	if w.r.Axis.Label == "" {
		return "total parameters (millions)"
	}
	return text(w.r.Axis.Label)
}

// fitTable leaves the scenario out where it is the same everywhere.
func fitTable(fits []analysis.Fit) table {
	t := table{head: []string{"<mode", "<backend", "<scenario", "models", "exponent b", "<one power law", "standard error", "95 % t-interval", "R²", "95 % bootstrap", "Theil–Sen (95 %)", "Spearman ρ", "p", "leaving one out", "<moved most by"}}
	several := false
	for _, f := range fits {
		several = several || f.Scenario != fits[0].Scenario
		p := f.SpearmanP
		if f.SpearmanPExact != nil {
			p = f.SpearmanPExact
		}
		row := []string{modeWord(f.Mode), series(f.Backend, f.BatchSize), scenarioName(f.Scenario), fmt.Sprint(f.NModels)}
		if !f.OK {
			row = append(row, "unknown")
			row = append(row, slices.Repeat([]string{none}, len(t.head)-len(row)-1)...)
			t.rows = append(t.rows, append(row, text(f.Reason)))
			continue
		}
		most, span := none, none
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, l := range f.LeaveOneOut {
			if l.Slope == nil {
				continue
			}
			lo, hi = min(lo, *l.Slope), max(hi, *l.Slope)
			if l.Dropped == f.MostInfluential {
				most = fmt.Sprintf("%s (%s without)", text(l.Dropped), fixed(l.Slope, 3))
			}
		}
		if lo <= hi {
			span = interval(&stats.Interval{Low: lo, High: hi}, 3)
		}
		robust := fixed(f.TheilSenSlope, 3)
		if f.TheilSen != nil {
			robust += " (" + interval(f.TheilSen, 3) + ")"
		}
		t.rows = append(t.rows, append(row, fixed(f.Slope, 3), lawShort(f), fixed(f.SlopeSE, 3), interval(f.SlopeT, 3), fixed(f.R2, 3), interval(f.SlopeBoot, 3),
			robust, fixed(f.SpearmanRho, 2), pValue(p), span, most))
	}
	if !several {
		t.head = slices.Delete(t.head, 2, 3)
		for i := range t.rows {
			t.rows[i] = slices.Delete(t.rows[i], 2, 3)
		}
	}
	return t
}

// lawShort is whether a fit's exponent holds for all of its sizes.
func lawShort(f analysis.Fit) string {
	switch {
	case f.Law == analysis.LawPower:
		return "yes"
	case f.Law == analysis.LawFlat:
		return "does not grow"
	case f.Law == analysis.LawBent && f.Curvature != nil && f.Curvature.Local != nil:
		return "no: " + hingeShort(f.Curvature.Local)
	case f.Law == analysis.LawOnePoint && f.Misfit != nil:
		return fmt.Sprintf("no: %s moves it", text(f.Misfit.Model))
	case f.Law == "":
		return none
	}
	return "unknown"
}

func scenarioName(s string) string {
	if s == cells.AllScenarios {
		return "all"
	}
	return text(s)
}

func leaveOneOut(fits []analysis.Fit) []block {
	t := table{head: []string{"<mode", "<backend", "<left out", "models left", "exponent", "change", "95 % t-interval", "R²"}}
	for _, f := range fits {
		for _, l := range f.LeaveOneOut {
			t.rows = append(t.rows, []string{modeWord(f.Mode), series(f.Backend, f.BatchSize), text(l.Dropped), fmt.Sprint(l.N),
				fixed(l.Slope, 3), fixed(l.SlopeChange, 3), interval(l.SlopeT, 3), fixed(l.R2, 3)})
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	return []block{t}
}

// predictors has what the models' shape says beside their size.
func (w *writer) predictors() {
	c := table{head: []string{"<mode", "<backend", "<scenario", "models", "ρ parameters", "p", "ρ layers", "p", "ρ width", "p"}}
	for _, x := range w.r.Correlations {
		c.rows = append(c.rows, []string{modeWord(x.Mode), series(x.Backend, x.BatchSize), scenarioName(x.Scenario), fmt.Sprint(x.NModels),
			fixed(x.RhoParams, 2), pValue(x.PParams), fixed(x.RhoLayers, 2), pValue(x.PLayers), fixed(x.RhoWidth, 2), pValue(x.PWidth)})
	}
	if len(c.rows) > 0 {
		w.doc.fold("Rank correlations with size, depth and width", c)
	}
	t := table{head: []string{"<mode", "<backend", "<scenario", "models", "size exponent", "95 % bootstrap", "depth exponent", "95 % bootstrap", "R²"}}
	for _, x := range w.r.TwoPredictors {
		row := []string{modeWord(x.Mode), series(x.Backend, x.BatchSize), scenarioName(x.Scenario), fmt.Sprint(x.NModels)}
		if !x.OK {
			t.rows = append(t.rows, append(row, "unknown: "+text(x.Reason), none, none, none, none))
			continue
		}
		t.rows = append(t.rows, append(row, fixed(x.Beta, 3), interval(x.BetaBoot, 3), fixed(x.Gamma, 3), interval(x.GammaBoot, 3), fixed(x.R2, 3)))
	}
	if len(t.rows) > 0 {
		w.doc.fold("Size and depth together", paragraph("ln(latency) = α + β · ln("+w.axis()+") + γ · ln(layers)."), t)
	}
}

// overhead has the fits of a fixed cost and one that grows.
func (w *writer) overhead() {
	t := table{wrap: true, head: []string{"<mode", "<backend", "<form", "models", "fixed a (ms)", "95 %", "b", "s", "R² (relative)", "a / smallest (%)", "a / largest (%)", "<a is a fixed cost"}}
	per := table{wrap: true, head: slices.Insert(slices.Clone(t.head), 2, "<scenario")}
	for _, o := range w.r.OffsetFits {
		row := []string{modeWord(o.Mode), series(o.Backend, o.BatchSize), text(strings.ReplaceAll(o.Form, "*", "·")), fmt.Sprint(o.NModels)}
		if o.OK {
			row = append(row, numberOf(o.A), numbers(o.ACI), numberOf(o.B), fixed(o.S, 3), fixed(o.R2, 3), percent(o.OverheadAtMin), percent(o.OverheadAtMax), offsetShort(o))
		} else {
			row = append(row, "unknown: "+text(o.Reason), none, none, none, none, none, none, none)
		}
		if o.Scenario == cells.AllScenarios {
			t.rows = append(t.rows, row)
		} else {
			per.rows = append(per.rows, slices.Insert(row, 2, text(o.Scenario)))
		}
	}
	if len(t.rows)+len(per.rows) == 0 {
		return
	}
	w.doc.section("Fixed cost and growth")
	w.doc.say("Latency as a part that every call pays and one that grows with %s (P), by least relative errors. b is in ms per unit of P, to the power s where there is one. Shares are of measured times.", w.axisWithUnit())
	if len(t.rows) > 0 {
		w.doc.add(t)
	}
	if len(per.rows) > 0 {
		w.doc.fold("Per scenario", per)
	}
}

func offsetShort(o analysis.OffsetFit) string {
	switch o.Verdict {
	case "":
		return none
	case analysis.OffsetFixed:
		return "yes"
	case analysis.OffsetNone, analysis.OffsetNoLine:
		return "no: " + text(o.Reason)
	}
	return "unknown: " + text(o.Reason)
}

// cells has every cell, at the end.
func (w *writer) cells() {
	if len(w.r.Cells) == 0 {
		return
	}
	t := table{head: []string{"<model", "<backend", "<scenario", "<mode", "calls", "prompt (tokens)", "median (ms)", "mean (ms)", "standard deviation (ms)", "fastest (ms)", "slowest (ms)", "tokens/s"}}
	for _, c := range w.r.Cells {
		t.rows = append(t.rows, []string{text(c.Model), series(c.Backend, c.BatchSize), text(c.Scenario), modeWord(c.Mode), fmt.Sprint(c.N), numberPlain(c.PromptEach()),
			number(c.MedianMS), number(c.MeanMS), numberOf(c.StdDevMS), number(c.MinMS), number(c.MaxMS), numberOf(c.TokensPerS)})
	}
	if w.lengthsText() != "" {
		const at = 6 // after the prompt
		t.head = slices.Insert(t.head, at, "answer (tokens)")
		for i := range t.rows {
			t.rows[i] = slices.Insert(t.rows[i], at, numberPlain(w.r.Cells[i].AnswerTokens()))
		}
	}
	w.doc.section("All cells")
	w.doc.fold(fmt.Sprintf("Each model, backend, scenario and mode (%d)", len(t.rows)), t)
}

// numberPlain prints a count that went through a median.
func numberPlain(v *float64) string {
	if v == nil {
		return none
	}
	return strings.TrimSuffix(fixed(v, 1), ".0")
}
