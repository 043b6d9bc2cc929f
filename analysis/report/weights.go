package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/plot"
	"llmscale/analysis/stats"
)

// weights sets the weight types of a model side by side, where one was measured
// in several.
func (w *writer) weights() {
	if len(w.r.WeightTypes) == 0 {
		return
	}
	w.doc.section("Weight types")
	w.doc.say("The same model in several weight types, on one device and with the same runtime options. Ratios are to the type that reads most bytes per token; their 95 %% intervals come from the calls of one process each: they hold within one process, and another one may differ by some percent. Decode is the geometric mean over the scenarios. “Over its bytes” is decode time against what the bytes alone would take at the rate of that type, with as large a cost per token common to all types as their times leave room for; a type whose interval lies above %s %% was bound by computing, which is dequantising, not by memory, in the process that was measured. “Off the line” is against the line over the types.", size(100*analysis.ByteTolerance))
	for _, s := range w.weightSentences() {
		w.doc.add(paragraph(s))
	}
	for _, s := range w.lineSentences() {
		w.doc.add(paragraph(s))
	}
	w.figures(plot.KindWeights)
	w.doc.add(w.weightTable())
}

func (w *writer) weightTable() table {
	var scenarios []string
	for i := range w.r.WeightTypes {
		for _, at := range w.r.WeightTypes[i].Types[0].Times {
			if at.Scenario != cells.AllScenarios && !slices.Contains(scenarios, at.Scenario) {
				scenarios = append(scenarios, at.Scenario)
			}
		}
	}
	t := table{head: []string{"<model", "<backend", "<weights", "bits per weight", "read per token (MB)"}}
	for _, s := range scenarios {
		t.head = append(t.head, fmt.Sprintf("prefill %s (ms)", text(s)))
	}
	t.head = append(t.head, "decode (ms/token)", "ratio", "95 % within one process", "weights read (GB/s)", "over its bytes (%)", "95 % within one process", "off the line (%)")
	for i := range w.r.WeightTypes {
		c := &w.r.WeightTypes[i]
		for j := range c.Types {
			x := &c.Types[j]
			row := []string{text(c.Model), series(x.Backend, c.BatchSize), text(x.WeightType), fixed(x.BitsPerWeight, 2), number(x.MB())}
			for _, s := range scenarios {
				ms := none
				for _, at := range x.Times {
					if at.Scenario == s {
						ms = numberOf(at.PrefillMS)
					}
				}
				row = append(row, ms)
			}
			all := x.All()
			row = append(row, number(all.DecodeMS), fixed(&all.DecodeRatio, 3), interval(all.DecodeRatioCI, 3), number(all.GBPerS),
				excess(x.OverBytes), excessInterval(x.OverBytesCI), signedPercent(x.Residual))
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// excess is a ratio as a signed percentage above 1.
func excess(ratio *float64) string {
	if ratio == nil {
		return none
	}
	return signedTenth(100 * (*ratio - 1))
}

func excessInterval(i *stats.Interval) string {
	if i == nil {
		return none
	}
	return excess(&i.Low) + " to " + excess(&i.High)
}

func signedPercent(v *float64) string {
	if v == nil {
		return none
	}
	return signedTenth(100 * *v)
}

func signedTenth(v float64) string {
	v = math.Round(10*v)/10 + 0 // never -0
	s := fixed(&v, 1)
	if v > 0 {
		return "+" + s
	}
	return s
}

// weightSentences say which type is fastest and whether decode follows the bytes:
// two sentences for a model that stands alone on its device, else two for all.
func (w *writer) weightSentences() list {
	type group struct {
		kind, device, at string
		batch            int
	}
	var groups []group
	by := map[group][]analysis.WeightTypeAnswer{}
	for _, a := range w.r.Answers.WeightTypes {
		g := group{a.BackendKind, a.Device, a.At, a.BatchSize}
		if by[g] == nil {
			groups = append(groups, g)
		}
		by[g] = append(by[g], a)
	}
	var out list
	for _, g := range groups {
		where := "on this machine"
		if len(groups) > 1 {
			where += ", " + strings.Trim(text(g.kind)+" on "+text(g.device), " ")
		}
		if g.at != "" {
			where += ", at " + text(g.at)
		}
		if g.batch > 1 {
			where += fmt.Sprintf(" at batch %d", g.batch)
		}
		if as := by[g]; len(as) == 1 {
			out = append(out, fastestSentence(as[0], where), w.bytesSentence(as[0], where))
		} else {
			out = append(out, fastestOverModels(as, where), bytesOverModels(as, where))
		}
	}
	return out
}

func fastestSentence(a analysis.WeightTypeAnswer, where string) string {
	s := fmt.Sprintf("**Weight types** of %s (%s) %s, by the medians of one process each: decode is fastest in %s", text(a.Model), params(a.ParamsM), where, raceText(&a.Decode, a.Base, a.NTypes))
	if p := a.Prefill; p != nil {
		s += fmt.Sprintf("; prefill of %s is fastest in %s", promptText(p.PromptTokens), raceText(p, a.Base, a.NTypes))
		if p.Slowest != a.Base && p.SlowestRatio > 1 {
			s += fmt.Sprintf(", and slowest in %s (%s times the time of %s%s)", text(p.Slowest), fixed(&p.SlowestRatio, 2), text(a.Base), tail(ofRatio(p.SlowestRatioCI, 2)))
		}
	}
	return s + "."
}

func promptText(tokens *float64) string {
	if tokens == nil {
		return "the longest prompt"
	}
	return count(int(*tokens), "token", "tokens")
}

// raceText names the fastest type, by how much it leads the one with most bytes,
// and whether the calls can tell the next from it. A lead is bold where its interval
// lies on one side of 1.
func raceText(f *analysis.FastestType, base string, types int) string {
	s := fmt.Sprintf("**%s**", text(f.Type))
	if f.Type == base {
		s += ", which reads most bytes"
	} else {
		lead := fixed(&f.BaseRatio, 2) + " times"
		if !holdsOne(f.BaseRatioCI) {
			lead = "**" + lead + "**"
		}
		s += fmt.Sprintf(", %s as fast as in %s, which reads most bytes%s", lead, text(base), ofRatio(f.BaseRatioCI, 2))
		if types == 2 {
			if holdsOne(f.BaseRatioCI) {
				s += ", and the calls do not tell the two apart"
			}
			return s
		}
	}
	if holdsOne(f.NextRatioCI) {
		return s + fmt.Sprintf(", and the calls do not tell it from %s (%s times its time%s)", text(f.Next), fixed(&f.NextRatio, 2), tail(ofRatio(f.NextRatioCI, 2)))
	}
	return s + fmt.Sprintf(", and %s times as fast as in %s, the next%s", fixed(&f.NextRatio, 2), text(f.Next), ofRatio(f.NextRatioCI, 2))
}

// ofRatio is the interval of a ratio of times behind it. Its calls come from one
// process on either side, so it says nothing of what another process would take.
func ofRatio(i *stats.Interval, decimals int) string {
	if i == nil {
		return " (no interval)"
	}
	return fmt.Sprintf(" (95 %% %s within one process)", interval(i, decimals))
}

// tail puts what ofRatio has in brackets behind a comma.
func tail(s string) string { return ", " + strings.Trim(s, " ()") }

// holdsOne reports whether an interval leaves it open which of two is faster; so
// does none at all.
func holdsOne(i *stats.Interval) bool { return i == nil || i.Low <= 1 && i.High >= 1 }

func names(types []string) string {
	escaped := make([]string, len(types))
	for i, t := range types {
		escaped[i] = text(t)
	}
	return join(escaped)
}

// comparison is the Result's comparison that an answer is about.
func (w *writer) comparison(a analysis.WeightTypeAnswer) *analysis.WeightTypes {
	for i, x := range w.r.Answers.WeightTypes {
		if x.Model == a.Model && x.BackendKind == a.BackendKind && x.Device == a.Device && x.BatchSize == a.BatchSize && x.At == a.At && x.Base == a.Base && x.Decode.MS == a.Decode.MS && i < len(w.r.WeightTypes) {
			return &w.r.WeightTypes[i]
		}
	}
	return nil
}

// withinProcess is said of every verdict that rests on the calls alone.
const withinProcess = ", within one process of each type"

func (w *writer) bytesSentence(a analysis.WeightTypeAnswer, where string) string {
	tolerance := size(100*a.Tolerance) + " %"
	c := w.comparison(a)
	if a.Verdict == "unknown" || c == nil || c.SharedFixedMS == nil {
		return fmt.Sprintf("Whether decode time of %s follows the bytes that a token reads is **unknown** %s: %s.", text(a.Model), where, text(a.Why))
	}
	where += withinProcess
	over := func(types []string) string {
		var parts []string
		for _, name := range types {
			for i := range c.Types {
				if t := &c.Types[i]; c.Name(t) == name {
					parts = append(parts, fmt.Sprintf("%s (%s %%)", text(name), excess(t.OverBytes)))
				}
			}
		}
		return join(parts)
	}
	rate := fmt.Sprintf("at the rate of %s (%s GB/s) and with at most %s ms per token common to all types", text(a.Base), number(c.Types[0].All().GBPerS), number(*c.SharedFixedMS))
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
		s += fmt.Sprintf(" %s: shorter by more than %s than the bytes take %s, so %s is not bound by memory, or a lighter type stays in a cache.", upper(over(a.Faster)), tolerance, rate, text(a.Base))
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
func followers(c *analysis.WeightTypes, a analysis.WeightTypeAnswer) (out []string) {
	said := slices.Concat([]string{c.Base}, a.Slower, a.Faster, a.Open)
	for i := range c.Types {
		if name := c.Name(&c.Types[i]); !slices.Contains(said, name) {
			out = append(out, name)
		}
	}
	return out
}

// fastestOverModels says the same of several models, by the type that is fastest.
func fastestOverModels(as []analysis.WeightTypeAnswer, where string) string {
	say := func(of func(analysis.WeightTypeAnswer) *analysis.FastestType) string {
		var order []string
		by := map[string][]analysis.WeightTypeAnswer{}
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
				models = append(models, text(a.Model))
				if f := of(a); f.Type != a.Base {
					lo, hi, led = min(lo, f.BaseRatio), max(hi, f.BaseRatio), led+1
				}
				if holdsOne(of(a).NextRatioCI) {
					alike++
				}
			}
			on := "on " + join(models)
			if len(models) == n {
				on = fmt.Sprintf("on all %d models", n)
			} else if len(models) > 3 {
				on = fmt.Sprintf("on %d of %d models", len(models), n)
			}
			s := fmt.Sprintf("in **%s** %s", text(typ), on)
			var notes []string
			if led > 0 {
				notes = append(notes, fmt.Sprintf("%s to %s times as fast as in the type that reads most bytes", fixed(&lo, 2), fixed(&hi, 2)))
			}
			if alike > 0 {
				notes = append(notes, fmt.Sprintf("on %d of %d the calls do not tell it from the next", alike, len(models)))
			}
			if len(notes) > 0 {
				s += " (" + strings.Join(notes, "; ") + ")"
			}
			parts = append(parts, s)
		}
		return join(parts)
	}
	s := fmt.Sprintf("**Weight types** %s, by the medians of one process each: decode is fastest %s", where, say(func(a analysis.WeightTypeAnswer) *analysis.FastestType { return &a.Decode }))
	if p := say(func(a analysis.WeightTypeAnswer) *analysis.FastestType { return a.Prefill }); p != "" {
		s += "; prefill of the longest prompt " + p
	}
	return s + "."
}

func bytesOverModels(as []analysis.WeightTypeAnswer, where string) string {
	var slower, follows, open []string
	why := map[string]bool{}
	reason := ""
	for _, a := range as {
		switch a.Verdict {
		case "slower":
			slower = append(slower, fmt.Sprintf("%s on %s", names(a.Slower), text(a.Model)))
		case "follows":
			follows = append(follows, text(a.Model))
		default:
			open = append(open, text(a.Model))
			why[a.Why], reason = true, a.Why
		}
	}
	tolerance, within := size(100*as[0].Tolerance)+" %", where+withinProcess
	var parts []string
	if len(slower) > 0 {
		parts = append(parts, fmt.Sprintf("Decode takes longer than its bytes by more than %s in %s %s, which is dequantising, not memory.", tolerance, join(slower), within))
	}
	if len(follows) > 0 {
		parts = append(parts, fmt.Sprintf("Decode follows the bytes within %s in every type of %s %s.", tolerance, join(follows), within))
	}
	if len(open) > 0 {
		models := join(open)
		if len(open) == len(as) {
			models = fmt.Sprintf("all %d models", len(as))
		}
		s := fmt.Sprintf("Whether decode follows the bytes is **unknown** for %s %s", models, where)
		if len(why) == 1 {
			s += ": " + text(reason)
		}
		parts = append(parts, s+".")
	}
	return strings.Join(parts, " ")
}

// modelAt names the model of a comparison, and its settings where others of it have
// other ones.
func modelAt(c *analysis.WeightTypes) string {
	if c.At == "" {
		return text(c.Model)
	}
	return text(c.Model) + " at " + text(c.At)
}

// lineSentences describe the lines over the types, and say why there are none.
func (w *writer) lineSentences() list {
	var out list
	var order []string
	without := map[string][]string{}
	for i := range w.r.WeightTypes {
		c := &w.r.WeightTypes[i]
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
			number(*f.FixedMS), numbers(f.FixedT), number(100**f.MSPerMB), numbers(scaled(f.MBT, 100)))
		if f.GBPerS != nil {
			s += fmt.Sprintf(", which is %s GB/s", number(*f.GBPerS))
		}
		s += fmt.Sprintf("; R² %s, n = %d.", fixed(f.R2, 3), f.N)
		var far *analysis.WeightType
		var slower []string
		for j := range c.Types {
			t := &c.Types[j]
			if t.Residual == nil {
				continue
			}
			if far == nil || math.Abs(*t.Residual) > math.Abs(*far.Residual) {
				far = t
			}
			if *t.Residual > analysis.ByteTolerance {
				slower = append(slower, c.Name(t))
			}
		}
		if far != nil {
			s += fmt.Sprintf(" Farthest off it is %s (%s %%); slower than the line by more than %s %%: ", text(c.Name(far)), signedPercent(far.Residual), size(100*analysis.ByteTolerance))
			if len(slower) > 0 {
				s += names(slower) + "."
			} else {
				s += "none."
			}
		}
		if c.SharedFixedMS != nil && f.FixedT != nil && *c.SharedFixedMS < f.FixedT.Low {
			s += fmt.Sprintf(" The line's fixed part is not a cost that all types share, for which their times leave room for at most %s ms: it stands for what the light types spend on dequantising.", number(*c.SharedFixedMS))
		}
		out = append(out, s)
	}
	for _, reason := range order {
		out = append(out, fmt.Sprintf("No line over the types of %s: %s.", join(without[reason]), text(reason)))
	}
	return out
}
