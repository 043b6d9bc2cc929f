package weights

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// Sections set the weight types of a model side by side, where one was measured in
// several.
func (a *Answer) Sections() []doc.Section {
	if len(a.WeightTypes) == 0 {
		return nil
	}
	sec := doc.Section{Title: "Weight types"}
	sec.Say("The same model in several weight types, on one device and with the same runtime options. Ratios are to the type that reads most bytes per token; their 95 %% intervals are by paired t over the blocks that measured both; where each type was measured by one process they hold within one process, and another one may differ by some percent. Decode is the geometric mean over the scenarios. “Over its bytes” is decode time against what the bytes alone would take at the rate of that type, with as large a cost per token common to all types as their times leave room for; a type whose interval lies above %s %% was bound by computing, which is dequantising, not by memory. “Off the line” is against the line over the types.", doc.Size(100*Tolerance))
	for _, s := range append(a.Sentences(), a.lineSentences()...) {
		sec.Add(doc.Paragraph(s))
	}
	sec.Add(doc.Pictures(kind), a.table())
	return []doc.Section{sec}
}

func (a *Answer) table() doc.Table {
	var scenarios []string
	for i := range a.WeightTypes {
		for _, at := range a.WeightTypes[i].Types[0].Times {
			if at.Scenario != cells.AllScenarios && !slices.Contains(scenarios, at.Scenario) {
				scenarios = append(scenarios, at.Scenario)
			}
		}
	}
	t := doc.Table{Head: []string{"<model", "<backend", "<weights", "bits per weight", "read per token (MB)"}}
	for _, s := range scenarios {
		t.Head = append(t.Head, fmt.Sprintf("prefill %s (ms)", doc.Text(s)))
	}
	interval := "95 %" + prose.Within(a.WeightTypes[0].Types[0].All().Basis)
	t.Head = append(t.Head, "decode (ms/token)", "ratio", interval, "weights read (GB/s)", "over its bytes (%)", interval, "off the line (%)")
	for i := range a.WeightTypes {
		c := &a.WeightTypes[i]
		for j := range c.Types {
			x := &c.Types[j]
			row := []string{doc.Text(c.Model), prose.Of(x.Backend, c.BatchSize).String(), doc.Text(x.WeightType), doc.Fixed(x.BitsPerWeight, 2), doc.Number(x.MB())}
			for _, s := range scenarios {
				ms := doc.Unknown
				for _, at := range x.Times {
					if at.Scenario == s {
						ms = doc.NumberOf(at.PrefillMS)
					}
				}
				row = append(row, ms)
			}
			all := x.All()
			row = append(row, doc.Number(all.DecodeMS), doc.Fixed(&all.DecodeRatio, 3), doc.Interval(all.DecodeRatioCI, 3), doc.Number(all.GBPerS),
				excess(x.OverBytes), excessInterval(x.OverBytesCI), doc.SignedPercent(x.Residual))
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// excess is a ratio as a signed percentage above 1.
func excess(ratio *float64) string {
	if ratio == nil {
		return doc.Unknown
	}
	return doc.SignedTenth(100 * (*ratio - 1))
}

func excessInterval(i *stats.Interval) string {
	if i == nil {
		return doc.Unknown
	}
	return excess(&i.Low) + " to " + excess(&i.High)
}

// Sentences say which type is fastest and whether decode follows the bytes:
// two sentences for a model that stands alone on its device, else two for all.
func (a *Answer) Sentences() []string {
	type group struct {
		kind, device, at string
		batch            int
	}
	var groups []group
	by := map[group][]*Verdict{}
	for i := range a.Answers.WeightTypes {
		v := &a.Answers.WeightTypes[i]
		g := group{v.BackendKind, v.Device, v.At, v.BatchSize}
		if by[g] == nil {
			groups = append(groups, g)
		}
		by[g] = append(by[g], v)
	}
	var out []string
	for _, g := range groups {
		where := "on this machine"
		if len(groups) > 1 {
			where += ", " + strings.Trim(doc.Text(g.kind)+" on "+doc.Text(g.device), " ")
		}
		if g.at != "" {
			where += ", at " + doc.Text(g.at)
		}
		if g.batch > 1 {
			where += fmt.Sprintf(" at batch %d", g.batch)
		}
		if as := by[g]; len(as) == 1 {
			out = append(out, fastestSentence(as[0], where), bytesSentence(as[0], where))
		} else {
			out = append(out, fastestOverModels(as, where), bytesOverModels(as, where))
		}
	}
	return out
}

func fastestSentence(a *Verdict, where string) string {
	s := fmt.Sprintf("**Weight types** of %s (%s) %s, by the medians%s: decode is fastest in %s", doc.Text(a.Model), doc.Params(a.ParamsM), where, ofOne(a.Decode.Basis), lead(&a.Decode, a.Base, a.NTypes))
	if p := a.Prefill; p != nil {
		s += fmt.Sprintf("; prefill of %s is fastest in %s", promptText(p.PromptTokens), lead(p, a.Base, a.NTypes))
		if p.Slowest != a.Base && p.SlowestRatio > 1 {
			s += fmt.Sprintf(", and slowest in %s (%s times the time of %s%s)", doc.Text(p.Slowest), doc.Fixed(&p.SlowestRatio, 2), doc.Text(a.Base), tail(prose.OfRatio(p.SlowestRatioCI, p.Basis, 2)))
		}
	}
	return s + "."
}

func promptText(tokens *float64) string {
	if tokens == nil {
		return "the longest prompt"
	}
	return doc.Count(int(*tokens), "token", "tokens")
}

// lead names the fastest type, by how much it leads the one with most bytes,
// and whether the calls can tell the next from it. A lead is bold where its interval
// lies on one side of 1.
func lead(f *Fastest, base string, types int) string {
	s := fmt.Sprintf("**%s**", doc.Text(f.Type))
	if f.Type == base {
		s += ", which reads most bytes"
	} else {
		by := doc.Fixed(&f.BaseRatio, 2) + " times"
		if !holdsOne(f.BaseRatioCI) {
			by = "**" + by + "**"
		}
		s += fmt.Sprintf(", %s as fast as in %s, which reads most bytes%s", by, doc.Text(base), prose.OfRatio(f.BaseRatioCI, f.Basis, 2))
		if types == 2 {
			if holdsOne(f.BaseRatioCI) {
				s += ", and the calls do not tell the two apart"
			}
			return s
		}
	}
	if holdsOne(f.NextRatioCI) {
		return s + fmt.Sprintf(", and the calls do not tell it from %s (%s times its time%s)", doc.Text(f.Next), doc.Fixed(&f.NextRatio, 2), tail(prose.OfRatio(f.NextRatioCI, f.Basis, 2)))
	}
	return s + fmt.Sprintf(", and %s times as fast as in %s, the next%s", doc.Fixed(&f.NextRatio, 2), doc.Text(f.Next), prose.OfRatio(f.NextRatioCI, f.Basis, 2))
}

// tail puts what prose.OfRatio has in brackets behind a comma.
func tail(s string) string { return ", " + strings.Trim(s, " ()") }

// holdsOne reports whether an interval leaves it open which of two is faster; so
// does none at all.
func holdsOne(i *stats.Interval) bool { return i == nil || i.Low <= 1 && i.High >= 1 }

func names(types []string) string {
	escaped := make([]string, len(types))
	for i, t := range types {
		escaped[i] = doc.Text(t)
	}
	return doc.Join(escaped)
}

// withinProcess is said of every verdict that rests on the calls alone.
func withinProcess(basis string) string {
	if within := prose.Within(basis); within != "" {
		return "," + within + " of each type"
	}
	return ""
}

func ofOne(basis string) string {
	if basis == cells.BasisProcesses {
		return ""
	}
	return " of one process each"
}

func bytesSentence(a *Verdict, where string) string {
	tolerance := doc.Size(100*a.Tolerance) + " %"
	c := a.of
	if a.Verdict == "unknown" {
		return fmt.Sprintf("Whether decode time of %s follows the bytes that a token reads is **unknown** %s: %s.", doc.Text(a.Model), where, doc.Text(a.Why))
	}
	where += withinProcess(a.Decode.Basis)
	over := func(types []string) string {
		var parts []string
		for _, name := range types {
			for i := range c.Types {
				if t := &c.Types[i]; c.Name(t) == name {
					parts = append(parts, fmt.Sprintf("%s (%s %%)", doc.Text(name), excess(t.OverBytes)))
				}
			}
		}
		return doc.Join(parts)
	}
	rate := fmt.Sprintf("at the rate of %s (%s GB/s) and with at most %s ms per token common to all types", doc.Text(a.Base), doc.Number(c.Types[0].All().GBPerS), doc.Number(*c.SharedFixedMS))
	var s string
	switch a.Verdict {
	case "follows":
		return fmt.Sprintf("Decode **follows the bytes** that a token reads %s: every type takes what its bytes take %s, within %s.", where, rate, tolerance)
	case "slower":
		is := "these types are"
		if len(a.Slower) == 1 {
			is = "this type is"
		}
		s = fmt.Sprintf("Decode does **not follow the bytes** in %s %s: longer by more than %s than the bytes take %s, so %s bound by dequantising, not by memory.", over(a.Slower), where, tolerance, rate, is)
	case "faster":
		s = fmt.Sprintf("Whether decode follows the bytes is **unknown** %s.", where)
	default:
		return fmt.Sprintf("Whether decode follows the bytes that a token reads within %s is **unknown** %s: open for %s, against what the bytes take %s.", tolerance, where, over(a.Open), rate)
	}
	if len(a.Faster) > 0 {
		s += fmt.Sprintf(" %s: shorter by more than %s than the bytes take %s, so %s is not bound by memory, or a lighter type stays in a cache.", doc.Upper(over(a.Faster)), tolerance, rate, doc.Text(a.Base))
	}
	if len(a.Open) > 0 {
		s += fmt.Sprintf(" For %s it is open.", over(a.Open))
	}
	if rest := followers(c, a); len(rest) > 0 {
		s += fmt.Sprintf(" In %s it does, within %s.", over(rest), tolerance)
	}
	return s
}

// followers are the lighter types of which nothing else is said.
func followers(c *Comparison, a *Verdict) (out []string) {
	said := slices.Concat([]string{c.Base}, a.Slower, a.Faster, a.Open)
	for i := range c.Types {
		if name := c.Name(&c.Types[i]); !slices.Contains(said, name) {
			out = append(out, name)
		}
	}
	return out
}

// fastestOverModels says the same of several models, by the type that is fastest.
func fastestOverModels(as []*Verdict, where string) string {
	say := func(of func(*Verdict) *Fastest) string {
		var order []string
		by := map[string][]*Verdict{}
		n := 0
		for _, a := range as {
			f := of(a)
			if f == nil {
				continue
			}
			n++
			if by[f.Type] == nil {
				order = append(order, f.Type)
			}
			by[f.Type] = append(by[f.Type], a)
		}
		slices.SortStableFunc(order, func(x, y string) int { return len(by[y]) - len(by[x]) })
		var parts []string
		for _, typ := range order {
			var models []string
			lo, hi, led, alike := math.Inf(1), 0.0, 0, 0
			for _, a := range by[typ] {
				models = append(models, doc.Text(a.Model))
				if f := of(a); f.Type != a.Base {
					lo, hi, led = min(lo, f.BaseRatio), max(hi, f.BaseRatio), led+1
				}
				if holdsOne(of(a).NextRatioCI) {
					alike++
				}
			}
			on := "on " + doc.Join(models)
			if len(models) == n {
				on = fmt.Sprintf("on all %d models", n)
			} else if len(models) > 3 {
				on = fmt.Sprintf("on %d of %d models", len(models), n)
			}
			s := fmt.Sprintf("in **%s** %s", doc.Text(typ), on)
			var notes []string
			if led > 0 {
				notes = append(notes, fmt.Sprintf("%s to %s times as fast as in the type that reads most bytes", doc.Fixed(&lo, 2), doc.Fixed(&hi, 2)))
			}
			if alike > 0 {
				notes = append(notes, fmt.Sprintf("on %d of %d the calls do not tell it from the next", alike, len(models)))
			}
			if len(notes) > 0 {
				s += " (" + strings.Join(notes, "; ") + ")"
			}
			parts = append(parts, s)
		}
		return doc.Join(parts)
	}
	s := fmt.Sprintf("**Weight types** %s, by the medians%s: decode is fastest %s", where, ofOne(as[0].Decode.Basis), say(func(a *Verdict) *Fastest { return &a.Decode }))
	if p := say(func(a *Verdict) *Fastest { return a.Prefill }); p != "" {
		s += "; prefill of the longest prompt " + p
	}
	return s + "."
}

func bytesOverModels(as []*Verdict, where string) string {
	var slower, follows, open []string
	why := map[string]bool{}
	reason := ""
	for _, a := range as {
		switch a.Verdict {
		case "slower":
			slower = append(slower, fmt.Sprintf("%s on %s", names(a.Slower), doc.Text(a.Model)))
		case "follows":
			follows = append(follows, doc.Text(a.Model))
		default:
			open = append(open, doc.Text(a.Model))
			why[a.Why], reason = true, a.Why
		}
	}
	tolerance, within := doc.Size(100*as[0].Tolerance)+" %", where+withinProcess(as[0].Decode.Basis)
	var parts []string
	if len(slower) > 0 {
		parts = append(parts, fmt.Sprintf("Decode takes longer than its bytes by more than %s in %s %s, which is dequantising, not memory.", tolerance, doc.Join(slower), within))
	}
	if len(follows) > 0 {
		parts = append(parts, fmt.Sprintf("Decode follows the bytes within %s in every type of %s %s.", tolerance, doc.Join(follows), within))
	}
	if len(open) > 0 {
		models := doc.Join(open)
		if len(open) == len(as) {
			models = fmt.Sprintf("all %d models", len(as))
		}
		s := fmt.Sprintf("Whether decode follows the bytes is **unknown** for %s %s", models, where)
		if len(why) == 1 {
			s += ": " + doc.Text(reason)
		}
		parts = append(parts, s+".")
	}
	return strings.Join(parts, " ")
}

// modelAt names the model of a comparison, and its settings where others of it have
// other ones.
func modelAt(c *Comparison) string {
	if c.At == "" {
		return doc.Text(c.Model)
	}
	return doc.Text(c.Model) + " at " + doc.Text(c.At)
}

// lineSentences describe the lines over the types, and say why there are none.
func (a *Answer) lineSentences() []string {
	var out []string
	var order []string
	without := map[string][]string{}
	for i := range a.WeightTypes {
		c := &a.WeightTypes[i]
		f := &c.Fit
		if !f.OK || f.FixedMS == nil || f.MSPerMB == nil {
			if without[f.Reason] == nil {
				order = append(order, f.Reason)
			}
			if name := modelAt(c); !slices.Contains(without[f.Reason], name) {
				without[f.Reason] = append(without[f.Reason], name)
			}
			continue
		}
		s := fmt.Sprintf("Least squares over the %d types of %s: decode takes %s ms per token (95 %% t-interval %s) and %s ms for each 100 MB (%s)", f.NTypes, modelAt(c),
			doc.Number(*f.FixedMS), doc.Numbers(f.FixedT), doc.Number(100**f.MSPerMB), doc.Numbers(stats.Scaled(f.MBT, 100)))
		if f.GBPerS != nil {
			s += fmt.Sprintf(", which is %s GB/s", doc.Number(*f.GBPerS))
		}
		s += fmt.Sprintf("; R² %s, n = %d.", doc.Fixed(f.R2, 3), f.N)
		var far *Type
		var slower []string
		for j := range c.Types {
			t := &c.Types[j]
			if t.Residual == nil {
				continue
			}
			if far == nil || math.Abs(*t.Residual) > math.Abs(*far.Residual) {
				far = t
			}
			if *t.Residual > Tolerance {
				slower = append(slower, c.Name(t))
			}
		}
		if far != nil {
			s += fmt.Sprintf(" Farthest off it is %s (%s %%); slower than the line by more than %s %%: ", doc.Text(c.Name(far)), doc.SignedPercent(far.Residual), doc.Size(100*Tolerance))
			if len(slower) > 0 {
				s += names(slower) + "."
			} else {
				s += "none."
			}
		}
		if c.SharedFixedMS != nil && f.FixedT != nil && *c.SharedFixedMS < f.FixedT.Low {
			s += fmt.Sprintf(" The line's fixed part is not a cost that all types share, for which their times leave room for at most %s ms: it stands for what the light types spend on dequantising.", doc.Number(*c.SharedFixedMS))
		}
		out = append(out, s)
	}
	for _, reason := range order {
		out = append(out, fmt.Sprintf("No line over the types of %s: %s.", doc.Join(without[reason]), doc.Text(reason)))
	}
	return out
}
