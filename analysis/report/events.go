package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// firstChange has the steps from size to size.
func (w *writer) firstChange() {
	t := table{head: []string{"<backend", "<from", "<to", "parameters (millions)", "size, times the one before", "decode, times the one before", "decode, times the smallest", "at least", "for each doubling", "p95/p50 within calls, times the least before", "at least", "failed cells", "<changed here"}}
	var open list
	for _, c := range w.r.Answers.FirstChange {
		for _, s := range c.Steps {
			failed := fmt.Sprint(s.Failed)
			if s.Failed > 0 {
				failed += " " + text(s.FailedStatus)
			}
			changed := none
			if len(s.Changed) > 0 {
				changed = text(join(s.Changed))
			}
			t.rows = append(t.rows, []string{series(c.Backend, c.BatchSize), text(s.From), text(s.To), sizeOf(s.ParamsM), numberOf(s.SizeGrowth),
				numberOf(s.LatencyGrowth), numberOf(s.LatencyTotal), numberOf(s.LatencyLow), fixed(s.LatencyDoubling, 2), numberOf(s.TailRise), numberOf(s.TailRiseLow), failed, changed})
			for _, why := range s.Open {
				open = append(open, fmt.Sprintf("%s, %s: %s.", series(c.Backend, c.BatchSize), text(s.To), text(why)))
			}
		}
	}
	if len(t.rows) > 0 {
		w.doc.section("From size to size")
		w.doc.say("“For each doubling” is the factor of decode time from the smallest model on: 2 would be in proportion to size. “The least before” is the least p95/p50 among the smaller models, each token taken relative to the median of its call. “At least” is a lower bound, corrected for all comparisons of the walk: it decides what counts as a change.")
		w.doc.add(t)
		if len(open) > 0 {
			w.doc.fold(fmt.Sprintf("What could not be judged or is not shown, and why (%d)", len(open)), open)
		}
	}
}

// warmups compares the first calls with the steady state.
func (w *writer) warmups() {
	if len(w.r.Warmups) == 0 {
		return
	}
	type group struct {
		key
		mode string
	}
	var groups []group
	ratios := map[group][]float64{}
	worst := map[group]analysis.Warmup{}
	all := table{head: []string{"<model", "<backend", "<scenario", "<mode", "warm-ups", "warm-up (ms)", "steady (ms)", "ratio"}}
	for _, u := range w.r.Warmups {
		all.rows = append(all.rows, []string{text(u.Model), series(u.Backend, u.BatchSize), text(u.Scenario), modeWord(u.Mode),
			fmt.Sprint(u.WarmupN), numberOf(u.WarmupMS), numberOf(u.MeasuredMS), fixed(u.Ratio, 2)})
		if u.Ratio == nil {
			continue
		}
		g := group{key{u.Backend, u.BatchSize}, u.Mode}
		if ratios[g] == nil {
			groups = append(groups, g)
		}
		ratios[g] = append(ratios[g], *u.Ratio)
		if was := worst[g].Ratio; was == nil || *u.Ratio > *was {
			worst[g] = u
		}
	}
	w.doc.section("Warm-up")
	w.doc.say("Warm-up calls against the steady state of the same cell, in medians. Warm-ups are recorded and left out of everything else%s.", map[bool]string{true: ", except that this analysis was asked to include them"}[w.r.Options.IncludeWarmup])
	t := table{head: []string{"<mode", "<backend", "cells", "median ratio", "largest ratio", "<where"}}
	slices.SortStableFunc(groups, func(a, b group) int {
		return cmp.Compare(slices.Index(record.Modes, a.mode), slices.Index(record.Modes, b.mode))
	})
	for _, g := range groups {
		v := slices.Sorted(slices.Values(ratios[g]))
		mid := (v[(len(v)-1)/2] + v[len(v)/2]) / 2
		u := worst[g]
		t.rows = append(t.rows, []string{modeWord(g.mode), g.key.String(), fmt.Sprint(len(v)), fixed(&mid, 2), fixed(u.Ratio, 2),
			fmt.Sprintf("%s, %s: %s ms against %s ms", text(u.Model), text(u.Scenario), numberOf(u.WarmupMS), numberOf(u.MeasuredMS))})
	}
	if len(t.rows) > 0 {
		w.doc.add(t)
	}
	w.doc.fold(fmt.Sprintf("Each cell (%d)", len(all.rows)), all)
}

// eventGaps compares the clocks, where there is a device clock.
func (w *writer) eventGaps() {
	if len(w.r.EventGaps) == 0 {
		return
	}
	w.doc.section("Host clock against device clock")
	t := table{head: []string{"<backend", "<mode", "<calls", "n", "median gap (%)", "p95 gap (%)", "median gap (ms)", "p95 gap (ms)"}}
	for _, g := range w.r.EventGaps {
		kind := "repetitions"
		if g.IsWarmup {
			kind = "warm-ups"
		}
		rel := g.RelP95
		if rel.Value != nil {
			v := 100 * *rel.Value
			rel.Value = &v
		}
		t.rows = append(t.rows, []string{text(g.Backend), modeWord(g.Mode), kind, fmt.Sprint(g.N), number(100 * g.RelMedian), quantile(rel), number(g.AbsMedianMS), quantile(g.AbsP95MS)})
	}
	w.doc.add(t)
}

// ollama has what concerns Ollama's API alone.
func (w *writer) ollama() {
	o := w.r.Ollama
	if o == nil {
		return
	}
	w.doc.section("Ollama")
	cached := "Its prefill is fast where the server still holds the same prompt's cache, so prefill times here may be times of one token."
	if w.r.Harness == runs.HarnessLLMScale {
		cached = "Prefill of prompts that the server may have had in its cache is INVALID, and in no figure."
	}
	w.doc.say("Ollama may stop before the wanted number of tokens; its decode time is then scaled in proportion. These tables say how often that happened and how far it may be off. %s", cached)
	if len(o.LengthLimited) > 0 {
		w.doc.fold("Fits over answers of full length only", fitTable(o.LengthLimited))
	}
	stops := table{head: []string{"<model", "<backend", "<scenario", "calls", "wanted (tokens)", "median answer (tokens)", "stopped early (%)", "<reason, most often"}}
	for _, e := range o.EarlyStops {
		stops.rows = append(stops.rows, []string{text(e.Model), text(e.Backend), text(e.Scenario), fmt.Sprint(e.N), numberPlain(e.Target), numberPlain(e.RawMedian), percent(e.EarlyStopRate), orNone(e.DoneReasonMode)})
	}
	if len(stops.rows) > 0 {
		w.doc.fold("Answers that stopped early", stops)
	}
	linear := table{head: []string{"<model", "<backend", "calls", "fixed (ms)", "per token (ms)", "R²", "at the wanted length (ms)"}}
	for _, l := range o.Linearity {
		linear.rows = append(linear.rows, []string{text(l.Model), text(l.Backend), fmt.Sprint(l.N), numberOf(l.A), numberOf(l.B), fixed(l.R2, 3), numberOf(l.AffineMS)})
	}
	if len(linear.rows) > 0 {
		w.doc.fold("Decode time against answer length", linear)
	}
	errs := table{head: []string{"<model", "<backend", "calls", "median (ms)", "p95 (ms)", "smallest (ms)", "largest (ms)"}}
	for _, p := range o.Projections {
		errs.rows = append(errs.rows, []string{text(p.Model), text(p.Backend), fmt.Sprint(p.N), numberOf(p.MedianMS), quantile(p.P95MS), numberOf(p.MinMS), numberOf(p.MaxMS)})
	}
	if len(errs.rows) > 0 {
		w.doc.fold("Error of scaling in proportion", errs)
	}
	warm := table{head: []string{"<model", "<backend", "<scenario", "warm-up prefill (ms)", "warm-up load (ms)", "steady prefill (ms)", "steady load (ms)", "ratio, inference", "ratio, with load"}}
	for _, u := range o.Warmups {
		warm.rows = append(warm.rows, []string{text(u.Model), text(u.Backend), text(u.Scenario), numberOf(u.WarmupInferMS), numberOf(u.WarmupLoadMS), numberOf(u.MeasuredInferMS), numberOf(u.MeasuredLoadMS), fixed(u.RatioInfer, 2), fixed(u.RatioTotal, 2)})
	}
	if len(warm.rows) > 0 {
		w.doc.fold("Warm-up of prefill and model load", warm)
	}
}

// failures lists what did not run, with reasons.
func (w *writer) failures() {
	w.doc.section("What failed or did not fit")
	if len(w.r.Failed) == 0 {
		if w.r.Counts.Used == 0 {
			w.doc.say("Unknown: no record says that a cell ran or failed.")
			return
		}
		if len(w.r.Invalid) > 0 {
			w.doc.say("Nothing: every cell with a record ran. Calls that something spoilt are listed below.")
			return
		}
		w.doc.say("Nothing: every cell with a record gave measurements.")
		return
	}
	t := table{wrap: true, head: []string{"<model", "<backend", "parameters (millions)", "<scenario", "<status", "failed calls", "ok calls", "<reason"}}
	var stderr strings.Builder
	for _, f := range w.r.Failed {
		reason := clean(f.Reason)
		if f.Signal != "" {
			reason = strings.TrimPrefix(reason+"; signal "+f.Signal, "; ")
		}
		if f.ExitCode != nil {
			reason = strings.TrimPrefix(fmt.Sprintf("%s; exit code %d", reason, *f.ExitCode), "; ")
		}
		t.rows = append(t.rows, []string{text(f.Model), series(f.Backend, f.BatchSize), sizeOf(f.ParamsM), text(f.Scenario), text(f.Status), fmt.Sprint(f.Calls), fmt.Sprint(f.OKCalls), orNone(reason)})
		if len(f.Stderr) > 0 {
			fmt.Fprintf(&stderr, "%s / %s / %s\n", clean(f.Model), clean(f.Backend), clean(f.Scenario))
			for _, line := range f.Stderr {
				fmt.Fprintf(&stderr, "    %s\n", clean(line))
			}
		}
	}
	w.doc.say("A cell that did not fit in memory is a result, not an error. “waived” is what this machine cannot run at all.")
	w.doc.add(t)
	if stderr.Len() > 0 {
		w.doc.fold("Last lines of the workers' error output", code(stderr.String()))
	}
}

// warnings lists all doubts, those of one kind together.
func (w *writer) warnings() {
	w.doc.section("Warnings")
	type kind struct{ code, advice string }
	var kinds []kind
	byKind := map[kind][]finding.Warning{}
	seen := map[finding.Warning]bool{}
	for _, x := range w.r.Warnings {
		if seen[x] {
			continue
		}
		seen[x] = true
		k := kind{x.Code, x.Advice}
		if byKind[k] == nil {
			kinds = append(kinds, k)
		}
		byKind[k] = append(byKind[k], x)
	}
	if len(kinds) == 0 {
		w.doc.say("None.")
		return
	}
	t := table{wrap: true, head: []string{"<warning", "times", "<seen", "<what to do"}}
	all := table{wrap: true, head: []string{"<warning", "<where", "<seen"}}
	for _, k := range kinds {
		first := byKind[k][0]
		seen := text(first.Text)
		if first.Where != "" {
			seen = text(first.Where) + ": " + seen
		}
		if n := len(byKind[k]); n > 1 {
			seen += fmt.Sprintf(" (and %d more)", n-1)
		}
		t.rows = append(t.rows, []string{text(k.code), fmt.Sprint(len(byKind[k])), seen, orNone(k.advice)})
		for _, x := range byKind[k] {
			all.rows = append(all.rows, []string{text(x.Code), orNone(x.Where), text(x.Text)})
		}
	}
	w.doc.add(t)
	if len(all.rows) > len(t.rows) {
		w.doc.fold(fmt.Sprintf("Each warning (%d)", len(all.rows)), all)
	}
}

// saidLimit is how much of a prompt or an answer is shown, in characters.
const saidLimit = 300

// said shows an answer of each model that came as a file, so that a reader sees
// whether it computes sense.
func (w *writer) said() {
	if len(w.r.Said) == 0 {
		return
	}
	t := table{wrap: true, head: []string{"<model", "<backend", "<prompt", "<answer"}}
	for _, s := range w.r.Said {
		t.rows = append(t.rows, []string{text(s.Model), text(s.Backend), orNone(shorten(s.Prompt, saidLimit)), orNone(shorten(s.Output, saidLimit))})
	}
	w.doc.section("What the models said")
	w.doc.say("One answer of each model that came as a file, by greedy decoding and as long as the run asked for. It shows that the model computes sense; it does not measure quality.")
	w.doc.add(t)
}

// shorten cuts one line of s to n characters.
func shorten(s string, n int) string {
	r := []rune(clean(s))
	if len(r) <= n {
		return string(r)
	}
	return strings.TrimSpace(string(r[:n])) + "…"
}
