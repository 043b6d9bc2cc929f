package report

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/speedups"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/q/weights"
	"llmscale/runner/record"
)

// answer opens the report with sentences made from the run's numbers.
func (w *writer) answer() {
	d := w.doc
	d.Section("The answer")
	d.Add(doc.Paragraph(w.lead()))
	if seen := w.disturbed(); seen != "" {
		d.Say("**The machine was not at rest** when this run began, which bears on every figure below: %s. See “Warnings”.", seen)
	}
	types := doc.List(analysis.Get[weights.Answer](w.r).Sentences())
	if cells.OneSize(w.r.Aggregates) && len(types) > 0 { // size cannot be the answer: the types are
		d.Add(types)
		types = nil
	}
	asked := analysis.Get[policy.Answer](w.r)
	settings := doc.List(asked.Sentences())
	if asked.Varied() && len(settings) > 0 { // it is what the run is for
		d.Add(settings)
		settings = nil
	}
	w.summary()
	items := slices.Concat(settings, w.firstChangeSentences(), w.slopeSentences(), w.fixedCostSentences(), doc.List(analysis.Get[lengths.Answer](w.r).Sentences()), types,
		w.tailSentences(), w.feasibilitySentences())
	items = append(items, analysis.Get[speedups.Answer](w.r).Sentences()...)
	items = append(items, analysis.Get[crosscheck.Answer](w.r).Sentences()...)
	items = append(items, w.invalidSentences()...)
	if len(items) == 0 {
		d.Say("**Unknown.** The run has no record from which an answer could be made.")
		return
	}
	d.Add(items)
	judged := slices.ContainsFunc(analysis.Get[firstchange.Answer](w.r).Answers.FirstChange, func(c firstchange.Change) bool { return len(c.Steps) > 0 || c.Model != "" })
	if judged && analysis.Get[firstchange.Answer](w.r).Answers.FirstChange[0].Rule != "" {
		d.Fold("What counts as a change", doc.Paragraph(doc.Text(analysis.Get[firstchange.Answer](w.r).Answers.FirstChange[0].Rule)))
	}
}

// summary is the answer as a table, a row for each backend; those of which nothing
// is known share one.
func (w *writer) summary() {
	t := doc.Table{Wrap: true, Head: []string{"<backend", "<changes first", "<decode exponent (95 %)", "<prefill exponent (95 %)", "<tail with size", "<did not run"}}
	var keys []prose.Series
	for _, c := range analysis.Get[firstchange.Answer](w.r).Answers.FirstChange {
		k := prose.Of(c.Backend, c.BatchSize)
		row := []string{k.String(), aspects(orUnknown(c.Verdict)), "unknown", "unknown", "unknown", "unknown"}
		if row[1] == "unknown" && c.AmongSeen != "" && c.AmongSeen != "unknown" && c.AmongSeen != "none" {
			row[1] += "; of what is known: " + aspects(c.AmongSeen)
		}
		if c.StepRatio != nil && row[1] != "unknown" {
			row[1] += fmt.Sprintf(" (within %s times the size)", doc.Fixed(c.StepRatio, 1))
		}
		for _, s := range analysis.Get[scaling.Answer](w.r).Answers.Slopes {
			at := map[string]int{record.ModeDecode: 2, record.ModePrefill: 3}[s.Mode]
			if s.Backend != k.Backend || s.BatchSize != k.BatchSize || at == 0 || s.Slope == nil || s.CI == nil {
				continue
			}
			row[at] = exponentShort(s)
		}
		for _, t := range analysis.Get[tails.Answer](w.r).Answers.Tails {
			if t.Backend == k.Backend && t.BatchSize == k.BatchSize {
				row[4] = doc.Text(strings.ReplaceAll(orUnknown(t.Verdict), "_", " "))
			}
		}
		for _, f := range analysis.Get[firstchange.Answer](w.r).Answers.Feasibility {
			if f.Backend == k.Backend && f.BatchSize == k.BatchSize && f.Verdict != "unknown" {
				row[5] = fmt.Sprintf("%d of %s", f.ModelsFailed+f.ModelsWaived, doc.Count(f.ModelsOK+f.ModelsFailed+f.ModelsWaived, "model", "models"))
			}
		}
		t.Rows, keys = append(t.Rows, row), append(keys, k)
	}
	if t.Rows = w.foldRows(keys, t.Rows); len(t.Rows) > 0 {
		w.doc.Add(t)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// lead says what was measured where.
func (w *writer) lead() string {
	var lo, hi *float64
	models := map[string]bool{}
	for _, m := range w.r.Models {
		models[m.Name] = true
		if p := m.ParamsMillions; p != nil {
			if lo == nil || *p < *lo {
				lo = p
			}
			if hi == nil || *p > *hi {
				hi = p
			}
		}
	}
	s := "What changes first as a language model grows: latency, tails or feasibility? Measured with " + doc.Count(len(models), "model", "models")
	if lo != nil && *hi > *lo {
		from := doc.Size(*lo)
		if (*lo >= 1000) != (*hi >= 1000) {
			from = strings.TrimSuffix(doc.Params(lo), " parameters")
		} else if *lo >= 1000 {
			from = doc.Size(*lo / 1000)
		}
		s += fmt.Sprintf(" of %s to %s", from, doc.Params(hi))
	}
	machine := w.machine()
	if machine == "" {
		machine = "a machine that the manifest does not name"
	}
	s += " on " + machine + "."
	return s + " Every exponent below belongs to this machine and to the sizes measured; it is no law for other machines or other sizes."
}

// disturbed is what was seen of the machine when the run began, each kind of it once; "" where nothing was. The answer
// says it, and not the list of warnings alone: with other programs on its cores a machine shows changes that no model has.
func (w *writer) disturbed() string {
	var seen, codes []string
	for _, x := range w.r.Warnings {
		if x.Where == record.ThisMachine && !slices.Contains(codes, x.Code) {
			seen, codes = append(seen, doc.Text(x.Text)), append(codes, x.Code)
		}
	}
	return strings.Join(seen, "; ")
}

// machine names the processor, with the threads that were used.
func (w *writer) machine() string {
	cpu := w.r.Manifest.Text("environment", "cpu")
	if cpu == "" {
		cpu = w.r.Manifest.Text("platform", "processor")
	}
	s := doc.Text(cpu)
	if gpu := w.r.Manifest.Text("nvml", "name"); gpu != "" {
		s = strings.TrimPrefix(s+", "+doc.Text(gpu), ", ")
	}
	var threads []string
	for _, m := range w.r.Models {
		if t := doc.Count(m.Threads, "thread", "threads"); m.Threads > 0 && !slices.Contains(threads, t) {
			threads = append(threads, t)
		}
	}
	if s != "" && len(threads) == 1 {
		s += " with " + threads[0]
	}
	return s
}

func (w *writer) firstChangeSentence(c firstchange.Change, x string) string {
	why := doc.Text(c.Why)
	var s string
	switch c.Verdict {
	case "", "unknown":
		s = fmt.Sprintf("What changes first on %s as models grow is **unknown** on this machine: %s.", x, why)
		if c.AmongSeen != "" && c.AmongSeen != "unknown" && c.AmongSeen != "none" {
			s += fmt.Sprintf(" Among the aspects with evidence it is %s.", aspects(c.AmongSeen))
		}
	case "none":
		s = fmt.Sprintf("On %s **nothing** is shown to change as total parameters grow on this machine: %s.", x, why)
	default:
		s = fmt.Sprintf("What changes first on %s as total parameters grow: **%s**. On this machine, %s.", x, aspects(c.Verdict), why)
	}
	for _, a := range c.Aspects {
		deciding := a.Model != "" && a.Model == c.Model
		if a.Why == "" || deciding || a.Verdict == "unknown" {
			continue // said above
		}
		verdict := "not shown to change"
		if a.Verdict == "changed" {
			verdict = "changed later"
		}
		s += fmt.Sprintf(" %s: %s; %s.", doc.Upper(doc.Text(a.Aspect)), verdict, doc.Text(a.Why))
	}
	return s
}

func aspects(s string) string { return doc.Text(doc.Join(strings.Split(s, "+"))) }

// tailSentence leaves the worst ratio of an unknown trend to tailSentences.
func (w *writer) tailSentence(t tails.Trend, x string) string {
	q := strings.ReplaceAll(t.Quantile, "_over_", "/")
	if t.Verdict == "unknown" || t.Verdict == "" {
		return fmt.Sprintf("Whether the **tail** of decode times on %s changes with total parameters is **unknown** on this machine: %s.", x, doc.Text(t.Why))
	}
	verb := map[string]string{"rises": "rises", "falls": "falls", "no_trend": "shows no trend"}[t.Verdict]
	if verb == "" {
		verb = doc.Text(t.Verdict)
	}
	p := t.P
	if t.PExact != nil {
		p = t.PExact
	}
	s := fmt.Sprintf("The **tail** on %s %s with total parameters on this machine: %s of single token times is %s on %s and %s on %s (Spearman ρ %s, p %s, n = %s)",
		x, verb, doc.Text(q), doc.NumberOf(t.SmallestRatio), doc.Text(t.SmallestModel), doc.NumberOf(t.LargestRatio), doc.Text(t.LargestModel), doc.Fixed(t.Rho, 2), doc.PValue(p), doc.Count(t.NModels, "model", "models"))
	if t.WorstRatio != nil {
		s += fmt.Sprintf("; the worst is %s, on %s", doc.NumberOf(t.WorstRatio), doc.Text(t.WorstModel))
	}
	return s + "."
}

func (w *writer) feasibilitySentence(f firstchange.Feasibility, x string) string {
	largest := ""
	if f.LargestOK != "" {
		largest = fmt.Sprintf("the largest that ran whole is %s (%s)", doc.Text(f.LargestOK), doc.Params(f.LargestOKM))
	}
	var s string
	switch f.Verdict {
	case "all_ran":
		if f.ModelsOK == 1 {
			return fmt.Sprintf("**Feasibility** on %s: the one model ran on this machine (%s, %s). At which size it stops is unknown.", x, doc.Text(f.LargestOK), doc.Params(f.LargestOKM))
		}
		return fmt.Sprintf("**Feasibility** on %s: all %d models ran on this machine; %s. At which size it stops is unknown.", x, f.ModelsOK, largest)
	case "some_failed":
		s = fmt.Sprintf("**Feasibility** on %s: %s of %d failed on this machine", x, doc.Count(f.ModelsFailed, "model", "models"), f.ModelsOK+f.ModelsFailed+f.ModelsWaived)
		if f.SmallestFailed != "" {
			s += fmt.Sprintf("; the smallest that did not fit, crashed or timed out is %s (%s, %s)", doc.Text(f.SmallestFailed), doc.Params(f.SmallestFailM), doc.Text(f.Status))
		} else {
			s += ", none of them for lack of memory, by a crash or a timeout"
		}
	case "waived":
		return fmt.Sprintf("**Feasibility** on %s is **unknown**: this machine cannot run it (%s waived).", x, doc.Count(f.ModelsWaived, "model", "models"))
	case "some_waived":
		s = fmt.Sprintf("**Feasibility** on %s: %s ran and %d were waived on this machine", x, doc.Count(f.ModelsOK, "model", "models"), f.ModelsWaived)
	default:
		return fmt.Sprintf("**Feasibility** on %s is **unknown** on this machine: no model has a result.", x)
	}
	if largest != "" {
		s += "; " + largest
	}
	return s + "."
}

// tails has the table and the figure of tail ratios.
func (w *writer) tails() {
	if len(analysis.Get[tails.Answer](w.r).Tails) == 0 {
		return
	}
	w.doc.Section("Tails")
	w.doc.Say("Times of single decoded tokens. Over all scenarios, each token is taken relative to its scenario's median; “within calls”, to its call's. A quantile is shown only where enough tokens carry it.")
	w.figures(tails.KindTails)
	t := doc.Table{Head: []string{"<model", "<backend", "tokens", "p90/p50", "p95/p50", "p99/p50", "p95/p50 within calls"}}
	per := doc.Table{Head: []string{"<model", "<backend", "<scenario", "tokens", "p50 (ms)", "p90 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)", "p99/p50"}}
	for _, x := range analysis.Get[tails.Answer](w.r).Tails {
		row := []string{doc.Text(x.Model), series(x.Backend, x.BatchSize)}
		if x.Scenario == cells.AllScenarios {
			t.Rows = append(t.Rows, append(row, fmt.Sprint(x.N), doc.Quantile(x.P90Ratio), doc.Quantile(x.P95Ratio), doc.Quantile(x.P99Ratio), doc.NumberOf(x.P95InCalls)))
			continue
		}
		per.Rows = append(per.Rows, append(row, doc.Text(x.Scenario), fmt.Sprint(x.N), doc.NumberOf(x.P50MS), doc.Quantile(x.P90MS), doc.Quantile(x.P95MS),
			doc.Quantile(x.P99MS), doc.NumberOf(x.MaxMS), doc.Quantile(x.P99Ratio)))
	}
	if len(t.Rows) > 0 {
		w.doc.Add(t)
	}
	if len(per.Rows) > 0 {
		w.doc.Fold("Token times per scenario", per)
	}
	var timelines []doc.Block
	for _, f := range w.figs {
		if f.Kind == tails.KindTokens {
			timelines = append(timelines, doc.Picture{Drawn: f})
		}
	}
	w.doc.Add(timelines...)
}
