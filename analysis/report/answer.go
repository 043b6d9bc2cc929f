package report

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/ranking"
	"llmscale/analysis/q/wall"
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
	for _, s := range analysis.Get[intervals.Answer](w.r).Sentences() {
		d.Add(doc.Paragraph(s))
	}
	asked := analysis.Get[policy.Answer](w.r)
	settings := doc.List(slices.Concat(asked.Sentences(), analysis.Get[weights.Answer](w.r).Sentences()))
	if (asked.Varied() || cells.OneSize(w.r.Aggregates)) && len(settings) > 0 { // it is what the run is for
		d.Add(settings)
		settings = nil
	}
	if walls := doc.List(analysis.Get[wall.Answer](w.r).Sentences()); len(walls) > 0 { // likewise
		d.Add(walls)
	}
	items := append(settings, analysis.Get[ranking.Answer](w.r).Sentences()...)
	items = append(items, analysis.Get[crosscheck.Answer](w.r).Sentences()...)
	items = append(items, analysis.Get[calls.Answer](w.r).Sentences()...)
	if len(items) == 0 {
		d.Say("**Unknown.** The run has no record from which an answer could be made.")
		return
	}
	d.Add(items)
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
