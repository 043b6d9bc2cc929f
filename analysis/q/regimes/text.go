package regimes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// Place is the name under which a report finds the section, whose title is the finding.
const Place = "Regimes"

// said is how a sentence calls a regime.
var said = map[string]string{Overhead: "overhead-bound", Cache: "bound by reading the cache", Memory: "memory-bound", Compute: "compute-bound",
	Weights: "bound by the weights", Wall: "behind the memory wall", Unknown: "not told"}

// word is a budget's regime in a sentence.
func word(b *Budget) string { return said[b.Regime] }

// section says which regime dominates at which sizes.
func (a *Answer) section() doc.Section {
	sec := doc.Section{Place: Place}
	if len(a.Budgets) == 0 {
		return sec
	}
	sec.Title = a.title()
	s := "Each cell's time is split into a fixed cost (on a GPU also the host's part), reading at the rate that the probe measured, computing, and a residual; the largest part is the regime, unless another may be as large."
	if !slices.ContainsFunc(a.Budgets, func(b Budget) bool { return b.ReadMS != nil }) {
		s = "Each cell's time is split into a fixed cost, computing (which holds reading the weights, as no probe tells them apart), and a residual; the largest part is the regime, unless another may be as large."
	}
	sec.Add(doc.Paragraph(s))
	for _, s := range a.ranges() {
		sec.Add(doc.Paragraph(s))
	}
	sec.Add(doc.Pictures(MapKind))
	a.splits(&sec)
	sec.FoldAbove(40, "Where the time of each cell goes", doc.TableOf(a.Budgets, columns))
	return sec
}

// title is the finding over all backends: the regimes of most cells of each mode.
func (a *Answer) title() string {
	var parts []string
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		var mine []*Budget
		for i := range a.Budgets {
			if b := &a.Budgets[i]; b.Mode == mode {
				mine = append(mine, b)
			}
		}
		if len(mine) == 0 {
			continue
		}
		regimes, of := stats.GroupBy(mine, word)
		slices.SortStableFunc(regimes, func(x, y string) int {
			told := func(s string) int {
				if s == said[Unknown] { // comes last
					return -1
				}
				return len(of[s])
			}
			return told(y) - told(x)
		})
		first, rest := regimes[0], ""
		if len(regimes) > 1 {
			rest = fmt.Sprintf(" in %d of %s", len(of[first]), doc.Count(len(mine), "cell", "cells"))
			if next := regimes[1]; 2*len(of[first]) <= len(mine) && next != said[Unknown] {
				rest = fmt.Sprintf(" in %d and %s in %d of %s", len(of[first]), next, len(of[next]), doc.Count(len(mine), "cell", "cells"))
			}
		}
		if n := len(of[said[Unknown]]); first != said[Unknown] && n > len(of[first]) {
			rest = fmt.Sprintf(" in %d and not told in %d of %s", len(of[first]), n, doc.Count(len(mine), "cell", "cells"))
		}
		if first == said[Unknown] {
			parts = append(parts, fmt.Sprintf("what bounds %s is not told", prose.Mode(mode)))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s is %s%s", prose.Mode(mode), first, rest))
	}
	return doc.Upper(strings.Join(parts, ", "))
}

// span is neighbouring sizes with one regime.
type span struct {
	regime   string
	from, to *Budget
	models   int
}

// agreed is the regime of a model's cells in words: that of those of which one is told,
// if they are most and agree.
func agreed(all []*Budget) string {
	regimes, of := stats.GroupBy(all, word)
	for _, r := range regimes {
		if r != said[Unknown] && len(regimes) <= 2 && len(of[r])+len(of[said[Unknown]]) == len(all) && 2*len(of[r]) > len(all) {
			return r
		}
	}
	if len(regimes) == 1 {
		return regimes[0]
	}
	regimes = slices.DeleteFunc(regimes, func(r string) bool { return r == said[Unknown] })
	if len(regimes) < 2 {
		return said[Unknown]
	}
	return doc.Join(regimes) + ", by the scenario"
}

// ranges say for each series, mode and number of tokens which regime holds at which
// sizes.
func (a *Answer) ranges() []string {
	type key struct {
		cells.Series
		mode   string
		tokens int
	}
	var all []*Budget
	prompts := map[int]bool{}
	for i := range a.Budgets {
		all = append(all, &a.Budgets[i])
		if b := &a.Budgets[i]; b.Mode == record.ModePrefill {
			prompts[b.Tokens/b.BatchSize] = true
		}
	}
	keys, of := stats.GroupBy(all, func(b *Budget) key {
		k := key{b.Series(), b.Mode, 0}
		if b.Mode == record.ModePrefill && len(prompts) > 1 {
			k.tokens = b.Tokens / b.BatchSize
		}
		return k
	})
	slices.SortStableFunc(keys, func(x, y key) int { return cmp.Or(strings.Compare(x.mode, y.mode), x.tokens-y.tokens) })
	fold := prose.Folder{Total: len(prose.Measured(a.set))}
	for _, k := range keys {
		var spans []span
		models, byModel := stats.GroupBy(of[k], func(b *Budget) string { return b.Model })
		slices.SortStableFunc(models, func(x, y string) int {
			return cmp.Compare(cells.OrInf(byModel[x][0].ParamsM), cells.OrInf(byModel[y][0].ParamsM))
		})
		for _, m := range models {
			mine := byModel[m]
			w := agreed(mine)
			if n := len(spans); n > 0 && spans[n-1].regime == w {
				spans[n-1].to, spans[n-1].models = mine[0], spans[n-1].models+1
				continue
			}
			spans = append(spans, span{w, mine[0], mine[0], 1})
		}
		var parts []string
		for _, s := range spans {
			where := "at " + doc.Text(s.from.Model)
			if s.models > 1 {
				where = fmt.Sprintf("from %s to %s", doc.Text(s.from.Model), doc.Text(s.to.Model))
			}
			if len(spans) == 1 {
				where = "at all sizes"
			}
			parts = append(parts, fmt.Sprintf("**%s** %s", s.regime, where))
		}
		what := doc.Upper(prose.Mode(k.mode))
		if k.tokens > 0 {
			what += " of " + doc.Count(k.tokens, "token", "tokens")
		}
		fold.Add(prose.Series{Series: k.Series}, fmt.Sprintf("%s on %s is %s.", what, prose.Some, doc.Join(parts)))
	}
	return fold.List()
}

var columns = []doc.Column[Budget]{
	{Head: "<backend", Cell: func(b Budget) string { return prose.Of(b.Backend, b.BatchSize).String() }},
	{Head: "<model", Cell: func(b Budget) string { return doc.Text(b.Model) }},
	{Head: "<mode", Cell: func(b Budget) string { return prose.Mode(b.Mode) }},
	{Head: "<scenario", Cell: func(b Budget) string { return doc.Text(b.Scenario) }},
	{Head: "tokens", Cell: func(b Budget) string { return doc.NumberText(b.Tokens) }},
	{Head: "time (ms)", Cell: func(b Budget) string { return doc.NumberOf(b.TimeMS) }},
	{Head: "host (%)", Cell: func(b Budget) string { return doc.Percent(b.part(b.HostMS)) }},
	{Head: "fixed (%)", Cell: func(b Budget) string { return doc.Percent(b.part(b.FixedMS)) }},
	{Head: "reading (%)", Cell: func(b Budget) string { return doc.Percent(b.part(b.ReadMS)) }},
	{Head: "computing (%)", Cell: func(b Budget) string { return doc.Percent(b.part(b.ComputeMS)) }},
	{Head: "overlap (%)", Cell: func(b Budget) string { return doc.Percent(b.part(b.OverlapMS)) }},
	{Head: "residual (%)", Cell: func(b Budget) string { return doc.Percent(b.part(b.ResidualMS)) }},
	{Head: "of the ceiling (%)", Cell: func(b Budget) string { return doc.Percent(b.Share) }},
	{Head: "<regime", Cell: regimeText},
}

func regimeText(b Budget) string {
	switch {
	case len(b.Between) > 0:
		return strings.Join(b.Between, " or ")
	case b.Regime == Unknown:
		return Unknown + ": " + doc.Text(b.Reason)
	}
	return b.Regime
}

// ceilings are what the run's devices can do.
func (a *Answer) ceilings() doc.Section {
	if len(a.Devices) == 0 {
		return doc.Section{}
	}
	sec := doc.Section{Title: "Ceilings"}
	sec.Say("What this machine could do at most, measured before the first cell. Between two measured sizes the ceiling is that of the smaller, so that nothing honest exceeds it.")
	sec.Add(doc.TableOf(a.Devices, deviceColumns))
	for _, d := range a.Devices {
		if m := d.Missing; len(d.Read) == 0 && len(m) > 0 {
			var parts []string
			for _, what := range slices.Sorted(maps.Keys(m)) {
				parts = append(parts, doc.Text(what)+" ("+doc.Text(m[what])+")")
			}
			sec.Say("Of %s nothing was read: not measured are %s.", doc.Text(d.title()), strings.Join(parts, ", "))
		}
	}
	sec.Add(doc.Pictures(figureKind))
	return sec
}

var deviceColumns = []doc.Column[Device]{
	{Head: "<device", Cell: func(d Device) string { return doc.Text(d.title()) }},
	{Head: "<name", Cell: func(d Device) string { return doc.Text(d.Name) }},
	{Head: "fastest reading (GB/s)", Cell: reads(fastest, gbPerS)},
	{Head: "of (MB)", Cell: reads(fastest, megabytes)},
	{Head: "reading of the largest (GB/s)", Cell: reads(largest, gbPerS)},
	{Head: "of (MB)", Cell: reads(largest, megabytes)},
	{Head: "share of the driver's peak (%)", Cell: func(d Device) string { return doc.Percent(d.PeakShare) }},
	{Head: "f32 multiply-adds (Tflop/s)", Cell: func(d Device) string { return doc.NumberOf(d.FMA32) }},
	{Head: "tensor cores, f16 (Tflop/s)", Cell: func(d Device) string { return doc.NumberOf(d.TensorHF) }},
	{Head: "starting work (µs)", Cell: func(d Device) string { return doc.NumberOf(d.StartUS) }},
	{Head: "<by", Cell: func(d Device) string { return doc.OrPlain(doc.Text(strings.ReplaceAll(d.StartHow, "_", " "))) }},
}

// reads gives a column what one of a device's rates says, where it has rates.
func reads(pick func([]ceilings.Rate) ceilings.Rate, say func(ceilings.Rate) float64) func(Device) string {
	return func(d Device) string {
		if len(d.Read) == 0 {
			return doc.Unknown
		}
		return doc.Number(say(pick(d.Read)))
	}
}

func fastest(all []ceilings.Rate) ceilings.Rate {
	return slices.MaxFunc(all, func(a, b ceilings.Rate) int { return cmp.Compare(a.BytesPerS, b.BytesPerS) })
}

func largest(all []ceilings.Rate) ceilings.Rate { return all[len(all)-1] }
func gbPerS(r ceilings.Rate) float64            { return r.BytesPerS / 1e9 }
func megabytes(r ceilings.Rate) float64         { return float64(r.WorkingSetB) / 1e6 }

// aboveCeiling warns where a backend reads faster than the machine can: one of the two
// figures is wrong.
func (a *Answer) aboveCeiling() {
	var known []*Budget
	for i := range a.Budgets {
		if b := &a.Budgets[i]; b.Share != nil {
			known = append(known, b)
		}
	}
	order, of := stats.GroupBy(known, func(b *Budget) cells.Series { return b.Series() })
	for _, s := range order {
		above := 0
		for _, b := range of[s] {
			if *b.Share > 1 {
				above++
			}
		}
		if above == 0 {
			continue
		}
		worst := slices.MaxFunc(of[s], func(x, y *Budget) int { return cmp.Compare(*x.Share, *y.Share) })
		a.Warn("above_ceiling", s.Backend,
			fmt.Sprintf("%d of %d cells read faster than the probe found possible; the most in %s of %s, scenario %s: %.4g GB/s, %.1f %% of the %.4g GB/s measured for its %.4g MB",
				above, len(of[s]), prose.Mode(worst.Mode), worst.Model, worst.Scenario, *worst.GBPerS, 100**worst.Share, *worst.Ceiling, float64(worst.Bytes())/1e6),
			"the probe was disturbed, or ran at lower clocks than the calls: run `llmscale probe` while nothing else runs and compare, or resume the run, which probes again; if that figure stays, a pass reads less than bytes_read_per_token says, and the reading of these cells is to be left out")
	}
}
