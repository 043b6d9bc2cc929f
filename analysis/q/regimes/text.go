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

// mixed stands for a model whose scenarios have several regimes.
const mixed = "by scenario"

// section says which regime holds at which sizes.
func (a *Answer) section() doc.Section {
	if len(a.Budgets) == 0 {
		return doc.Section{}
	}
	rows := a.rows()
	sec := doc.Section{Title: a.title(), Place: Place, Warned: []string{"above_ceiling", "broken_ceilings", "broken_profile"}}
	longest := map[cells.Series]int{}
	for _, r := range rows {
		longest[r.Series.Series] = max(longest[r.Series.Series], r.tokens)
	}
	main := slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
		return r.mode == record.ModePrefill && r.tokens != longest[r.Series.Series] || len(r.spans) == 1 && r.spans[0].regime == Unknown
	})
	sec.Add(doc.Pictures(MapKind))
	sec.Show(rowTable(main), "regimes.csv")
	if len(main) < len(rows) {
		sec.Fold(fmt.Sprintf("Each backend and length of the prompt (%d)", len(rows)), rowTable(rows))
	}
	a.splits(&sec)
	how := "Each cell's time is a fixed cost (on a GPU with the host's part), reading at the rate that the probe measured, computing, and a residual. The largest part is the regime, unless another may be as large."
	if !slices.ContainsFunc(a.Budgets, func(b Budget) bool { return b.ReadMS != nil }) {
		how = "Each cell's time is a fixed cost, computing (no probe tells it from reading the weights), and a residual. The largest part is the regime, unless another may be as large."
	}
	sec.Fold(fmt.Sprintf("Where the time of each cell goes (%d)", len(a.Budgets)), doc.Paragraph(how), doc.TableOf(a.Budgets, columns))
	return sec
}

// row is what bounds a series in a mode at one length of the prompt.
type row struct {
	prose.Series
	mode   string
	tokens int // of a sequence's prompt, of prefill
	spans  []span
	share  doc.Span // of the ceiling, at the largest size
}

// span is neighbouring sizes with one regime.
type span struct {
	regime   string
	from, to *Budget
	models   int
}

// rows are those of decode first.
func (a *Answer) rows() (out []row) {
	type key struct {
		cells.Series
		mode   string
		tokens int
	}
	keys, of := stats.GroupBy(a.those(func(*Budget) bool { return true }), func(b *Budget) key {
		if b.Mode == record.ModePrefill {
			return key{b.Series(), b.Mode, b.Tokens / b.BatchSize}
		}
		return key{b.Series(), b.Mode, 0}
	})
	slices.SortStableFunc(keys, func(x, y key) int { return cmp.Or(strings.Compare(x.mode, y.mode), x.tokens-y.tokens) })
	for _, k := range keys {
		r := row{Series: prose.Series{Series: k.Series}, mode: k.mode, tokens: k.tokens}
		models, byModel := stats.GroupBy(of[k], func(b *Budget) string { return b.Model })
		slices.SortStableFunc(models, func(x, y string) int {
			return cmp.Compare(cells.OrInf(byModel[x][0].ParamsM), cells.OrInf(byModel[y][0].ParamsM))
		})
		for _, m := range models {
			mine := byModel[m]
			w := Agreed(mine)
			if n := len(r.spans); n > 0 && r.spans[n-1].regime == w {
				r.spans[n-1].to, r.spans[n-1].models = mine[0], r.spans[n-1].models+1
			} else {
				r.spans = append(r.spans, span{w, mine[0], mine[0], 1})
			}
			r.share = doc.Span{}
			for _, b := range mine {
				r.share.Add(b.Share)
			}
		}
		out = append(out, r)
	}
	return out
}

// Agreed is the regime of a model's cells: that of those of which one is told, if they
// are most and agree.
func Agreed(all []*Budget) string {
	regimes, of := stats.GroupBy(all, func(b *Budget) string { return b.Regime })
	regimes = slices.DeleteFunc(regimes, func(r string) bool { return r == Unknown })
	switch {
	case len(regimes) > 1:
		return mixed
	case len(regimes) == 1 && 2*len(of[regimes[0]]) > len(all):
		return regimes[0]
	}
	return Unknown
}

// size is a model's in millions, or its name where that is not known.
func size(b *Budget) string {
	if b.ParamsM == nil {
		return b.Model
	}
	return doc.Millions(*b.ParamsM)
}

// title is the finding about decode, else prefill, of the series that leads.
func (a *Answer) title() string {
	s := a.Budgets[0].Series()
	if lead, ok := prose.Lead(a.set); ok {
		s = lead.Series
	}
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		if said := a.Says(s, mode); said.Text != "" {
			return said.Text
		}
	}
	return "Regimes"
}

// rowTable has the sizes of each regime in a column.
func rowTable(rows []row) doc.Table {
	columns := []doc.Column[row]{
		{Head: "<mode", Cell: func(r row) string {
			if r.tokens > 0 {
				return fmt.Sprintf("%s, %s", prose.Mode(r.mode), doc.Count(r.tokens, "token", "tokens"))
			}
			return prose.Mode(r.mode)
		}},
		{Head: "<backend", Cell: func(r row) string { return r.Series.String() }},
	}
	for _, regime := range append(slices.Clone(colours), mixed) {
		columns = append(columns, doc.Column[row]{Head: "<" + regime, Cell: func(r row) string {
			var parts []string
			for _, s := range r.spans {
				if s.regime != regime {
					continue
				}
				at := size(s.from)
				if to := size(s.to); to != at {
					at += " to " + to
				}
				parts = append(parts, doc.Text(at))
			}
			return doc.OrPlain(strings.Join(parts, ", "))
		}})
	}
	return doc.TableOf(rows, append(columns, doc.Column[row]{Head: "of the bandwidth, at the largest (%)", Cell: func(r row) string {
		if !r.share.Known {
			return doc.Unknown
		}
		return r.share.Percent()
	}}))
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
	{Head: "of the bandwidth (%)", Cell: func(b Budget) string { return doc.Percent(b.Share) }},
	{Head: "<regime", Cell: regimeText},
}

func regimeText(b Budget) string {
	switch {
	case len(b.Between) > 0:
		return strings.Join(b.Between, " or ")
	case b.Regime == Unknown:
		return Unknown + ": " + doc.Text(b.Reason)
	case b.Regime == Wall:
		return Wall + ": " + doc.Text(b.Reason)
	}
	return b.Regime
}

// ceilings are what the run's devices can do.
func (a *Answer) ceilings() doc.Section {
	if len(a.Devices) == 0 {
		return doc.Section{}
	}
	sec := doc.Section{Title: "Ceilings"}
	sec.Say("The most that this machine did before the first cell. Between two measured sizes the ceiling is that of the smaller.")
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
	{Head: "f32 multiply-adds (Tflop/s)", Cell: func(d Device) string { return doc.NumberOf(d.FMA32) }},
	{Head: "tensor cores, f16 (Tflop/s)", Cell: func(d Device) string { return doc.NumberOf(d.TensorHF) }},
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
	order, of := stats.GroupBy(a.those(func(b *Budget) bool { return b.Share != nil }), (*Budget).Series)
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
